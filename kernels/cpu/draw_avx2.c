#include "kernels/cpu/draw.h"

#include "kernels/cpu/avx2.h"
#include "kernels/math.h"

// High and low words of 8 products with one factor.
static AVX2_INLINE void multiply(__m256i a, uint32_t factor, __m256i *high, __m256i *low) {
    __m256i f = _mm256_set1_epi32((int)factor);
    __m256i even = _mm256_mul_epu32(a, f), odd = _mm256_mul_epu32(_mm256_srli_epi64(a, 32), f);
    *low = _mm256_blend_epi32(even, _mm256_slli_epi64(odd, 32), 0xaa);
    *high = _mm256_blend_epi32(_mm256_srli_epi64(even, 32), odd, 0xaa);
}

// First output words of math_philox for 8 counters (id, position, sample, 0).
static AVX2_INLINE __m256i philox(__m256i id, uint32_t position, uint32_t sample, uint64_t seed) {
    __m256i c0 = id, c1 = _mm256_set1_epi32((int)position);
    __m256i c2 = _mm256_set1_epi32((int)sample), c3 = _mm256_setzero_si256();
    uint32_t key0 = (uint32_t)seed, key1 = (uint32_t)(seed >> 32);
    for (int i = 0; i < 10; i++) {
        __m256i a_high, a_low, b_high, b_low;
        multiply(c0, 0xD2511F53u, &a_high, &a_low);
        multiply(c2, 0xCD9E8D57u, &b_high, &b_low);
        c0 = _mm256_xor_si256(_mm256_xor_si256(b_high, c1), _mm256_set1_epi32((int)key0));
        c2 = _mm256_xor_si256(_mm256_xor_si256(a_high, c3), _mm256_set1_epi32((int)key1));
        c1 = b_low;
        c3 = a_low;
        key0 += 0x9E3779B9u;
        key1 += 0xBB67AE85u;
    }
    return c0;
}

static AVX2_INLINE __m256 gumbel(__m256i word) {
    __m256 sign = _mm256_set1_ps(-0.0f), w = _mm256_cvtepi32_ps(_mm256_srli_epi32(word, 9));
    __m256 u = _mm256_add_ps(w, _mm256_set1_ps(0.5f));
    u = _mm256_mul_ps(u, _mm256_set1_ps(0x1p-23f));
    __m256 inner = _mm256_xor_ps(avx2_log_normal(u), sign);
    return _mm256_xor_ps(avx2_log_normal(inner), sign);
}

// Each lane keeps its own best; the lowest id wins among equal ones at the end.
int draw_gumbel_avx2(int n, const float *x, uint64_t seed, uint32_t position, uint32_t sample) {
    __m256 best = _mm256_set1_ps(-math_infinity()), reach = best;
    __m256i ids = _mm256_setzero_si256();
    __m256i id = _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7), eight = _mm256_set1_epi32(8);
    for (int i = 0; i < n; i += 8, id = _mm256_add_epi32(id, eight)) {
        __m256 v;
        if (i + 8 <= n) {
            v = _mm256_loadu_ps(x + i);
        } else {
            float tail[8];
            for (int k = 0; k < 8; k++) tail[k] = i + k < n ? x[i + k] : -math_infinity();
            v = _mm256_loadu_ps(tail);
        }
        if (_mm256_movemask_ps(_mm256_cmp_ps(v, reach, _CMP_GT_OQ)) == 0) continue;
        v = _mm256_add_ps(v, gumbel(philox(id, position, sample, seed)));
        __m256 better = _mm256_cmp_ps(v, best, _CMP_GT_OQ);
        best = _mm256_blendv_ps(best, v, better);
        ids = _mm256_blendv_epi8(ids, id, _mm256_castps_si256(better));
        float top = avx2_max(best);
        // Half a unit more than the noise, for the rounding of both sums.
        reach = _mm256_set1_ps(top - (DRAW_MAX_NOISE + 0.5f));
    }
    float values[8];
    int32_t at[8];
    _mm256_storeu_ps(values, best);
    _mm256_storeu_si256((__m256i *)at, ids);
    int k = 0;
    for (int i = 1; i < 8; i++)
        if (values[i] > values[k] || (values[i] == values[k] && at[i] < at[k])) k = i;
    return at[k];
}
