// Errors of kernels that copy by cp.async and multiply by mma.sync.
#include "tests/cudasim/bugs/bug.h"

enum bug {
    CORRECT, WAIT_COUNT, WARP_BARRIER, STAGE_OVERWRITTEN, ROW_CHECK, DIVERGENT_BARRIER,
    DIVERGENT_SHUFFLE, REDUCTION_BARRIER, PLAIN_ADD, UNALIGNED_COPY, NEVER_WAITED, TRANSPOSED_LOAD,
    COPY_OVERRUN
};
enum { TILE = 32, DEPTH = 16, STAGES = 3, ROW = DEPTH + 8, THREADS = 64 };

struct ring {
    uint16_t x[STAGES][TILE][ROW], w[STAGES][TILE][ROW];
};

// Rows of x from m0, rows of w from n0, columns from at.
__device__ void load(ring *r, int stage, const uint16_t *x, const uint16_t *w, int m0, int n0, int m,
                     int k, int at, int bug) {
    for (int c = threadIdx.x; c < 2 * TILE * (DEPTH / 8); c += THREADS) {
        int row = c / 2 % TILE, column = c % 2 * 8;
        bool is_x = c < TILE * 2;
        int from = is_x ? m0 + row : n0 + row;
        if (is_x && bug != COPY_OVERRUN) from = min(from, m - 1);
        uint16_t *to = is_x ? &r->x[stage][row][column] : &r->w[stage][row][column];
        if (bug == UNALIGNED_COPY) to += 2;
        cp_async_16(to, (is_x ? x : w) + (size_t)from * k + at + column);
    }
}

// out (m, n) = x w', and total += the sum of each row's squares. Blocks share rows.
__global__ void multiply(const uint16_t *x, const uint16_t *w, float *out, float *total, int m,
                         int n, int k, int bug) {
    SHARED_ALIGNED(16, ring, memory, [1]);
    SHARED(float, sums, [2][TILE]);
    ring *r = &memory[0];
    int lane = threadIdx.x % 32, warp = threadIdx.x / 32;
    int m0 = blockIdx.y * TILE, n0 = blockIdx.x * TILE, steps = k / DEPTH;
    float acc[2][2][4] = {}; // rows 16 i, columns 16 warp + 8 j
    for (int s = 0; s < STAGES - 1; s++) {
        load(r, s, x, w, m0, n0, m, k, s * DEPTH, bug);
        cp_async_commit();
    }
    for (int step = 0; step < steps; step++) {
        if (bug == WAIT_COUNT || bug == NEVER_WAITED)
            cp_async_wait<STAGES - 1>();
        else
            cp_async_wait<STAGES - 2>();
        if (bug == WARP_BARRIER)
            __syncwarp();
        else
            __syncthreads();
        int next = step + STAGES - 1, to = next + (bug == STAGE_OVERWRITTEN);
        if (next < steps) load(r, to % STAGES, x, w, m0, n0, m, k, next * DEPTH, bug);
        cp_async_commit();
        uint32_t a[2][4], b[2][2], four[4];
        int s = step % STAGES;
        for (int i = 0; i < 2; i++) ldmatrix_x4(a[i], &r->x[s][i * 16 + lane % 16][lane / 16 * 8]);
        const void *at = &r->w[s][warp * 16 + lane % 8 + lane / 16 * 8][lane / 8 % 2 * 8];
        if (bug == TRANSPOSED_LOAD)
            ldmatrix_x4_trans(four, at);
        else
            ldmatrix_x4(four, at);
        for (int j = 0; j < 2; j++) b[j][0] = four[2 * j], b[j][1] = four[2 * j + 1];
        mma_tile(acc, a, b);
    }
    if (bug != WAIT_COUNT && bug != NEVER_WAITED) cp_async_wait<0>();
    if (bug == WAIT_COUNT) cp_async_wait<0>();
    for (int i = 0; i < 2; i++)
        for (int h = 0; h < 2; h++) {
            int row = i * 16 + h * 8 + lane / 4;
            float sum = 0;
            for (int j = 0; j < 2; j++)
                for (int e = 0; e < 2; e++) {
                    float v = acc[i][j][2 * h + e];
                    sum += v * v;
                    if (m0 + row < m || bug == ROW_CHECK)
                        out[(size_t)(m0 + row) * n + n0 + warp * 16 + j * 8 + lane % 4 * 2 + e] = v;
                }
            if (bug != DIVERGENT_SHUFFLE || lane % 4 < 2) sum += __shfl_xor_sync(~0u, sum, 1);
            sum += __shfl_xor_sync(~0u, sum, 2);
            if (lane % 4 == 0) sums[warp][row] = sum;
        }
    if (bug == DIVERGENT_BARRIER && warp == 0) __syncthreads();
    if (bug != DIVERGENT_BARRIER && bug != REDUCTION_BARRIER) __syncthreads();
    int row = threadIdx.x;
    if (row >= TILE || m0 + row >= m) return;
    float sum = sums[0][row] + sums[1][row];
    if (bug == PLAIN_ADD)
        total[m0 + row] += sum;
    else
        atomicAdd(&total[m0 + row], sum);
}

int main(int argc, char **argv) {
    int bug = bug_number(argc, argv,
                         {"correct", "wait_count", "warp_barrier", "stage_overwritten", "row_check",
                          "divergent_barrier", "divergent_shuffle", "reduction_barrier", "plain_add",
                          "unaligned_copy", "never_waited", "transposed_load", "copy_overrun"});
    int m = 40, n = 64, k = 96;
    std::vector<uint16_t> x = random_bf16(m * k, 1), w = random_bf16(n * k, 2);
    uint16_t *dx = device_copy(x), *dw = device_copy(w);
    float *out = device_array<float>(m * n), *total = device_copy(std::vector<float>(m));
    struct launch how = {dim3(n / TILE, (m + TILE - 1) / TILE), dim3(THREADS)};
    CHECK_CUDA(launch_kernel(how, multiply, dx, dw, out, total, m, n, k, bug));
    CHECK_CUDA(cudaDeviceSynchronize());
    std::vector<float> have = fetch(out, m * n), sums = fetch(total, m);
    for (int i = 0; i < m; i++) {
        double squares = 0;
        for (int j = 0; j < n; j++) {
            double want = 0;
            for (int l = 0; l < k; l++) want += bf16_value(x[i * k + l]) * bf16_value(w[j * k + l]);
            EXPECT(fabs(have[i * n + j] - want) <= 1e-4);
            squares += want * want;
        }
        EXPECT(fabs(sums[i] - squares) <= 1e-4 * squares);
    }
    return 0;
}
