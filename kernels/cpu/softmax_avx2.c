#include "kernels/cpu/softmax.h"

#include "kernels/cpu/avx2.h"
#include "kernels/math.h"

bool softmax_is_finite_avx2(int n, const float *x) {
    __m256i mask = _mm256_set1_epi32(0x7f800000), bad = _mm256_setzero_si256();
    int i = 0;
    for (; i + 8 <= n; i += 8) {
        __m256i u = _mm256_and_si256(_mm256_loadu_si256((const __m256i *)(x + i)), mask);
        bad = _mm256_or_si256(bad, _mm256_cmpeq_epi32(u, mask));
    }
    return _mm256_testz_si256(bad, bad) && softmax_is_finite_portable(n - i, x + i);
}

void softmax_divide_avx2(int n, const float *x, float divisor, float *out) {
    __m256 d = _mm256_set1_ps(divisor);
    int i = 0;
    for (; i + 8 <= n; i += 8) _mm256_storeu_ps(out + i, _mm256_div_ps(_mm256_loadu_ps(x + i), d));
    softmax_divide_portable(n - i, x + i, divisor, out + i);
}

float softmax_max_avx2(int n, const float *x) {
    if (n < 8) return softmax_max_portable(n, x);
    __m256 max = _mm256_loadu_ps(x);
    int i = 8;
    for (; i + 8 <= n; i += 8) max = _mm256_max_ps(max, _mm256_loadu_ps(x + i));
    return avx2_max(_mm256_max_ps(max, _mm256_loadu_ps(x + n - 8)));
}

static void add(__m256 e, __m256d *low, __m256d *high) {
    *low = _mm256_add_pd(*low, _mm256_cvtps_pd(_mm256_castps256_ps128(e)));
    *high = _mm256_add_pd(*high, _mm256_cvtps_pd(_mm256_extractf128_ps(e, 1)));
}

double softmax_sum_avx2(int n, const float *x, float max) {
    __m256 m = _mm256_set1_ps(max);
    __m256d low = _mm256_setzero_pd(), high = low; // lanes 0..3 and 4..7
    int i = 0;
    for (; i + 8 <= n; i += 8) add(avx2_exp(_mm256_sub_ps(_mm256_loadu_ps(x + i), m)), &low, &high);
    if (i < n) {
        float tail[8];
        for (int k = 0; k < 8; k++) tail[k] = i + k < n ? x[i + k] : -math_infinity();
        add(avx2_exp(_mm256_sub_ps(_mm256_loadu_ps(tail), m)), &low, &high);
    }
    double s[4];
    _mm256_storeu_pd(s, _mm256_add_pd(low, high));
    return (s[0] + s[2]) + (s[1] + s[3]);
}
