#include "kernels/types/dot_avx512.h"

DOT_INLINE void load(const char *quants, const char *scales, int r, struct dot_run *out) {
    const __m512i flip = _mm512_set1_epi8((char)0x80); // from -128 .. 127 to 0 .. 255
    (void)r;
    DOT_UNROLL for (int g = 0; g < 8; g++) out->w[g] =
        _mm512_xor_si512(_mm512_loadu_si512(quants + g * TILE_VECTOR), flip);
    out->scale = dot_halves(scales);
}

void DOT_NAME(q8_0)(const struct type_dot *d) {
    const struct dot_form form = {1, TILE_BYTES, 7, false, false};
    dot_group(d, &type_q8_0, form, load);
}
