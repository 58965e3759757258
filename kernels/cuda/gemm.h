// Dense products of steps of many tokens by cuBLASLt (--device cuda/cublas, --gemm cublas). The
// library is used for a product only where open() has found, on this device, that it gives the bits
// of our own kernels whatever the number of tokens and a token's place, so that D3 holds: with one
// algorithm for each product, pinned.
//
// The library wants plain rows: a second copy of the dense matrices, made from the tiles when
// weights have changed. What follows a product (gates, norms, rotation) reads its sums from memory.
#ifndef KERNELS_CUDA_GEMM_H
#define KERNELS_CUDA_GEMM_H

#include "kernels/cuda/cublas.h"
#include "kernels/cuda/plan.h"
#include "kernels/cuda/weights.h"

enum gemm_kind {
    GEMM_CONV_IN,
    GEMM_CONV_OUT,
    GEMM_QKV,
    GEMM_ATTENTION_OUT,
    GEMM_GATE,
    GEMM_DOWN,
    N_GEMM_KINDS,
};
enum {
    GEMM_MIN_TOKENS = 512, // of a step that the library multiplies for
    GEMM_CHECK_TOKENS = 128,
};

struct gemm {
    struct cublas *cublas; // NULL: own kernels alone
    struct cublas_product products[N_GEMM_KINDS];
    struct cublas_algorithm algorithms[N_GEMM_KINDS];
    bool is_on[N_GEMM_KINDS];
    bool is_used;                // in the step that is being submitted
    bool is_stale;               // weights have changed since they were copied
    char *memory;                // of all that follows
    void *(*rows)[N_GEMM_KINDS]; // (n_layers) matrices as rows, NULL where a layer has none
    float *sums;                 // (max_tokens, the most outputs of a product)
    float *own;                  // (GEMM_CHECK_TOKENS, likewise)
    uint32_t *n_different;
    char *workspace;
};

struct cuda;

// Bytes that it takes on the device: copies of weights, and the rest.
void gemm_bytes(const struct dimensions *d, const struct model_shape *s, const struct weights *w,
                uint64_t *copies, uint64_t *scratch);

// Opens the library, takes memory, and chooses: before weights are loaded, since the matrices hold
// what is multiplied for the check, and zeros afterwards. Says on stderr for which products our own
// kernels go on; adds to c->numerics what the library does. -1 with a sentence where it is not to
// be had; errors of the device are noted.
int gemm_open(struct cuda *c, struct error *err);
void gemm_close(struct gemm *g);

// For a step of n tokens that begins: whether the library takes part, and copies of the matrices if
// weights have changed.
void gemm_begin(struct cuda *c, int n_tokens);

// Whether the step's products of this kind are the library's.
bool gemm_takes(const struct cuda *c, enum gemm_kind kind);

// The product, of x (n_tokens, n_in): added to h, or to c->gemm.sums. A cudaError_t.
int gemm_run(struct cuda *c, enum gemm_kind kind, int layer, const void *x);

#endif
