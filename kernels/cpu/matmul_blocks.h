// Products with matrices of block types (kernels/types/types.h), which lie in groups of 16 rows as
// tiles. Activations are quantised once for all products that read them, where they lie: a row of
// floats becomes a row of struct activation, which is shorter.
//
// An output is one sum over the runs of its row in order, whatever the number of tokens.
#ifndef KERNELS_CPU_MATMUL_BLOCKS_H
#define KERNELS_CPU_MATMUL_BLOCKS_H

#include "kernels/cpu/matmul.h"
#include "kernels/types/types.h"

size_t matmul_blocks_bytes(enum dtype t, int rows, int columns);

// Elements first .. first + n - 1 in row-major order, whole blocks, as a file holds them. Several
// threads may write different blocks at once.
void matmul_blocks_put(const struct matrix *m, int64_t first, int64_t n, const void *blocks);
void matmul_blocks_get(const struct matrix *m, int64_t first, int64_t n, void *blocks);

// The values of a row.
void matmul_blocks_row(const struct matrix *m, int row, float *out);

// Quantises rows of `columns` floats, `stride` floats apart, where they lie.
void matmul_blocks_activate(struct pool *pool, enum type_path path, float *x, size_t stride,
                            int columns, int n);

// As struct matmul_tile, of any number of tokens; x are rows of struct activation.
struct matmul_blocks_tile {
    const struct matrix *m;
    int block, n_blocks, n;
    bool add;
    const float *bias;     // or NULL; as y from the first block's row on
    const float *const *x; // (n)
    float *const *y;       // (n)
};
void matmul_blocks_tile(const struct matmul_blocks_tile *t);

// Those of the jobs that are of block types, as matmul(); their x are quantised where they lie,
// each once.
void matmul_blocks_run(struct pool *pool, const struct matmul *jobs, int n_jobs, int n);

#endif
