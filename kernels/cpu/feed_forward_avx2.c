#include "kernels/cpu/feed_forward.h"

#include "kernels/cpu/avx2.h"

void feed_forward_swiglu_avx2(int n, const float *gate, const float *up, float *out) {
    __m256 one = _mm256_set1_ps(1.0f), sign = _mm256_set1_ps(-0.0f);
    int i = 0;
    for (; i + 8 <= n; i += 8) {
        __m256 g = _mm256_loadu_ps(gate + i), e = avx2_exp(_mm256_xor_ps(g, sign));
        __m256 s = _mm256_div_ps(g, _mm256_add_ps(one, e));
        _mm256_storeu_ps(out + i, _mm256_mul_ps(s, _mm256_loadu_ps(up + i)));
    }
    feed_forward_swiglu_portable(n - i, gate + i, up + i, out + i);
}
