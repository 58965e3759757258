#include "kernels/types/dot_avx2.h"

enum { TILE = TILE_NIBBLES + 2 * TILE_VECTOR };

DOT_INLINE void load(const char *quants, const char *scales, int r, int half, struct dot_run *out) {
    const __m256i bits = _mm256_set1_epi8(48);
    dot_nibbles(quants, out->w);
    DOT_UNROLL for (int g = 0; g < 8; g++) {
        const char *at = quants + TILE_NIBBLES + g / 4 * TILE_VECTOR;
        __m256i h = _mm256_loadu_si256((const void *)at);
        h = g % 4 < 2 ? _mm256_slli_epi16(h, (4 - 2 * (g % 4)) & 7)
                      : _mm256_srli_epi16(h, (2 * (g % 4) - 4) & 7);
        out->w[g] = _mm256_or_si256(out->w[g], _mm256_and_si256(h, bits));
    }
    out->scale = dot_halves(scales + 16 * half);
    DOT_UNROLL for (int i = 0; i < 2; i++) out->sub[i] = _mm256_cvtepi8_epi32(
        _mm_loadl_epi64((const void *)(scales + 32 + 16 * (2 * r + i) + 8 * half)));
}

void type_q6_k_avx2(const struct type_dot *d) {
    const struct dot_form form = {8, TILE, 5, 2, true, false};
    dot_group(d, &type_q6_k, form, load);
}
