// Products of bf16 pairs: activations are rounded to bf16 (nearest even, subnormals to zero), the
// sums are float32. One instruction adds two products to a sum, so the columns are taken in pairs,
// in order. Matrices of other types are multiplied exactly.
#include "kernels/cpu/avx512.h"
#include "kernels/cpu/matmul_panel.h"

// The group of blocks first .. first + blocks - 1 of the tile, tokens token .. token + tokens - 1,
// as in matmul_avx512.c.
static AVX2_INLINE void group(const struct matmul_tile *t, struct panel *p, int first, int token,
                              int blocks, int tokens) {
    const struct matrix *m = t->m;
    size_t block_bytes = matmul_block(DTYPE_BF16, m->columns) * 2, pair = 4 * MATMUL_ROWS;
    const char *w[4];
    __m512 s[4][MATMUL_TOKENS];
    AVX2_UNROLL for (int b = 0; b < blocks; b++) {
        w[b] = (const char *)m->data + (size_t)(t->block + first + b) * block_bytes +
               (size_t)p->first * MATMUL_ROWS * 2;
        AVX2_UNROLL for (int k = 0; k < tokens; k++) s[b][k] =
            p->is_first ? _mm512_setzero_ps() : _mm512_loadu_ps(p->sums[first + b][token + k]);
    }
    for (size_t c = 0; c < (size_t)p->n_pairs; c++) {
        __m512bh v[4];
        avx512_prefetch(w, blocks, c * pair, (size_t)p->n_pairs * pair, block_bytes);
        AVX2_UNROLL for (int b = 0; b < blocks; b++) v[b] =
            (__m512bh)_mm512_loadu_si512(w[b] + c * pair);
        AVX2_UNROLL for (int k = 0; k < tokens; k++) {
            __m512bh x = (__m512bh)_mm512_set1_epi32((int)p->x[token + k][c]);
            AVX2_UNROLL for (int b = 0; b < blocks; b++) s[b][k] =
                _mm512_dpbf16_ps(s[b][k], v[b], x);
        }
    }
    AVX2_UNROLL for (int b = 0; b < blocks; b++) {
        AVX2_UNROLL for (int k = 0; k < tokens; k++) {
            int row = (first + b) * MATMUL_ROWS;
            __m512 sum = s[b][k];
            float *y = p->is_last ? t->y[token + k] + row : p->sums[first + b][token + k];
            if (p->is_last && t->bias) sum = _mm512_add_ps(sum, _mm512_loadu_ps(t->bias + row));
            if (p->is_last && t->add) sum = _mm512_add_ps(_mm512_loadu_ps(y), sum);
            _mm512_storeu_ps(y, sum);
        }
    }
}

// All blocks of the tile, a few at a time.
#define TOKENS(N)                                                                                  \
    case N:                                                                                        \
        for (; b + (N > 6 ? 2 : 4) <= n; b += N > 6 ? 2 : 4) group(t, p, b, 0, N > 6 ? 2 : 4, N);  \
        for (; b < n; b++) group(t, p, b, 0, 1, N);                                                \
        break

static void products(const struct matmul_tile *t, struct panel *p) {
    int b = 0, n = t->n_blocks;
    switch (t->n) {
        TOKENS(1);
        TOKENS(2);
        TOKENS(3);
        TOKENS(4);
        TOKENS(5);
        TOKENS(6);
        TOKENS(7);
        TOKENS(8);
        TOKENS(9);
        TOKENS(10);
        TOKENS(11);
        TOKENS(12);
    }
}

void matmul_tile_avx512bf16(const struct matmul_tile *t) {
    if (t->m->dtype != DTYPE_BF16) {
        matmul_tile_avx512(t);
        return;
    }
    panel_tile(t, avx512_round_32, products);
}
