// RMSNorm before a dense feed-forward, and behind it. A block of 128 threads a token; reads 4 bytes
// and writes 2 a value.
#include "kernels/cuda/device.cuh"

__global__ void __launch_bounds__(ROW_THREADS) rms_norm_rows(const struct rms_norm a) {
    launch_dependents();
    wait_for_prior_grid();
    for (int t = blockIdx.x; t < a.step->n_tokens; t += gridDim.x) {
        const float *h = a.h + (int64_t)t * a.stride;
        float squares = 0;
        for (int i = threadIdx.x * 4; i < a.stride; i += ROW_THREADS * 4)
            squares += square_sum(*(const float4 *)(h + i));
        float scale = row_scale(squares, a.hidden, a.eps);
        store_normed(h, a.w, scale, a.hidden, a.stride, (bf16 *)a.n + (int64_t)t * a.stride);
    }
}

int rms_norm_launch(const struct queue *q, const struct rms_norm *a, int max_tokens) {
    return launch_kernel(rows_launch(q, max_tokens), rms_norm_rows, *a);
}
