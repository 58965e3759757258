#include "kernels/types/dot_avx512.h"

enum { TILE = TILE_NIBBLES + 2 * TILE_VECTOR };

DOT_INLINE void load(const char *quants, const char *scales, int r, struct dot_run *out) {
    const __m512i bits = _mm512_set1_epi8(48);
    dot_nibbles(quants, out->w);
    DOT_UNROLL for (int g = 0; g < 8; g++) {
        __m512i h = _mm512_loadu_si512(quants + TILE_NIBBLES + g / 4 * TILE_VECTOR);
        h = g % 4 < 2 ? _mm512_slli_epi16(h, (unsigned)(4 - 2 * (g % 4)) & 7)
                      : _mm512_srli_epi16(h, (unsigned)(2 * (g % 4) - 4) & 7);
        out->w[g] = _mm512_or_si512(out->w[g], _mm512_and_si512(h, bits));
    }
    out->scale = dot_halves(scales);
    DOT_UNROLL for (int i = 0; i < 2; i++) out->sub[i] =
        _mm512_cvtepi8_epi32(_mm_loadu_si128((const void *)(scales + 32 + 16 * (2 * r + i))));
}

void DOT_NAME(q6_k)(const struct type_dot *d) {
    const struct dot_form form = {8, TILE, 5, true, false};
    dot_group(d, &type_q6_k, form, load);
}
