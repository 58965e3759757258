// Sample kernels: small matrix products that use the wrappers of kernels/cuda as its kernels do.
// They compile for every architecture, run right on the emulator, and are what planted errors of
// bugs/ are planted in.
#ifndef TESTS_CUDASIM_SAMPLES_SAMPLES_H
#define TESTS_CUDASIM_SAMPLES_SAMPLES_H

#include <cuda_runtime_api.h>

// out (m, n) = x (m, k) times the transpose of w (n, k), all bf16; sums in float32.
// squares (m) += the sum of squares of each row. n % 64 == 0, k % 32 == 0.
cudaError_t gemm_mma_launch(const void *x, const void *w, void *out, float *squares, int m, int n,
                            int k, cudaStream_t stream);
// The same without squares, on sm_90a: tiles of 128 rows of w and 16, 64 or 128 tokens.
// n % 128 == 0, k % 64 == 0.
cudaError_t gemm_wgmma_launch(const void *x, const void *w, void *out, int m, int n, int k,
                              int tokens, cudaStream_t stream);

#endif
