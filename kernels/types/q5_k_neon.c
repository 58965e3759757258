#include "kernels/types/dot_neon.h"

enum { TILE = TILE_NIBBLES + TILE_VECTOR };

// The fifth bit of the 4 columns of each vector.
DOT_INLINE void put_bits(uint8x16_t high, uint8x16_t w[8]) {
    const uint8x16_t bit = vdupq_n_u8(16);
    w[0] = vbslq_u8(bit, vshlq_n_u8(high, 4), w[0]);
    w[1] = vbslq_u8(bit, vshlq_n_u8(high, 3), w[1]);
    w[2] = vbslq_u8(bit, vshlq_n_u8(high, 2), w[2]);
    w[3] = vbslq_u8(bit, vshlq_n_u8(high, 1), w[3]);
    w[4] = vbslq_u8(bit, high, w[4]);
    w[5] = vbslq_u8(bit, vshrq_n_u8(high, 1), w[5]);
    w[6] = vbslq_u8(bit, vshrq_n_u8(high, 2), w[6]);
    w[7] = vbslq_u8(bit, vshrq_n_u8(high, 3), w[7]);
}

DOT_INLINE void load(const char *quants, const char *scales, int r, int quarter,
                     struct dot_run *out) {
    dot_nibbles(quants, out->w);
    put_bits(vld1q_u8((const uint8_t *)quants + TILE_NIBBLES), out->w);
    const char *s = scales + 64 + 16 * r + 4 * quarter, *m = s + 128;
    out->scale = vmulq_f32(dot_halves(scales + 8 * quarter), dot_bytes(s));
    out->min = vmulq_f32(dot_halves(scales + 32 + 8 * quarter), dot_bytes(m));
}

void DOT_NAME(q5_k)(const struct type_dot *d) {
    const struct dot_form form = {8, TILE, -1, 4, false, true};
    dot_group(d, &type_q5_k, form, load);
}
