// The experts: products of the sorted pairs (token, place in its selection) with the weights of
// their expert. Tiles come from the router's list, so that counts never leave the device: an
// expert's tokens are cut into tiles, the grid is fixed and takes tile after tile. Rows of the
// activations are gathered by the copies. All row tiles of a list entry follow each other; further
// entries of the same expert come next, while its weights are in the L2 cache.
//
// combine adds the outputs of a token in the order of its selection.
#include "kernels/cuda/swiglu.cuh"

template <int ROWS>
__device__ __forceinline__ product_tile expert_product_tile(const struct matrix &w,
                                                            int64_t expert_bytes,
                                                            const struct routes &routes, int i) {
    int n_row_tiles = w.n_rows / ROWS;
    const struct expert_tile e = routes.tiles[i / n_row_tiles];
    product_tile t;
    t.row = i % n_row_tiles * ROWS;
    t.token = e.first;
    t.n = e.n;
    t.group = e.expert;
    t.w = (const char *)w.data + e.expert * expert_bytes +
          (int64_t)(t.row / TILE_ROWS) * w.n_tile_columns * TILE_BYTES;
    return t;
}

template <int ROWS, int BT> struct expert_gate_op : expert_gate {
    static const int rows = ROWS;
    static const bool is_early = false;

    __device__ __forceinline__ int n_tiles() const { return *routes.n_tiles * (w.n_rows / ROWS); }
    __device__ __forceinline__ product_tile tile(int i) const {
        return expert_product_tile<ROWS>(w, expert_bytes, routes, i);
    }
    __device__ __forceinline__ const void *row(const product_tile &t, int i) const {
        return (const bf16 *)n + (int64_t)(routes.sorted[t.token + i] / n_used) * n_stride;
    }
    template <class Sync>
    __device__ __forceinline__ void finish(const product_tile &t, int first, int n_tokens,
                                           const float *sums, int thread, int n_threads,
                                           Sync) const {
        swiglu_store<ROWS>(sums, n_tokens, (bf16 *)act + (int64_t)(t.token + first) * act_stride,
                           act_stride, t.row, thread, n_threads);
    }
    template <int N>
    __device__ __forceinline__ void finish_wide(const product_tile &t, int first,
                                                const float (&d)[N]) const {
        swiglu_store_wide(t, first, d, (bf16 *)act, act_stride);
    }
};

template <int ROWS, int BT> struct expert_down_op : expert_down {
    static const int rows = ROWS;
    static const bool is_early = false;

    __device__ __forceinline__ int n_tiles() const { return *routes.n_tiles * (w.n_rows / ROWS); }
    __device__ __forceinline__ product_tile tile(int i) const {
        return expert_product_tile<ROWS>(w, expert_bytes, routes, i);
    }
    __device__ __forceinline__ const void *row(const product_tile &t, int i) const {
        return (const bf16 *)act + (int64_t)(t.token + i) * act_stride;
    }
    template <class Sync>
    __device__ __forceinline__ void finish(const product_tile &t, int first, int n_tokens,
                                           const float *sums, int thread, int n_threads,
                                           Sync) const {
        for (int i = thread; i < n_tokens * (ROWS / 8); i += n_threads) {
            int token = i / (ROWS / 8), r = i % (ROWS / 8) * 8;
            if (t.row + r >= y_stride) continue;
            const float4 *at = (const float4 *)(sums + token * sums_stride<ROWS> + r);
            float4 a = at[0], b = at[1];
            int64_t pair = routes.sorted[t.token + first + token];
            *(uint4 *)((bf16 *)y + pair * y_stride + t.row + r) = make_uint4(
                pack_bf16(a.x, a.y), pack_bf16(a.z, a.w), pack_bf16(b.x, b.y), pack_bf16(b.z, b.w));
        }
    }
    template <int N>
    __device__ __forceinline__ void finish_wide(const product_tile &t, int first,
                                                const float (&d)[N]) const {
#pragma unroll
        for (int half = 0; half < 2; half++) {
            const int token = first + 8 * half;
            const int64_t pair = token < t.n ? routes.sorted[t.token + token] : 0;
            bf16 *to = (bf16 *)y + pair * y_stride;
#pragma unroll
            for (int b = 0; b < N / 16; b++) {
                const int at = 16 * b + 2 * half, row = t.row + 32 * b + threadIdx.x % 4 * 8;
                uint32_t v[4];
#pragma unroll
                for (int i = 0; i < 4; i++) v[i] = pack_bf16(d[at + 4 * i], d[at + 4 * i + 1]);
                const uint4 words = quad_transpose(v);
                if (token < t.n && row < y_stride) *(uint4 *)(to + row) = words;
            }
        }
    }
};

int expert_most_tokens(const struct queue *q, const struct matrix *gate,
                       const struct matrix *down) {
    if (has_many(q, gate, 256) && has_many(q, down, 256)) return MANY_TILE;
    return q->max_shared_bytes < LARGEST_TILE_SHARED ? 64 : 128;
}

int expert_gate_launch(const struct queue *q, const struct expert_gate *a, int token_tile) {
    if (token_tile == MANY_TILE) {
        if (!has_many(q, &a->w, 256)) return cudaErrorInvalidValue;
        return launch_many<expert_gate_op<256, MANY_TILE>>(q, a);
    }
    return launch_by_tile<expert_gate_op>(q, a, token_tile);
}
int expert_down_launch(const struct queue *q, const struct expert_down *a, int token_tile) {
    if (token_tile == MANY_TILE) {
        if (!has_many(q, &a->w, 256)) return cudaErrorInvalidValue;
        return launch_many<expert_down_op<256, MANY_TILE>>(q, a);
    }
    return launch_by_tile<expert_down_op>(q, a, token_tile);
}

// ------------------------------------------------------------------ combine

__device__ __forceinline__ void add_weighted(float4 &sum, float weight, uint2 v) {
    sum.x += weight * low_bf16(v.x);
    sum.y += weight * high_bf16(v.x);
    sum.z += weight * low_bf16(v.y);
    sum.w += weight * high_bf16(v.y);
}

// ROW_GROUPS groups of columns of h, from `first` on, with the outputs of the token's experts
// added, each weighted, in the order of the selection. Four experts' outputs are asked for at once.
__device__ __forceinline__ void add_outputs(const struct combine &a, const float *g, const bf16 *y,
                                            const float *h, int first, float4 (&to)[ROW_GROUPS]) {
    float4 sum[ROW_GROUPS];
#pragma unroll
    for (int j = 0; j < ROW_GROUPS; j++) {
        sum[j] = to[j] = make_float4(0, 0, 0, 0);
        if (first + j * ROW_STEP < a.stride) to[j] = *(const float4 *)(h + first + j * ROW_STEP);
    }
    for (int k = 0; k < a.n_used; k += 4) {
        uint2 v[4][ROW_GROUPS];
        float weight[4];
#pragma unroll
        for (int e = 0; e < 4; e++) {
            bool is_there = k + e < a.n_used;
            weight[e] = is_there ? g[k + e] : 0;
#pragma unroll
            for (int j = 0; j < ROW_GROUPS; j++) {
                int i = first + j * ROW_STEP;
                v[e][j] = make_uint2(0, 0);
                if (is_there && i < a.stride)
                    v[e][j] = *(const uint2 *)(y + (int64_t)(k + e) * a.y_stride + i);
            }
        }
#pragma unroll
        for (int e = 0; e < 4; e++) {
            if (k + e >= a.n_used) break;
#pragma unroll
            for (int j = 0; j < ROW_GROUPS; j++) add_weighted(sum[j], weight[e], v[e][j]);
        }
    }
#pragma unroll
    for (int j = 0; j < ROW_GROUPS; j++)
        to[j] = make_float4(to[j].x + sum[j].x, to[j].y + sum[j].y, to[j].z + sum[j].z,
                            to[j].w + sum[j].w);
}

// A block of 128 threads a token, ROW_GROUPS times 4 columns a thread at a time.
__global__ void __launch_bounds__(ROW_THREADS, 8) combine_rows(const struct combine a) {
    launch_dependents();
    wait_for_prior_grid();
    for (int t = blockIdx.x; t < a.step->n_tokens; t += gridDim.x) {
        float *h = a.h + (int64_t)t * a.stride, squares = 0;
        const float *g = a.weights + (int64_t)t * a.n_used;
        const bf16 *y = (const bf16 *)a.y + (int64_t)t * a.n_used * a.y_stride;
        for (int first = threadIdx.x * 4; first < a.stride; first += ROW_GROUPS * ROW_STEP) {
            float4 sum[ROW_GROUPS];
            add_outputs(a, g, y, h, first, sum);
#pragma unroll
            for (int j = 0; j < ROW_GROUPS; j++) {
                if (first + j * ROW_STEP >= a.stride) break;
                *(float4 *)(h + first + j * ROW_STEP) = sum[j];
                squares += square_sum(sum[j]);
            }
        }
        float scale = row_scale(squares, a.hidden, a.eps);
        store_normed(h, a.norm, scale, a.hidden, a.stride, (bf16 *)a.n + (int64_t)t * a.stride);
    }
}

int combine_launch(const struct queue *q, const struct combine *a, int max_tokens) {
    return launch_kernel(rows_launch(q, max_tokens), combine_rows, *a);
}
