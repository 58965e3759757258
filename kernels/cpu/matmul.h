// Matrices in the packed layout and products with them.
//
// A matrix of (rows, columns) lies in blocks of MATMUL_ROWS rows, interleaved along the columns:
// element (r, c) is at ((r / 16) * columns + c) * 16 + r % 16, and rows are padded with zeros. So
// 16 outputs of one token are 16 lanes, each a single sum over c in order: no lane is ever summed
// with another, and the bits of an output depend on the number of columns alone.
#ifndef KERNELS_CPU_MATMUL_H
#define KERNELS_CPU_MATMUL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "kernels/tensor.h"
#include "kernels/types/types.h"

enum { MATMUL_ROWS = 16, MATMUL_TOKENS = 6 };

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
static inline size_t matmul_bytes(enum dtype t, int rows, int columns) {
    return (size_t)matmul_pad(rows) * (size_t)columns * dtype_bytes(t);
}
static inline size_t matmul_at(const struct matrix *m, int row, int column) {
    size_t block = (size_t)(row / MATMUL_ROWS);
    return (block * (size_t)m->columns + (size_t)column) * MATMUL_ROWS + (size_t)row % MATMUL_ROWS;
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
};

// Runs `n_jobs` products of the same `n` tokens at once, divided over the pool.
enum { MATMUL_MAX_JOBS = 3 };
void matmul(const struct isa *isa, struct pool *pool, const struct matmul *jobs, int n_jobs, int n);

// Splits `n` tokens into tiles as even as can be: tile i of the result has tokens
// *first .. *first + *count - 1. The number of tiles is matmul_n_tiles(n).
static inline int matmul_n_tiles(int n) {
    return (n + MATMUL_TOKENS - 1) / MATMUL_TOKENS;
}
static inline void matmul_split(int n, int tile, int *first, int *count) {
    int tiles = matmul_n_tiles(n), base = n / tiles, more = n % tiles;
    *first = tile * base + (tile < more ? tile : more);
    *count = base + (tile < more);
}

// Blocks of rows that one chunk of work takes: few enough to stay in a core's cache while the
// tokens pass, many enough to make the change of chunk cheap.
int matmul_chunk_blocks(const struct matrix *m);

// Multiply-adds under which a job is not worth waking a thread.
static inline bool matmul_is_small(double multiply_adds) {
    return multiply_adds < 150000;
}

void matmul_tile_portable(const struct matmul_tile *t);
void matmul_tile_avx2(const struct matmul_tile *t);

#endif
