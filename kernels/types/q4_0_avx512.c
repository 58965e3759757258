#include "kernels/types/dot_avx512.h"

DOT_INLINE void load(const char *quants, const char *scales, int r, struct dot_run *out) {
    (void)r;
    dot_nibbles(quants, out->w);
    out->scale = dot_halves(scales);
}

DOT_INLINE void group(const struct type_dot *d, int tokens) {
    dot_group(d, &type_q4_0, 1, TILE_NIBBLES, 3, false, false, tokens, load);
}

void type_q4_0_avx512(const struct type_dot *d) {
    DOT_TOKENS(d, group);
}
