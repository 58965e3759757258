// What a device's matrix products do to bits: whether a token's result depends on the width of the
// product, on the place of the token, on the instruction; and which model of the sum of 16 products
// gives the same bits. Printed as facts, judged only against float64.
#include "kernels/cuda/launch.h"
#include "kernels/cuda/ptx.h"
#include "tests/cudasim/wrappers/wrappers.h"

#include <math.h>
#include <string.h>

#include <functional>
#include <numeric>

enum { ROWS = 64, TOKENS = 256, DEPTH = 128 };
typedef std::vector<uint16_t> matrix;

#if HAS_WGMMA
// rows of 64 columns from k0 on, swizzled by 128 bytes.
__device__ __forceinline__ void fill(unsigned char *to, const uint16_t *from, int rows, int row0,
                                     int last, int k0) {
    for (int i = threadIdx.x; i < rows * 64; i += blockDim.x) {
        int row = i / 64, o = row * 128 + i % 64 * 2;
        *(uint16_t *)(to + (o ^ (o >> 7 & 7) << 4)) = from[min(row0 + row, last) * DEPTH + k0 + i % 64];
    }
}

// out (ROWS, TOKENS) = w (ROWS, DEPTH) x (TOKENS, DEPTH)': a block has N tokens.
template <int N, bool REGISTERS>
__global__ void __launch_bounds__(128, 1)
    tokens_kernel(const uint16_t *w, const uint16_t *x, float *out) {
    DYNAMIC_SHARED(memory);
    unsigned char *sw, *sx;
    memory.take(&sw, ROWS * 128, 1024);
    memory.take(&sx, N * 128, 1024);
    int token0 = blockIdx.x * N, t = threadIdx.x, g = t % 32 / 4, q = 2 * (t % 4);
    float d[N / 2] = {};
    for (int k0 = 0; k0 < DEPTH; k0 += 64) {
        fill(sw, w, ROWS, 0, ROWS - 1, k0);
        fill(sx, x, N, token0, TOKENS - 1, k0);
        fence_proxy_async_shared();
        __syncthreads();
        uint32_t a[4][4];
        for (int k = 0; k < 4; k++)
            for (int i = 0; i < 4; i++)
                a[k][i] = *(const uint32_t *)&w[(16 * (t / 32) + g + i % 2 * 8) * DEPTH + k0 +
                                                16 * k + q + i / 2 * 8];
        wgmma_fence();
        for (int k = 0; k < 4; k++) {
            uint64_t b = wgmma_descriptor(sx + 32 * k, 16, 1024, WGMMA_128);
            if (REGISTERS)
                wgmma_bf16_registers<N>(d, a[k], b, 1);
            else
                wgmma_bf16<N>(d, wgmma_descriptor(sw + 32 * k, 16, 1024, WGMMA_128), b, 1);
        }
        wgmma_commit();
        wgmma_wait<0>();
        __syncthreads();
    }
    for (int i = 0; i < N / 2; i++) {
        int row = 16 * (t / 32) + g + 8 * (i / 2 % 2), token = token0 + 8 * (i / 4) + q + i % 2;
        if (token < TOKENS) out[row * TOKENS + token] = d[i];
    }
}

// One product of 16 columns with 8 tokens: out (64, 8) = c (64, 8) + a (64, 16) b (8, 16)'.
__global__ void __launch_bounds__(128, 1)
    single_wgmma_kernel(const uint16_t *a, const uint16_t *b, const float *c, float *out) {
    DYNAMIC_SHARED(memory);
    uint16_t *sb; // two core matrices
    memory.take(&sb, 128, 128);
    int t = threadIdx.x, g = t % 32 / 4, q = 2 * (t % 4), row = 16 * (t / 32) + g;
    sb[t % 16 / 8 * 64 + t / 16 * 8 + t % 8] = b[t];
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
#else
template <int N, bool REGISTERS>
__global__ void tokens_kernel(const uint16_t *, const uint16_t *, float *) {}
__global__ void single_wgmma_kernel(const uint16_t *, const uint16_t *, const float *, float *) {}
#endif

// out (m, n) = a (m, DEPTH) b (n, DEPTH)': a warp has 16 x 8; element (i, j) at i * si + j * sj.
__global__ void mma_kernel(const uint16_t *a, const uint16_t *b, float *out, int si, int sj) {
    int lane = threadIdx.x, g = lane / 4, q = 2 * (lane % 4), row = 16 * blockIdx.x + g;
    float d[4] = {};
    for (int k = 0; k < DEPTH; k += 16) {
        uint32_t ra[4], rb[2];
        for (int i = 0; i < 4; i++)
            ra[i] = *(const uint32_t *)&a[(row + i % 2 * 8) * DEPTH + k + q + i / 2 * 8];
        for (int i = 0; i < 2; i++)
            rb[i] = *(const uint32_t *)&b[(8 * blockIdx.y + g) * DEPTH + k + q + 8 * i];
        mma_m16n8k16_bf16(d, ra, rb);
    }
    for (int i = 0; i < 4; i++)
        out[(row + i / 2 * 8) * si + (8 * blockIdx.y + q + i % 2) * sj] = d[i];
}
__global__ void single_mma_kernel(const uint16_t *a, const uint16_t *b, const float *c, float *out) {
    int lane = threadIdx.x, g = lane / 4, q = 2 * (lane % 4), row = 16 * blockIdx.x + g;
    uint32_t ra[4], rb[2];
    float d[4];
    for (int i = 0; i < 4; i++)
        ra[i] = *(const uint32_t *)&a[16 * (row + i % 2 * 8) + q + i / 2 * 8];
    for (int i = 0; i < 2; i++) rb[i] = *(const uint32_t *)&b[16 * g + q + 8 * i];
    for (int i = 0; i < 4; i++) d[i] = c[8 * (row + i / 2 * 8) + q + i % 2];
    mma_m16n8k16_bf16(d, ra, rb);
    for (int i = 0; i < 4; i++) out[8 * (row + i / 2 * 8) + q + i % 2] = d[i];
}

// ------------------------------------------------------------------ facts

static void compare(context &c, const char *name, const std::vector<float> &a,
                    const std::vector<float> &b) {
    size_t n_equal = 0;
    double largest = 0;
    for (size_t i = 0; i < a.size(); i++) {
        n_equal += memcmp(&a[i], &b[i], 4) == 0;
        largest = fmax(largest, fabs((double)a[i] - b[i]));
    }
    c.fact(name, a.size(), n_equal, largest);
}

template <int N, bool REGISTERS = false>
static std::vector<float> by_wgmma(context &c, const matrix &w, const matrix &x) {
    std::vector<float> out(ROWS * TOKENS);
    float *at = c.zeros<float>(out.size());
    struct launch how = {dim3((TOKENS + N - 1) / N), dim3(128), ROWS * 128 + N * 128};
    c.check(launch_kernel(how, tokens_kernel<N, REGISTERS>, c.device(w), c.device(x), at), "launch");
    c.fetch(out.data(), at, 4 * out.size());
    return out;
}
static std::vector<float> by_mma(context &c, const matrix &w, const matrix &x, bool exchanged) {
    std::vector<float> out(ROWS * TOKENS);
    float *at = c.zeros<float>(out.size());
    const uint16_t *dw = c.device(w), *dx = c.device(x);
    struct launch how = {exchanged ? dim3(TOKENS / 16, ROWS / 8) : dim3(ROWS / 16, TOKENS / 8),
                         dim3(32)};
    if (exchanged)
        c.check(launch_kernel(how, mma_kernel, dx, dw, at, 1, (int)TOKENS), "launch");
    else
        c.check(launch_kernel(how, mma_kernel, dw, dx, at, (int)TOKENS, 1), "launch");
    c.fetch(out.data(), at, 4 * out.size());
    return out;
}

// Row order[i] of the result is row i of m.
static matrix reorder(const matrix &m, const std::vector<int> &order) {
    matrix r(m.size());
    for (size_t i = 0; i < order.size(); i++)
        std::copy_n(&m[i * DEPTH], (size_t)DEPTH, &r[(size_t)order[i] * DEPTH]);
    return r;
}
static std::vector<int> random_order(context &c, int n) {
    std::vector<int> order(n);
    std::iota(order.begin(), order.end(), 0);
    for (int i = n - 1; i > 0; i--) std::swap(order[i], order[c.random() % (i + 1)]);
    return order;
}

CASE(numerics_of_tokens, NEEDS_90A) {
    matrix w = c.random_wide(ROWS * DEPTH), x = c.random_wide(TOKENS * DEPTH);
    std::vector<float> base = by_wgmma<8>(c, w, x);
    std::vector<double> want(base.size());
    double size = 0;
    for (int i = 0; i < ROWS; i++)
        for (int j = 0; j < TOKENS; j++) {
            double sum = 0;
            for (int k = 0; k < DEPTH; k++) {
                double p = (double)float_of(w[i * DEPTH + k]) * float_of(x[j * DEPTH + k]);
                want[i * TOKENS + j] += p;
                sum += fabs(p);
            }
            size = fmax(size, sum);
        }
    c.expect("wgmma, 8 tokens", c.device(base), want, 1e-5 * size);
    compare(c, "16 tokens as 8", by_wgmma<16>(c, w, x), base);
    compare(c, "24 tokens as 8", by_wgmma<24>(c, w, x), base);
    compare(c, "32 tokens as 8", by_wgmma<32>(c, w, x), base);
    compare(c, "64 tokens as 8", by_wgmma<64>(c, w, x), base);
    compare(c, "96 tokens as 8", by_wgmma<96>(c, w, x), base);
    compare(c, "128 tokens as 8", by_wgmma<128>(c, w, x), base);
    compare(c, "192 tokens as 8", by_wgmma<192>(c, w, x), base);
    compare(c, "256 tokens as 8", by_wgmma<256>(c, w, x), base);
    compare(c, "A from registers as from shared memory", by_wgmma<64, true>(c, w, x), base);
    std::vector<int> order = random_order(c, TOKENS), rows = random_order(c, ROWS);
    std::vector<float> moved = by_wgmma<64>(c, reorder(w, rows), reorder(x, order)), back = moved;
    for (int i = 0; i < ROWS; i++)
        for (int j = 0; j < TOKENS; j++) back[i * TOKENS + j] = moved[rows[i] * TOKENS + order[j]];
    compare(c, "rows and tokens at other places", back, base);
    std::vector<float> mma = by_mma(c, w, x, false);
    compare(c, "mma.sync as wgmma", mma, base);
    compare(c, "mma.sync, tokens as rows, as weights as rows", by_mma(c, w, x, true), mma);
}

// ------------------------------------------------------------------ models of one product

// Adds c and 16 products in groups: terms are cut to n_bits below the largest exponent (of the
// factors' exponents, or of the normalized product), summed exactly, and cut or rounded to float32.
struct sum_model {
    int group, n_bits;
    bool normalized, nearest;
};
static int exponent(double v) { return v == 0 ? -1000 : ilogb(v); }
static float to_float(double v, bool nearest) { // |v| has at most 53 bits
    float f = (float)v;
    if (nearest || fabs((double)f) <= fabs(v)) return f;
    return nextafterf(f, 0);
}
static float model_sum(const sum_model &m, const uint16_t *a, const uint16_t *b, float c) {
    for (int k0 = 0; k0 < 16; k0 += m.group) {
        double term[17] = {c};
        int top = exponent(c);
        for (int k = 0; k < m.group; k++) {
            double x = float_of(a[k0 + k]), y = float_of(b[k0 + k]);
            term[k + 1] = x * y;
            top = std::max(top, m.normalized ? exponent(x * y) : exponent(x) + exponent(y));
        }
        double unit = ldexp(1, top - m.n_bits), sum = 0;
        for (int k = 0; k <= m.group; k++) sum += trunc(term[k] / unit);
        c = to_float(sum * unit, m.nearest);
    }
    return c;
}

static void try_models(context &c, const char *name, const matrix &a, const matrix &b,
                       const std::vector<float> &d, const std::vector<float> &have) {
    size_t best = 0;
    for (int pass = 0; pass < 2; pass++) // the best number, then all models that reach it
        for (int group = 4; group <= 16; group *= 2)
            for (int n_bits = 22; n_bits <= 30; n_bits++)
                for (int kind = 0; kind < 4; kind++) {
                    sum_model m = {group, n_bits, kind % 2 != 0, kind / 2 != 0};
                    size_t n = 0;
                    for (size_t i = 0; i < have.size(); i++)
                        n += model_sum(m, &a[i / 8 * 16], &b[i % 8 * 16], d[i]) == have[i];
                    if (pass == 0) best = std::max(best, n);
                    if (pass == 1 && n == best)
                        printf("# fact %s: %s: %zu of %zu as a sum of %d products, %d bits below "
                               "the largest %s, %s\n", c.prefix.c_str(), name, n, have.size(), group,
                               n_bits, m.normalized ? "product" : "exponent sum",
                               m.nearest ? "rounded" : "cut");
                }
}

CASE(numerics_of_sums, NEEDS_90A) {
    matrix a = c.random_wide(ROWS * 16), b = c.random_wide(8 * 16), wide = c.random_wide(ROWS * 8);
    std::vector<float> d(wide.size()), have(wide.size());
    std::vector<double> want(wide.size());
    for (size_t i = 0; i < d.size(); i++) {
        want[i] = d[i] = float_of(wide[i]) * 37.123f;
        for (int k = 0; k < 16; k++)
            want[i] += (double)float_of(a[i / 8 * 16 + k]) * float_of(b[i % 8 * 16 + k]);
    }
    float *out = c.zeros<float>(d.size());
    struct launch how = {dim3(1), dim3(128), 256};
    c.check(launch_kernel(how, single_wgmma_kernel, c.device(a), c.device(b), c.device(d), out),
            "launch");
    c.expect("wgmma", out, want, 4);
    c.fetch(have.data(), out, 4 * have.size());
    try_models(c, "wgmma", a, b, d, have);
    how = {dim3(4), dim3(32)};
    c.check(launch_kernel(how, single_mma_kernel, c.device(a), c.device(b), c.device(d), out),
            "launch");
    c.expect("mma.sync", out, want, 4);
    c.fetch(have.data(), out, 4 * have.size());
    try_models(c, "mma.sync", a, b, d, have);
}
