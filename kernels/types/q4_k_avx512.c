#include "kernels/types/dot_avx512.h"

DOT_INLINE void load(const char *quants, const char *scales, int r, struct dot_run *out) {
    dot_nibbles(quants, out->w);
    out->scale = _mm512_mul_ps(dot_halves(scales), dot_bytes(scales + 64 + 16 * r));
    out->min = _mm512_mul_ps(dot_halves(scales + 32), dot_bytes(scales + 192 + 16 * r));
}

void DOT_NAME(q4_k)(const struct type_dot *d) {
    const struct dot_form form = {8, TILE_NIBBLES, -1, false, true};
    dot_group(d, &type_q4_k, form, load);
}
