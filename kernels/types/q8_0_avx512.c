#include "kernels/types/dot_avx512.h"

DOT_INLINE void load(const char *quants, const char *scales, int r, struct dot_run *out) {
    const __m512i flip = _mm512_set1_epi8((char)0x80); // from -128 .. 127 to 0 .. 255
    (void)r;
    DOT_UNROLL for (int g = 0; g < 8; g++) out->w[g] =
        _mm512_xor_si512(_mm512_loadu_si512(quants + g * TILE_VECTOR), flip);
    out->scale = dot_halves(scales);
}

DOT_INLINE void group(const struct type_dot *d, int tokens) {
    dot_group(d, &type_q8_0, 1, TILE_BYTES, 7, false, false, tokens, load);
}

void type_q8_0_avx512(const struct type_dot *d) {
    DOT_TOKENS(d, group);
}
