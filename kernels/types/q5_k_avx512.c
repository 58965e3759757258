#include "kernels/types/dot_avx512.h"

enum { TILE = TILE_NIBBLES + TILE_VECTOR };

DOT_INLINE void load(const char *quants, const char *scales, int r, struct dot_run *out) {
    const __m512i bit = _mm512_set1_epi8(16);
    __m512i high = _mm512_loadu_si512(quants + TILE_NIBBLES);
    dot_nibbles(quants, out->w);
    DOT_UNROLL for (int g = 0; g < 8; g++) {
        __m512i h = g < 4 ? _mm512_slli_epi16(high, (unsigned)(4 - g) & 7)
                          : _mm512_srli_epi16(high, (unsigned)(g - 4) & 7);
        out->w[g] = _mm512_or_si512(out->w[g], _mm512_and_si512(h, bit));
    }
    out->scale = _mm512_mul_ps(dot_halves(scales), dot_bytes(scales + 64 + 16 * r));
    out->min = _mm512_mul_ps(dot_halves(scales + 32), dot_bytes(scales + 192 + 16 * r));
}

void DOT_NAME(q5_k)(const struct type_dot *d) {
    const struct dot_form form = {8, TILE, -1, false, true};
    dot_group(d, &type_q5_k, form, load);
}
