#include "kernels/types/dot_avx2.h"

DOT_INLINE void load(const char *quants, const char *scales, int r, int half, struct dot_run *out) {
    dot_nibbles(quants, out->w);
    const char *s = scales + 64 + 16 * r + 8 * half, *m = s + 128;
    out->scale = _mm256_mul_ps(dot_halves(scales + 16 * half), dot_bytes(s));
    out->min = _mm256_mul_ps(dot_halves(scales + 32 + 16 * half), dot_bytes(m));
}

void type_q4_k_avx2(const struct type_dot *d) {
    const struct dot_form form = {8, TILE_NIBBLES, -1, 8, false, true};
    dot_group(d, &type_q4_k, form, load);
}
