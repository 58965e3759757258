// Launches that move weights and the state of sequences; the same rules as in ops.h.
#ifndef KERNELS_CUDA_OPS_MEMORY_H
#define KERNELS_CUDA_OPS_MEMORY_H

#include "kernels/cuda/ops.h"
#include "kernels/delta.h"
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

// *sum += the digest (kernels/digest.h) of elements first .. first + n - 1 where they lie; `plain`
// is not read. Of a vector every bit counts, also those that its type does not have.
int resident_digest_launch(const struct queue *q, const struct weight_move *a, uint64_t name_hash,
                           uint64_t *sum);

// *sum += the digest (kernels/digest.h) of `plain`.
int digest_launch(const struct queue *q, const void *plain, enum dtype dtype, uint64_t name_hash,
                  int64_t first, int64_t n, uint64_t *sum);

// ------------------------------------------------------------------ delta.cu

// One change of a weight (kernels/delta.h) with the place of the weight.
struct delta_target {
    struct weight_move place; // without plain, first, n
    uint64_t n_elements;      // of the weight, below 2^32
    uint64_t name_hash;
    int code_bytes; // 0: dense
    int64_t n_values, n_codes;
    const void *codes;
    const struct delta_anchor *anchors;
    void *values;
};

// All changes of an update, for one launch: blocks of threads first_block[i] .. first_block[i + 1]
// - 1 do target i.
struct delta_batch {
    const struct delta_target *targets; // (n)
    const uint32_t *first_block;        // (n + 1)
    int n;
    unsigned n_blocks;         // first_block[n]
    unsigned long long *sums;  // (n, 2) zeros; check adds the digests of staged and resident values
    unsigned long long *fault; // all ones; check leaves the least delta_fault()
};
// Blocks that do a change.
int64_t delta_n_thread_blocks(const struct delta_target *t);

// What is wrong, where it was found first: the change, then the block of codes or of values.
enum delta_fault_kind { DELTA_BEGIN, DELTA_BEYOND, DELTA_END, DELTA_NOT_FINITE };
ON_DEVICE uint64_t delta_fault(int change, int64_t block, enum delta_fault_kind kind) {
    return (uint64_t)change << 40 | (uint64_t)block << 4 | (uint64_t)kind;
}
ON_DEVICE int delta_fault_change(uint64_t fault) {
    return (int)(fault >> 40);
}
ON_DEVICE int64_t delta_fault_block(uint64_t fault) {
    return (int64_t)(fault >> 4 & 0xfffffffffu);
}
ON_DEVICE enum delta_fault_kind delta_fault_kind(uint64_t fault) {
    return (enum delta_fault_kind)(fault & 15);
}

int delta_check_launch(const struct queue *q, const struct delta_batch *b);
int delta_exchange_launch(const struct queue *q, const struct delta_batch *b);

#ifdef __cplusplus
}
#endif
#endif
