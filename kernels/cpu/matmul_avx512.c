#include "kernels/cpu/matmul.h"

#include "kernels/cpu/avx512.h"

// A group of BLOCKS blocks of rows and TOKENS tokens keeps BLOCKS * TOKENS sums in registers, up to
// 24 of 32: 4 blocks for up to 6 tokens, 2 for up to 12, so that all of them meet the weights while
// these come from memory. Every sum takes the columns in order, so which group computes an output
// does not change its bits.
enum { GROUP_TOKENS = 12 };

struct group {
    const char *w[4]; // the blocks
    const float *const *x;
    size_t columns, block_bytes;
};

// The weights of a block in one column, of a step of columns: of a pair of bf16 the first or the
// second, the high half of a word being the float32.
static AVX2_INLINE __m512 weights_of(enum dtype dtype, const char *at, int second) {
    if (dtype != DTYPE_BF16) return avx512_load(dtype, at);
    __m512i pair = _mm512_loadu_si512(at);
    __m512i high = _mm512_set1_epi32((int)0xffff0000);
    return _mm512_castsi512_ps(second ? _mm512_and_si512(pair, high) : _mm512_slli_epi32(pair, 16));
}

static AVX2_INLINE void column(const struct group *g, enum dtype dtype, int blocks, int tokens,
                               size_t c, size_t at, int second, __m512 s[4][GROUP_TOKENS]) {
    __m512 w[4];
    AVX2_UNROLL for (int b = 0; b < blocks; b++) w[b] = weights_of(dtype, g->w[b] + at, second);
    AVX2_UNROLL for (int k = 0; k < tokens; k++) {
        __m512 x = _mm512_set1_ps(g->x[k][c]);
        AVX2_UNROLL for (int b = 0; b < blocks; b++) s[b][k] = _mm512_fmadd_ps(w[b], x, s[b][k]);
    }
}

static AVX2_INLINE void sums(const struct group *g, enum dtype dtype, int blocks, int tokens,
                             __m512 s[4][GROUP_TOKENS]) {
    AVX2_UNROLL for (int b = 0; b < blocks; b++) {
        AVX2_UNROLL for (int k = 0; k < tokens; k++) s[b][k] = _mm512_setzero_ps();
    }
    size_t step = dtype == DTYPE_BF16 ? 2 : 1, c = 0;
    size_t row = MATMUL_ROWS * dtype_bytes(dtype);
    for (; c + step <= g->columns; c += step) {
        avx512_prefetch(g->w, blocks, c * row, g->columns * row, g->block_bytes);
        column(g, dtype, blocks, tokens, c, c * row, 0, s);
        if (step == 2) column(g, dtype, blocks, tokens, c + 1, c * row, 1, s);
    }
    if (c < g->columns) column(g, dtype, blocks, tokens, c, c * row, 0, s);
}

// The group of blocks first .. first + blocks - 1 of the tile, tokens token .. token + tokens - 1.
static AVX2_INLINE void group(const struct matmul_tile *t, enum dtype dtype, int first, int token,
                              int blocks, int tokens) {
    const struct matrix *m = t->m;
    struct group g = {.x = t->x + token, .columns = (size_t)m->columns};
    g.block_bytes = matmul_block(dtype, m->columns) * dtype_bytes(dtype);
    AVX2_UNROLL for (int b = 0; b < blocks; b++) g.w[b] =
        (const char *)m->data + (size_t)(t->block + first + b) * g.block_bytes;
    __m512 s[4][GROUP_TOKENS];
    sums(&g, dtype, blocks, tokens, s);
    AVX2_UNROLL for (int b = 0; b < blocks; b++) {
        AVX2_UNROLL for (int k = 0; k < tokens; k++) {
            int row = (first + b) * MATMUL_ROWS;
            __m512 v = s[b][k];
            float *y = t->y[token + k] + row;
            if (t->bias) v = _mm512_add_ps(v, _mm512_loadu_ps(t->bias + row));
            if (t->add) v = _mm512_add_ps(_mm512_loadu_ps(y), v);
            _mm512_storeu_ps(y, v);
        }
    }
}

// All blocks of the tile for some of its tokens, a few blocks at a time.
#define TOKENS(N)                                                                                  \
    case N:                                                                                        \
        for (; b + (N > 6 ? 2 : 4) <= n; b += N > 6 ? 2 : 4)                                       \
            group(t, dtype, b, token, N > 6 ? 2 : 4, N);                                           \
        for (; b < n; b++) group(t, dtype, b, token, 1, N);                                        \
        break

static AVX2_INLINE void tile(const struct matmul_tile *t, enum dtype dtype) {
    for (int i = 0, parts = (t->n + GROUP_TOKENS - 1) / GROUP_TOKENS; i < parts; i++) {
        int token, count, b = 0, n = t->n_blocks;
        matmul_part(t->n, parts, i, &token, &count);
        switch (count) {
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
}

void matmul_tile_avx512(const struct matmul_tile *t) {
    if (t->m->dtype == DTYPE_BF16)
        tile(t, DTYPE_BF16);
    else if (t->m->dtype == DTYPE_F16)
        tile(t, DTYPE_F16);
    else
        tile(t, DTYPE_F32);
}
