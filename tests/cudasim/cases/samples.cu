// The sample kernels against float64, and two of them in a chain that may overlap.
#include "tests/cudasim/samples/samples.h"

#include <cuda_bf16.h>
#include <math.h>
#include <stdint.h>

#include "tests/cudasim/cases/check.h"

static std::vector<uint16_t> random_bf16(size_t n) {
    static uint64_t state = 1;
    std::vector<uint16_t> v(n);
    for (uint16_t &h : v) {
        state = state * 6364136223846793005ull + 1;
        float f = (float)((int)(state >> 40 & 255) - 128) / 128;
        uint32_t bits;
        memcpy(&bits, &f, 4);
        h = (uint16_t)(bits >> 16);
    }
    return v;
}
static double value(uint16_t h) {
    uint32_t bits = (uint32_t)h << 16;
    float f;
    memcpy(&f, &bits, 4);
    return f;
}

static std::vector<double> product(const std::vector<uint16_t> &x, const std::vector<uint16_t> &w,
                                   int m, int n, int k) {
    std::vector<double> out((size_t)m * n);
    for (int i = 0; i < m; i++)
        for (int j = 0; j < n; j++)
            for (int l = 0; l < k; l++)
                out[(size_t)i * n + j] += value(x[(size_t)i * k + l]) * value(w[(size_t)j * k + l]);
    return out;
}

// bf16 has 8 bits: half a unit in the last place is up to 2^-8 of the value; float32 sums add
// little.
static void check_close(const std::vector<uint16_t> &have, const std::vector<double> &want) {
    for (size_t i = 0; i < want.size(); i++)
        CHECK(fabs(value(have[i]) - want[i]) <= fabs(want[i]) / 256 + 1e-4);
}

static void run_mma(int m, int n, int k) {
    std::vector<uint16_t> x = random_bf16((size_t)m * k), w = random_bf16((size_t)n * k);
    uint16_t *dx = device_copy(x), *dw = device_copy(w),
             *out = device_array<uint16_t>((size_t)m * n);
    float *squares = device_copy(std::vector<float>(m));
    CHECK_CUDA(gemm_mma_launch(dx, dw, out, squares, m, n, k, nullptr));
    std::vector<double> want = product(x, w, m, n, k);
    check_close(fetch(out, want.size()), want);
    std::vector<float> sums = fetch(squares, m);
    for (int i = 0; i < m; i++) {
        double sum = 0;
        for (int j = 0; j < n; j++) sum += want[(size_t)i * n + j] * want[(size_t)i * n + j];
        CHECK(fabs(sums[i] - sum) <= 1e-5 * sum);
    }
    for (void *p : {(void *)dx, (void *)dw, (void *)out, (void *)squares}) CHECK_CUDA(cudaFree(p));
}

static void run_wgmma(int m, int n, int k, int tokens) {
    std::vector<uint16_t> x = random_bf16((size_t)m * k), w = random_bf16((size_t)n * k);
    uint16_t *dx = device_copy(x), *dw = device_copy(w),
             *out = device_array<uint16_t>((size_t)m * n);
    CHECK_CUDA(gemm_wgmma_launch(dx, dw, out, m, n, k, tokens, nullptr));
    std::vector<double> want = product(x, w, m, n, k);
    check_close(fetch(out, want.size()), want);
    for (void *p : {(void *)dx, (void *)dw, (void *)out}) CHECK_CUDA(cudaFree(p));
}

// The second product reads what the first wrote: its kernel waits for the prior grid.
static void run_chain() {
    int m = 20, n = 128;
    std::vector<uint16_t> x = random_bf16((size_t)m * n), w = random_bf16((size_t)n * n);
    uint16_t *dx = device_copy(x), *dw = device_copy(w);
    uint16_t *middle = device_array<uint16_t>((size_t)m * n);
    uint16_t *out = device_array<uint16_t>((size_t)m * n);
    cudaStream_t stream;
    CHECK_CUDA(cudaStreamCreate(&stream));
    for (int repeat = 0; repeat < 2; repeat++) {
        CHECK_CUDA(gemm_wgmma_launch(dx, dw, middle, m, n, n, 16, stream));
        CHECK_CUDA(gemm_wgmma_launch(middle, dw, out, m, n, n, 16, stream));
    }
    CHECK_CUDA(cudaStreamSynchronize(stream));
    check_close(fetch(out, (size_t)m * n), product(fetch(middle, (size_t)m * n), w, m, n, n));
}

int main() {
    run_mma(1, 64, 32);
    run_mma(70, 128, 96);
    run_wgmma(5, 128, 64, 16);
    run_wgmma(70, 256, 320, 64);
    run_wgmma(130, 128, 128, 128);
    run_chain();
    printf("ok\n");
    return 0;
}
