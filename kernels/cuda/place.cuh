// Where an element of a tensor lies among the resident weights, and what is held there.
#ifndef KERNELS_CUDA_PLACE_CUH
#define KERNELS_CUDA_PLACE_CUH

#include "kernels/cuda/ops_memory.h"

static __device__ __forceinline__ void *place_of(const struct weight_move &a, int64_t i) {
    int row = (int)(i / a.map.columns), column = (int)(i % a.map.columns);
    if (a.kind == PLACE_VECTOR) return (float *)a.data + (int64_t)column * a.stride + row;
    if (a.kind == PLACE_ROWS)
        return (char *)a.data +
               ((int64_t)row * a.stride + column) * (a.dtype == DTYPE_BF16 ? 2 : 4);
    return (char *)a.data + tile_offset(tile_map_row(&a.map, row), tile_map_column(&a.map, column),
                                        a.n_tile_columns);
}

// Whether 8 elements from a multiple of 8 on are one chunk of a tile: a matrix whose rows are whole
// chunks.
static __device__ __forceinline__ bool place_is_chunked(const struct weight_move &a) {
    return a.kind == PLACE_TILES && a.map.columns % 8 == 0 && a.map.column_head % 8 == 0;
}

#endif
