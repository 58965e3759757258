#include "kernels/cpu/matmul.h"

#include "kernels/cpu/avx2.h"

// A group of BLOCKS blocks of rows and TOKENS tokens keeps 2 * BLOCKS * TOKENS sums in registers:
// at most 12 of 16, and at least 8 where there is that much work, to hide the FMA's latency. Every
// sum takes the columns in order, so which group computes an output does not change its bits.
enum { GROUP_TOKENS = 6, PREFETCH_BYTES = 2048 }; // ahead in each stream of weights

struct group {
    const char *w[4]; // the blocks
    const float *const *x;
    size_t columns;
};

// The weights of 8 rows in one column, of a step of columns: of a pair of bf16 the first or the
// second, the high half of a word being the float32.
static AVX2_INLINE __m256 weights_of(enum dtype dtype, const char *at, int half, int second) {
    if (dtype != DTYPE_BF16) return avx2_load(dtype, at + (size_t)half * 8 * dtype_bytes(dtype));
    __m256i pair = _mm256_loadu_si256((const __m256i *)(at + (size_t)half * 32));
    if (!second) return _mm256_castsi256_ps(_mm256_slli_epi32(pair, 16));
    return _mm256_castsi256_ps(_mm256_slli_epi32(_mm256_srli_epi32(pair, 16), 16));
}

// One column of one block. Registers decide the order: the sums, and either the weights of one half
// and all tokens, or one token and the weights of both halves.
static AVX2_INLINE void column(const struct group *g, enum dtype dtype, int tokens, size_t c,
                               const char *at, int second, __m256 s[GROUP_TOKENS][2]) {
    if (tokens <= 3) {
        __m256 x[GROUP_TOKENS];
        AVX2_UNROLL for (int k = 0; k < tokens; k++) x[k] = _mm256_broadcast_ss(g->x[k] + c);
        AVX2_UNROLL for (int i = 0; i < 2; i++) {
            __m256 w = weights_of(dtype, at, i, second);
            AVX2_UNROLL for (int k = 0; k < tokens; k++) s[k][i] =
                _mm256_fmadd_ps(w, x[k], s[k][i]);
        }
        return;
    }
    __m256 low = weights_of(dtype, at, 0, second), high = weights_of(dtype, at, 1, second);
    AVX2_UNROLL for (int k = 0; k < tokens; k++) {
        __m256 x = _mm256_broadcast_ss(g->x[k] + c);
        s[k][0] = _mm256_fmadd_ps(low, x, s[k][0]);
        s[k][1] = _mm256_fmadd_ps(high, x, s[k][1]);
    }
}

static AVX2_INLINE void sums(const struct group *g, enum dtype dtype, int blocks, int tokens,
                             __m256 s[4][GROUP_TOKENS][2]) {
    AVX2_UNROLL for (int b = 0; b < blocks; b++) {
        AVX2_UNROLL for (int k = 0; k < tokens; k++) {
            s[b][k][0] = _mm256_setzero_ps();
            s[b][k][1] = _mm256_setzero_ps();
        }
    }
    size_t step = dtype == DTYPE_BF16 ? 2 : 1, c = 0;
    size_t row = MATMUL_ROWS * dtype_bytes(dtype);
    for (; c + step <= g->columns; c += step) {
        AVX2_UNROLL for (int b = 0; b < blocks; b++) {
            const char *at = g->w[b] + c * row;
            if (tokens > 1) _mm_prefetch(at + PREFETCH_BYTES, _MM_HINT_T0);
            column(g, dtype, tokens, c, at, 0, s[b]);
            if (step == 2) column(g, dtype, tokens, c + 1, at, 1, s[b]);
        }
    }
    if (c < g->columns) {
        AVX2_UNROLL for (int b = 0; b < blocks; b++)
            column(g, dtype, tokens, c, g->w[b] + c * row, 0, s[b]);
    }
}

// The group of blocks first .. first + blocks - 1 of the tile, tokens token .. token + tokens - 1.
static AVX2_INLINE void group(const struct matmul_tile *t, enum dtype dtype, int first, int token,
                              int blocks, int tokens) {
    const struct matrix *m = t->m;
    struct group g = {.x = t->x + token, .columns = (size_t)m->columns};
    size_t block_bytes = matmul_block(dtype, m->columns) * dtype_bytes(dtype);
    AVX2_UNROLL for (int b = 0; b < blocks; b++) g.w[b] =
        (const char *)m->data + (size_t)(t->block + first + b) * block_bytes;
    __m256 s[4][GROUP_TOKENS][2];
    sums(&g, dtype, blocks, tokens, s);
    AVX2_UNROLL for (int b = 0; b < blocks; b++) {
        AVX2_UNROLL for (int k = 0; k < tokens; k++) {
            AVX2_UNROLL for (int i = 0; i < 2; i++) {
                int row = (first + b) * MATMUL_ROWS + i * 8;
                __m256 v = s[b][k][i];
                float *y = t->y[token + k] + row;
                if (t->bias) v = _mm256_add_ps(v, _mm256_loadu_ps(t->bias + row));
                if (t->add) v = _mm256_add_ps(_mm256_loadu_ps(y), v);
                _mm256_storeu_ps(y, v);
            }
        }
    }
}

// All blocks of the tile for some of its tokens, a few blocks at a time.
#define TOKENS(N, BLOCKS)                                                                          \
    case N:                                                                                        \
        for (; b + BLOCKS <= n; b += BLOCKS) group(t, dtype, b, token, BLOCKS, N);                 \
        for (; b < n; b++) group(t, dtype, b, token, 1, N);                                        \
        break

static AVX2_INLINE void tile(const struct matmul_tile *t, enum dtype dtype) {
    for (int i = 0, parts = (t->n + GROUP_TOKENS - 1) / GROUP_TOKENS; i < parts; i++) {
        int token, count, b = 0, n = t->n_blocks;
        matmul_part(t->n, parts, i, &token, &count);
        switch (count) {
            TOKENS(1, 4);
            TOKENS(2, 2);
            TOKENS(3, 2);
            TOKENS(4, 1);
            TOKENS(5, 1);
            TOKENS(6, 1);
        }
    }
}

void matmul_tile_avx2(const struct matmul_tile *t) {
    if (t->m->dtype == DTYPE_BF16)
        tile(t, DTYPE_BF16);
    else if (t->m->dtype == DTYPE_F16)
        tile(t, DTYPE_F16);
    else
        tile(t, DTYPE_F32);
}
