// Products of bf16 pairs: activations are rounded to bf16 (nearest even), the sums are float32. One
// instruction adds two products to a sum, with the roundings of the architecture's BFDOT (to odd,
// subnormals to zero), so the columns are taken in pairs, in order. Matrices of other types are
// multiplied exactly.
#include "kernels/cpu/matmul.h"

#include <string.h>

#include "kernels/cpu/neon.h"

// PANEL columns of the activations are rounded at a time; sums wait in memory from one panel to the
// next. A block of rows and up to 6 tokens: 4 * 6 sums of 32 registers.
enum { PANEL = 2048, MAX_BLOCKS = 64, GROUP_TOKENS = 6, QUARTERS = MATMUL_ROWS / 4 };

struct panel {
    int first, n_pairs; // columns first .. first + 2 * n_pairs - 1
    bool is_first, is_last;
    uint32_t x[MATMUL_TOKENS][PANEL / 2]; // pairs of bf16
    float sums[MAX_BLOCKS][MATMUL_TOKENS][MATMUL_ROWS];
};

static LANES_INLINE void round_8(const float *x, uint32_t *out) {
    bfloat16x8_t low = vcvtq_low_bf16_f32(vld1q_f32(x));
    bfloat16x8_t all = vcvtq_high_bf16_f32(low, vld1q_f32(x + 4));
    vst1q_u32(out, vreinterpretq_u32_bf16(all));
}

static void round_panel(const struct matmul_tile *t, struct panel *p) {
    int n = t->m->columns - p->first < PANEL ? t->m->columns - p->first : PANEL;
    p->n_pairs = (n + 1) / 2;
    for (int k = 0; k < t->n; k++) {
        const float *x = t->x[k] + p->first;
        int c = 0;
        for (; c + 8 <= n; c += 8) round_8(x + c, &p->x[k][c / 2]);
        if (c == n) continue;
        float tail[8] = {0};
        memcpy(tail, x + c, (size_t)(n - c) * sizeof *x);
        round_8(tail, &p->x[k][c / 2]);
    }
}

// Block `b` of the tile, tokens token .. token + tokens - 1.
static LANES_INLINE void group(const struct matmul_tile *t, struct panel *p, int b, int token,
                               int tokens) {
    size_t block = matmul_block(DTYPE_BF16, t->m->columns), first = (size_t)p->first * MATMUL_ROWS;
    const bfloat16_t *w = (const bfloat16_t *)t->m->data + (size_t)(t->block + b) * block + first;
    float32x4_t s[GROUP_TOKENS][QUARTERS];
    LANES_UNROLL for (int k = 0; k < tokens; k++) {
        LANES_UNROLL for (int i = 0; i < QUARTERS; i++) s[k][i] =
            p->is_first ? vdupq_n_f32(0) : vld1q_f32(p->sums[b][token + k] + 4 * i);
    }
    for (int c = 0; c < p->n_pairs; c++, w += 2 * MATMUL_ROWS) {
        bfloat16x8_t v[QUARTERS];
        LANES_UNROLL for (int i = 0; i < QUARTERS; i++) v[i] = vld1q_bf16(w + 8 * i);
        LANES_UNROLL for (int k = 0; k < tokens; k++) {
            bfloat16x8_t x = vreinterpretq_bf16_u32(vdupq_n_u32(p->x[token + k][c]));
            LANES_UNROLL for (int i = 0; i < QUARTERS; i++) s[k][i] = vbfdotq_f32(s[k][i], v[i], x);
        }
    }
    LANES_UNROLL for (int k = 0; k < tokens; k++) {
        LANES_UNROLL for (int i = 0; i < QUARTERS; i++) {
            int row = b * MATMUL_ROWS + 4 * i;
            float32x4_t sum = s[k][i];
            float *y = p->is_last ? t->y[token + k] + row : p->sums[b][token + k] + 4 * i;
            if (p->is_last && t->bias) sum = vaddq_f32(sum, vld1q_f32(t->bias + row));
            if (p->is_last && t->add) sum = vaddq_f32(vld1q_f32(y), sum);
            vst1q_f32(y, sum);
        }
    }
}

#define TOKENS(N)                                                                                  \
    case N:                                                                                        \
        for (int b = 0; b < t->n_blocks; b++) group(t, p, b, token, N);                            \
        break

static void panel(const struct matmul_tile *t, struct panel *p) {
    for (int i = 0, parts = (t->n + GROUP_TOKENS - 1) / GROUP_TOKENS; i < parts; i++) {
        int token, count;
        matmul_part(t->n, parts, i, &token, &count);
        switch (count) {
            TOKENS(1);
            TOKENS(2);
            TOKENS(3);
            TOKENS(4);
            TOKENS(5);
            TOKENS(6);
        }
    }
}

void matmul_tile_neonbf16(const struct matmul_tile *t) {
    if (t->m->dtype != DTYPE_BF16) {
        matmul_tile_neon(t);
        return;
    }
    struct panel p;
    for (p.first = 0; p.first < t->m->columns; p.first += PANEL) {
        p.is_first = p.first == 0;
        p.is_last = p.first + PANEL >= t->m->columns;
        round_panel(t, &p);
        panel(t, &p);
    }
}
