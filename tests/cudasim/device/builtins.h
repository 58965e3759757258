// CUDA's device functions as host C++, included by device.h: collectives, atomics, bits, numbers.
// Approximate functions (__expf) give other bits than the hardware; all others the same.
#ifndef TESTS_CUDASIM_DEVICE_BUILTINS_H
#define TESTS_CUDASIM_DEVICE_BUILTINS_H

// ---------------------------------------------------------------- bits

namespace cudasim {
template <class To, class From> __forceinline__ To bits_as(From from) {
    static_assert(sizeof(To) >= sizeof(From), "");
    To to = {};
    __builtin_memcpy(&to, &from, sizeof from);
    return to;
}
template <class To> __forceinline__ To low_bits_as(uint64_t from) {
    static_assert(sizeof(To) <= 8, "collectives and atomics take up to 8 bytes");
    To to;
    __builtin_memcpy(&to, &from, sizeof to);
    return to;
}
template <class T> constexpr Kind kind_of() {
    return std::is_floating_point<T>::value ? FLOAT
           : std::is_signed<T>::value       ? SIGNED
                                            : UNSIGNED;
}
} // namespace cudasim

__forceinline__ int __float_as_int(float x) { return cudasim::bits_as<int>(x); }
__forceinline__ unsigned __float_as_uint(float x) { return cudasim::bits_as<unsigned>(x); }
__forceinline__ float __int_as_float(int x) { return cudasim::bits_as<float>(x); }
__forceinline__ float __uint_as_float(unsigned x) { return cudasim::bits_as<float>(x); }
__forceinline__ long long __double_as_longlong(double x) { return cudasim::bits_as<long long>(x); }
__forceinline__ double __longlong_as_double(long long x) { return cudasim::bits_as<double>(x); }
__forceinline__ int __popc(unsigned x) { return __builtin_popcount(x); }
__forceinline__ int __popcll(unsigned long long x) { return __builtin_popcountll(x); }
__forceinline__ int __clz(int x) { return x ? __builtin_clz((unsigned)x) : 32; }
__forceinline__ int __clzll(long long x) { return x ? __builtin_clzll((unsigned long long)x) : 64; }
__forceinline__ int __ffs(int x) { return __builtin_ffs(x); }
__forceinline__ int __ffsll(long long x) { return __builtin_ffsll(x); }
__forceinline__ unsigned __brev(unsigned x) {
    x = (x >> 1 & 0x55555555) | (x & 0x55555555) << 1;
    x = (x >> 2 & 0x33333333) | (x & 0x33333333) << 2;
    x = (x >> 4 & 0x0f0f0f0f) | (x & 0x0f0f0f0f) << 4;
    return __builtin_bswap32(x);
}
// Four of the eight bytes of b:a. Three bits of the selector count for each: nvcc clears the fourth,
// with which prmt would copy signs.
__forceinline__ unsigned __byte_perm(unsigned a, unsigned b, unsigned selector) {
    uint64_t both = (uint64_t)b << 32 | a;
    unsigned result = 0;
    for (int i = 0; i < 4; i++)
        result |= (unsigned)(both >> 8 * (selector >> 4 * i & 7) & 0xff) << 8 * i;
    return result;
}
__forceinline__ unsigned __funnelshift_l(unsigned low, unsigned high, unsigned n) {
    return (unsigned)(((uint64_t)high << 32 | low) << (n & 31) >> 32);
}
__forceinline__ unsigned __funnelshift_r(unsigned low, unsigned high, unsigned n) {
    return (unsigned)(((uint64_t)high << 32 | low) >> (n & 31));
}
__forceinline__ unsigned __umulhi(unsigned a, unsigned b) { return (unsigned)((uint64_t)a * b >> 32); }
__forceinline__ int __mulhi(int a, int b) { return (int)((int64_t)a * b >> 32); }
__forceinline__ unsigned long long __umul64hi(unsigned long long a, unsigned long long b) {
    return (unsigned long long)((unsigned __int128)a * b >> 64);
}

// ---------------------------------------------------------------- numbers

__forceinline__ float __fadd_rn(float a, float b) { return a + b; }
__forceinline__ float __fsub_rn(float a, float b) { return a - b; }
__forceinline__ float __fmul_rn(float a, float b) { return a * b; }
__forceinline__ float __fmaf_rn(float a, float b, float c) { return fmaf(a, b, c); }
__forceinline__ float __fdiv_rn(float a, float b) { return a / b; }
__forceinline__ float __frcp_rn(float a) { return 1.0f / a; }
__forceinline__ float __fsqrt_rn(float a) { return sqrtf(a); }
__forceinline__ double __dadd_rn(double a, double b) { return a + b; }
__forceinline__ double __dmul_rn(double a, double b) { return a * b; }
__forceinline__ double __fma_rn(double a, double b, double c) { return fma(a, b, c); }
__forceinline__ float rsqrtf(float a) { return (float)(1.0 / sqrt((double)a)); }
__forceinline__ double rsqrt(double a) { return 1.0 / sqrt(a); }
__forceinline__ float __frsqrt_rn(float a) { return rsqrtf(a); }
#define __expf expf // names that the C library declares for itself
#define __logf logf
#define __log2f log2f
__forceinline__ float __fdividef(float a, float b) { return a / b; }
__forceinline__ float __saturatef(float a) { return a > 0 ? a < 1 ? a : 1 : 0; }
namespace cudasim { // out of range saturates, NaN gives 0
template <class To> __forceinline__ To to_integer(double whole) {
    if (!(whole == whole)) return 0;
    if (whole <= (double)std::numeric_limits<To>::min()) return std::numeric_limits<To>::min();
    if (whole >= (double)std::numeric_limits<To>::max()) return std::numeric_limits<To>::max();
    return (To)whole;
}
} // namespace cudasim
__forceinline__ int __float2int_rn(float x) { return cudasim::to_integer<int>(nearbyint(x)); }
__forceinline__ int __float2int_rz(float x) { return cudasim::to_integer<int>(trunc(x)); }
__forceinline__ int __float2int_rd(float x) { return cudasim::to_integer<int>(floor(x)); }
__forceinline__ int __float2int_ru(float x) { return cudasim::to_integer<int>(ceil(x)); }
__forceinline__ unsigned __float2uint_rn(float x) { return cudasim::to_integer<unsigned>(nearbyint(x)); }
__forceinline__ unsigned __float2uint_rz(float x) { return cudasim::to_integer<unsigned>(trunc(x)); }
__forceinline__ float __int2float_rn(int x) { return (float)x; }
__forceinline__ float __uint2float_rn(unsigned x) { return (float)x; }
__forceinline__ float __ull2float_rn(unsigned long long x) { return (float)x; }
__forceinline__ float __double2float_rn(double x) { return (float)x; }

template <class T> __forceinline__ T min(T a, T b) { return b < a ? b : a; }
template <class T> __forceinline__ T max(T a, T b) { return a < b ? b : a; }
__forceinline__ float min(float a, float b) { return fminf(a, b); }
__forceinline__ float max(float a, float b) { return fmaxf(a, b); }

// ---------------------------------------------------------------- memory

template <class T> __forceinline__ T __ldg(const T *p) { return *p; }
template <class T> __forceinline__ T __ldca(const T *p) { return *p; }
template <class T> __forceinline__ T __ldcg(const T *p) { return *p; }
template <class T> __forceinline__ T __ldcs(const T *p) { return *p; }
template <class T> __forceinline__ void __stcg(T *p, T v) { *p = v; }
template <class T> __forceinline__ void __stcs(T *p, T v) { *p = v; }
template <class T> __forceinline__ void __stwt(T *p, T v) { *p = v; }
// Calls of the C library would be unseen by the race mode.
__forceinline__ void *cudasim_memcpy(void *to, const void *from, size_t n) {
    cudasim::copy_bytes(to, from, n);
    return to;
}
__forceinline__ void *cudasim_memset(void *to, int value, size_t n) {
    cudasim::set_bytes(to, value, n);
    return to;
}
namespace std {
using ::cudasim_memcpy;
using ::cudasim_memset;
} // namespace std
#define memcpy(...) cudasim_memcpy(__VA_ARGS__)
#define memset(...) cudasim_memset(__VA_ARGS__)

__forceinline__ void __threadfence() { cudasim::fence(true); }
__forceinline__ void __threadfence_system() { cudasim::fence(true); }
__forceinline__ void __threadfence_block() { cudasim::fence(false); }
__forceinline__ void __nanosleep(unsigned ns) { cudasim::sleep(ns); }
__forceinline__ long long clock64() { return cudasim::clock_ticks(); }
__forceinline__ void __trap() { cudasim::trap("the kernel called __trap"); }

namespace cudasim {
template <class T> __forceinline__ T atomic(T *p, Atomic operation, T operand, T compare = T()) {
    uint64_t before = atomic((void *)p, sizeof(T), kind_of<T>(), operation,
                             bits_as<uint64_t>(operand), bits_as<uint64_t>(compare));
    return low_bits_as<T>(before);
}
template <class T> struct same { typedef T type; }; // the pointer alone decides the type
} // namespace cudasim
#define CUDASIM_ATOMIC(name, operation)                                                            \
    template <class T> __forceinline__ T name(T *p, typename cudasim::same<T>::type v) {                    \
        return cudasim::atomic(p, cudasim::operation, v);                                          \
    }
CUDASIM_ATOMIC(atomicAdd, ADD)
CUDASIM_ATOMIC(atomicExch, EXCHANGE)
CUDASIM_ATOMIC(atomicMin, MIN)
CUDASIM_ATOMIC(atomicMax, MAX)
CUDASIM_ATOMIC(atomicAnd, AND)
CUDASIM_ATOMIC(atomicOr, OR)
CUDASIM_ATOMIC(atomicXor, XOR)
CUDASIM_ATOMIC(atomicInc, INCREMENT)
CUDASIM_ATOMIC(atomicDec, DECREMENT)
#undef CUDASIM_ATOMIC
template <class T> __forceinline__ T atomicSub(T *p, typename cudasim::same<T>::type v) {
    return cudasim::atomic(p, cudasim::ADD, (T)(0 - v));
}
template <class T>
__forceinline__ T atomicCAS(T *p, typename cudasim::same<T>::type compare,
                   typename cudasim::same<T>::type v) {
    return cudasim::atomic(p, cudasim::COMPARE, v, compare);
}

// ---------------------------------------------------------------- barriers and collectives

__forceinline__ void __syncthreads(int line = __builtin_LINE()) { cudasim::block_barrier(line); }
__forceinline__ int __syncthreads_count(int p, int line = __builtin_LINE()) {
    return cudasim::block_vote(0, p, line);
}
__forceinline__ int __syncthreads_and(int p, int line = __builtin_LINE()) {
    return cudasim::block_vote(1, p, line);
}
__forceinline__ int __syncthreads_or(int p, int line = __builtin_LINE()) {
    return cudasim::block_vote(2, p, line);
}
__forceinline__ void __syncwarp(unsigned mask = 0xffffffff) { cudasim::warp_barrier(mask); }
// The hardware promises nothing about who is in it, nor does the emulator.
__forceinline__ unsigned __activemask() { return cudasim::active_lanes(); }
__forceinline__ unsigned __ballot_sync(unsigned mask, int p) { return cudasim::ballot(mask, p != 0); }
__forceinline__ int __any_sync(unsigned mask, int p) { return cudasim::ballot(mask, p != 0) != 0; }
__forceinline__ int __all_sync(unsigned mask, int p) { return cudasim::ballot(mask, p == 0) == 0; }

// Lanes of a segment of width (a power of 2) exchange among themselves; a lane outside of it, or
// outside of the mask, gives the own value, or an undefined one.
template <class T> __forceinline__ T __shfl_sync(unsigned mask, T v, int from, int width = 32) {
    int source = (cudasim::lane() & ~(width - 1)) | (from & (width - 1));
    return cudasim::low_bits_as<T>(cudasim::shuffle(mask, cudasim::bits_as<uint64_t>(v), source));
}
template <class T> __forceinline__ T __shfl_xor_sync(unsigned mask, T v, int bits, int width = 32) {
    int me = cudasim::lane(), source = me ^ bits, end = (me & ~(width - 1)) + width;
    source = source < end ? source : me;
    return cudasim::low_bits_as<T>(cudasim::shuffle(mask, cudasim::bits_as<uint64_t>(v), source));
}
template <class T> __forceinline__ T __shfl_down_sync(unsigned mask, T v, unsigned by, int width = 32) {
    int me = cudasim::lane(), source = me + (int)by, end = (me & ~(width - 1)) + width;
    source = source < end ? source : me;
    return cudasim::low_bits_as<T>(cudasim::shuffle(mask, cudasim::bits_as<uint64_t>(v), source));
}
template <class T> __forceinline__ T __shfl_up_sync(unsigned mask, T v, unsigned by, int width = 32) {
    int me = cudasim::lane(), source = me - (int)by, begin = me & ~(width - 1);
    source = source >= begin ? source : me;
    return cudasim::low_bits_as<T>(cudasim::shuffle(mask, cudasim::bits_as<uint64_t>(v), source));
}
template <class T> __forceinline__ unsigned __match_any_sync(unsigned mask, T v) {
    return cudasim::match(mask, cudasim::bits_as<uint64_t>(v), nullptr);
}
template <class T> __forceinline__ unsigned __match_all_sync(unsigned mask, T v, int *all) {
    return cudasim::match(mask, cudasim::bits_as<uint64_t>(v), all);
}
#define CUDASIM_REDUCE(name, T, operation)                                                         \
    __forceinline__ T name(unsigned mask, T v) {                                                            \
        return (T)cudasim::reduce(mask, (uint32_t)v, operation);                                   \
    }
CUDASIM_REDUCE(__reduce_add_sync, unsigned, 0)
CUDASIM_REDUCE(__reduce_add_sync, int, 0)
CUDASIM_REDUCE(__reduce_min_sync, unsigned, 1)
CUDASIM_REDUCE(__reduce_min_sync, int, 2)
CUDASIM_REDUCE(__reduce_max_sync, unsigned, 3)
CUDASIM_REDUCE(__reduce_max_sync, int, 4)
CUDASIM_REDUCE(__reduce_and_sync, unsigned, 5)
CUDASIM_REDUCE(__reduce_or_sync, unsigned, 6)
CUDASIM_REDUCE(__reduce_xor_sync, unsigned, 7)
#undef CUDASIM_REDUCE

#endif
