// What the *_avx2.c files of block types share: they need AVX2 and F16C. A vector of 32 bytes is 8
// of a group's 16 rows, 4 columns each; a lane of 32 bits is a row.
//
// vpmaddubsw multiplies unsigned weights with signed activations and adds pairs in 16 bits. How
// many such sums can be added before they must be widened follows from the largest weight: 2 * 127
// * weight * sums <= 32767.
#ifndef KERNELS_TYPES_DOT_AVX2_H
#define KERNELS_TYPES_DOT_AVX2_H

#include <immintrin.h>
#include <string.h>

#include "kernels/types/tile.h"
#include "kernels/types/types.h"

enum { DOT_TOKENS = 4 };

struct dot_run {
    __m256i w[8]; // weights, 4 columns each
    __m256 scale, min;
    __m256i sub[2]; // of the two halves of 16 columns
};

// What a type is to the products, constants.
struct dot_form {
    int n_runs, run_bytes;
    int shift; // weights have a zero point of 2^shift; -1: none
    int sums;  // that 16 bits hold; 0: weights are signed
    bool has_sub, has_min;
};

DOT_INLINE __m256 dot_halves(const void *p) {
    return _mm256_cvtph_ps(_mm_loadu_si128(p));
}

DOT_INLINE __m256 dot_bytes(const void *p) {
    return _mm256_cvtepi32_ps(_mm256_cvtepu8_epi32(_mm_loadl_epi64(p)));
}

DOT_INLINE void dot_nibbles(const char *tile, __m256i w[8]) {
    const __m256i low = _mm256_set1_epi8(15);
    DOT_UNROLL for (int v = 0; v < 4; v++) {
        __m256i both = _mm256_loadu_si256((const void *)(tile + v * TILE_VECTOR));
        w[2 * v] = _mm256_and_si256(both, low);
        w[2 * v + 1] = _mm256_and_si256(_mm256_srli_epi16(both, 4), low);
    }
}

DOT_INLINE __m256i dot_q(const struct activation *x, int g) {
    int32_t q;
    memcpy(&q, x->q + 4 * g, 4);
    return _mm256_set1_epi32(q);
}

// Columns 4 first .. 4 end - 1, in 32 bits.
DOT_INLINE __m256i dot_part(const struct dot_run *run, const struct activation *x, int first,
                            int end, int sums) {
    const __m256i one = _mm256_set1_epi16(1);
    __m256i s = _mm256_setzero_si256();
    int step = sums ? sums : 1;
    DOT_UNROLL for (int from = first; from < end; from += step) {
        __m256i pairs = _mm256_setzero_si256();
        DOT_UNROLL for (int i = 0; i < step; i++) {
            __m256i q = dot_q(x, from + i), w = run->w[from + i];
            if (!sums) {
                q = _mm256_sign_epi8(q, w);
                w = _mm256_abs_epi8(w);
            }
            __m256i p = _mm256_maddubs_epi16(w, q);
            pairs = i == 0 ? p : _mm256_add_epi16(pairs, p);
        }
        pairs = _mm256_madd_epi16(pairs, one);
        s = from == first ? pairs : _mm256_add_epi32(s, pairs);
    }
    return s;
}

DOT_INLINE __m256i dot_zero(__m256i s, int32_t minus_sum, int shift) {
    return shift < 0 ? s
                     : _mm256_add_epi32(s, _mm256_slli_epi32(_mm256_set1_epi32(minus_sum), shift));
}

DOT_INLINE __m256 dot_add(const struct dot_run *run, const struct activation *x,
                          const struct dot_form *f, __m256 y) {
    __m256i s;
    if (f->has_sub) {
        __m256i a = dot_zero(dot_part(run, x, 0, 4, f->sums), x->minus_low_sum, f->shift);
        __m256i b =
            dot_zero(dot_part(run, x, 4, 8, f->sums), x->minus_sum - x->minus_low_sum, f->shift);
        s = _mm256_add_epi32(_mm256_mullo_epi32(a, run->sub[0]),
                             _mm256_mullo_epi32(b, run->sub[1]));
    } else {
        s = dot_zero(dot_part(run, x, 0, 8, f->sums), x->minus_sum, f->shift);
    }
    __m256 scale = _mm256_mul_ps(run->scale, _mm256_set1_ps(x->scale));
    y = _mm256_add_ps(y, _mm256_mul_ps(_mm256_cvtepi32_ps(s), scale));
    if (!f->has_min) return y;
    return _mm256_add_ps(y, _mm256_mul_ps(run->min, _mm256_set1_ps(x->minus_scaled_sum)));
}

// load(quants, scales, run of the block, half of the rows, out)
typedef void dot_load(const char *quants, const char *scales, int r, int half, struct dot_run *out);

DOT_INLINE const char *dot_ask(const char *ahead, int bytes) {
    for (int p = 0; p < bytes; p += 64) _mm_prefetch(ahead + p, _MM_HINT_T1);
    return ahead + bytes;
}

// Half a group of rows with `tokens` tokens from `first` on. Each half asks for half of the next
// group: asked for as they are read, all lines would come in the first half, which waits for
// memory, and none in the second, which reads the same ones again.
DOT_INLINE void dot_half(const struct type_dot *d, const struct block_type *t, struct dot_form f,
                         int half, int first, int tokens, dot_load *load) {
    __m256 y[DOT_TOKENS];
    DOT_UNROLL for (int k = 0; k < tokens; k++) y[k] = _mm256_setzero_ps();
    const char *quants = d->quants, *scales = d->scales;
    size_t group = (size_t)d->n_blocks * (size_t)(f.n_runs * f.run_bytes + t->scale_bytes);
    const char *ahead = scales + group + (size_t)half * group / 2;
    for (int b = 0, at = 0; b < d->n_blocks; b++) {
        for (int r = 0; r < f.n_runs; r++, at++) {
            struct dot_run run;
            if (first == 0) ahead = dot_ask(ahead, f.run_bytes / 2);
            load(quants + 32 * half, scales, r, half, &run);
            DOT_UNROLL for (int k = 0; k < tokens; k++) y[k] =
                dot_add(&run, d->x[first + k] + at, &f, y[k]);
            quants += f.run_bytes;
        }
        if (first == 0) ahead = dot_ask(ahead, t->scale_bytes / 2);
        scales += t->scale_bytes;
    }
    DOT_UNROLL for (int k = 0; k < tokens; k++) _mm256_storeu_ps(d->y[first + k] + 8 * half, y[k]);
}

DOT_INLINE void dot_group(const struct type_dot *d, const struct block_type *t, struct dot_form f,
                          dot_load *load) {
    for (int half = 0; half < 2; half++) {
        int k = 0;
        for (; k + 4 <= d->n; k += 4) dot_half(d, t, f, half, k, 4, load);
        if (d->n - k == 3) dot_half(d, t, f, half, k, 3, load);
        if (d->n - k == 2) dot_half(d, t, f, half, k, 2, load);
        if (d->n - k == 1) dot_half(d, t, f, half, k, 1, load);
    }
}

#endif
