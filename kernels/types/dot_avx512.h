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

// Bytes ahead, of quants and scales together, into the second cache: the first has no room for what
// memory takes so long to bring.
enum { DOT_PREFETCH = 8192 };

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
    for (int p = 0; p < bytes; p += 64) _mm_prefetch(ahead + p, _MM_HINT_T1);
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
enum { DOT_SIDE = 4 };

// Adds to s what columns 4 first .. 4 end - 1 of a run make of `n` tokens. Tokens go side by side:
// one alone is a chain of eight instructions that wait for each other, and too few chains fit into
// what a processor looks ahead.
DOT_INLINE void dot_part(const struct dot_run *run, const struct activation *const *x, int at,
                         int n, int first, int end, __m512i s[DOT_SIDE]) {
    DOT_UNROLL for (int g = first; g < end; g++) {
        DOT_UNROLL for (int k = 0; k < n; k++) {
            int32_t q;
            memcpy(&q, x[k][at].q + 4 * g, 4);
            s[k] = _mm512_dpbusd_epi32(s[k], run->w[g], _mm512_set1_epi32(q));
        }
    }
}

// What a sum starts with: minus the sum of activations, times the weights' zero point.
DOT_INLINE __m512i dot_start(int32_t minus_sum, int shift) {
    __m512i sum = _mm512_set1_epi32(minus_sum);
    return shift < 0 ? _mm512_setzero_si512() : _mm512_slli_epi32(sum, (unsigned)shift);
}

// Adds the run's products with `n` tokens.
DOT_INLINE void dot_add(const struct dot_run *run, const struct activation *const *x, int at, int n,
                        struct dot_form f, __m512 *y) {
    __m512i s[DOT_SIDE], high[DOT_SIDE];
    DOT_UNROLL for (int k = 0; k < n; k++) {
        const struct activation *a = &x[k][at];
        s[k] = dot_start(f.has_sub ? a->minus_low_sum : a->minus_sum, f.shift);
        if (f.has_sub) high[k] = dot_start(a->minus_sum - a->minus_low_sum, f.shift);
    }
    dot_part(run, x, at, n, 0, f.has_sub ? 4 : 8, s);
    if (f.has_sub) dot_part(run, x, at, n, 4, 8, high);
    DOT_UNROLL for (int k = 0; k < n; k++) {
        if (f.has_sub) s[k] = dot_halves_added(run, s[k], high[k]);
        y[k] = dot_scale(run, &x[k][at], f.has_min, s[k], y[k]);
    }
}

DOT_INLINE void dot_tokens(const struct type_dot *d, const struct block_type *t, struct dot_form f,
                           int tokens, dot_load *load) {
    __m512 y[TYPE_TOKENS_AVX512];
    int parts = (tokens + DOT_SIDE - 1) / DOT_SIDE;
    DOT_UNROLL for (int k = 0; k < tokens; k++) y[k] = _mm512_setzero_ps();
    const char *quants = d->quants, *scales = d->scales, *ahead = scales + DOT_PREFETCH;
    for (int b = 0, at = 0; b < d->n_blocks; b++) {
        for (int r = 0; r < f.n_runs; r++, at++) {
            struct dot_run run;
            dot_prefetch(ahead, f.run_bytes);
            load(quants, scales, r, &run);
            DOT_UNROLL for (int i = 0; i < parts; i++) {
                int k = tokens * i / parts;
                dot_add(&run, d->x + k, at, tokens * (i + 1) / parts - k, f, y + k);
            }
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
#define DOT_CASE(n)                                                                                \
    case n:                                                                                        \
        dot_tokens(d, t, f, n, load);                                                              \
        break

DOT_INLINE void dot_group(const struct type_dot *d, const struct block_type *t, struct dot_form f,
                          dot_load *load) {
    switch (d->n) {
        DOT_CASE(1);
        DOT_CASE(2);
        DOT_CASE(3);
        DOT_CASE(4);
        DOT_CASE(5);
        DOT_CASE(6);
        DOT_CASE(7);
        DOT_CASE(8);
        DOT_CASE(9);
        DOT_CASE(10);
        DOT_CASE(11);
        DOT_CASE(12);
    }
}
#endif

#endif
