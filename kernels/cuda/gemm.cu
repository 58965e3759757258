// Around cuBLASLt: matrices as plain rows, and whether two kernels gave the same bits.
#include "kernels/cuda/device.cuh"
#include "kernels/cuda/ops_gemm.h"

enum { GEMM_THREADS = 256 };

// A thread a chunk of 16 bytes: 8 of a row are one row of a tile.
__global__ void __launch_bounds__(GEMM_THREADS) copy_rows(const struct matrix m, uint4 *rows) {
    int row_chunks = m.n_tile_columns * (TILE_COLUMNS / 8);
    int64_t n = (int64_t)m.n_rows * row_chunks, stride = (int64_t)gridDim.x * GEMM_THREADS;
    for (int64_t i = (int64_t)blockIdx.x * GEMM_THREADS + threadIdx.x; i < n; i += stride) {
        int row = (int)(i / row_chunks), column = (int)(i % row_chunks) * 8;
        rows[i] =
            *(const uint4 *)((const char *)m.data + tile_offset(row, column, m.n_tile_columns));
    }
}

__global__ void __launch_bounds__(GEMM_THREADS)
    compare_words(const uint4 *a, const uint4 *b, int64_t n, uint32_t *n_different) {
    int64_t stride = (int64_t)gridDim.x * GEMM_THREADS;
    int differs = 0;
    for (int64_t i = (int64_t)blockIdx.x * GEMM_THREADS + threadIdx.x; i < n; i += stride) {
        uint4 x = a[i], y = b[i];
        differs |= x.x != y.x || x.y != y.y || x.z != y.z || x.w != y.w;
    }
    if (differs) atomicAdd(n_different, 1u);
}

static struct launch how(const struct queue *q, int64_t n) {
    int64_t n_blocks = (n + GEMM_THREADS - 1) / GEMM_THREADS, most = 8 * q->n_sms;
    struct launch l;
    l.grid = dim3((unsigned)(n_blocks < 1 ? 1 : n_blocks < most ? n_blocks : most));
    l.block = dim3(GEMM_THREADS);
    l.stream = (cudaStream_t)q->stream;
    return l;
}

int copy_rows_launch(const struct queue *q, const struct matrix *m, void *rows) {
    int64_t n = (int64_t)m->n_rows * m->n_tile_columns * (TILE_COLUMNS / 8);
    return launch_kernel(how(q, n), copy_rows, *m, (uint4 *)rows);
}

int compare_launch(const struct queue *q, const float *a, const float *b, int64_t n,
                   uint32_t *n_different) {
    return launch_kernel(how(q, n / 4), compare_words, (const uint4 *)a, (const uint4 *)b, n / 4,
                         n_different);
}
