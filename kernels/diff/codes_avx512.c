#include <immintrin.h>

#include "kernels/delta.h"
#include "kernels/diff/codes_paths.h"

static inline void put(unsigned char *codes, __m512i gaps, size_t width) {
    if (width == 1)
        _mm_storeu_si128((void *)codes, _mm512_cvtepi32_epi8(gaps));
    else if (width == 2)
        _mm256_storeu_si256((void *)codes, _mm512_cvtepi32_epi16(gaps));
    else
        _mm512_storeu_si512(codes, gaps);
}

size_t codes_run_avx512(const uint32_t *positions, size_t n, uint32_t cursor, size_t width,
                        unsigned char *codes) {
    const __m512i skip = _mm512_set1_epi32((int)delta_skip((int)width));
    const __m512i one = _mm512_set1_epi32(1);
    __m512i last = _mm512_set1_epi32((int)(cursor - 1));
    size_t i = 0;
    for (; i + 16 <= n; i += 16) {
        __m512i now = _mm512_loadu_si512(positions + i);
        __m512i before = _mm512_alignr_epi32(now, last, 15);
        __m512i gaps = _mm512_sub_epi32(_mm512_sub_epi32(now, before), one);
        if (_mm512_cmpge_epu32_mask(gaps, skip)) break;
        if (codes) put(codes + i * width, gaps, width);
        last = now;
    }
    return i;
}
