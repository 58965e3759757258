#include "kernels/cpu/peak.h"

#include <immintrin.h>

float peak_avx2(int n) {
    const __m256 a = _mm256_set1_ps(0.999f), b = _mm256_set1_ps(0.001f);
    __m256 s[PEAK_CHAINS];
    for (int i = 0; i < PEAK_CHAINS; i++) s[i] = _mm256_set1_ps((float)i);
    for (int r = 0; r < n; r++) {
#pragma GCC unroll 12
        for (int i = 0; i < PEAK_CHAINS; i++) s[i] = _mm256_fmadd_ps(s[i], a, b);
    }
    for (int i = 1; i < PEAK_CHAINS; i++) s[0] = _mm256_add_ps(s[0], s[i]);
    return _mm_cvtss_f32(_mm256_castps256_ps128(s[0]));
}
