// Launches around cuBLASLt (gemm.h); the same rules as in ops.h.
#ifndef KERNELS_CUDA_OPS_GEMM_H
#define KERNELS_CUDA_OPS_GEMM_H

#include "kernels/cuda/ops.h"

#ifdef __cplusplus
extern "C" {
#endif

// ------------------------------------------------------------------ gemm.cu

// rows (n_rows, n_tile_columns * TILE_COLUMNS) bf16: the matrix as plain rows.
int copy_rows_launch(const struct queue *q, const struct matrix *m, void *rows);

// *n_different grows when a (n) and b (n) are not the same bits. n: a multiple of 4.
int compare_launch(const struct queue *q, const float *a, const float *b, int64_t n,
                   uint32_t *n_different);

// ------------------------------------------------------------------ the rest of a product

// What conv_in_launch, qkv_launch and gate_launch do with the sums of their products, which lie in
// memory: sums (n_tokens, w.n_rows). The same bits.
int conv_in_finish_launch(const struct queue *q, const struct conv_in *a, const float *sums,
                          int max_tokens);
int qkv_finish_launch(const struct queue *q, const struct qkv *a, const float *sums);
int gate_finish_launch(const struct queue *q, const struct gate *a, const float *sums);

#ifdef __cplusplus
}
#endif
#endif
