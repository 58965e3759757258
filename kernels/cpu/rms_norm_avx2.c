#include "kernels/cpu/rms_norm.h"

#include "kernels/cpu/avx2.h"
#include "kernels/math.h"

void rms_norm_avx2(int n, const float *x, const float *w, float eps, float *out) {
    __m256 lanes = _mm256_setzero_ps();
    int i = 0;
    for (; i + 8 <= n; i += 8) {
        __m256 v = _mm256_loadu_ps(x + i);
        lanes = _mm256_add_ps(lanes, _mm256_mul_ps(v, v));
    }
    if (i < n) {
        float tail[8] = {0};
        memcpy(tail, x + i, (size_t)(n - i) * sizeof *x);
        __m256 v = _mm256_loadu_ps(tail);
        lanes = _mm256_add_ps(lanes, _mm256_mul_ps(v, v));
    }
    float scale = 1.0f / math_sqrt(avx2_sum(lanes) / (float)n + eps);
    __m256 s = _mm256_set1_ps(scale);
    for (i = 0; i + 8 <= n; i += 8) {
        __m256 v = _mm256_mul_ps(_mm256_loadu_ps(x + i), s);
        _mm256_storeu_ps(out + i, _mm256_mul_ps(v, _mm256_loadu_ps(w + i)));
    }
    for (; i < n; i++) out[i] = x[i] * scale * w[i];
}
