// act = silu(w1 n) * (w3 n) of the dense feed-forward; matmul.cu's residual product is its w2.
#include "kernels/cuda/matmul_finish.cuh"
#include "kernels/cuda/swiglu.cuh"

template <int ROWS, int BT> struct gate_op : gate {
    static const int rows = ROWS;
    static const bool is_early = true;

    __device__ __forceinline__ int n_tiles() const {
        return n_dense_tiles<ROWS, BT>(w, step->n_tokens);
    }
    __device__ __forceinline__ product_tile tile(int i) const {
        return dense_tile<ROWS, BT>(w, step->n_tokens, i);
    }
    __device__ __forceinline__ int token(const product_tile &t, int i) const { return t.token + i; }
    __device__ __forceinline__ const void *row(const product_tile &t, int i) const {
        return (const bf16 *)n + (int64_t)(t.token + i) * n_stride;
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

int gate_launch(const struct queue *q, const struct gate *a, int max_tokens) {
    if (wants_many(q, &a->w, max_tokens)) return launch_many<gate_op<256, MANY_TILE>>(q, a);
    return launch_by_tile<gate_op>(q, a, max_tokens);
}

int gate_finish_launch(const struct queue *q, const struct gate *a, const float *sums) {
    return launch_finish<gate_op<128, 32>, 32>(q, a, sums);
}
