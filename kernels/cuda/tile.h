// Where the elements of resident matrices lie, for the host and for kernels.
//
// A matrix of bf16 lies in tiles of 32 rows x 64 columns, 4 KiB each, first along the columns. Rows
// and columns are padded with zeros to whole tiles. Inside of a tile a row is 128 bytes, 8 chunks
// of 16; chunk c of row r stands at place c ^ (r % 8). So a tile is one bulk copy or 256 copies of
// 16 bytes in order, and lies in shared memory as ldmatrix reads it without bank conflicts and as
// wgmma's 128-byte swizzling wants it.
#ifndef KERNELS_CUDA_TILE_H
#define KERNELS_CUDA_TILE_H

#include <stdint.h>

#include "kernels/tensor.h"

enum { TILE_ROWS = 32, TILE_COLUMNS = 64, TILE_BYTES = TILE_ROWS * TILE_COLUMNS * 2 };

ON_DEVICE int tile_pad(int n, int to) {
    return (n + to - 1) / to * to;
}

// Bytes from the start of a matrix of n_tile_columns tiles side by side.
ON_DEVICE int64_t tile_offset(int row, int column, int n_tile_columns) {
    int64_t tile = (int64_t)(row / TILE_ROWS) * n_tile_columns + column / TILE_COLUMNS;
    int r = row % TILE_ROWS, chunk = (column % TILE_COLUMNS / 8) ^ (r % 8);
    return tile * TILE_BYTES + r * 128 + chunk * 16 + column % 8 * 2;
}

// How a tensor of the checkpoint becomes rows and columns of a resident matrix. Several tensors
// share one where a product computes them together:
//   conv_in   rows B, C, x: 32 channels of B, the same of C, the same of x, and so on
//   w1, w3    32 rows of w1, the same of w3, and so on
//   q, k, v   head after head, each padded to head_rows
struct tile_map {
    int rows, columns;   // of the tensor
    int fold;            // rows of a part inside of the tensor (conv_in: hidden); else `rows`
    int part, n_parts;   // this tensor's place among those that take turns by 32 rows
    int head, head_rows; // rows of a head in the tensor and in the matrix; 1, 1: none
    int column_head, column_head_rows; // likewise along the columns (attention's output)
    int first_row;                     // of the matrix
};

ON_DEVICE int tile_map_row(const struct tile_map *m, int row) {
    int part = m->part + row / m->fold, r = row % m->fold;
    r = r / m->head * m->head_rows + r % m->head;
    return m->first_row + r / TILE_ROWS * (TILE_ROWS * m->n_parts) + part * TILE_ROWS +
           r % TILE_ROWS;
}
ON_DEVICE int tile_map_column(const struct tile_map *m, int column) {
    return column / m->column_head * m->column_head_rows + column % m->column_head;
}

#endif
