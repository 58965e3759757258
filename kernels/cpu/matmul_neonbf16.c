// Products of bf16 pairs: activations are rounded to bf16 (nearest even), the sums are float32. One
// instruction adds two products to a sum, with the roundings of the architecture's BFDOT (to odd,
// subnormals to zero), so the columns are taken in pairs, in order. Matrices of other types are
// multiplied exactly.
#include "kernels/cpu/neon.h"

#include "kernels/cpu/matmul_panel.h"

// A block of rows and up to 6 tokens: 4 * 6 sums of 32 registers.
enum { GROUP_TOKENS = 6, QUARTERS = MATMUL_ROWS / 4 };

static LANES_INLINE void round_32(const float *x, uint32_t *out) {
    LANES_UNROLL for (int i = 0; i < PANEL_STEP; i += 8) {
        bfloat16x8_t low = vcvtq_low_bf16_f32(vld1q_f32(x + i));
        bfloat16x8_t all = vcvtq_high_bf16_f32(low, vld1q_f32(x + i + 4));
        vst1q_u32(out + i / 2, vreinterpretq_u32_bf16(all));
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

static void products(const struct matmul_tile *t, struct panel *p) {
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
    panel_tile(t, round_32, products);
}
