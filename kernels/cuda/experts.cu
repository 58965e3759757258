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
};

int expert_gate_launch(const struct queue *q, const struct expert_gate *a, int token_tile) {
    return launch_by_tile<expert_gate_op>(q, a, token_tile);
}
int expert_down_launch(const struct queue *q, const struct expert_down *a, int token_tile) {
    return launch_by_tile<expert_down_op>(q, a, token_tile);
}

// ------------------------------------------------------------------ combine

// A block of 128 threads a token, 4 columns a thread at a time; h passes through memory once.
__global__ void __launch_bounds__(ROW_THREADS) combine_rows(const struct combine a) {
    launch_dependents();
    wait_for_prior_grid();
    for (int t = blockIdx.x; t < a.step->n_tokens; t += gridDim.x) {
        float *h = a.h + (int64_t)t * a.stride, squares = 0;
        const float *g = a.weights + (int64_t)t * a.n_used;
        const bf16 *y = (const bf16 *)a.y + (int64_t)t * a.n_used * a.y_stride;
        for (int i = threadIdx.x * 4; i < a.stride; i += ROW_THREADS * 4) {
            float4 sum = make_float4(0, 0, 0, 0);
            for (int k = 0; k < a.n_used; k++) {
                uint2 v = *(const uint2 *)(y + (int64_t)k * a.y_stride + i);
                sum.x += g[k] * low_bf16(v.x);
                sum.y += g[k] * high_bf16(v.x);
                sum.z += g[k] * low_bf16(v.y);
                sum.w += g[k] * high_bf16(v.y);
            }
            float4 *to = (float4 *)(h + i);
            float4 old = *to;
            sum = make_float4(old.x + sum.x, old.y + sum.y, old.z + sum.z, old.w + sum.w);
            *to = sum;
            squares += square_sum(sum);
        }
        float scale = row_scale(squares, a.hidden, a.eps);
        store_normed(h, a.norm, scale, a.hidden, a.stride, (bf16 *)a.n + (int64_t)t * a.stride);
    }
}

int combine_launch(const struct queue *q, const struct combine *a, int max_tokens) {
    return launch_kernel(rows_launch(q, max_tokens), combine_rows, *a);
}
