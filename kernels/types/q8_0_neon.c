#include "kernels/types/dot_neon.h"

DOT_INLINE void load(const char *quants, const char *scales, int r, int quarter,
                     struct dot_run *out) {
    (void)r;
    DOT_UNROLL for (int g = 0; g < 8; g++) out->w[g] =
        vld1q_u8((const uint8_t *)quants + g * TILE_VECTOR);
    out->scale = dot_halves(scales + 8 * quarter);
}

void DOT_NAME(q8_0)(const struct type_dot *d) {
    const struct dot_form form = {1, TILE_BYTES, -1, 1, false, false};
    dot_group(d, &type_q8_0, form, load);
}
