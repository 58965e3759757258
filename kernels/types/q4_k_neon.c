#include "kernels/types/dot_neon.h"

DOT_INLINE void load(const char *quants, const char *scales, int r, int quarter,
                     struct dot_run *out) {
    dot_nibbles(quants, out->w);
    const char *s = scales + 64 + 16 * r + 4 * quarter, *m = s + 128;
    out->scale = vmulq_f32(dot_halves(scales + 8 * quarter), dot_bytes(s));
    out->min = vmulq_f32(dot_halves(scales + 32 + 8 * quarter), dot_bytes(m));
}

void DOT_NAME(q4_k)(const struct type_dot *d) {
    const struct dot_form form = {8, TILE_NIBBLES, -1, 4, false, true};
    dot_group(d, &type_q4_k, form, load);
}
