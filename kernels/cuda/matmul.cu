// The products that end a block: out_proj of convolutions and of attention, w2 of the dense
// feed-forward. h += W x (+ bias), float32; each element of h belongs to one block.
#include "kernels/cuda/matmul.cuh"

template <int ROWS, int BT> struct residual_op : residual {
    static const int rows = ROWS;
    static const bool is_early = true;

    __device__ __forceinline__ int n_tiles() const {
        return n_dense_tiles<ROWS, BT>(w, step->n_tokens);
    }
    __device__ __forceinline__ product_tile tile(int i) const {
        return dense_tile<ROWS, BT>(w, step->n_tokens, i);
    }
    __device__ __forceinline__ const void *row(const product_tile &t, int i) const {
        return (const bf16 *)x + (int64_t)(t.token + i) * x_stride;
    }
#if HAS_BULK
    __device__ __forceinline__ void prefetch(int thread) const {
        if (!ahead.data) return;
        prefetch_share(ahead.data, (int64_t)ahead.n_rows * ahead.n_tile_columns * X_ROW_BYTES,
                       (int)blockIdx.x * WARPGROUP + thread, (int)gridDim.x * WARPGROUP);
    }
#endif
    template <class Sync>
    __device__ __forceinline__ void finish(const product_tile &t, int first, int n,
                                           const float *sums, int thread, int n_threads,
                                           Sync) const {
        for (int i = thread; i < n * (ROWS / 4); i += n_threads) {
            int token = i / (ROWS / 4), r = i % (ROWS / 4) * 4;
            if (t.row + r >= h_stride) continue;
            float4 v = *(const float4 *)(sums + token * sums_stride<ROWS> + r);
            float4 *to = (float4 *)(h + (int64_t)(t.token + first + token) * h_stride + t.row + r);
            float4 old = *to;
            if (bias) {
                // Behind the last output lie zeros.
                float4 b = *(const float4 *)(bias + t.row + r);
                v = make_float4(v.x + b.x, v.y + b.y, v.z + b.z, v.w + b.w);
            }
            *to = make_float4(old.x + v.x, old.y + v.y, old.z + v.z, old.w + v.w);
        }
    }
    // Lanes 0 to 3 of a token have a sector of it.
    template <int N>
    __device__ __forceinline__ void finish_wide(const product_tile &t, int first,
                                                const float (&d)[N]) const {
        const int row = t.row + threadIdx.x % 4 * 2;
#pragma unroll
        for (int half = 0; half < 2; half++) {
            const int token = first + 8 * half;
            if (token >= t.n) continue;
            float *to = h + (int64_t)(t.token + token) * h_stride + row;
#pragma unroll
            for (int j = 0; j < N / 4; j++) {
                if (row + 8 * j >= h_stride) continue;
                float2 old = *(float2 *)(to + 8 * j);
                float x = d[4 * j + 2 * half], y = d[4 * j + 2 * half + 1];
                if (bias) {
                    float2 b = *(const float2 *)(bias + row + 8 * j);
                    x += b.x, y += b.y;
                }
                *(float2 *)(to + 8 * j) = make_float2(old.x + x, old.y + y);
            }
        }
    }
};

int residual_launch(const struct queue *q, const struct residual *a, int max_tokens) {
    if (q->family == FAMILY_MMA) return launch_by_tile<residual_op>(q, a, max_tokens);
    // 2048 rows: 128 tiles up to 256 tokens.
    if (max_tokens <= 8) return launch_few<residual_op<16, 8>, 8>(q, a);
    if (max_tokens <= 16) return launch_few<residual_op<16, 16>, 16>(q, a);
    if (max_tokens <= 32) return launch_few<residual_op<16, 32>, 32>(q, a);
    if (max_tokens <= 64) return launch_few<residual_op<32, 32>, 32>(q, a);
    if (max_tokens <= 128) return launch_few<residual_op<32, 64>, 64>(q, a);
    if (max_tokens <= 256) return launch_wgmma<residual_op<64, 64>, 64>(q, a);
    if (wants_many(q, &a->w, max_tokens)) return launch_many<residual_op<256, MANY_TILE>>(q, a);
    if (max_tokens <= 512) return launch_wgmma<residual_op<128, 64>, 64>(q, a);
    return launch_wgmma<residual_op<128, 128>, 128>(q, a);
}
