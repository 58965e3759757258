// What the *_avx512*.c files share. Only they include it: it needs -mavx512f -mavx512bw -mavx512vl
// -mavx512dq -mavx512vnni -mfma -mf16c.
//
// Every operation gives the bits of the AVX2 path: one sum per output in the same order, and exp as
// kernels/math.h has it.
#ifndef KERNELS_CPU_AVX512_H
#define KERNELS_CPU_AVX512_H

#include "kernels/cpu/avx2.h"

// 16 values of a type, in any alignment.
static AVX2_INLINE __m512 avx512_load(enum dtype dtype, const void *p) {
    if (dtype == DTYPE_F32) return _mm512_loadu_ps(p);
    __m256i h = _mm256_loadu_si256(p);
    if (dtype == DTYPE_F16) return _mm512_cvtph_ps(h);
    return _mm512_castsi512_ps(_mm512_slli_epi32(_mm512_cvtepu16_epi32(h), 16));
}

#if defined(__AVX512BF16__)
// 32 values to bf16: to nearest and even, subnormals to zero.
static AVX2_INLINE void avx512_round_32(const float *x, uint32_t *out) {
    __m512 low = _mm512_loadu_ps(x), high = _mm512_loadu_ps(x + 16);
    _mm512_storeu_si512(out, (__m512i)_mm512_cvtne2ps_pbh(high, low));
}
#endif

// 16 signed bytes.
static AVX2_INLINE __m512 avx512_load_int8(const void *p) {
    return _mm512_cvtepi32_ps(_mm512_cvtepi8_epi32(_mm_loadu_si128(p)));
}

// How far ahead of each of `blocks` streams of weights to ask for more, bytes, into the second
// cache: the first has no room for what memory takes so long to bring.
static AVX2_INLINE size_t avx512_ahead(int blocks) {
    return blocks == 4 ? 2048 : 8192;
}

// Asks for what comes `ahead` of `at` in each of `blocks` streams, which lie `bytes` apart and of
// which `length` bytes are read: at their end, for the beginning of the next ones.
static AVX2_INLINE void avx512_prefetch(const char *const w[4], int blocks, size_t at,
                                        size_t length, size_t bytes) {
    size_t next = at + avx512_ahead(blocks);
    if (next >= length) next += (size_t)blocks * bytes - length;
    AVX2_UNROLL for (int b = 0; b < blocks; b++) _mm_prefetch(w[b] + next, _MM_HINT_T1);
}

static AVX2_INLINE __m512 avx512_exp(__m512 x) {
    x = _mm512_max_ps(_mm512_set1_ps(-104.0f), x); // the second operand where one is NaN
    x = _mm512_min_ps(_mm512_set1_ps(89.0f), x);
    __m512 magic = _mm512_set1_ps(12582912.0f);
    __m512 t = _mm512_add_ps(_mm512_mul_ps(x, _mm512_set1_ps(0x1.715476p+0f)), magic);
    __m512 n = _mm512_sub_ps(t, magic);
    __m512 r = _mm512_sub_ps(x, _mm512_mul_ps(n, _mm512_set1_ps(0x1.62ep-1f)));
    r = _mm512_sub_ps(r, _mm512_mul_ps(n, _mm512_set1_ps(0x1.0bfbe8p-15f)));
    __m512 p = _mm512_set1_ps(1.0f / 5040.0f);
    p = _mm512_add_ps(_mm512_mul_ps(p, r), _mm512_set1_ps(1.0f / 720.0f));
    p = _mm512_add_ps(_mm512_mul_ps(p, r), _mm512_set1_ps(1.0f / 120.0f));
    p = _mm512_add_ps(_mm512_mul_ps(p, r), _mm512_set1_ps(1.0f / 24.0f));
    p = _mm512_add_ps(_mm512_mul_ps(p, r), _mm512_set1_ps(1.0f / 6.0f));
    p = _mm512_add_ps(_mm512_mul_ps(p, r), _mm512_set1_ps(0.5f));
    p = _mm512_add_ps(_mm512_mul_ps(p, _mm512_mul_ps(r, r)), r);
    p = _mm512_add_ps(p, _mm512_set1_ps(1.0f));
    __m512i k = _mm512_sub_epi32(_mm512_castps_si512(t), _mm512_set1_epi32(0x4b400000));
    __m512i half = _mm512_srai_epi32(k, 1), one = _mm512_set1_epi32(127);
    __m512i a = _mm512_slli_epi32(_mm512_add_epi32(half, one), 23);
    __m512i b = _mm512_slli_epi32(_mm512_add_epi32(_mm512_sub_epi32(k, half), one), 23);
    p = _mm512_mul_ps(p, _mm512_castsi512_ps(a));
    return _mm512_mul_ps(p, _mm512_castsi512_ps(b));
}

static AVX2_INLINE __m256 avx512_low(__m512 v) {
    return _mm512_castps512_ps256(v);
}
static AVX2_INLINE __m256 avx512_high(__m512 v) {
    return _mm512_extractf32x8_ps(v, 1);
}

#endif
