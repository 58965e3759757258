// What the *_avx512.c files of block types share: they need AVX-512 F, BW, VL and VNNI. A vector of
// 64 bytes is 16 rows of 4 columns; a lane of 32 bits is a row.
//
// Each of these files is compiled twice. With DOT_AMX products of many tokens go by Intel's tiles
// (dot_amx.h). Without, vpdpbusd multiplies unsigned weights with signed activations: where weights
// have a zero point of 2^shift, the sum of activations, times that, is taken off beforehand.
#ifndef KERNELS_TYPES_DOT_AVX512_H
#define KERNELS_TYPES_DOT_AVX512_H

#include <immintrin.h>
#include <string.h>

#include "kernels/types/tile.h"
#include "kernels/types/types.h"

// The name of a type's products.
#if defined(DOT_AMX)
#define DOT_NAME(type) type_##type##_amx
#else
#define DOT_NAME(type) type_##type##_avx512
#endif

enum { DOT_PREFETCH = 4096 }; // bytes ahead, of quants and scales together

// Two halves of 16 columns are multiplied with a number each (Q6_K), or all of 32 are one sum.
struct dot_run {
    __m512i w[8];      // unsigned weights, 4 columns each
    __m512 scale, min; // of the 16 rows
    __m512i sub[2];
};

// What a type is to the products, constants.
struct dot_form {
    int n_runs, run_bytes;
    int shift; // weights have a zero point of 2^shift; -1: none
    bool has_sub, has_min;
};

// load(quants of a run, scales of the block, run of the block, out)
typedef void dot_load(const char *quants, const char *scales, int r, struct dot_run *out);

DOT_INLINE void dot_prefetch(const char *ahead, int bytes) {
    for (int p = 0; p < bytes; p += 64) _mm_prefetch(ahead + p, _MM_HINT_T0);
}

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

// Adds to y what a run makes of one token, whose whole-number product is `s`.
DOT_INLINE __m512 dot_scale(const struct dot_run *run, const struct activation *x, bool has_min,
                            __m512i s, __m512 y) {
    __m512 scale = _mm512_mul_ps(run->scale, _mm512_set1_ps(x->scale));
    y = _mm512_add_ps(y, _mm512_mul_ps(_mm512_cvtepi32_ps(s), scale));
    if (!has_min) return y;
    return _mm512_add_ps(y, _mm512_mul_ps(run->min, _mm512_set1_ps(x->minus_scaled_sum)));
}

DOT_INLINE __m512i dot_halves_added(const struct dot_run *run, __m512i low, __m512i high) {
    return _mm512_add_epi32(_mm512_mullo_epi32(low, run->sub[0]),
                            _mm512_mullo_epi32(high, run->sub[1]));
}

#if defined(DOT_AMX)
#include "kernels/types/dot_amx.h"
#else
DOT_INLINE __m512i dot_part(const struct dot_run *run, const struct activation *x, int first,
                            int end, __m512i s) {
    DOT_UNROLL for (int g = first; g < end; g++) {
        int32_t q;
        memcpy(&q, x->q + 4 * g, 4);
        s = _mm512_dpbusd_epi32(s, run->w[g], _mm512_set1_epi32(q));
    }
    return s;
}

// Adds the run's products with one token.
DOT_INLINE __m512 dot_add(const struct dot_run *run, const struct activation *x, struct dot_form f,
                          __m512 y) {
    __m512i s;
    if (f.has_sub) {
        __m512i low = _mm512_set1_epi32(x->minus_low_sum);
        __m512i high = _mm512_sub_epi32(_mm512_set1_epi32(x->minus_sum), low);
        low = dot_part(run, x, 0, 4, _mm512_slli_epi32(low, (unsigned)f.shift));
        high = dot_part(run, x, 4, 8, _mm512_slli_epi32(high, (unsigned)f.shift));
        s = dot_halves_added(run, low, high);
    } else {
        s = _mm512_setzero_si512();
        if (f.shift >= 0) s = _mm512_slli_epi32(_mm512_set1_epi32(x->minus_sum), (unsigned)f.shift);
        s = dot_part(run, x, 0, 8, s);
    }
    return dot_scale(run, x, f.has_min, s, y);
}

DOT_INLINE void dot_tokens(const struct type_dot *d, const struct block_type *t, struct dot_form f,
                           int tokens, dot_load *load) {
    __m512 y[8];
    DOT_UNROLL for (int k = 0; k < tokens; k++) y[k] = _mm512_setzero_ps();
    const char *quants = d->quants, *scales = d->scales, *ahead = scales + DOT_PREFETCH;
    for (int b = 0, at = 0; b < d->n_blocks; b++) {
        for (int r = 0; r < f.n_runs; r++, at++) {
            struct dot_run run;
            dot_prefetch(ahead, f.run_bytes);
            load(quants, scales, r, &run);
            DOT_UNROLL for (int k = 0; k < tokens; k++) y[k] = dot_add(&run, d->x[k] + at, f, y[k]);
            quants += f.run_bytes;
            ahead += f.run_bytes;
        }
        dot_prefetch(ahead, t->scale_bytes);
        ahead += t->scale_bytes;
        scales += t->scale_bytes;
    }
    DOT_UNROLL for (int k = 0; k < tokens; k++) _mm512_storeu_ps(d->y[k], y[k]);
}

// The number of tokens becomes a constant, so that their sums are registers.
DOT_INLINE void dot_group(const struct type_dot *d, const struct block_type *t, struct dot_form f,
                          dot_load *load) {
    switch (d->n) {
    case 1:
        dot_tokens(d, t, f, 1, load);
        break;
    case 2:
        dot_tokens(d, t, f, 2, load);
        break;
    case 3:
        dot_tokens(d, t, f, 3, load);
        break;
    case 4:
        dot_tokens(d, t, f, 4, load);
        break;
    case 5:
        dot_tokens(d, t, f, 5, load);
        break;
    case 6:
        dot_tokens(d, t, f, 6, load);
        break;
    case 7:
        dot_tokens(d, t, f, 7, load);
        break;
    default:
        dot_tokens(d, t, f, 8, load);
    }
}
#endif

#endif
