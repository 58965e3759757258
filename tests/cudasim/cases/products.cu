// The emulated sums of mma.sync and wgmma against the rule of device/product.h, written down
// plainly: ordinary values, every exponent that bf16 has, zeros, infinities and NaN.
#include <math.h>

#include "kernels/cuda/launch.h"
#include "kernels/cuda/ptx.h"
#include "tests/cudasim/cases/check.h"

// out (64, 8) = c (64, 8) + a (64, 16) b (8, 16)': four warps, each 16 rows.
__global__ void by_mma(const uint16_t *a, const uint16_t *b, const float *c, float *out) {
    int t = threadIdx.x, g = t % 32 / 4, q = 2 * (t % 4), row = 16 * (t / 32) + g;
    uint32_t ra[4], rb[2];
    float d[4];
    for (int i = 0; i < 4; i++)
        ra[i] = *(const uint32_t *)&a[16 * (row + i % 2 * 8) + q + i / 2 * 8];
    for (int i = 0; i < 2; i++) rb[i] = *(const uint32_t *)&b[16 * g + q + 8 * i];
    for (int i = 0; i < 4; i++) d[i] = c[8 * (row + i / 2 * 8) + q + i % 2];
    mma_m16n8k16_bf16(d, ra, rb);
    for (int i = 0; i < 4; i++) out[8 * (row + i / 2 * 8) + q + i % 2] = d[i];
}
__global__ void by_wgmma(const uint16_t *a, const uint16_t *b, const float *c, float *out) {
    SHARED_ALIGNED(128, uint16_t, sb, [2][8][8]);
    int t = threadIdx.x, g = t % 32 / 4, q = 2 * (t % 4), row = 16 * (t / 32) + g;
    sb[t % 16 / 8][t / 16][t % 8] = b[t];
    fence_proxy_async_shared();
    __syncthreads();
    uint32_t ra[4];
    float d[4];
    for (int i = 0; i < 4; i++)
        ra[i] = *(const uint32_t *)&a[16 * (row + i % 2 * 8) + q + i / 2 * 8];
    for (int i = 0; i < 4; i++) d[i] = c[8 * (row + i / 2 * 8) + q + i % 2];
    wgmma_fence();
    wgmma_bf16_registers<8>(d, ra, wgmma_descriptor(sb, 128, 256, WGMMA_PLAIN), 1);
    wgmma_commit();
    wgmma_wait<0>();
    for (int i = 0; i < 4; i++) out[8 * (row + i / 2 * 8) + q + i % 2] = d[i];
}

static uint64_t state = 7;
static uint32_t random_word() {
    state = state * 6364136223846793005ull + 1442695040888963407ull;
    return (uint32_t)(state >> 32);
}

enum kind { ORDINARY, ANY_EXPONENT, TINY, WITH_ZEROS, NOT_FINITE, N_KINDS };
static uint32_t random_bits(enum kind kind) { // of a float32
    uint32_t r = random_word(), mantissa = random_word() & 0x7fffff, sign = r & 0x80000000;
    uint32_t exponent = kind == ANY_EXPONENT ? r % 255 : kind == TINY ? r % 80 : 119 + r % 17;
    if (kind == WITH_ZEROS && r >> 8 & 1) return sign;
    if (kind == NOT_FINITE && (r >> 8) % 100 == 0) return sign | 0x7f800000 | (r >> 16 & 1) << 22;
    return sign | exponent << 23 | mantissa;
}
static double value(uint16_t bf16) {
    return __uint_as_float((uint32_t)bf16 << 16);
}

static int exponent_of(double v) {
    return fabs(v) < ldexp(1, -126) ? -126 : ilogb(v);
}

static float sum_by_rule(const uint16_t *a, const uint16_t *b, float c) {
    double sum = c;
    for (int k = 0; k < 16; k++) sum += value(a[k]) * value(b[k]);
    if (!isfinite(sum)) return isnan(sum) ? __uint_as_float(0x7fffffff) : (float)sum;
    int top = c == 0 ? -100000 : exponent_of(c);
    for (int k = 0; k < 16; k++) {
        double x = value(a[k]), y = value(b[k]);
        if (x == 0 || y == 0) continue;
        int e = exponent_of(x) + exponent_of(y);
        top = e > top ? e : top;
    }
    if (top == -100000) return 0;
    double unit = ldexp(1, top - 25);
    sum = trunc(c / unit);
    for (int k = 0; k < 16; k++) sum += trunc(value(a[k]) * value(b[k]) / unit);
    sum *= unit;
    float f = (float)sum;
    return isinf(f) || fabs((double)f) <= fabs(sum) ? f : nextafterf(f, 0);
}

static void check_kind(enum kind kind,
                       void (*kernel)(const uint16_t *, const uint16_t *, const float *, float *)) {
    std::vector<uint16_t> a(64 * 16), b(8 * 16);
    std::vector<float> c(64 * 8);
    for (uint16_t &v : a) v = (uint16_t)(random_bits(kind) >> 16);
    for (uint16_t &v : b) v = (uint16_t)(random_bits(kind) >> 16);
    for (float &v : c) v = __uint_as_float(random_bits(kind));
    float *out = device_array<float>(c.size());
    struct launch how = {dim3(1), dim3(128)};
    CHECK_CUDA(launch_kernel(how, kernel, device_copy(a), device_copy(b), device_copy(c), out));
    std::vector<float> have = fetch(out, c.size());
    for (size_t i = 0; i < have.size(); i++) {
        float want = sum_by_rule(&a[i / 8 * 16], &b[i % 8 * 16], c[i]);
        if (__float_as_uint(have[i]) == __float_as_uint(want)) continue;
        if (have[i] == 0 && want == 0) continue; // the sign of zero is not part of the rule
        fprintf(stderr, "kind %d, element %zu: %.9g, expected %.9g\n", kind, i, have[i], want);
        exit(1);
    }
}

int main() {
    for (int round = 0; round < 8; round++)
        for (int kind = 0; kind < N_KINDS; kind++) {
            check_kind((enum kind)kind, by_mma);
            check_kind((enum kind)kind, by_wgmma);
        }
    printf("ok\n");
    return 0;
}
