// Products of bf16 by AMX: activations are rounded to bf16 (nearest even, subnormals to zero), the
// sums are float32. Of 32 columns at a time those with even and those with odd numbers are summed
// apart, in order, and both added to the output's sum (kernels/amx.h). Matrices of other types are
// multiplied exactly.
#include "kernels/amx.h"
#include "kernels/cpu/avx512.h"
#include "kernels/cpu/matmul_panel.h"

// Tiles 0 to 3 are the sums of as many blocks of rows, 4 and 5 activations and weights, 6 and 7
// those of the last columns, where these are not 32.
enum { STEP_PAIRS = PANEL_STEP / 2, BLOCKS = 4, ROW_BYTES = 4 * MATMUL_ROWS };
enum { SUM_BYTES = sizeof(float[MATMUL_ROWS]), X_BYTES = sizeof(uint32_t[PANEL_WORDS]) };

static void configure(int tokens, int n_pairs) {
    struct amx_sizes sizes = {0};
    int last = n_pairs % STEP_PAIRS;
    for (int b = 0; b < BLOCKS; b++) amx_size(&sizes, b, tokens, SUM_BYTES);
    amx_size(&sizes, 4, tokens, 4 * STEP_PAIRS);
    amx_size(&sizes, 5, STEP_PAIRS, ROW_BYTES);
    if (last) amx_size(&sizes, 6, tokens, 4 * last);
    if (last) amx_size(&sizes, 7, last, ROW_BYTES);
    AMX_CONFIGURE(&sizes);
}

// A tile's number stands in the instruction, so that a loop over blocks is written out.
#define EACH_BLOCK(OP)                                                                             \
    do {                                                                                           \
        OP(0);                                                                                     \
        if (blocks > 1) OP(1);                                                                     \
        if (blocks > 2) OP(2);                                                                     \
        if (blocks > 3) OP(3);                                                                     \
    } while (0)

#define START(b)                                                                                   \
    do {                                                                                           \
        if (p->is_first)                                                                           \
            AMX_ZERO(b);                                                                           \
        else                                                                                       \
            AMX_LOAD(b, sums[b], SUM_BYTES);                                                       \
    } while (0)
#define MULTIPLY(b, x, weights)                                                                    \
    do {                                                                                           \
        AMX_LOAD(weights, w + b * block_bytes + at, ROW_BYTES);                                    \
        AMX_DOT_BF16(b, x, weights);                                                               \
    } while (0)
#define STEP(b) MULTIPLY(b, 4, 5)
#define LAST(b) MULTIPLY(b, 6, 7)
#define END(b)  AMX_STORE(b, sums[b], SUM_BYTES)

// Blocks first .. first + blocks - 1 of the tile with one panel.
static AVX2_INLINE void multiply(const struct matmul_tile *t, struct panel *p, int first,
                                 int blocks) {
    size_t block_bytes = matmul_block(DTYPE_BF16, t->m->columns) * 2, at = 0;
    const char *w = (const char *)t->m->data + (size_t)(t->block + first) * block_bytes +
                    (size_t)p->first * MATMUL_ROWS * 2;
    float(*sums)[MATMUL_TOKENS][MATMUL_ROWS] = p->sums + first;
    int c = 0;
    EACH_BLOCK(START);
    for (; c + STEP_PAIRS <= p->n_pairs; c += STEP_PAIRS, at += STEP_PAIRS * ROW_BYTES) {
        AMX_LOAD(4, &p->x[0][c], X_BYTES);
        EACH_BLOCK(STEP);
    }
    if (c < p->n_pairs) {
        AMX_LOAD(6, &p->x[0][c], X_BYTES);
        EACH_BLOCK(LAST);
    }
    EACH_BLOCK(END);
}

static AVX2_INLINE void finish(const struct matmul_tile *t, const struct panel *p, int b) {
    for (int k = 0; k < t->n; k++) {
        __m512 sum = _mm512_loadu_ps(p->sums[b][k]);
        float *y = t->y[k] + b * MATMUL_ROWS;
        if (t->bias) sum = _mm512_add_ps(sum, _mm512_loadu_ps(t->bias + b * MATMUL_ROWS));
        if (t->add) sum = _mm512_add_ps(_mm512_loadu_ps(y), sum);
        _mm512_storeu_ps(y, sum);
    }
}

static void products(const struct matmul_tile *t, struct panel *p) {
    int b = 0, n = t->n_blocks;
    configure(t->n, p->n_pairs);
    for (; b + BLOCKS <= n; b += BLOCKS) multiply(t, p, b, BLOCKS);
    for (; b < n; b++) multiply(t, p, b, 1);
    AMX_RELEASE();
    for (b = 0; p->is_last && b < n; b++) finish(t, p, b);
}

void matmul_tile_amxbf16(const struct matmul_tile *t) {
    if (t->m->dtype != DTYPE_BF16) {
        matmul_tile_avx512(t);
        return;
    }
    panel_tile(t, avx512_round_32, products);
}
