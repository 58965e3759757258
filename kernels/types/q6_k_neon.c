#include "kernels/types/dot_neon.h"

enum { TILE = TILE_NIBBLES + 2 * TILE_VECTOR };

// The two high bits of 4 vectors.
DOT_INLINE void put_bits(uint8x16_t high, uint8x16_t w[4]) {
    const uint8x16_t bits = vdupq_n_u8(48);
    w[0] = vbslq_u8(bits, vshlq_n_u8(high, 4), w[0]);
    w[1] = vbslq_u8(bits, vshlq_n_u8(high, 2), w[1]);
    w[2] = vbslq_u8(bits, high, w[2]);
    w[3] = vbslq_u8(bits, vshrq_n_u8(high, 2), w[3]);
}

DOT_INLINE void load(const char *quants, const char *scales, int r, int quarter,
                     struct dot_run *out) {
    const uint8_t *high = (const uint8_t *)quants + TILE_NIBBLES;
    dot_nibbles(quants, out->w);
    put_bits(vld1q_u8(high), out->w);
    put_bits(vld1q_u8(high + TILE_VECTOR), out->w + 4);
    out->scale = dot_halves(scales + 8 * quarter);
    DOT_UNROLL for (int i = 0; i < 2; i++) out->sub[i] =
        dot_signed(scales + 32 + 16 * (2 * r + i) + 4 * quarter);
}

void DOT_NAME(q6_k)(const struct type_dot *d) {
    const struct dot_form form = {8, TILE, 5, 2, true, false};
    dot_group(d, &type_q6_k, form, load);
}
