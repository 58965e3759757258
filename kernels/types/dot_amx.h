// Products of many tokens by AMX: tokens are the rows of a tile of activations, a run of 32 columns
// of 16 rows is the other one as it lies. Whole numbers of a run come out exactly, so the bits are
// those of every path. Included by dot_avx512.h.
//
// A run costs stores and loads of its own (weights in bytes, activations side by side, products on
// their way to registers), which few tokens do not pay for: these go by vpdpbusd.
#ifndef KERNELS_TYPES_DOT_AMX_H
#define KERNELS_TYPES_DOT_AMX_H

#include "kernels/amx.h"

enum { DOT_AMX_FEW = 8, DOT_PART = TYPE_RUN / 2 }; // tokens; columns with one number of Q6_K

// What passes between registers and tiles.
struct dot_amx {
    _Alignas(64) int8_t w[8][TILE_VECTOR]; // 4 columns of all rows each
    _Alignas(64) int8_t x[TYPE_TOKENS][TYPE_RUN];
    _Alignas(64) int32_t s[2][TYPE_TOKENS][TYPE_ROWS];
};

// Tiles 0 and 1 are sums, 2 and 3 activations, 4 and 5 weights; the second of each are those of the
// last 16 columns, where a half has a number of its own.
DOT_INLINE void dot_configure(int tokens, bool has_sub) {
    struct amx_sizes sizes = {0};
    int columns = has_sub ? DOT_PART : TYPE_RUN;
    for (int half = 0; half < (has_sub ? 2 : 1); half++) {
        amx_size(&sizes, half, tokens, TYPE_ROWS * (int)sizeof(int32_t));
        amx_size(&sizes, 2 + half, tokens, columns);
        amx_size(&sizes, 4 + half, columns / 4, TILE_VECTOR);
    }
    AMX_CONFIGURE(&sizes);
}

// Weights as signed bytes, and the activations of all tokens.
DOT_INLINE void dot_lay(const struct type_dot *d, const struct dot_run *run, int shift, int at,
                        struct dot_amx *m) {
    __m512i zero = _mm512_set1_epi8((char)(shift < 0 ? 0 : 1 << (shift & 31)));
    DOT_UNROLL for (int g = 0; g < 8; g++)
        _mm512_store_si512(m->w[g], _mm512_sub_epi8(run->w[g], zero));
    for (int k = 0; k < d->n; k++)
        _mm256_store_si256((void *)m->x[k], _mm256_loadu_si256((const void *)d->x[k][at].q));
}

DOT_INLINE void dot_multiply(struct dot_amx *m, bool has_sub) {
    AMX_ZERO(0);
    AMX_LOAD(2, m->x, TYPE_RUN);
    AMX_LOAD(4, m->w, TILE_VECTOR);
    AMX_DOT_INT8(0, 2, 4);
    AMX_STORE(0, m->s[0], TYPE_ROWS * sizeof(int32_t));
    if (!has_sub) return;
    AMX_ZERO(1);
    AMX_LOAD(3, m->x[0] + DOT_PART, TYPE_RUN);
    AMX_LOAD(5, m->w[DOT_PART / 4], TILE_VECTOR);
    AMX_DOT_INT8(1, 3, 5);
    AMX_STORE(1, m->s[1], TYPE_ROWS * sizeof(int32_t));
}

DOT_INLINE void dot_many(const struct type_dot *d, const struct block_type *t, struct dot_form f,
                         dot_load *load) {
    struct dot_amx m;
    const char *quants = d->quants, *scales = d->scales, *ahead = scales + DOT_PREFETCH;
    for (int k = 0; k < d->n; k++) _mm512_storeu_ps(d->y[k], _mm512_setzero_ps());
    dot_configure(d->n, f.has_sub);
    for (int b = 0, at = 0; b < d->n_blocks; b++) {
        for (int r = 0; r < f.n_runs; r++, at++) {
            struct dot_run run;
            dot_prefetch(ahead, f.run_bytes);
            load(quants, scales, r, &run);
            dot_lay(d, &run, f.shift, at, &m);
            dot_multiply(&m, f.has_sub);
            for (int k = 0; k < d->n; k++) {
                __m512i s = _mm512_load_si512(m.s[0][k]);
                if (f.has_sub) s = dot_halves_added(&run, s, _mm512_load_si512(m.s[1][k]));
                __m512 y = dot_scale(&run, d->x[k] + at, f.has_min, s, _mm512_loadu_ps(d->y[k]));
                _mm512_storeu_ps(d->y[k], y);
            }
            quants += f.run_bytes;
            ahead += f.run_bytes;
        }
        dot_prefetch(ahead, t->scale_bytes);
        ahead += t->scale_bytes;
        scales += t->scale_bytes;
    }
    AMX_RELEASE();
}

DOT_INLINE void dot_group(const struct type_dot *d, const struct block_type *t, struct dot_form f,
                          dot_load *load) {
    if (d->n <= DOT_AMX_FEW)
        t->dot[TYPE_AVX512](d);
    else
        dot_many(d, t, f, load);
}

#endif
