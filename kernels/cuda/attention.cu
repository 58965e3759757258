// Attention over KV pages: softmax(q k / sqrt(head_dim)) v, causal, grouped heads.
//
// A warp takes 16 rows, (token, query head) pairs that share a KV head, so that a group of 4 query
// heads reads K and V once. Scores and sums by mma.sync on every device: q, k, v and the weights of
// the softmax are rounded to bf16 as operands, everything else is float32.
//
// Order, for a row at position p: chunks of 512 positions; in a chunk, tiles of 32 positions in
// order with a running maximum; chunks are merged in order. Positions behind p weigh exactly 0 and
// change no bit. So a row's bits do not depend on the rows beside it, nor on whether one warp goes
// through its chunks or many warps take one each and the last of them merges.
//
// Items (step.h): of one token (or a draft) a block's 4 warps take 4 KV heads, each with a ring of
// its own; of a prefill they take 64 rows of one KV head and share the ring. Rings of HD = 64: 96
// KB, two thirds of it under way, two blocks a SM: 128 KB in flight.
#include "kernels/cuda/device.cuh"

enum { ATTENTION_THREADS = ATTENTION_WARPS * N_LANES };

template <int HD, int STAGES> struct attention_memory {
    static constexpr int part = ATTENTION_TILE * HD; // K or V of a warp's tile
    bf16 *ring; // (STAGES, ATTENTION_WARPS, 2, ATTENTION_TILE, HD)
    bf16 *out;  // (ATTENTION_WARPS, ATTENTION_ROWS, HD)
    int32_t *item;
    template <class Memory> __host__ __device__ explicit attention_memory(Memory &memory) {
        memory.take(&ring, STAGES * ATTENTION_WARPS * 2 * part, 128);
        memory.take(&out, ATTENTION_WARPS * ATTENTION_ROWS * HD, 16);
        memory.take(&item, 1);
    }
};

// The place of a row's chunk of 8 values: 8 rows at one chunk fall on different banks.
template <int HD> __device__ __forceinline__ int chunk_place(int row, int chunk) {
    return HD == 32 ? chunk ^ (row >> 1 & 3) : chunk ^ (row & 7);
}

// Of a lane: rows lane / 4 and lane / 4 + 8.
template <int HD> struct softmax_rows {
    float max[2], sum[2], o[1][HD / 8][4];
    __device__ __forceinline__ void clear() {
        max[0] = max[1] = -math_infinity();
        sum[0] = sum[1] = 0;
        for (int j = 0; j < HD / 8; j++)
            for (int k = 0; k < 4; k++) o[0][j][k] = 0;
    }
};

// What a warp works at.
struct attention_work {
    int kv_head, first, n_rows; // first token of the step; rows from its first query head on
    int end;                    // positions of the segment's tokens up to the item's last
    const int32_t *pages;
    int position[2]; // of the lane's rows, -1: none
};

// ------------------------------------------------------------------ K and V

// 32 positions from k0 on of one KV head into a part of the ring, by a warp. Positions that are not
// there are zeros.
template <int HD>
__device__ __forceinline__ void load_tile(const struct attention &a, const attention_work &w,
                                          int k0, bf16 *k_tile, int lane) {
    const int size = a.is_bf16 ? 2 : 4, row_bytes = a.head_dim * size;
    bf16 *v_tile = k_tile + ATTENTION_TILE * HD;
    int key = k0 + lane;
    int64_t at = -1;
    if (key < w.end)
        at = w.pages[key / a.page_tokens] * a.page_bytes +
             (int64_t)(2 * w.kv_head * a.page_tokens + key % a.page_tokens) * row_bytes;
    const int64_t v_at = (int64_t)a.page_tokens * row_bytes;
    const char *pages = (const char *)a.pages;
    if (a.is_bf16 && a.head_dim % 8 == 0) {
        constexpr int CHUNKS = HD / 8, ROWS = N_LANES / CHUNKS;
        for (int i = 0; i < ATTENTION_TILE; i += ROWS) {
            int row = i + lane / CHUNKS, chunk = lane % CHUNKS;
            int64_t from = __shfl_sync(ALL_LANES, at, row);
            int to = row * HD + chunk_place<HD>(row, chunk) * 8;
            int bytes = from >= 0 && chunk * 8 < a.head_dim ? 16 : 0;
            const char *k = bytes ? pages + from + chunk * 16 : pages;
            cp_async_16_zero_fill(k_tile + to, k, bytes);
            cp_async_16_zero_fill(v_tile + to, bytes ? k + v_at : k, bytes);
        }
        return;
    }
    for (int row = 0; row < ATTENTION_TILE; row++) {
        int64_t from = __shfl_sync(ALL_LANES, at, row);
        for (int d = lane; d < HD; d += N_LANES) {
            bool is_there = from >= 0 && d < a.head_dim;
            int to = row * HD + chunk_place<HD>(row, d / 8) * 8 + d % 8;
            float k = is_there ? load_state(a.is_bf16, pages + from, d) : 0;
            float v = is_there ? load_state(a.is_bf16, pages + from + v_at, d) : 0;
            k_tile[to] = __float2bfloat16_rn(k);
            v_tile[to] = __float2bfloat16_rn(v);
        }
    }
}

// q of the lane's rows as operands of the products, from memory.
template <int HD>
__device__ __forceinline__ void load_q(const struct attention &a, const attention_work &w,
                                       uint32_t (&q)[HD / 16][1][4], int lane) {
    int group = a.n_heads / a.n_kv_heads;
    for (int h = 0; h < 2; h++) {
        int row = lane / 4 + 8 * h;
        const bf16 *from = (const bf16 *)a.q + (int64_t)(w.first + row / group) * a.q_stride +
                           (w.kv_head * group + row % group) * HD + lane % 4 * 2;
#pragma unroll
        for (int k = 0; k < HD / 16; k++) {
            q[k][0][h] = row < w.n_rows ? *(const uint32_t *)(from + k * 16) : 0;
            q[k][0][h + 2] = row < w.n_rows ? *(const uint32_t *)(from + k * 16 + 8) : 0;
        }
    }
}

// ------------------------------------------------------------------ one tile

template <int HD>
__device__ __forceinline__ void tile_scores(const uint32_t (&q)[HD / 16][1][4], const bf16 *k_tile,
                                            float (&s)[1][4][4], int lane) {
#pragma unroll
    for (int k = 0; k < HD / 16; k++) {
        uint32_t b[4][2];
#pragma unroll
        for (int j = 0; j < 4; j += 2) {
            uint32_t r[4];
            int row = j * 8 + lane % 8 + lane / 16 * 8, chunk = k * 2 + lane / 8 % 2;
            ldmatrix_x4(r, k_tile + row * HD + chunk_place<HD>(row, chunk) * 8);
            b[j][0] = r[0], b[j][1] = r[1], b[j + 1][0] = r[2], b[j + 1][1] = r[3];
        }
        mma_tile(s, q[k], b);
    }
}

template <int HD>
__device__ __forceinline__ void tile_values(const float (&p)[1][4][4], const bf16 *v_tile,
                                            float (&o)[1][HD / 8][4], int lane) {
#pragma unroll
    for (int k = 0; k < 2; k++) {
        uint32_t a[1][4], b[HD / 8][2];
        for (int i = 0; i < 2; i++) {
            a[0][2 * i] = pack_bf16(p[0][2 * k + i][0], p[0][2 * k + i][1]);
            a[0][2 * i + 1] = pack_bf16(p[0][2 * k + i][2], p[0][2 * k + i][3]);
        }
#pragma unroll
        for (int j = 0; j < HD / 8; j += 2) {
            uint32_t r[4];
            int row = k * 16 + lane % 16, chunk = j + lane / 16;
            ldmatrix_x4_trans(r, v_tile + row * HD + chunk_place<HD>(row, chunk) * 8);
            b[j][0] = r[0], b[j][1] = r[1], b[j + 1][0] = r[2], b[j + 1][1] = r[3];
        }
        mma_tile(o, a, b);
    }
}

// Positions k0 .. k0 + 31 for the rows of a warp.
template <int HD>
__device__ __forceinline__ void attend_tile(const struct attention &a, const attention_work &w,
                                            const uint32_t (&q)[HD / 16][1][4], int k0,
                                            const bf16 *k_tile, softmax_rows<HD> &rows, int lane) {
    float s[1][4][4] = {};
    tile_scores<HD>(q, k_tile, s, lane);
#pragma unroll
    for (int h = 0; h < 2; h++) {
        // A warp of a decode has 4 rows: of the upper 8 none is there, and weighs nothing.
        if (h == 1 && w.n_rows <= 8) {
#pragma unroll
            for (int i = 0; i < 8; i++) s[0][i / 2][2 + i % 2] = 0;
            break;
        }
        float top = rows.max[h];
#pragma unroll
        for (int i = 0; i < 8; i++) {
            float &x = s[0][i / 2][2 * h + i % 2];
            int key = k0 + i / 2 * 8 + lane % 4 * 2 + i % 2;
            x = key <= w.position[h] ? x * a.scale : -math_infinity();
            top = fmaxf(top, x);
        }
        top = fmaxf(top, __shfl_xor_sync(ALL_LANES, top, 1));
        top = fmaxf(top, __shfl_xor_sync(ALL_LANES, top, 2));
        // A row that has seen no position yet weighs everything with 0.
        float base = top == -math_infinity() ? 0 : top, shrink = math_exp(rows.max[h] - base);
        rows.max[h] = top;
        float sum = rows.sum[h] * shrink;
#pragma unroll
        for (int i = 0; i < 8; i++) {
            float &x = s[0][i / 2][2 * h + i % 2];
            x = math_exp(x - base);
            sum += x;
        }
        rows.sum[h] = sum;
#pragma unroll
        for (int j = 0; j < HD / 8; j++) {
            rows.o[0][j][2 * h] *= shrink;
            rows.o[0][j][2 * h + 1] *= shrink;
        }
    }
    tile_values<HD>(s, k_tile + ATTENTION_TILE * HD, rows.o, lane);
}

// ------------------------------------------------------------------ chunks

// The sums of the lanes of a row as one.
template <int HD> __device__ __forceinline__ void close_chunk(softmax_rows<HD> &rows) {
    for (int h = 0; h < 2; h++) {
        rows.sum[h] += __shfl_xor_sync(ALL_LANES, rows.sum[h], 1);
        rows.sum[h] += __shfl_xor_sync(ALL_LANES, rows.sum[h], 2);
    }
}

// total and chunk `c`, which comes behind it, as one.
template <int HD>
__device__ __forceinline__ void merge_chunk(softmax_rows<HD> &total, const softmax_rows<HD> &chunk,
                                            const attention_work &w, int c) {
#pragma unroll
    for (int h = 0; h < 2; h++) {
        if (c * ATTENTION_CHUNK > w.position[h]) continue;
        float top = fmaxf(total.max[h], chunk.max[h]);
        float mine = c == 0 ? 0 : math_exp(total.max[h] - top);
        float other = c == 0 ? 1 : math_exp(chunk.max[h] - top);
        total.max[h] = top;
        total.sum[h] = total.sum[h] * mine + chunk.sum[h] * other;
#pragma unroll
        for (int j = 0; j < HD / 8; j++)
#pragma unroll
            for (int e = 2 * h; e < 2 * h + 2; e++)
                total.o[0][j][e] = total.o[0][j][e] * mine + chunk.o[0][j][e] * other;
    }
}

// A chunk's sums in memory: rows of HD values, whole sectors each, then maximum and sum of each.
template <int HD> __device__ __forceinline__ int of_row(int row) {
    return ATTENTION_ROWS * HD + 2 * row;
}
template <int HD>
__device__ __forceinline__ void store_cell(float *cell, const softmax_rows<HD> &rows, int lane) {
    for (int h = 0; h < 2; h++) {
        float *row = cell + (lane / 4 + 8 * h) * HD;
#pragma unroll
        for (int j = 0; j < HD / 8; j++)
            *(float2 *)(row + j * 8 + lane % 4 * 2) =
                make_float2(rows.o[0][j][2 * h], rows.o[0][j][2 * h + 1]);
        if (lane % 4 == 0)
            *(float2 *)(cell + of_row<HD>(lane / 4 + 8 * h)) =
                make_float2(rows.max[h], rows.sum[h]);
    }
}
template <int HD>
__device__ __forceinline__ void load_cell(const float *cell, softmax_rows<HD> &rows, int lane) {
    for (int h = 0; h < 2; h++) {
        const float *row = cell + (lane / 4 + 8 * h) * HD;
#pragma unroll
        for (int j = 0; j < HD / 8; j++) {
            float2 v = *(const float2 *)(row + j * 8 + lane % 4 * 2);
            rows.o[0][j][2 * h] = v.x;
            rows.o[0][j][2 * h + 1] = v.y;
        }
        float2 both = *(const float2 *)(cell + of_row<HD>(lane / 4 + 8 * h));
        rows.max[h] = both.x;
        rows.sum[h] = both.y;
    }
}

// A warp's rows to memory, through shared memory so that whole sectors are written.
template <int HD>
__device__ __forceinline__ void store_rows(const struct attention &a, const attention_work &w,
                                           const softmax_rows<HD> &rows, bf16 *out, int lane) {
    for (int h = 0; h < 2; h++) {
        int row = lane / 4 + 8 * h;
#pragma unroll
        for (int j = 0; j < HD / 8; j++)
            *(uint32_t *)(out + row * HD + chunk_place<HD>(row, j) * 8 + lane % 4 * 2) =
                pack_bf16(rows.o[0][j][2 * h] / rows.sum[h], rows.o[0][j][2 * h + 1] / rows.sum[h]);
    }
    __syncwarp();
    int group = a.n_heads / a.n_kv_heads;
    constexpr int CHUNKS = HD / 8;
    for (int i = lane; i < w.n_rows * CHUNKS; i += N_LANES) {
        int row = i / CHUNKS, chunk = i % CHUNKS;
        bf16 *to = (bf16 *)a.out + (int64_t)(w.first + row / group) * a.q_stride +
                   (w.kv_head * group + row % group) * HD + chunk * 8;
        *(uint4 *)to = *(const uint4 *)(out + row * HD + chunk_place<HD>(row, chunk) * 8);
    }
    __syncwarp();
}

// The chunk's sums go to memory; the warp that comes last merges all of them.
template <int HD>
__device__ __forceinline__ bool merge_in_memory(const struct attention &a, const attention_work &w,
                                                const struct step_item &item,
                                                softmax_rows<HD> &rows, int lane) {
    const int cell_floats = ATTENTION_ROWS * (HD + 2);
    int first = item.cell + w.kv_head * item.n_chunks;
    store_cell<HD>(a.cells + (int64_t)(first + item.chunk) * cell_floats, rows, lane);
    __syncwarp();
    uint32_t n_before = 0;
    if (lane == 0) n_before = atomic_add_acq_rel(&a.counters[first], 1);
    n_before = __shfl_sync(ALL_LANES, n_before, 0);
    __syncwarp(); // what lane 0 acquired is acquired by all: a shuffle orders nothing
    if (n_before != (uint32_t)item.n_chunks - 1) return false;
    if (lane == 0) a.counters[first] = 0;
    softmax_rows<HD> total;
    total.clear();
    for (int c = 0; c < item.n_chunks; c++) {
        load_cell<HD>(a.cells + (int64_t)(first + c) * cell_floats, rows, lane);
        merge_chunk<HD>(total, rows, w, c);
    }
    rows = total;
    return true;
}

// ------------------------------------------------------------------ items

// The positions of an item, through the ring. Shared: a turn is 4 tiles, one loaded by each warp.
template <int HD, int STAGES>
__device__ __forceinline__ void
attend(const struct attention &a, const attention_memory<HD, STAGES> &at, const attention_work &w,
       const struct step_item &item, softmax_rows<HD> &total, int warp, int lane) {
    const int n_tiles = item.is_shared ? ATTENTION_WARPS : 1, step = n_tiles * ATTENTION_TILE;
    const int begin = max(item.chunk, 0) * ATTENTION_CHUNK;
    const int end = item.chunk < 0 ? w.end : min(w.end, begin + ATTENTION_CHUNK);
    const int n_turns = (end - begin + step - 1) / step;
    constexpr int part = 2 * attention_memory<HD, STAGES>::part;
    auto issue = [&](int turn) {
        int k0 = begin + turn * step + (item.is_shared ? warp * ATTENTION_TILE : 0);
        if (turn < n_turns)
            load_tile<HD>(a, w, k0, at.ring + (turn % STAGES * ATTENTION_WARPS + warp) * part,
                          lane);
        cp_async_commit();
    };
    auto sync = [&] {
        if (item.is_shared)
            __syncthreads();
        else
            __syncwarp();
    };
    uint32_t q[HD / 16][1][4];
    load_q<HD>(a, w, q, lane);
    softmax_rows<HD> rows;
    rows.clear();
    total.clear();
    for (int s = 0; s < STAGES - 1; s++) issue(s);
    for (int turn = 0; turn < n_turns; turn++) {
        if (STAGES == 1) issue(turn);
        cp_async_wait<STAGES == 1 ? 0 : STAGES - 2>();
        sync();
        if (STAGES > 1) issue(turn + STAGES - 1);
        int k0 = begin + turn * step;
        const bf16 *ring = at.ring + turn % STAGES * ATTENTION_WARPS * part;
        for (int i = 0; i < n_tiles; i++, k0 += ATTENTION_TILE) {
            if (k0 >= end) break;
            attend_tile<HD>(a, w, q, k0, ring + (item.is_shared ? i : warp) * part, rows, lane);
        }
        if (k0 % ATTENTION_CHUNK == 0 || k0 >= end) {
            close_chunk<HD>(rows);
            if (item.chunk >= 0) break;
            merge_chunk<HD>(total, rows, w, (k0 - 1) / ATTENTION_CHUNK);
            rows.clear();
        }
        if (STAGES == 1) sync();
    }
    if (item.chunk >= 0) total = rows;
    cp_async_wait<0>();
    sync();
}

template <int HD, int STAGES>
__device__ __forceinline__ void attend_item(const struct attention &a,
                                            const attention_memory<HD, STAGES> &at,
                                            const struct step_item &item, int warp, int lane) {
    const struct step_run run = step_runs(a.step)[item.segment];
    int group = a.n_heads / a.n_kv_heads, row0 = item.is_shared ? warp * ATTENTION_ROWS : 0;
    attention_work w;
    w.kv_head = item.kv_head + (item.is_shared ? 0 : warp);
    if (w.kv_head >= a.n_kv_heads) return;
    w.pages = step_pages(a.step) + run.first_page;
    w.end = run.position + item.first + item.n_tokens;
    int n_rows = item.n_tokens * group;
    // Rows of later warps begin in the middle of a token when 16 is no multiple of the group: the
    // host gives such items whole tokens a warp.
    int tokens_of_warp = ATTENTION_ROWS / group;
    w.first = run.first_token + item.first + row0 / ATTENTION_ROWS * tokens_of_warp;
    n_rows -= row0 / ATTENTION_ROWS * tokens_of_warp * group;
    w.n_rows = max(0, min(n_rows, item.is_shared ? tokens_of_warp * group : int(ATTENTION_ROWS)));
    for (int h = 0; h < 2; h++) {
        int row = lane / 4 + 8 * h;
        w.position[h] =
            row < w.n_rows ? run.position + w.first - run.first_token + row / group : -1;
    }
    softmax_rows<HD> rows;
    attend<HD, STAGES>(a, at, w, item, rows, warp, lane);
    if (item.chunk >= 0 && !merge_in_memory<HD>(a, w, item, rows, lane)) return;
    store_rows<HD>(a, w, rows, at.out + warp * ATTENTION_ROWS * HD, lane);
}

template <int HD, int STAGES>
__global__ void __launch_bounds__(ATTENTION_THREADS, 2) attend_pages(const struct attention a) {
    DYNAMIC_SHARED(memory);
    attention_memory<HD, STAGES> at(memory);
    int warp = threadIdx.x / N_LANES, lane = threadIdx.x % N_LANES;
    launch_dependents();
    wait_for_prior_grid();
    // Items are of very different lengths, the longest first: a block takes the next one when it
    // is done. Which block that is changes no bit.
    for (;;) {
        if (threadIdx.x == 0) *at.item = (int)atomicAdd(a.ticket, 1u);
        __syncthreads();
        int i = *at.item;
        __syncthreads();
        if (i >= a.step->n_items) return;
        const struct step_item item = step_items(a.step)[i];
        attend_item<HD, STAGES>(a, at, item, warp, lane);
    }
}

template <int HD, int STAGES> static int launch(const struct queue *q, const struct attention *a) {
    shared_size size;
    attention_memory<HD, STAGES> counted(size);
    if constexpr (STAGES > 1)
        if (size.bytes > (size_t)q->max_shared_bytes) return launch<HD, STAGES - 1>(q, a);
    struct launch how;
    how.shared_bytes = size.bytes;
    int n_blocks, status = resident_blocks(q, attend_pages<HD, STAGES>, ATTENTION_THREADS,
                                           size.bytes, &n_blocks);
    if (status) return status;
    how.grid = dim3(n_blocks);
    how.block = dim3(ATTENTION_THREADS);
    how.stream = (cudaStream_t)q->stream;
    how.programmatic = q->is_programmatic;
    return launch_kernel(how, attend_pages<HD, STAGES>, *a);
}

int attention_launch(const struct queue *q, const struct attention *a) {
    if (a->head_rows == 32) return launch<32, 3>(q, a);
    return launch<64, 3>(q, a);
}
