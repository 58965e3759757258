#include "kernels/types/dot_avx512.h"

DOT_INLINE void load(const char *quants, const char *scales, int r, struct dot_run *out) {
    (void)r;
    dot_nibbles(quants, out->w);
    out->scale = dot_halves(scales);
}

void DOT_NAME(q4_0)(const struct type_dot *d) {
    const struct dot_form form = {1, TILE_NIBBLES, 3, false, false};
    dot_group(d, &type_q4_0, form, load);
}
