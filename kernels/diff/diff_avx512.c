#include <immintrin.h>

#include "kernels/diff/diff_paths.h"

// Where found values go. Sixteen lanes are written whatever counts of them: there is room, since no
// more are found than were looked at.
struct out {
    uint32_t *positions;
    unsigned char *values;
    size_t found;
};

static inline void put(struct out *out, __mmask16 which, __m512i at, __m512i values, size_t size) {
    __m512i some = _mm512_maskz_compress_epi32(which, values);
    unsigned char *to = out->values + out->found * size;
    _mm512_storeu_si512(out->positions + out->found, _mm512_maskz_compress_epi32(which, at));
    if (size == 2)
        _mm256_storeu_si256((void *)to, _mm512_cvtepi32_epi16(some));
    else
        _mm512_storeu_si512(to, some);
    out->found += (size_t)__builtin_popcount(which);
}

static inline __m512i lanes_from(uint32_t first) {
    const __m512i lanes = _mm512_set_epi32(15, 14, 13, 12, 11, 10, 9, 8, 7, 6, 5, 4, 3, 2, 1, 0);
    return _mm512_add_epi32(_mm512_set1_epi32((int)first), lanes);
}

// 32 values of 2 bytes at a time.
static size_t diff_2(const unsigned char *a, const unsigned char *b, size_t n, uint32_t first,
                     struct out *out) {
    for (size_t i = 0; i < n; i += 32) {
        __m512i x = _mm512_loadu_si512(a + 2 * i), y = _mm512_loadu_si512(b + 2 * i);
        __mmask32 which = _mm512_cmpneq_epi16_mask(x, y);
        if (!which) continue;
        __m512i at = lanes_from(first + (uint32_t)i);
        put(out, (__mmask16)which, at, _mm512_cvtepu16_epi32(_mm512_castsi512_si256(y)), 2);
        put(out, (__mmask16)(which >> 16), _mm512_add_epi32(at, _mm512_set1_epi32(16)),
            _mm512_cvtepu16_epi32(_mm512_extracti64x4_epi64(y, 1)), 2);
    }
    return out->found;
}

// 16 values of 4 bytes at a time.
static size_t diff_4(const unsigned char *a, const unsigned char *b, size_t n, uint32_t first,
                     struct out *out) {
    for (size_t i = 0; i < n; i += 16) {
        __m512i x = _mm512_loadu_si512(a + 4 * i), y = _mm512_loadu_si512(b + 4 * i);
        __mmask16 which = _mm512_cmpneq_epi32_mask(x, y);
        if (which) put(out, which, lanes_from(first + (uint32_t)i), y, 4);
    }
    return out->found;
}

size_t diff_avx512(const unsigned char *a, const unsigned char *b, size_t n, size_t size,
                   uint32_t first, uint32_t *positions, unsigned char *values) {
    struct out out = {.positions = positions, .values = values};
    size_t whole = n & ~(size_t)31;
    size_t found = size == 2 ? diff_2(a, b, whole, first, &out) : diff_4(a, b, whole, first, &out);
    return found + diff_portable(a + whole * size, b + whole * size, n - whole, size,
                                 first + (uint32_t)whole, positions + found, values + found * size);
}
