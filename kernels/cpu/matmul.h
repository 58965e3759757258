// Matrices in the packed layout and products with them.
//
// A matrix of (rows, columns) lies in blocks of MATMUL_ROWS rows, interleaved along the columns:
// element (r, c) is at ((r / 16) * columns + c) * 16 + r % 16, and rows are padded with zeros. So
// 16 outputs of one token are 16 lanes, each a single sum over c in order: no lane is ever summed
// with another, and the bits of an output depend on the number of columns alone.
// bf16 lies in pairs of columns, (r, c) beside (r, c + 1), an odd last column beside zeros: a word
// of 32 bits makes two floats with one operation each, and instructions that multiply pairs of
// bf16 take it as it is.
#ifndef KERNELS_CPU_MATMUL_H
#define KERNELS_CPU_MATMUL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "kernels/tensor.h"
#include "kernels/types/types.h"

enum { MATMUL_ROWS = 16, MATMUL_TOKENS = 12 };

struct matrix {
    enum dtype dtype;
    int rows, columns;
    void *data;          // packed, 64-byte aligned; block types: matmul_blocks.h
    enum type_path path; // of block types
};

static inline int matmul_pad(int n) {
    return (n + MATMUL_ROWS - 1) & ~(MATMUL_ROWS - 1);
}
// Floats from one row of activations to the next: outputs are written in whole blocks, and an odd
// number of cache lines keeps rows of 4 KiB from falling into one set.
static inline int matmul_stride(int n) {
    return matmul_pad(n) + MATMUL_ROWS;
}
static inline int matmul_blocks(const struct matrix *m) {
    return matmul_pad(m->rows) / MATMUL_ROWS;
}
// Elements of a block, with the padding behind an odd last column.
static inline size_t matmul_block(enum dtype t, int columns) {
    return (size_t)(t == DTYPE_BF16 ? (columns + 1) & ~1 : columns) * MATMUL_ROWS;
}
static inline size_t matmul_bytes(enum dtype t, int rows, int columns) {
    return (size_t)(matmul_pad(rows) / MATMUL_ROWS) * matmul_block(t, columns) * dtype_bytes(t);
}
// Where column c of a row lies, from its column 0 on.
static inline size_t matmul_column(enum dtype t, int c) {
    size_t at = (size_t)c;
    return t == DTYPE_BF16 ? (at >> 1) * (2 * MATMUL_ROWS) + (at & 1) : at * MATMUL_ROWS;
}
static inline size_t matmul_at(const struct matrix *m, int row, int column) {
    size_t block = (size_t)(row / MATMUL_ROWS), r = (size_t)row % MATMUL_ROWS;
    return block * matmul_block(m->dtype, m->columns) + (m->dtype == DTYPE_BF16 ? 2 * r : r) +
           matmul_column(m->dtype, column);
}

// Some blocks of rows times a few tokens: y[t][i] (+)= bias[i] + sum over c of
// w[first row + i][c] * x[t][c], for i < 16 * n_blocks. y and bias start at the first block's row.
struct matmul_tile {
    const struct matrix *m;
    int block, n_blocks;
    int n; // tokens, 1 .. MATMUL_TOKENS
    bool add;
    const float *bias; // or NULL
    const float *x[MATMUL_TOKENS];
    float *y[MATMUL_TOKENS];
};

struct isa;
struct pool;

// One product of all tokens: y rows (n, stride of rows) (+)= x rows (n, stride of columns). Where
// the matrix is of a block type, the rows of x are quantised where they lie (matmul_blocks.h).
struct matmul {
    const struct matrix *m;
    const float *x;
    float *y;
    size_t x_stride, y_stride; // floats
    const float *bias;         // or NULL
    bool add;
    bool exact; // float32 products on every path
};

// Runs `n_jobs` products of the same `n` tokens at once, divided over the pool.
enum { MATMUL_MAX_JOBS = 3 };
void matmul(const struct isa *isa, struct pool *pool, const struct matmul *jobs, int n_jobs, int n);

// Splits `n` into `parts` as even as can be: part i is *first .. *first + *count - 1.
static inline void matmul_part(int n, int parts, int i, int *first, int *count) {
    int base = n / parts, more = n % parts;
    *first = i * base + (i < more ? i : more);
    *count = base + (i < more);
}
// The tiles of `n` tokens.
static inline int matmul_n_tiles(int n) {
    return (n + MATMUL_TOKENS - 1) / MATMUL_TOKENS;
}
static inline void matmul_split(int n, int tile, int *first, int *count) {
    matmul_part(n, matmul_n_tiles(n), tile, first, count);
}

// Blocks of rows that one chunk of work takes: few enough to stay in a core's cache while the
// tokens pass, many enough to make the change of chunk cheap.
int matmul_chunk_blocks(const struct matrix *m);
// The same where one matrix is all that the threads share: small enough for each to get a few.
int matmul_share_blocks(const struct matrix *m, int n_threads);

// Multiply-adds under which a job is not worth waking a thread.
static inline bool matmul_is_small(double multiply_adds) {
    return multiply_adds < 150000;
}

void matmul_tile_portable(const struct matmul_tile *t);
void matmul_tile_avx2(const struct matmul_tile *t);
void matmul_tile_avx512(const struct matmul_tile *t);
void matmul_tile_neon(const struct matmul_tile *t);
void matmul_tile_neonbf16(const struct matmul_tile *t);
void matmul_tile_avx512bf16(const struct matmul_tile *t);
void matmul_tile_amxbf16(const struct matmul_tile *t);

#endif
