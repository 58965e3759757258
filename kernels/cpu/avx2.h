// What the *_avx2.c files share. Only they include it: it needs -mavx2 -mfma -mf16c.
//
// Vector exp and log are the operations of kernels/math.h in the same order, without FMA, so that
// both paths have the same bits there.
#ifndef KERNELS_CPU_AVX2_H
#define KERNELS_CPU_AVX2_H

#include <immintrin.h>
#include <stdint.h>

#include "kernels/tensor.h"

#define AVX2_INLINE inline __attribute__((always_inline))
#if defined(__clang__)
#define AVX2_UNROLL _Pragma("unroll")
#else
#define AVX2_UNROLL _Pragma("GCC unroll 16")
#endif

// 8 values of a type, in any alignment.
static AVX2_INLINE __m256 avx2_load(enum dtype dtype, const void *p) {
    if (dtype == DTYPE_F32) return _mm256_loadu_ps(p);
    __m128i h = _mm_loadu_si128(p);
    if (dtype == DTYPE_F16) return _mm256_cvtph_ps(h);
    return _mm256_castsi256_ps(_mm256_slli_epi32(_mm256_cvtepu16_epi32(h), 16));
}

// 8 signed bytes.
static AVX2_INLINE __m256 avx2_load_int8(const void *p) {
    return _mm256_cvtepi32_ps(_mm256_cvtepi8_epi32(_mm_loadl_epi64(p)));
}

static AVX2_INLINE __m256 avx2_exp(__m256 x) {
    x = _mm256_max_ps(_mm256_set1_ps(-104.0f), x); // the second operand where one is NaN
    x = _mm256_min_ps(_mm256_set1_ps(89.0f), x);
    __m256 magic = _mm256_set1_ps(12582912.0f);
    __m256 t = _mm256_add_ps(_mm256_mul_ps(x, _mm256_set1_ps(0x1.715476p+0f)), magic);
    __m256 n = _mm256_sub_ps(t, magic);
    __m256 r = _mm256_sub_ps(x, _mm256_mul_ps(n, _mm256_set1_ps(0x1.62ep-1f)));
    r = _mm256_sub_ps(r, _mm256_mul_ps(n, _mm256_set1_ps(0x1.0bfbe8p-15f)));
    __m256 p = _mm256_set1_ps(1.0f / 5040.0f);
    p = _mm256_add_ps(_mm256_mul_ps(p, r), _mm256_set1_ps(1.0f / 720.0f));
    p = _mm256_add_ps(_mm256_mul_ps(p, r), _mm256_set1_ps(1.0f / 120.0f));
    p = _mm256_add_ps(_mm256_mul_ps(p, r), _mm256_set1_ps(1.0f / 24.0f));
    p = _mm256_add_ps(_mm256_mul_ps(p, r), _mm256_set1_ps(1.0f / 6.0f));
    p = _mm256_add_ps(_mm256_mul_ps(p, r), _mm256_set1_ps(0.5f));
    p = _mm256_add_ps(_mm256_mul_ps(p, _mm256_mul_ps(r, r)), r);
    p = _mm256_add_ps(p, _mm256_set1_ps(1.0f));
    __m256i k = _mm256_sub_epi32(_mm256_castps_si256(t), _mm256_set1_epi32(0x4b400000));
    __m256i half = _mm256_srai_epi32(k, 1), one = _mm256_set1_epi32(127);
    __m256i a = _mm256_slli_epi32(_mm256_add_epi32(half, one), 23);
    __m256i b = _mm256_slli_epi32(_mm256_add_epi32(_mm256_sub_epi32(k, half), one), 23);
    p = _mm256_mul_ps(p, _mm256_castsi256_ps(a));
    return _mm256_mul_ps(p, _mm256_castsi256_ps(b));
}

// math_log_normal
static AVX2_INLINE __m256 avx2_log_normal(__m256 x) {
    __m256i root = _mm256_set1_epi32(0x3f3504f3);
    __m256i u = _mm256_sub_epi32(_mm256_castps_si256(x), root);
    __m256 k = _mm256_cvtepi32_ps(_mm256_srai_epi32(u, 23));
    __m256i m = _mm256_add_epi32(_mm256_and_si256(u, _mm256_set1_epi32(0x7fffff)), root);
    __m256 f = _mm256_sub_ps(_mm256_castsi256_ps(m), _mm256_set1_ps(1.0f));
    __m256 s = _mm256_div_ps(f, _mm256_add_ps(_mm256_set1_ps(2.0f), f));
    __m256 z = _mm256_mul_ps(s, s);
    __m256 h = _mm256_mul_ps(_mm256_mul_ps(_mm256_set1_ps(0.5f), f), f);
    __m256 r = _mm256_set1_ps(2.0f / 9.0f);
    r = _mm256_add_ps(_mm256_mul_ps(r, z), _mm256_set1_ps(2.0f / 7.0f));
    r = _mm256_add_ps(_mm256_mul_ps(r, z), _mm256_set1_ps(2.0f / 5.0f));
    r = _mm256_add_ps(_mm256_mul_ps(r, z), _mm256_set1_ps(2.0f / 3.0f));
    r = _mm256_mul_ps(r, z);
    __m256 low = _mm256_add_ps(_mm256_mul_ps(s, _mm256_add_ps(h, r)),
                               _mm256_mul_ps(k, _mm256_set1_ps(0x1.0bfbe8p-15f)));
    __m256 t = _mm256_sub_ps(_mm256_sub_ps(h, low), f);
    return _mm256_sub_ps(_mm256_mul_ps(k, _mm256_set1_ps(0x1.62ep-1f)), t);
}

// ((0+4)+(2+6))+((1+5)+(3+7))
static AVX2_INLINE float avx2_sum(__m256 s) {
    __m128 a = _mm_add_ps(_mm256_castps256_ps128(s), _mm256_extractf128_ps(s, 1));
    __m128 b = _mm_add_ps(a, _mm_movehl_ps(a, a));
    return _mm_cvtss_f32(_mm_add_ss(b, _mm_shuffle_ps(b, b, 1)));
}

static AVX2_INLINE float avx2_max(__m256 s) {
    __m128 a = _mm_max_ps(_mm256_castps256_ps128(s), _mm256_extractf128_ps(s, 1));
    __m128 b = _mm_max_ps(a, _mm_movehl_ps(a, a));
    return _mm_cvtss_f32(_mm_max_ss(b, _mm_shuffle_ps(b, b, 1)));
}

// What attention_lanes.h is written in.
#if defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define LANES_CHECKED
#endif
#elif defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define LANES_CHECKED
#endif
#if defined(LANES_CHECKED) // code with checks, copied and unrolled, would take minutes to compile
#define LANES_INLINE inline
#define LANES_UNROLL
#else
#define LANES_INLINE AVX2_INLINE
#define LANES_UNROLL AVX2_UNROLL
#endif
typedef __m256 lanes8;
#define lanes8_load      avx2_load
#define lanes8_load_int8 avx2_load_int8
#define lanes8_store     _mm256_storeu_ps
#define lanes8_set       _mm256_set1_ps
#define lanes8_add       _mm256_add_ps
#define lanes8_sub       _mm256_sub_ps
#define lanes8_mul       _mm256_mul_ps
#define lanes8_max       _mm256_max_ps
#define lanes8_fma       _mm256_fmadd_ps // a * b + c
#define lanes8_exp       avx2_exp
#define lanes8_sum       avx2_sum
#define lanes8_top       avx2_max

#endif
