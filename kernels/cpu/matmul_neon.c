#include "kernels/cpu/matmul.h"

#include "kernels/cpu/neon.h"

// A block of rows and up to 6 tokens: 4 * 6 sums of 32 registers. Every sum takes the columns in
// order, so which group computes an output does not change its bits.
enum { GROUP_TOKENS = 6, QUARTERS = MATMUL_ROWS / 4 };

// The weights of 4 rows in one column, of a step of columns: of a pair of bf16 the first or the
// second, the high half of a word being the float32.
static LANES_INLINE float32x4_t weights_of(enum dtype dtype, const char *at, int i, int second) {
    if (dtype != DTYPE_BF16) return neon_load(dtype, at + (size_t)(4 * i) * dtype_bytes(dtype));
    uint32x4_t pair = vreinterpretq_u32_u8(vld1q_u8((const uint8_t *)at + 16 * i));
    return vreinterpretq_f32_u32(second ? vandq_u32(pair, vdupq_n_u32(0xffff0000u))
                                        : vshlq_n_u32(pair, 16));
}

static LANES_INLINE void column(const float *const *x, enum dtype dtype, int tokens, size_t c,
                                const char *at, int second, float32x4_t s[GROUP_TOKENS][QUARTERS]) {
    float32x4_t w[QUARTERS];
    LANES_UNROLL for (int i = 0; i < QUARTERS; i++) w[i] = weights_of(dtype, at, i, second);
    LANES_UNROLL for (int k = 0; k < tokens; k++) {
        float32x4_t v = vdupq_n_f32(x[k][c]);
        LANES_UNROLL for (int i = 0; i < QUARTERS; i++) s[k][i] = vfmaq_f32(s[k][i], w[i], v);
    }
}

// Block `b` of the tile, tokens token .. token + tokens - 1.
static LANES_INLINE void group(const struct matmul_tile *t, enum dtype dtype, int b, int token,
                               int tokens) {
    const struct matrix *m = t->m;
    const float *const *x = t->x + token;
    size_t size = dtype_bytes(dtype), columns = (size_t)m->columns, c = 0;
    size_t step = dtype == DTYPE_BF16 ? 2 : 1, row = MATMUL_ROWS * size;
    const char *w =
        (const char *)m->data + (size_t)(t->block + b) * matmul_block(dtype, m->columns) * size;
    float32x4_t s[GROUP_TOKENS][QUARTERS];
    LANES_UNROLL for (int k = 0; k < tokens; k++) {
        LANES_UNROLL for (int i = 0; i < QUARTERS; i++) s[k][i] = vdupq_n_f32(0);
    }
    for (; c + step <= columns; c += step) {
        column(x, dtype, tokens, c, w + c * row, 0, s);
        if (step == 2) column(x, dtype, tokens, c + 1, w + c * row, 1, s);
    }
    if (c < columns) column(x, dtype, tokens, c, w + c * row, 0, s);
    LANES_UNROLL for (int k = 0; k < tokens; k++) {
        LANES_UNROLL for (int i = 0; i < QUARTERS; i++) {
            int at = b * MATMUL_ROWS + 4 * i;
            float *y = t->y[token + k] + at;
            float32x4_t v = s[k][i];
            if (t->bias) v = vaddq_f32(v, vld1q_f32(t->bias + at));
            if (t->add) v = vaddq_f32(vld1q_f32(y), v);
            vst1q_f32(y, v);
        }
    }
}

#define TOKENS(N)                                                                                  \
    case N:                                                                                        \
        for (int b = 0; b < t->n_blocks; b++) group(t, dtype, b, token, N);                        \
        break

static LANES_INLINE void tile(const struct matmul_tile *t, enum dtype dtype) {
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

void matmul_tile_neon(const struct matmul_tile *t) {
    if (t->m->dtype == DTYPE_BF16)
        tile(t, DTYPE_BF16);
    else if (t->m->dtype == DTYPE_F16)
        tile(t, DTYPE_F16);
    else
        tile(t, DTYPE_F32);
}
