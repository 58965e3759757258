// The order of a dense product's tiles, for the host and for kernels. It changes no bit.
//
// Blocks that run at once go along the columns in step, so that what several of them read comes
// from memory once and then from the L2 cache: the weights of a row of tiles, the activations of a
// column. A wave of blocks reads least where it is about as many rows as columns. So tiles are
// taken in groups of RASTER_TOKENS tokens: all tokens of a group for the first rows, then for the
// next rows; then the next group. On 132 SMs a wave is then 16 columns and 8 rows of tiles of
// 128 x 128. Without groups all tokens of a long prefill pass through the cache again for every few
// rows: of 8,192 tokens, if 20 MB of the cache are theirs, the 24B's conv_in moves 574 MB from
// memory (151 with groups; once is 59), gate 1,650 (452; 130), down 838 (458; 241)
// (tests/kernels/test_raster.c).
#ifndef KERNELS_CUDA_RASTER_H
#define KERNELS_CUDA_RASTER_H

#include "kernels/tensor.h"

enum { RASTER_TOKENS = 2048 };

struct raster_place {
    int row, column; // tiles of rows of the weights, tiles of tokens
};

// Tile i of n_rows x n_columns, in groups of `group` columns.
ON_DEVICE struct raster_place raster_tile(int i, int n_rows, int n_columns, int group) {
    int first = i / (n_rows * group) * group, at = i - first * n_rows;
    int width = n_columns - first < group ? n_columns - first : group;
    struct raster_place p = {at / width, first + at % width};
    return p;
}

#endif
