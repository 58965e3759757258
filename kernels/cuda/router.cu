// The router of a mixture of experts, one kernel: n = norm(h), logits in float32, the choice of
// experts of each token, and, by the block that ends last, the pairs sorted by expert and the tiles
// of the expert products. Nothing of it comes back to the host.
//
// Norm: a warp a token, groups of 4 by lane in order, then as warp_sum. Logits: lanes hold groups
// of 4 columns, fused multiply-adds in order of the columns, lanes as warp_sum: the same for any
// number of tokens. Ranks of pairs are stable, so that the lists are the same every time.
//
// A block takes a tile of 8 tokens and the experts of its 8 warps: 1 a warp where tokens are few,
// so that 8 blocks share a tile and the last of them chooses, 8 where there are many. Of a warp, 16
// rows of 128 columns (32 KB a block; 8 rows where it has 8 experts) are on their way before the
// kernel ahead has ended, since weights do not depend on it. 8 tokens x 8 experts: 256 fused
// multiply-adds of a lane for 8 reads of 16 bytes of shared memory and 8 of 8 bytes of the L2
// cache, so the former are the bound.
#include "kernels/cuda/device.cuh"

enum {
    ROUTER_THREADS = 256,
    ROUTER_WARPS = ROUTER_THREADS / N_LANES,
    ROUTER_TOKENS = 8,
    GROUP = 4 * N_LANES, // columns of a warp at a time
    PAIRS_AHEAD = 8,     // loads of a lane under way when the pairs are sorted
};

template <int TOKENS> struct router_memory {
    float *x;         // (whole groups, TOKENS, GROUP) normalised
    float *norm;      // (whole groups)
    float *logits;    // (TOKENS, n_experts), then sigmoids
    uint32_t *keys;   // (TOKENS, n_experts)
    uint32_t *counts; // (ROUTER_WARPS, n_experts): pairs, then where the next one goes
    template <class Memory>
    __host__ __device__ router_memory(Memory &memory, int stride, int n_experts) {
        memory.take(&x, TOKENS * tile_pad(stride, GROUP), 16);
        memory.take(&norm, tile_pad(stride, GROUP), 16);
        memory.take(&logits, TOKENS * n_experts);
        memory.take(&keys, TOKENS * n_experts);
        memory.take(&counts, ROUTER_WARPS * n_experts);
    }
};

// ------------------------------------------------------------------ norm

// By the block: the norm's weights, zeros behind them.
__device__ __forceinline__ void load_norm(const struct router &a, float *norm) {
    for (int i = threadIdx.x * 4; i < tile_pad(a.stride, GROUP); i += ROUTER_THREADS * 4) {
        int n = max(0, min(4, a.hidden - i));
        cp_async_16_zero_fill(norm + i, n ? a.norm + i : a.norm, n * 4);
    }
    cp_async_commit();
}

// A warp: the normalised row to shared memory as float32, and where n is not null to it as bf16.
template <int TOKENS, int AHEAD>
__device__ __forceinline__ void router_norm(const struct router &a, const float *h, const float *w,
                                            float *x, bf16 *n, int lane) {
    constexpr int X_STEP = TOKENS * GROUP;
    const int columns = tile_pad(a.stride, GROUP);
    float squares = 0;
    for (int first = lane * 4; first < columns; first += AHEAD * GROUP) {
        float4 v[AHEAD];
#pragma unroll
        for (int k = 0; k < AHEAD; k++) {
            int i = first + k * GROUP;
            v[k] = i < a.stride ? *(const float4 *)(h + i) : make_float4(0, 0, 0, 0);
        }
#pragma unroll
        for (int k = 0; k < AHEAD; k++) {
            int i = first + k * GROUP;
            if (i >= columns) break;
            *(float4 *)(x + i / GROUP * X_STEP + lane * 4) = v[k];
            squares += square_sum(v[k]);
        }
    }
    float scale = 1.0f / sqrtf(warp_sum(squares) / (float)a.hidden + a.eps);
#pragma unroll 4
    for (int i = lane * 4; i < columns; i += GROUP) {
        float4 *of_x = (float4 *)(x + i / GROUP * X_STEP + lane * 4);
        float4 y = *of_x, v = *(const float4 *)(w + i);
        y = make_float4(y.x * scale * v.x, y.y * scale * v.y, y.z * scale * v.z, y.w * scale * v.w);
        *of_x = y;
        if (n && i < a.stride)
            *(uint2 *)(n + i) = make_uint2(pack_bf16(y.x, y.y), pack_bf16(y.z, y.w));
    }
}

// ------------------------------------------------------------------ logits

// The first or the second two of four weights.
__device__ __forceinline__ float2 two_of(uint2 v, int half) {
    uint32_t two = half ? v.y : v.x;
    return make_float2(low_bf16(two), high_bf16(two));
}
__device__ __forceinline__ float2 two_of(float4 v, int half) {
    return half ? make_float2(v.z, v.w) : make_float2(v.x, v.y);
}

// Weights of EXPERTS rows that are on their way to a lane, as bf16 (Four = uint2) or float32
// (float4): DEPTH groups of columns ahead of their use.
template <int EXPERTS, class Four> struct router_weights {
    static constexpr int fit = (EXPERTS == 8 ? 16 : 64) * 4 / (EXPERTS * (int)sizeof(Four));
    static constexpr int DEPTH = fit > 16 ? 16 : fit < 1 ? 1 : fit;
    const Four *rows;
    uint32_t first, stride; // of the first row, from the lane's columns on; of a row: groups of 4
    int left;               // columns from the lane's first on
    Four v[DEPTH][EXPERTS];

    // One place of 32 bits that goes from row to row, and one branch: 8 addresses that are kept, or
    // a branch for each load, are registers which the products lack.
    __device__ __forceinline__ void load(int d, int group) {
        if (group * GROUP >= left) {
#pragma unroll
            for (int e = 0; e < EXPERTS; e++) v[d][e] = Four{};
            return;
        }
        uint32_t at = first + (uint32_t)(group * N_LANES);
#pragma unroll
        for (int e = 0; e < EXPERTS; e++, at += stride) v[d][e] = rows[at];
    }
    __device__ __forceinline__ void begin(const struct router &a, int expert, int lane) {
        stride = (uint32_t)a.stride / 4;
        left = a.stride - lane * 4;
        rows = (const Four *)a.w;
        first = (uint32_t)(expert * stride + lane);
#pragma unroll
        for (int d = 0; d < DEPTH; d++) load(d, d);
    }
};

// Logits of the experts whose weights are under way, of the first TOKENS rows of a tile of ROWS.
// Their distance is a constant: rows behind each other would be 8 addresses in registers.
template <int ROWS, int TOKENS, int EXPERTS, class Four>
__device__ __forceinline__ void row_logits(router_weights<EXPERTS, Four> &w, const float *x,
                                           int n_groups, float (&sums)[TOKENS * EXPERTS],
                                           int lane) {
    constexpr int DEPTH = router_weights<EXPERTS, Four>::DEPTH;
    x += lane * 4;
#pragma unroll 1
    for (int group = 0; group < n_groups; group += DEPTH)
#pragma unroll
        for (int d = 0; d < DEPTH; d++) {
            if (group + d >= n_groups) break;
#pragma unroll
            for (int half = 0; half < 2; half++) {
                float2 v[EXPERTS];
#pragma unroll
                for (int e = 0; e < EXPERTS; e++) v[e] = two_of(w.v[d][e], half);
                if (half == 1) w.load(d, group + d + DEPTH);
#pragma unroll
                for (int t = 0; t < TOKENS; t++) {
                    float2 y = *(const float2 *)(x + ((group + d) * ROWS + t) * GROUP + half * 2);
#pragma unroll
                    for (int e = 0; e < EXPERTS; e++) {
                        float &s = sums[t * EXPERTS + e];
                        s = fmaf(y.x, v[e].x, s);
                        s = fmaf(y.y, v[e].y, s);
                    }
                }
            }
        }
}

// Sums N values over the lanes, halving what each lane is in charge of while it can: the additions
// of warp_sum in its order. Lane l ends with values first .. of all, N / 32 of them or one.
template <int N> __device__ __forceinline__ int share_sums(float (&v)[N], int lane) {
    int first = 0, n = N;
#pragma unroll
    for (int by = N_LANES / 2; by > 0; by /= 2) {
        if (n > 1) {
            n /= 2;
            bool upper = lane & by;
            if (upper) first += n;
#pragma unroll
            for (int i = 0; i < N / 2; i++) {
                if (i >= n) break;
                float mine = upper ? v[i + n] : v[i], other = upper ? v[i] : v[i + n];
                v[i] = mine + __shfl_xor_sync(ALL_LANES, other, by);
            }
        } else {
            v[0] += __shfl_xor_sync(ALL_LANES, v[0], by);
        }
    }
    return first;
}

// Logits of a warp's experts, of which those from `expert` on are its own, for n tokens, to
// logits[token * n_experts + expert].
template <int ROWS, int TOKENS, int EXPERTS, class Four>
__device__ __forceinline__ void
router_logits(const struct router &a, router_weights<EXPERTS, Four> &w, const float *x, int n,
              float *logits, int first, int expert, int lane) {
    float sums[TOKENS * EXPERTS] = {};
    row_logits<ROWS, TOKENS>(w, x, tile_pad(a.stride, GROUP) / GROUP, sums, lane);
    int mine = share_sums(sums, lane);
    constexpr int ALL = TOKENS * EXPERTS, N = ALL > N_LANES ? ALL / N_LANES : 1;
    constexpr int ALIKE = ALL < N_LANES ? N_LANES / ALL : 1; // lanes that hold the same
    if (lane % ALIKE != 0) return;
#pragma unroll
    for (int i = 0; i < N; i++) {
        int t = (mine + i) / EXPERTS, e = first + (mine + i) % EXPERTS;
        if (t < n && e >= expert && e < a.n_experts) logits[t * a.n_experts + e] = sums[i];
    }
}

// ------------------------------------------------------------------ choice

// Larger scores first; NaN behind all numbers, 0 behind everything.
__device__ __forceinline__ uint32_t score_key(float score) {
    uint32_t u = __float_as_uint(score + 0.0f);
    return score != score ? 1 : u >> 31 ? ~u : u | 0x80000000u;
}

// The experts of a token, by a warp: the largest scores, among equal ones the lower expert. logits
// may be those of the block or of device memory; `scores` become their sigmoids.
__device__ __forceinline__ void router_choose(const struct router &a, int t, const float *logits,
                                              float *scores, uint32_t *keys, int lane) {
    for (int e = lane; e < a.n_experts; e += N_LANES) {
        float score = math_sigmoid(logits[e]);
        scores[e] = score;
        keys[e] = score_key(a.bias ? score + a.bias[e] : score);
    }
    __syncwarp();
    float sum = 0, mine = 0;
    int chosen = 0;
    for (int k = 0; k < a.n_used; k++) {
        uint32_t best = 0;
        int expert = a.n_experts;
        for (int e = lane; e < a.n_experts; e += N_LANES)
            if (keys[e] > best) best = keys[e], expert = e;
        uint32_t top = __reduce_max_sync(ALL_LANES, best);
        expert = (int)__reduce_min_sync(ALL_LANES, best == top ? (uint32_t)expert : ~0u);
        if (lane == expert % N_LANES) keys[expert] = 0;
        float weight = scores[expert];
        sum += weight;
        if (lane == k) mine = weight, chosen = expert;
    }
    if (lane >= a.n_used) return;
    if (a.norm_topk) mine /= sum + 1e-6f;
    a.routes.weights[t * a.n_used + lane] = mine * a.scale;
    a.routes.experts[t * a.n_used + lane] = chosen;
    a.routes.chosen[((int64_t)t * a.n_moe + a.moe_index) * a.n_used + lane] = (uint16_t)chosen;
}

// ------------------------------------------------------------------ lists

// The experts of pairs of a warp's share, 32 at a time: visit(expert or -1, pair).
template <class Visit>
__device__ __forceinline__ void each_pair(const struct router &a, int n_pairs, int warp, int lane,
                                          Visit visit) {
    int share = (n_pairs + ROUTER_THREADS - 1) / ROUTER_THREADS * N_LANES;
    int end = min(n_pairs, (warp + 1) * share);
    for (int first = warp * share; first < end; first += PAIRS_AHEAD * N_LANES) {
        int experts[PAIRS_AHEAD];
#pragma unroll
        for (int i = 0; i < PAIRS_AHEAD; i++) {
            int pair = first + i * N_LANES + lane;
            experts[i] = pair < end ? a.routes.experts[pair] : -1;
        }
#pragma unroll
        for (int i = 0; i < PAIRS_AHEAD; i++) {
            if (first + i * N_LANES >= end) break;
            visit(experts[i], first + i * N_LANES + lane);
        }
    }
}

// Turns counts into places and writes the tiles, by the first warp: lanes take experts in a row.
__device__ __forceinline__ void place_experts(const struct router &a, uint32_t *counts, int lane) {
    int share = (a.n_experts + N_LANES - 1) / N_LANES, first = lane * share;
    int end = min(a.n_experts, first + share), n = 0, n_tiles = 0;
    for (int e = first; e < end; e++) {
        int of_expert = 0;
        for (int w = 0; w < ROUTER_WARPS; w++) of_expert += (int)counts[w * a.n_experts + e];
        n += of_expert;
        n_tiles += (of_expert + a.token_tile - 1) / a.token_tile;
    }
    int at = n, tile = n_tiles;
    for (int by = 1; by < N_LANES; by *= 2) {
        int before = __shfl_up_sync(ALL_LANES, at, by), tiles = __shfl_up_sync(ALL_LANES, tile, by);
        if (lane >= by) at += before, tile += tiles;
    }
    if (lane == N_LANES - 1) *a.routes.n_tiles = tile;
    at -= n;
    tile -= n_tiles;
    for (int e = first; e < end; e++) {
        int begin = at;
        for (int w = 0; w < ROUTER_WARPS; w++) {
            int of_warp = (int)counts[w * a.n_experts + e];
            counts[w * a.n_experts + e] = (uint32_t)at;
            at += of_warp;
        }
        for (int i = begin; i < at; i += a.token_tile)
            a.routes.tiles[tile++] = {e, i, min(a.token_tile, at - i)};
    }
}

__device__ __forceinline__ void sort_pairs(const struct router &a, uint32_t *counts, int warp,
                                           int lane) {
    int n_pairs = a.step->n_tokens * a.n_used;
    uint32_t *mine = counts + warp * a.n_experts;
    for (int e = lane; e < a.n_experts; e += N_LANES) mine[e] = 0;
    __syncwarp();
    each_pair(a, n_pairs, warp, lane, [&](int expert, int) {
        if (expert >= 0) atomicAdd(&mine[expert], 1u);
    });
    __syncthreads();
    if (warp == 0) place_experts(a, counts, lane);
    __syncthreads();
    each_pair(a, n_pairs, warp, lane, [&](int expert, int pair) {
        unsigned alike = __match_any_sync(ALL_LANES, expert);
        uint32_t at = expert >= 0 ? mine[expert] : 0;
        __syncwarp();
        if (expert >= 0) {
            a.routes.sorted[at + (uint32_t)__popc(alike & ((1u << lane) - 1))] = pair;
            if (lane == __ffs((int)alike) - 1) mine[expert] = at + (uint32_t)__popc(alike);
        }
        __syncwarp();
    });
}

// ------------------------------------------------------------------ the kernel

// By all threads: is this block the last of n that come here?
__device__ __forceinline__ bool is_last(uint32_t *counter, int n) {
    SHARED(uint32_t, n_before, [1]);
    if (n == 1) {
        __syncthreads();
        return true;
    }
    __syncthreads();
    if (threadIdx.x == 0) {
        n_before[0] = atomic_add_acq_rel(counter, 1);
        if (n_before[0] == (uint32_t)n - 1) *counter = 0;
    }
    __syncthreads();
    return n_before[0] == (uint32_t)n - 1;
}

// Block (part, tile): a part of the experts for a tile of the tokens.
template <int TOKENS, int EXPERTS, class Four>
__global__ void __launch_bounds__(ROUTER_THREADS, EXPERTS == 8 && sizeof(Four) == 8 ? 2 : 1)
    route_tokens(const struct router a) {
    DYNAMIC_SHARED(memory);
    router_memory<TOKENS> at(memory, a.stride, a.n_experts);
    const int warp = threadIdx.x / N_LANES, lane = threadIdx.x % N_LANES;
    const int n = a.step->n_tokens, columns = tile_pad(a.stride, GROUP);
    const int part = blockIdx.x, n_parts = gridDim.x, tile = blockIdx.y, token = tile * TOKENS;
    const int n_tokens = min(TOKENS, n - token), expert = (part * ROUTER_WARPS + warp) * EXPERTS;
    launch_dependents();
    if (n_tokens <= 0) {
        wait_for_prior_grid();
        return;
    }
    load_norm(a, at.norm);
    // The rows of weights that a warp reads, all of which exist.
    const int first = max(0, min(expert, a.n_experts - EXPERTS));
    router_weights<EXPERTS, Four> w;
    w.begin(a, first, lane);
    cp_async_wait<0>();
    __syncthreads();
    wait_for_prior_grid();

    if (warp < n_tokens) {
        int64_t row = (int64_t)(token + warp) * a.stride;
        router_norm<TOKENS, EXPERTS == 1 ? 16 : 8>(a, a.h + row, at.norm, at.x + warp * GROUP,
                                                   part == 0 ? (bf16 *)a.n + row : nullptr, lane);
    } else if (warp < TOKENS) {
        for (int i = lane; i < columns; i += N_LANES)
            at.x[(i / GROUP * TOKENS + warp) * GROUP + i % GROUP] = 0;
    }
    __syncthreads();
    float *logits = n_parts == 1 ? at.logits : a.routes.logits + (int64_t)token * a.n_experts;
    if (EXPERTS == 1 && n_tokens == 1)
        router_logits<TOKENS, 1>(a, w, at.x, 1, logits, first, expert, lane);
    else
        router_logits<TOKENS, TOKENS>(a, w, at.x, n_tokens, logits, first, expert, lane);
    if (!is_last(&a.routes.counters[1 + tile], n_parts)) return;
    if (warp < n_tokens)
        router_choose(a, token + warp, logits + warp * a.n_experts, at.logits + warp * a.n_experts,
                      at.keys + warp * a.n_experts, lane);
    // Read again: kept, it would cost the products a register.
    if (!is_last(&a.routes.counters[0], (a.step->n_tokens + TOKENS - 1) / TOKENS)) return;
    sort_pairs(a, at.counts, warp, lane);
}

template <int TOKENS, int EXPERTS, class Four>
static int launch(const struct queue *q, const struct router *a, int max_tokens) {
    shared_size size;
    router_memory<TOKENS> counted(size, a->stride, a->n_experts);
    int n_parts = (a->n_experts + ROUTER_WARPS * EXPERTS - 1) / (ROUTER_WARPS * EXPERTS);
    struct launch how;
    how.grid = dim3(n_parts, (max_tokens + TOKENS - 1) / TOKENS);
    how.block = dim3(ROUTER_THREADS);
    how.shared_bytes = size.bytes;
    how.stream = (cudaStream_t)q->stream;
    how.programmatic = q->is_programmatic;
    int status = allow_shared(route_tokens<TOKENS, EXPERTS, Four>, size.bytes);
    return status ? status : launch_kernel(how, route_tokens<TOKENS, EXPERTS, Four>, *a);
}

// No more experts a warp than leaves every SM a block.
template <class Four>
static int launch_for(const struct queue *q, const struct router *a, int max_tokens) {
    shared_size size;
    router_memory<ROUTER_TOKENS> many(size, a->stride, a->n_experts);
    if (size.bytes > (size_t)q->max_shared_bytes) return launch<1, 1, Four>(q, a, max_tokens);
    int n_tiles = (max_tokens + ROUTER_TOKENS - 1) / ROUTER_TOKENS, n_experts = 1;
    while (n_experts < 8 && 2 * n_experts <= a->n_experts &&
           n_tiles * a->n_experts > q->n_sms * ROUTER_WARPS * n_experts)
        n_experts *= 2;
    switch (n_experts) {
    case 1:
        return launch<ROUTER_TOKENS, 1, Four>(q, a, max_tokens);
    case 2:
        return launch<ROUTER_TOKENS, 2, Four>(q, a, max_tokens);
    case 4:
        return launch<ROUTER_TOKENS, 4, Four>(q, a, max_tokens);
    default:
        return launch<ROUTER_TOKENS, 8, Four>(q, a, max_tokens);
    }
}

int router_launch(const struct queue *q, const struct router *a, int max_tokens) {
    return a->is_bf16 ? launch_for<uint2>(q, a, max_tokens) : launch_for<float4>(q, a, max_tokens);
}
