// wgmma: every shape, every layout of the operands in shared memory, A from registers, chains and
// several products in flight. Operands are written into shared memory element by element at the
// offsets of the PTX ISA's table of canonical layouts.
#include "kernels/cuda/launch.h"
#include "kernels/cuda/ptx.h"
#include "tests/cudasim/wrappers/wrappers.h"

// How an operand lies: K or M/N contiguous, swizzled by so many bytes (16: not).
struct operand_layout {
    int trans, width;
    __host__ __device__ int swizzle() const { // enum wgmma_swizzle
        return width == 128 ? 1 : width == 64 ? 2 : width == 32 ? 3 : 0;
    }
};

#if HAS_WGMMA
// Byte offset of element (row, k), 64 columns of K, R rows; and the two strides. A core matrix is 8
// rows of 16 bytes.
__device__ __forceinline__ int element_offset(operand_layout l, int rows, int row, int k) {
    int o;
    if (!l.trans && l.width == 16) { // core matrices: along K first, then rows
        o = (row / 8) * 1024 + (k / 8) * 128 + (row % 8) * 16 + k % 8 * 2;
    } else if (!l.trans) { // panels of width / 2 columns
        int columns = l.width / 2;
        o = k / columns * rows * l.width + row * l.width + k % columns * 2;
    } else if (l.width == 16) { // core matrices of 8 rows of K: along M/N first, then K
        o = (k / 8) * (rows / 8) * 128 + (row / 8) * 128 + (k % 8) * 16 + row % 8 * 2;
    } else { // patterns of 8 rows of K by width / 2 elements: along K first, then M/N
        int columns = l.width / 2;
        o = row / columns * 64 * l.width + k / 8 * 8 * l.width + k % 8 * l.width + row % columns * 2;
    }
    return o ^ (o >> 7 & (l.width / 16 - 1)) << 4;
}
__device__ __forceinline__ uint64_t descriptor(const unsigned char *at, operand_layout l, int rows,
                                               int k0) {
    enum wgmma_swizzle s = (enum wgmma_swizzle)l.swizzle();
    if (!l.trans && l.width == 16) return wgmma_descriptor(at + k0 / 8 * 128, 128, 1024, s);
    if (!l.trans) {
        int columns = l.width / 2;
        return wgmma_descriptor(at + k0 / columns * rows * l.width + k0 % columns * 2, 16,
                                8 * l.width, s);
    }
    if (l.width == 16)
        return wgmma_descriptor(at + k0 / 8 * (rows / 8) * 128, rows / 8 * 128, 128, s);
    return wgmma_descriptor(at + k0 / 8 * 8 * l.width, 64 * l.width, 8 * l.width, s);
}

__device__ __forceinline__ void fill(unsigned char *to, operand_layout l, const uint16_t *from,
                                     int rows) {
    for (int i = threadIdx.x; i < rows * 64; i += blockDim.x)
        *(uint16_t *)(to + element_offset(l, rows, i / 64, i % 64)) = from[i];
}

// d (64, N) = a (64, 64) b (N, 64)' (+ d): four products of 16 columns of K.
template <int N, int TRANS_A, int TRANS_B>
__device__ __forceinline__ void multiply(float (&d)[N / 2], const unsigned char *a,
                                         const unsigned char *b, int width_a, int width_b,
                                         bool accumulate) {
    operand_layout la = {TRANS_A, width_a}, lb = {TRANS_B, width_b};
    wgmma_fence();
    for (int k = 0; k < 64; k += 16)
        wgmma_bf16<N, TRANS_A, TRANS_B>(d, descriptor(a, la, 64, k), descriptor(b, lb, N, k),
                                        accumulate || k > 0);
    wgmma_commit();
}

template <int N, int TRANS_A, int TRANS_B>
__global__ void __launch_bounds__(128, 1)
    product_kernel(const uint16_t *a, const uint16_t *b, float *out, int width_a, int width_b) {
    DYNAMIC_SHARED(memory);
    unsigned char *sa, *sb;
    memory.take(&sa, 64 * 128, 1024);
    memory.take(&sb, N * 128, 1024);
    fill(sa, {TRANS_A, width_a}, a, 64);
    fill(sb, {TRANS_B, width_b}, b, N);
    fence_proxy_async_shared();
    __syncthreads();
    float d[N / 2];
    multiply<N, TRANS_A, TRANS_B>(d, sa, sb, width_a, width_b, false);
    wgmma_wait<0>();
    multiply<N, TRANS_A, TRANS_B>(d, sa, sb, width_a, width_b, true);
    wgmma_wait<0>();
    int t = threadIdx.x, g = t % 32 / 4, q = 2 * (t % 4);
    for (int i = 0; i < N / 2; i++) {
        int row = 16 * (t / 32) + g + 8 * (i / 2 % 2), column = 8 * (i / 4) + q + i % 2;
        out[row * N + column] = d[i];
    }
}

// A from registers; two accumulators in turn, all in flight until the last wait.
template <int N>
__global__ void __launch_bounds__(128, 1)
    registers_kernel(const uint16_t *a, const uint16_t *b, float *out) {
    DYNAMIC_SHARED(memory);
    unsigned char *sb;
    memory.take(&sb, N * 128, 1024);
    fill(sb, {0, 128}, b, N);
    fence_proxy_async_shared();
    __syncthreads();
    int t = threadIdx.x, g = t % 32 / 4, q = 2 * (t % 4);
    uint32_t ra[4][4];
    for (int k = 0; k < 4; k++)
        for (int i = 0; i < 4; i++)
            ra[k][i] = *(const uint32_t *)&a[64 * (16 * (t / 32) + g + i % 2 * 8) + 16 * k + q +
                                             i / 2 * 8];
    float even[N / 2] = {}, odd[N / 2] = {};
    wgmma_fence();
    for (int k = 0; k < 4; k++) {
        uint64_t d = descriptor(sb, {0, 128}, N, 16 * k);
        if (k % 2 == 0)
            wgmma_bf16_registers<N>(even, ra[k], d, 1);
        else
            wgmma_bf16_registers<N>(odd, ra[k], d, 1);
        wgmma_commit();
    }
    wgmma_wait<1>();
    wgmma_wait<0>();
    for (int i = 0; i < N / 2; i++) {
        int row = 16 * (t / 32) + g + 8 * (i / 2 % 2), column = 8 * (i / 4) + q + i % 2;
        out[row * N + column] = even[i] + odd[i];
    }
}

// Two of three warpgroups take over the registers of the first and use them: 160 words each.
__global__ void __launch_bounds__(384, 1) set_registers_kernel(const uint32_t *in, uint32_t *out) {
    int t = threadIdx.x;
    if (t < 128) {
        registers_decrease<24>();
        out[t] = in[t];
    } else {
        registers_increase<240>();
        uint32_t held[160];
#pragma unroll
        for (int i = 0; i < 160; i++) held[i] = in[(t * 5 + i) % 384];
        __syncwarp();
#pragma unroll
        for (int i = 0; i < 159; i++) held[i + 1] += held[i] * (uint32_t)(2 * i + 1);
        out[t] = held[159];
    }
}

// Operands in static arrays: out (64, 32) = a (64, 16) b (32, 16)', core matrices side by side.
__global__ void __launch_bounds__(128, 1)
    static_kernel(const uint16_t *a, const uint16_t *b, float *out) {
    SHARED_ALIGNED(128, uint16_t, sa, [2][64][8]);
    SHARED_ALIGNED(128, uint16_t, sb, [2][32][8]);
    int t = threadIdx.x;
    for (int i = t; i < 64 * 16; i += 128) sa[i % 16 / 8][i / 16][i % 8] = a[i];
    for (int i = t; i < 32 * 16; i += 128) sb[i % 16 / 8][i / 16][i % 8] = b[i];
    fence_proxy_async_shared();
    __syncthreads();
    float d[16];
    wgmma_fence();
    wgmma_bf16<32>(d, wgmma_descriptor(sa, 64 * 16, 128, WGMMA_PLAIN),
                   wgmma_descriptor(sb, 32 * 16, 128, WGMMA_PLAIN), 0);
    wgmma_commit();
    wgmma_wait<0>();
    for (int i = 0; i < 16; i++)
        out[32 * (16 * (t / 32) + t % 32 / 4 + 8 * (i / 2 % 2)) + 8 * (i / 4) + 2 * (t % 4) + i % 2] =
            d[i];
}
#else
__global__ void static_kernel(const uint16_t *, const uint16_t *, float *) {}
__global__ void set_registers_kernel(const uint32_t *, uint32_t *) {}
template <int N, int TRANS_A, int TRANS_B>
__global__ void product_kernel(const uint16_t *, const uint16_t *, float *, int, int) {}
template <int N> __global__ void registers_kernel(const uint16_t *, const uint16_t *, float *) {}
#endif

static std::vector<double> product(const std::vector<uint16_t> &a, const std::vector<uint16_t> &b,
                                   int n, double scale) {
    std::vector<double> d(64 * n);
    for (int i = 0; i < 64; i++)
        for (int j = 0; j < n; j++)
            for (int k = 0; k < 64; k++)
                d[i * n + j] += scale * float_of(a[64 * i + k]) * float_of(b[64 * j + k]);
    return d;
}

// 128 products of magnitude 1 in float32, summed in an order that is not known.
static const double TOLERANCE = 5e-5;

template <int N, int TRANS_A, int TRANS_B>
static void run_product(context &c, int width_a, int width_b) {
    std::vector<uint16_t> a = c.random_bf16(64 * 64), b = c.random_bf16(N * 64);
    float *out = c.zeros<float>(64 * N);
    struct launch how = {dim3(1), dim3(128), 64 * 128 + N * 128};
    c.check(allow_shared(product_kernel<N, TRANS_A, TRANS_B>, how.shared_bytes), "allow_shared");
    c.check(launch_kernel(how, product_kernel<N, TRANS_A, TRANS_B>, c.device(a), c.device(b), out,
                          width_a, width_b), "launch");
    char name[64];
    snprintf(name, sizeof name, "n %d, trans %d %d, swizzle %d %d", N, TRANS_A, TRANS_B, width_a,
             width_b);
    c.expect(name, out, product(a, b, N, 2), TOLERANCE);
}

CASE(wgmma_shapes, NEEDS_90A) {
    run_product<8, 0, 0>(c, 128, 128);
    run_product<16, 0, 0>(c, 128, 128);
    run_product<24, 0, 0>(c, 128, 128);
    run_product<32, 0, 0>(c, 128, 128);
    run_product<48, 0, 0>(c, 128, 128);
    run_product<64, 0, 0>(c, 128, 128);
    run_product<96, 0, 0>(c, 128, 128);
    run_product<128, 0, 0>(c, 128, 128);
    run_product<192, 0, 0>(c, 128, 128);
    run_product<256, 0, 0>(c, 128, 128);
}

CASE(wgmma_layouts, NEEDS_90A) {
    for (int a = 16; a <= 128; a *= 2)
        for (int b = 16; b <= 128; b *= 2) {
            run_product<64, 0, 0>(c, a, b);
            run_product<64, 1, 0>(c, a, b);
            run_product<64, 0, 1>(c, a, b);
            run_product<128, 1, 1>(c, a, b);
        }
}

template <int N> static void run_registers(context &c) {
    std::vector<uint16_t> a = c.random_bf16(64 * 64), b = c.random_bf16(N * 64);
    float *out = c.zeros<float>(64 * N);
    struct launch how = {dim3(1), dim3(128), N * 128};
    c.check(launch_kernel(how, registers_kernel<N>, c.device(a), c.device(b), out), "launch");
    c.expect(("n " + std::to_string(N)).c_str(), out, product(a, b, N, 1), TOLERANCE);
}
CASE(wgmma_registers, NEEDS_90A) {
    run_registers<8>(c);
    run_registers<64>(c);
    run_registers<128>(c);
}

CASE(wgmma_static, NEEDS_90A) {
    std::vector<uint16_t> a = c.random_bf16(64 * 16), b = c.random_bf16(32 * 16);
    std::vector<double> want(64 * 32);
    for (int i = 0; i < 64; i++)
        for (int j = 0; j < 32; j++)
            for (int k = 0; k < 16; k++)
                want[32 * i + j] += (double)float_of(a[16 * i + k]) * float_of(b[16 * j + k]);
    float *out = c.zeros<float>(want.size());
    struct launch how = {dim3(1), dim3(128)};
    c.check(launch_kernel(how, static_kernel, c.device(a), c.device(b), out), "launch");
    c.expect("out", out, want, TOLERANCE);
}

CASE(set_registers, NEEDS_90A) {
    std::vector<uint32_t> in = c.random_words(384), want = in;
    for (int t = 128; t < 384; t++) {
        uint32_t held = in[t * 5 % 384];
        for (int i = 0; i < 159; i++)
            held = in[(t * 5 + i + 1) % 384] + held * (uint32_t)(2 * i + 1);
        want[t] = held;
    }
    uint32_t *out = c.zeros<uint32_t>(384);
    struct launch how = {dim3(1), dim3(384)};
    c.check(launch_kernel(how, set_registers_kernel, c.device(in), out), "launch");
    c.expect("out", out, want);
}
