#include "kernels/types/dot_avx2.h"

enum { TILE = TILE_NIBBLES + TILE_VECTOR };

DOT_INLINE void load(const char *quants, const char *scales, int r, int half, struct dot_run *out) {
    const __m256i bit = _mm256_set1_epi8(16);
    __m256i high = _mm256_loadu_si256((const void *)(quants + TILE_NIBBLES));
    dot_nibbles(quants, out->w);
    DOT_UNROLL for (int g = 0; g < 8; g++) {
        __m256i h =
            g < 4 ? _mm256_slli_epi16(high, (4 - g) & 7) : _mm256_srli_epi16(high, (g - 4) & 7);
        out->w[g] = _mm256_or_si256(out->w[g], _mm256_and_si256(h, bit));
    }
    const char *s = scales + 64 + 16 * r + 8 * half, *m = s + 128;
    out->scale = _mm256_mul_ps(dot_halves(scales + 16 * half), dot_bytes(s));
    out->min = _mm256_mul_ps(dot_halves(scales + 32 + 16 * half), dot_bytes(m));
}

void type_q5_k_avx2(const struct type_dot *d) {
    const struct dot_form form = {8, TILE, -1, 4, false, true};
    dot_group(d, &type_q5_k, form, load);
}
