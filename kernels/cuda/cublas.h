// cuBLASLt, opened at run time, so that the backend links with nothing but the driver. One kind of
// product is asked of it:
//     d (n_tokens, n_out) = [d +] x (n_tokens, n_in) w (n_out, n_in)^T
// of bf16 with float32 sums, all rows without gaps.
#ifndef KERNELS_CUDA_CUBLAS_H
#define KERNELS_CUDA_CUBLAS_H

#include <cuda_runtime_api.h>
#include <stdbool.h>
#include <stdint.h>

#include "protocol/base/error.h"

enum { CUBLAS_WORKSPACE_BYTES = 32 << 20, CUBLAS_MAX_ALGORITHMS = 16 };

struct cublas_product {
    int n_out, n_in; // multiples of 8
    bool adds;       // to what d holds
};

// A kernel of the library with all its settings: what is pinned.
struct cublas_algorithm {
    uint64_t words[8];
};

struct cublas_operands {
    const void *w, *x; // bf16
    float *d;
    int n_tokens;
    void *workspace; // CUBLAS_WORKSPACE_BYTES
    cudaStream_t stream;
};

struct cublas;

// -1 with ERROR_CONFIG: the library is not there, lacks a function or does not start.
int cublas_open(struct cublas **out, struct error *err);
void cublas_close(struct cublas **c);

// As the library says it: 130100 is 13.1.0.
int cublas_version(const struct cublas *c);

// The algorithms that the library would take for so many tokens, the fastest first by its guess,
// without those that split a sum. Returns how many.
int cublas_algorithms(const struct cublas *c, const struct cublas_product *p, int n_tokens,
                      struct cublas_algorithm out[CUBLAS_MAX_ALGORITHMS]);

// Puts the product on the stream. 0, or the library's status.
int cublas_run(const struct cublas *c, const struct cublas_product *p,
               const struct cublas_algorithm *a, const struct cublas_operands *o);

#endif
