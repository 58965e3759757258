#include "kernels/types/dot_avx2.h"

DOT_INLINE void load(const char *quants, const char *scales, int r, int half, struct dot_run *out) {
    (void)r;
    DOT_UNROLL for (int g = 0; g < 8; g++) out->w[g] =
        _mm256_loadu_si256((const void *)(quants + g * TILE_VECTOR));
    out->scale = dot_halves(scales + 16 * half);
}

void type_q8_0_avx2(const struct type_dot *d) {
    const struct dot_form form = {1, TILE_BYTES, -1, 0, false, false};
    dot_group(d, &type_q8_0, form, load);
}
