#include "kernels/cpu/feed_forward.h"

#include "kernels/cpu/avx512.h"

void feed_forward_swiglu_avx512(int n, const float *gate, const float *up, float *out) {
    __m512 one = _mm512_set1_ps(1.0f), sign = _mm512_set1_ps(-0.0f);
    int i = 0;
    for (; i + 16 <= n; i += 16) {
        __m512 g = _mm512_loadu_ps(gate + i), e = avx512_exp(_mm512_xor_ps(g, sign));
        __m512 s = _mm512_div_ps(g, _mm512_add_ps(one, e));
        _mm512_storeu_ps(out + i, _mm512_mul_ps(s, _mm512_loadu_ps(up + i)));
    }
    feed_forward_swiglu_avx2(n - i, gate + i, up + i, out + i);
}
