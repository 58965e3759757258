// out = x w' (+ the sum of squares of each row of out): bf16 in, float32 sums, bf16 out. Tiles of
// 64 x 64 x 32, 4 warps, three stages of cp.async, ldmatrix, mma.sync: a sample that uses the
// wrappers as kernels do, not a product kernel.
#include "kernels/cuda/launch.h"
#include "kernels/cuda/ptx.h"
#include "tests/cudasim/samples/samples.h"

enum { TILE = 64, DEPTH = 32, STAGES = 3, ROW = DEPTH + 8, THREADS = 128 };
typedef __nv_bfloat16 bf16;

// Rows of x and of w of one stage; rows behind the last are read as the last.
__device__ __forceinline__ void load_stage(bf16 *stage, const bf16 *x, const bf16 *w, int m0,
                                           int n0, int m, int k, int at) {
    for (int c = threadIdx.x; c < 2 * TILE * (DEPTH / 8); c += THREADS) {
        int row = c / (DEPTH / 8), column = c % (DEPTH / 8) * 8;
        const bf16 *from =
            row < TILE ? x + (size_t)min(m0 + row, m - 1) * k : w + (size_t)(n0 + row - TILE) * k;
        cp_async_16(stage + row * ROW + column, from + at + column);
    }
}

// x (m, k), w (n, k), out (m, n), squares (m), zeroed; n and k multiples of 64 and 32.
__global__ void __launch_bounds__(THREADS)
    gemm_mma(const bf16 *__restrict__ x, const bf16 *__restrict__ w, bf16 *__restrict__ out,
             float *__restrict__ squares, int m, int n, int k) {
    DYNAMIC_SHARED(memory);
    bf16 *stages;
    memory.take(&stages, STAGES * 2 * TILE * ROW, 16);
    SHARED(float, sums, [2][TILE]);
    const int lane = threadIdx.x % 32, warp = threadIdx.x / 32, wm = warp / 2, wn = warp % 2;
    const int m0 = blockIdx.y * TILE, n0 = blockIdx.x * TILE, steps = k / DEPTH;
    float acc[2][4][4] = {};
    for (int s = 0; s < STAGES - 1; s++) {
        if (s < steps) load_stage(stages + s * 2 * TILE * ROW, x, w, m0, n0, m, k, s * DEPTH);
        cp_async_commit();
    }
    for (int step = 0; step < steps; step++) {
        cp_async_wait<STAGES - 2>();
        __syncthreads();
        int next = step + STAGES - 1;
        if (next < steps)
            load_stage(stages + next % STAGES * 2 * TILE * ROW, x, w, m0, n0, m, k, next * DEPTH);
        cp_async_commit();
        const bf16 *sx = stages + step % STAGES * 2 * TILE * ROW, *sw = sx + TILE * ROW;
        for (int kk = 0; kk < DEPTH; kk += 16) {
            uint32_t a[2][4], b[4][2];
            for (int i = 0; i < 2; i++)
                ldmatrix_x4(a[i], sx + (wm * 32 + i * 16 + lane % 16) * ROW + kk + lane / 16 * 8);
            for (int j = 0; j < 2; j++) {
                uint32_t r[4];
                ldmatrix_x4(r, sw + (wn * 32 + j * 16 + lane % 8 + lane / 16 * 8) * ROW + kk +
                                   lane / 8 % 2 * 8);
                b[2 * j][0] = r[0], b[2 * j][1] = r[1];
                b[2 * j + 1][0] = r[2], b[2 * j + 1][1] = r[3];
            }
            mma_tile(acc, a, b);
        }
    }
    for (int i = 0; i < 2; i++)
        for (int h = 0; h < 2; h++) {
            int row = wm * 32 + i * 16 + h * 8 + lane / 4;
            float sum = 0;
            for (int j = 0; j < 4; j++) {
                float u = acc[i][j][2 * h], v = acc[i][j][2 * h + 1];
                int column = n0 + wn * 32 + j * 8 + lane % 4 * 2;
                sum += u * u + v * v;
                if (m0 + row < m)
                    *(__nv_bfloat162 *)(out + (size_t)(m0 + row) * n + column) =
                        __floats2bfloat162_rn(u, v);
            }
            sum += __shfl_xor_sync(0xffffffff, sum, 1);
            sum += __shfl_xor_sync(0xffffffff, sum, 2);
            if (lane % 4 == 0) sums[wn][row] = sum;
        }
    __syncthreads();
    int row = threadIdx.x;
    if (row < TILE && m0 + row < m) atomicAdd(&squares[m0 + row], sums[0][row] + sums[1][row]);
}

cudaError_t gemm_mma_launch(const void *x, const void *w, void *out, float *squares, int m, int n,
                            int k, cudaStream_t stream) {
    struct launch how;
    how.grid = dim3(n / TILE, (m + TILE - 1) / TILE);
    how.block = dim3(THREADS);
    how.shared_bytes = STAGES * 2 * TILE * ROW * sizeof(bf16);
    how.stream = stream;
    return launch_kernel(how, gemm_mma, (const bf16 *)x, (const bf16 *)w, (bf16 *)out, squares, m,
                         n, k);
}
