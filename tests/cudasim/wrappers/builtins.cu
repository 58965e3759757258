// Device functions of CUDA C++ that the emulator has bodies for.
#include "kernels/cuda/launch.h"
#include "kernels/cuda/ptx.h"
#include "tests/cudasim/wrappers/wrappers.h"

#include <algorithm>

enum { N_SHUFFLES = 12 };
__global__ void shuffle_kernel(const uint32_t *in, uint32_t *out) {
    int t = threadIdx.x;
    uint32_t v = in[t], r[N_SHUFFLES];
    unsigned all = 0xffffffff;
    r[0] = __shfl_sync(all, v, 5);
    r[1] = __shfl_sync(all, v, (t * 7 + 1) % 32);
    r[2] = __shfl_sync(all, v, t + 3, 8);
    r[3] = __shfl_up_sync(all, v, 3);
    r[4] = __shfl_up_sync(all, v, 2, 8);
    r[5] = __shfl_down_sync(all, v, 5);
    r[6] = __shfl_down_sync(all, v, 1, 4);
    r[7] = __shfl_xor_sync(all, v, 9);
    r[8] = __shfl_xor_sync(all, v, 3, 16);
    double d = __shfl_xor_sync(all, (double)v, 1);
    r[9] = (uint32_t)d;
    // Two halves by themselves, in different branches.
    if (t < 16)
        r[10] = __shfl_xor_sync(0x0000ffff, v, 2);
    else
        r[10] = __shfl_down_sync(0xffff0000, v, 1);
    r[11] = __shfl_sync(all, (uint32_t)(unsigned short)v, 31 - t);
    for (int i = 0; i < N_SHUFFLES; i++) out[32 * i + t] = r[i];
}
CASE(shuffles, NEEDS_80) {
    std::vector<uint32_t> v = c.random_words(32), want;
    auto add = [&](auto from) {
        for (int t = 0; t < 32; t++) want.push_back(v[from(t)]);
    };
    add([](int) { return 5; });
    add([](int t) { return (t * 7 + 1) % 32; });
    add([](int t) { return t / 8 * 8 + (t + 3) % 8; });
    add([](int t) { return t < 3 ? t : t - 3; });
    add([](int t) { return t % 8 < 2 ? t : t - 2; });
    add([](int t) { return t + 5 > 31 ? t : t + 5; });
    add([](int t) { return t % 4 == 3 ? t : t + 1; });
    add([](int t) { return t ^ 9; });
    add([](int t) { return t ^ 3; });
    add([](int t) { return t ^ 1; });
    add([](int t) { return t < 16 ? t ^ 2 : t == 31 ? 31 : t + 1; });
    for (int t = 0; t < 32; t++) want.push_back(v[31 - t] & 0xffff);
    uint32_t *out = c.zeros<uint32_t>(want.size());
    struct launch how = {dim3(1), dim3(32)};
    c.check(launch_kernel(how, shuffle_kernel, c.device(v), out), "launch");
    c.expect("out", out, want);
}

enum { N_VOTES = 18 };
__global__ void vote_kernel(const uint32_t *in, uint32_t *out) {
    int t = threadIdx.x, pred = 0;
    uint32_t v = in[t], r[N_VOTES];
    unsigned all = 0xffffffff;
    r[0] = __ballot_sync(all, v & 1);
    r[1] = (uint32_t)__any_sync(all, v == in[3]);
    r[2] = (uint32_t)__all_sync(all, v == in[3]);
    r[3] = (uint32_t)__all_sync(all, t < 32);
    r[4] = __match_any_sync(all, v % 5);
    r[5] = __match_all_sync(all, v, &pred);
    r[5] += (uint32_t)pred;
    r[6] = __match_all_sync(all, 7u, &pred);
    r[6] += (uint32_t)pred;
    r[7] = __reduce_add_sync(all, v);
    r[8] = __reduce_min_sync(all, v);
    r[9] = __reduce_max_sync(all, v);
    r[10] = (uint32_t)__reduce_min_sync(all, (int)v);
    r[11] = (uint32_t)__reduce_max_sync(all, (int)v);
    r[12] = __reduce_and_sync(all, v | 0xffff);
    r[13] = __reduce_or_sync(all, v & 0xff00);
    r[14] = __reduce_xor_sync(all, v);
    r[15] = (uint32_t)__syncthreads_count(v & 1);
    r[16] = (uint32_t)(__syncthreads_and(t < 31) != 0) + 2 * (uint32_t)(__syncthreads_or(t == 9) != 0);
    r[17] = t % 2 ? __reduce_add_sync(0xaaaaaaaa, v) : __ballot_sync(0x55555555, t % 4);
    for (int i = 0; i < N_VOTES; i++) out[32 * i + t] = r[i];
}
CASE(votes, NEEDS_80) {
    std::vector<uint32_t> v = c.random_words(32), want(32 * N_VOTES);
    uint32_t odd = 0, add = 0, low = ~0u, high = 0, all_and = ~0u, all_or = 0, all_xor = 0, alternate = 0;
    int smallest = INT32_MAX, largest = INT32_MIN;
    for (int t = 0; t < 32; t++) {
        odd |= (v[t] & 1) << t;
        add += v[t];
        low = std::min(low, v[t]), high = std::max(high, v[t]);
        smallest = std::min(smallest, (int)v[t]), largest = std::max(largest, (int)v[t]);
        all_and &= v[t] | 0xffff, all_or |= v[t] & 0xff00, all_xor ^= v[t];
        if (t % 2) alternate += v[t];
    }
    for (int t = 0; t < 32; t++) {
        uint32_t same = 0, r[N_VOTES] = {odd, 1, 0, 1, 0, 0, 0, add, low, high, (uint32_t)smallest,
                                         (uint32_t)largest, all_and, all_or, all_xor};
        for (int l = 0; l < 32; l++) same |= (uint32_t)(v[l] % 5 == v[t] % 5) << l;
        r[4] = same;
        r[6] = 0xffffffff + 1;
        r[15] = (uint32_t)__builtin_popcount(odd);
        r[16] = 2;
        r[17] = t % 2 ? alternate : 0x44444444;
        for (int i = 0; i < N_VOTES; i++) want[32 * i + t] = r[i];
    }
    uint32_t *out = c.zeros<uint32_t>(want.size());
    struct launch how = {dim3(1), dim3(32)};
    c.check(launch_kernel(how, vote_kernel, c.device(v), out), "launch");
    c.expect("out", out, want);
}

enum { N_BITS = 16 };
__global__ void bits_kernel(const uint32_t *in, uint32_t *out, const float *x, uint32_t *y) {
    int t = threadIdx.x;
    uint32_t a = in[t], b = in[t + 32], r[N_BITS];
    r[0] = (uint32_t)__popc(a);
    r[1] = (uint32_t)__clz((int)(a >> t));
    r[2] = (uint32_t)__ffs((int)(a << t));
    r[3] = __brev(a);
    r[4] = __byte_perm(a, b, b & 0x7777);
    r[5] = __byte_perm(a, b, b & 0xffff);
    r[6] = __funnelshift_l(a, b, b % 40);
    r[7] = __funnelshift_r(a, b, b % 40);
    r[8] = __umulhi(a, b);
    r[9] = (uint32_t)__mulhi((int)a, (int)b);
    r[10] = (uint32_t)__umul64hi((unsigned long long)a << 32 | b, (unsigned long long)b << 32 | a);
    r[11] = (uint32_t)__clzll((long long)a) + 100 * (uint32_t)__popcll((unsigned long long)a << 20);
    r[12] = min(a, b) ^ max(a, b);
    r[13] = __float_as_uint(__uint_as_float(a & 0x7f7fffff));
    r[14] = (uint32_t)__ffsll((long long)a << 30);
    r[15] = (uint32_t)(__float_as_int(-1.0f) + __float_as_int(__int_as_float(77)));
    for (int i = 0; i < N_BITS; i++) out[32 * i + t] = r[i];
    float f = x[t];
    y[t] = (uint32_t)__float2int_rn(f);
    y[32 + t] = (uint32_t)__float2int_rz(f);
    y[64 + t] = (uint32_t)__float2int_rd(f);
    y[96 + t] = (uint32_t)__float2int_ru(f);
    y[128 + t] = __float2uint_rn(f);
    y[160 + t] = __float_as_uint(__fmaf_rn(f, f, 1.0f));
    y[192 + t] = __float_as_uint(__fdiv_rn(1.0f, f));
    y[224 + t] = __float_as_uint(__fsqrt_rn(fabsf(f)));
    y[256 + t] = __float_as_uint(__saturatef(f));
    y[288 + t] = __float_as_uint(__int2float_rn((int)a));
    y[320 + t] = __float_as_uint(__uint2float_rn(a));
}
CASE(bits_and_numbers, NEEDS_80) {
    std::vector<uint32_t> in = c.random_words(64), want(32 * N_BITS), numbers(352);
    std::vector<float> x(32);
    auto bits = [](float f) {
        uint32_t u;
        __builtin_memcpy(&u, &f, 4);
        return u;
    };
    for (int t = 0; t < 32; t++) {
        uint32_t a = in[t], b = in[t + 32], perm = 0, reversed = 0;
        uint64_t both = (uint64_t)b << 32 | a, other = (uint64_t)a << 32 | b;
        for (int i = 0; i < 4; i++) {
            perm |= ((uint32_t)(both >> 8 * (b >> 4 * i & 7)) & 255) << 8 * i;
        }
        for (int i = 0; i < 32; i++) reversed |= (a >> i & 1) << (31 - i);
        uint32_t s = b % 40 & 31, shifted = a >> t, left = a << t;
        uint32_t r[N_BITS] = {
            (uint32_t)__builtin_popcount(a),
            shifted ? (uint32_t)__builtin_clz(shifted) : 32,
            (uint32_t)__builtin_ffs((int)left),
            reversed,
            perm,
            perm,
            (uint32_t)(both << s >> 32),
            (uint32_t)(both >> s),
            (uint32_t)((uint64_t)a * b >> 32),
            (uint32_t)((int64_t)(int)a * (int)b >> 32),
            (uint32_t)((unsigned __int128)other * both >> 64),
            (uint32_t)(a ? __builtin_clzll(a) : 64) + 100 * (uint32_t)__builtin_popcount(a),
            a ^ b,
            a & 0x7f7fffff,
            (uint32_t)__builtin_ffsll((long long)((uint64_t)a << 30)),
            bits(-1.0f) + 77,
        };
        for (int i = 0; i < N_BITS; i++) want[32 * i + t] = r[i];
        float f = x[t] = t == 0 ? 3e9f : t == 1 ? -3e9f : t == 2 ? 2.5f : 10 * c.random_float() + 0.001f;
        auto to_int = [](double v) { return (uint32_t)(int)std::min(std::max(v, -2147483648.0), 2147483647.0); };
        uint32_t n[11] = {to_int(nearbyint(f)), to_int(trunc(f)), to_int(floor(f)), to_int(ceil(f)),
                          (uint32_t)std::min(std::max(nearbyint((double)f), 0.0), 4294967295.0),
                          bits(fmaf(f, f, 1.0f)), bits(1.0f / f), bits(sqrtf(fabsf(f))),
                          bits(std::min(std::max(f, 0.0f), 1.0f)), bits((float)(int)a), bits((float)a)};
        for (int i = 0; i < 11; i++) numbers[32 * i + t] = n[i];
    }
    uint32_t *out = c.zeros<uint32_t>(want.size()), *y = c.zeros<uint32_t>(352);
    struct launch how = {dim3(1), dim3(32)};
    c.check(launch_kernel(how, bits_kernel, c.device(in), out, c.device(x), y), "launch");
    c.expect("bits", out, want);
    c.expect("numbers", y, numbers);
}

// 256 threads of 4 blocks on the same words.
__global__ void atomic_kernel(uint32_t *w, int *s, unsigned long long *l, float *f) {
    unsigned t = blockIdx.x * 64 + threadIdx.x;
    atomicAdd(&w[0], t);
    atomicSub(&w[1], t);
    atomicMin(&w[2], 1000 - t);
    atomicMax(&w[3], t);
    atomicAnd(&w[4], ~(1u << t % 31));
    atomicOr(&w[5], 1u << t % 31);
    atomicXor(&w[6], t);
    atomicInc(&w[7], 99u);
    atomicMin(&s[0], (int)t - 100);
    atomicMax(&s[1], 100 - (int)t);
    atomicAdd(l, (unsigned long long)t << 30);
    atomicAdd(f, (float)t); // exact: whole numbers below 2^24
}
__global__ void swap_kernel(uint32_t *w) {
    unsigned old = 0, assumed;
    do {
        assumed = old;
        old = atomicCAS(&w[0], assumed, assumed * 2 + 1);
    } while (old != assumed);
    atomicAdd(&w[1], atomicExch(&w[2], threadIdx.x + blockIdx.x * 64 + 1));
}
CASE(atomics, NEEDS_80) {
    uint32_t *w = c.device(std::vector<uint32_t>{0, 0, ~0u, 0, ~0u, 0, 0, 0});
    int *s = c.device(std::vector<int>{0, 0});
    unsigned long long *l = c.zeros<unsigned long long>(1);
    float *f = c.zeros<float>(1);
    uint32_t x = 0;
    for (unsigned t = 0; t < 256; t++) x ^= t;
    struct launch how = {dim3(4), dim3(64)};
    c.check(launch_kernel(how, atomic_kernel, w, s, l, f), "launch");
    c.expect("words", w, std::vector<uint32_t>{32640, 0u - 32640u, 745, 255, 0x80000000, 0x7fffffff, x, 56});
    c.expect("signed", s, std::vector<uint32_t>{(uint32_t)-100, 100});
    uint64_t sum = 32640ull << 30;
    c.expect("long", l, std::vector<uint32_t>{(uint32_t)sum, (uint32_t)(sum >> 32)});
    c.expect("float", f, std::vector<double>{32640}, 0);
    uint32_t *swap = c.zeros<uint32_t>(4);
    how.grid = dim3(1), how.block = dim3(32);
    c.check(launch_kernel(how, swap_kernel, swap), "launch");
    uint32_t compared = 0;
    for (int i = 0; i < 32; i++) compared = compared * 2 + 1;
    c.expect("compare and swap", swap, std::vector<uint32_t>{compared});
}
