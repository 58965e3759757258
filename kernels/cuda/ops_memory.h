// Launches that move weights and the state of sequences; the same rules as in ops.h.
#ifndef KERNELS_CUDA_OPS_MEMORY_H
#define KERNELS_CUDA_OPS_MEMORY_H

#include "kernels/cuda/ops.h"
#include "kernels/formula.h"

#ifdef __cplusplus
extern "C" {
#endif

// ------------------------------------------------------------------ state.cu

// Moves of pages and conv slots, independent of each other: bytes from and to any memory that the
// device reaches, in rows of `bytes`, all starting at multiples of 16.
struct state_copy {
    const void *from;
    void *to;
    int64_t bytes; // a multiple of 16
};
int state_launch(const struct queue *q, const struct state_copy *copies, int n);

// ------------------------------------------------------------------ weights.cu

// Elements first .. first + n - 1 of a tensor between their row-major order in `plain` (device
// memory, in the type `dtype`) and their place. Vectors lie as float32, (columns, rows_stride):
// the taps of a convolution by tap, others as they are.
enum place_kind { PLACE_TILES, PLACE_ROWS, PLACE_VECTOR };
struct weight_move {
    enum place_kind kind;
    enum dtype dtype;
    struct tile_map map;
    int n_tile_columns; // TILES
    int stride;         // ROWS: elements of a row; VECTOR: values of a column
    void *data;         // of the matrix or vector
    void *plain;
    int64_t first, n;
};
int weight_write_launch(const struct queue *q, const struct weight_move *a);
int weight_read_launch(const struct queue *q, const struct weight_move *a);

// plain (n) of dtype: elements first .. first + n - 1 of what the formula gives.
int formula_launch(const struct queue *q, void *plain, enum dtype dtype,
                   const struct weight_formula *formula, int64_t first, int64_t n);

// *sum += the digest (kernels/digest.h) of `plain`.
int digest_launch(const struct queue *q, const void *plain, enum dtype dtype, uint64_t name_hash,
                  int64_t first, int64_t n, uint64_t *sum);

#ifdef __cplusplus
}
#endif
#endif
