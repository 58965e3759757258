// What the *_avx512.c files of block types share: they need AVX-512 F, BW, VL and VNNI. A vector of
// 64 bytes is 16 rows of 4 columns; a lane of 32 bits is a row.
//
// vpdpbusd multiplies unsigned weights with signed activations. Where weights have a zero point of
// 2^shift, the sum of activations, times that, is taken off beforehand.
#ifndef KERNELS_TYPES_DOT_AVX512_H
#define KERNELS_TYPES_DOT_AVX512_H

#include <immintrin.h>
#include <string.h>

#include "kernels/types/tile.h"
#include "kernels/types/types.h"

enum { DOT_PREFETCH = 4096 }; // bytes ahead, of quants and scales together

// Two halves of 16 columns are multiplied with a number each (Q6_K), or all of 32 are one sum.
struct dot_run {
    __m512i w[8];      // unsigned weights, 4 columns each
    __m512 scale, min; // of the 16 rows
    __m512i sub[2];
};

DOT_INLINE __m512 dot_halves(const void *p) {
    return _mm512_cvtph_ps(_mm256_loadu_si256(p));
}

DOT_INLINE __m512 dot_bytes(const void *p) {
    return _mm512_cvtepi32_ps(_mm512_cvtepu8_epi32(_mm_loadu_si128(p)));
}

DOT_INLINE void dot_nibbles(const void *tile, __m512i w[8]) {
    const __m512i low = _mm512_set1_epi8(15);
    DOT_UNROLL for (int v = 0; v < 4; v++) {
        __m512i both = _mm512_loadu_si512((const char *)tile + v * TILE_VECTOR);
        w[2 * v] = _mm512_and_si512(both, low);
        w[2 * v + 1] = _mm512_and_si512(_mm512_srli_epi16(both, 4), low);
    }
}

DOT_INLINE __m512i dot_part(const struct dot_run *run, const struct activation *x, int first,
                            int end, __m512i s) {
    DOT_UNROLL for (int g = first; g < end; g++) {
        int32_t q;
        memcpy(&q, x->q + 4 * g, 4);
        s = _mm512_dpbusd_epi32(s, run->w[g], _mm512_set1_epi32(q));
    }
    return s;
}

// Adds the run's products with one token. shift < 0: no zero point.
DOT_INLINE __m512 dot_add(const struct dot_run *run, const struct activation *x, int shift,
                          bool has_sub, bool has_min, __m512 y) {
    __m512i s;
    if (has_sub) {
        __m512i low = _mm512_set1_epi32(x->minus_low_sum);
        __m512i high = _mm512_sub_epi32(_mm512_set1_epi32(x->minus_sum), low);
        low = dot_part(run, x, 0, 4, _mm512_slli_epi32(low, (unsigned)shift));
        high = dot_part(run, x, 4, 8, _mm512_slli_epi32(high, (unsigned)shift));
        s = _mm512_add_epi32(_mm512_mullo_epi32(low, run->sub[0]),
                             _mm512_mullo_epi32(high, run->sub[1]));
    } else {
        s = _mm512_setzero_si512();
        if (shift >= 0) s = _mm512_slli_epi32(_mm512_set1_epi32(x->minus_sum), (unsigned)shift);
        s = dot_part(run, x, 0, 8, s);
    }
    __m512 scale = _mm512_mul_ps(run->scale, _mm512_set1_ps(x->scale));
    y = _mm512_add_ps(y, _mm512_mul_ps(_mm512_cvtepi32_ps(s), scale));
    if (!has_min) return y;
    return _mm512_add_ps(y, _mm512_mul_ps(run->min, _mm512_set1_ps(x->minus_scaled_sum)));
}

// Calls body(n tokens) with the number as a constant.
#define DOT_TOKENS(d, body)                                                                        \
    switch ((d)->n) {                                                                              \
    case 1:                                                                                        \
        body(d, 1);                                                                                \
        break;                                                                                     \
    case 2:                                                                                        \
        body(d, 2);                                                                                \
        break;                                                                                     \
    case 3:                                                                                        \
        body(d, 3);                                                                                \
        break;                                                                                     \
    case 4:                                                                                        \
        body(d, 4);                                                                                \
        break;                                                                                     \
    case 5:                                                                                        \
        body(d, 5);                                                                                \
        break;                                                                                     \
    case 6:                                                                                        \
        body(d, 6);                                                                                \
        break;                                                                                     \
    case 7:                                                                                        \
        body(d, 7);                                                                                \
        break;                                                                                     \
    default:                                                                                       \
        body(d, 8);                                                                                \
    }

// load(quants, scales, run of the block, out); all arguments but d are constants.
typedef void dot_load(const char *quants, const char *scales, int r, struct dot_run *out);

DOT_INLINE void dot_group(const struct type_dot *d, const struct block_type *t, int n_runs,
                          int run_bytes, int shift, bool has_sub, bool has_min, int tokens,
                          dot_load *load) {
    __m512 y[TYPE_TOKENS];
    DOT_UNROLL for (int k = 0; k < tokens; k++) y[k] = _mm512_setzero_ps();
    const char *quants = d->quants, *scales = d->scales, *ahead = scales + DOT_PREFETCH;
    for (int b = 0, at = 0; b < d->n_blocks; b++) {
        for (int r = 0; r < n_runs; r++, at++) {
            struct dot_run run;
            for (int p = 0; p < run_bytes; p += 64) _mm_prefetch(ahead + p, _MM_HINT_T0);
            load(quants, scales, r, &run);
            DOT_UNROLL for (int k = 0; k < tokens; k++) y[k] =
                dot_add(&run, d->x[k] + at, shift, has_sub, has_min, y[k]);
            quants += run_bytes;
            ahead += run_bytes;
        }
        for (int p = 0; p < t->scale_bytes; p += 64) _mm_prefetch(ahead + p, _MM_HINT_T0);
        ahead += t->scale_bytes;
        scales += t->scale_bytes;
    }
    DOT_UNROLL for (int k = 0; k < tokens; k++) _mm512_storeu_ps(d->y[k], y[k]);
}

#endif
