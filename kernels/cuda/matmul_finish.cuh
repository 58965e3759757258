// The second half of a product whose sums lie in memory, by row of the matrix: a tile of them goes
// through shared memory to the Op's finish, as the kernels that multiply do it. Beside what it has
// there the Op has
//     int token(const product_tile &, int i) const;    of the step, of token i of the tile
//
// Four blocks a SM: 64 registers, as many as a finish needs. Left to itself ptxas takes what leaves
// room for as many blocks as shared memory has room for, and spills.
//
// Bytes: each sum is read once, in runs of ROWS * 4 bytes; 1 KB of the step's description beside.
#ifndef KERNELS_CUDA_MATMUL_FINISH_CUH
#define KERNELS_CUDA_MATMUL_FINISH_CUH

#include "kernels/cuda/matmul.cuh"
#include "kernels/cuda/ops_gemm.h"

enum { FINISH_THREADS = 256 };

// The row of the matrix that a tile's row is. Two tiles of 48 rows (16 of B, of C and of x) take
// turns by 16 rows in what would be one of 96: see product_tile.w.
template <int ROWS> __device__ __forceinline__ int matrix_row(const product_tile &t, int row) {
    constexpr int PIECE = w_piece<ROWS>, BOTH = 2 * ROWS;
    if (PIECE == TILE_ROWS) return t.row + row;
    return t.row / BOTH * BOTH + t.row % BOTH / ROWS * PIECE + row / PIECE * TILE_ROWS +
           row % PIECE;
}

template <class Op, int BT>
__global__ void __launch_bounds__(FINISH_THREADS, 4)
    product_finish(const Op op, const float *from) {
    constexpr int FOURS = Op::rows / 4;
    SHARED_ALIGNED(16, float, sums, [BT * sums_stride<Op::rows>]);
    auto sync = [] { __syncthreads(); };
    launch_dependents();
    wait_for_prior_grid();
    const int n_tiles = op.n_tiles();
    for (int i = blockIdx.x; i < n_tiles; i += gridDim.x) {
        const product_tile tile = op.tile(i);
        begin_tile(op, tile, threadIdx.x, FINISH_THREADS, 0);
        for (int k = threadIdx.x; k < tile.n * FOURS; k += FINISH_THREADS) {
            int at = k / FOURS, row = k % FOURS * 4;
            *(float4 *)(sums + at * sums_stride<Op::rows> + row) =
                *(const float4 *)(from + (int64_t)op.token(tile, at) * op.w.n_rows +
                                  matrix_row<Op::rows>(tile, row));
        }
        __syncthreads();
        op.finish(tile, 0, tile.n, sums, threadIdx.x, FINISH_THREADS, sync);
        __syncthreads();
    }
}

template <class Op, int BT, class Arguments>
static int launch_finish(const struct queue *q, const Arguments *a, const float *sums) {
    const Op op = with_arguments<Op>(a);
    struct launch how;
    int n_blocks, status = resident_blocks(q, product_finish<Op, BT>, FINISH_THREADS, 0, &n_blocks);
    if (status) return status;
    how.grid = dim3(n_blocks);
    how.block = dim3(FINISH_THREADS);
    how.stream = (cudaStream_t)q->stream;
    how.programmatic = q->is_programmatic;
    return launch_kernel(how, product_finish<Op, BT>, op, sums);
}

#endif
