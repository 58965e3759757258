// As activation.c, the same bits.
#include <immintrin.h>
#include <string.h>

#include "kernels/types/tile.h"
#include "kernels/types/types.h"

static uint32_t largest_bits(const __m256 v[4]) {
    const __m256i mask = _mm256_set1_epi32(0x7fffffff);
    __m256i m = _mm256_and_si256(_mm256_castps_si256(v[0]), mask);
    DOT_UNROLL for (int i = 1; i < 4; i++) {
        m = _mm256_max_epi32(m, _mm256_and_si256(_mm256_castps_si256(v[i]), mask));
    }
    __m128i h = _mm_max_epi32(_mm256_castsi256_si128(m), _mm256_extracti128_si256(m, 1));
    h = _mm_max_epi32(h, _mm_shuffle_epi32(h, 0x4e));
    h = _mm_max_epi32(h, _mm_shuffle_epi32(h, 0xb1));
    return (uint32_t)_mm_cvtsi128_si32(h);
}

static int32_t sum_of(__m256i v) {
    __m128i h = _mm_add_epi32(_mm256_castsi256_si128(v), _mm256_extracti128_si256(v, 1));
    h = _mm_add_epi32(h, _mm_shuffle_epi32(h, 0x4e));
    h = _mm_add_epi32(h, _mm_shuffle_epi32(h, 0xb1));
    return _mm_cvtsi128_si32(h);
}

void type_activate_avx2(const float *x, int n, struct activation *out) {
    const __m256i order = _mm256_setr_epi32(0, 4, 1, 5, 2, 6, 3, 7);
    for (int i = 0; i < n / TYPE_RUN; i++) {
        __m256 v[4];
        DOT_UNROLL for (int k = 0; k < 4; k++) {
            v[k] = _mm256_loadu_ps(x + i * TYPE_RUN + 8 * k);
        }
        uint32_t bits = largest_bits(v);
        float largest;
        memcpy(&largest, &bits, 4);
        if (bits >= 0x7f800000u || largest <= 1e-30f) {
            type_activate_portable(x + i * TYPE_RUN, TYPE_RUN, &out[i]);
            continue;
        }
        __m256 per_unit = _mm256_set1_ps(127.0f / largest);
        __m256i q[4];
        DOT_UNROLL for (int k = 0; k < 4; k++) {
            q[k] = _mm256_cvtps_epi32(_mm256_mul_ps(v[k], per_unit));
        }
        int32_t low = sum_of(_mm256_add_epi32(q[0], q[1]));
        int32_t high = sum_of(_mm256_add_epi32(q[2], q[3]));
        __m256i p =
            _mm256_packs_epi16(_mm256_packs_epi32(q[0], q[1]), _mm256_packs_epi32(q[2], q[3]));
        _mm256_storeu_si256((__m256i *)(void *)out[i].q, _mm256_permutevar8x32_epi32(p, order));
        activation_set_sums(&out[i], largest, low, high);
    }
}
