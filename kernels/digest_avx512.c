#include <immintrin.h>

#include "kernels/digest_paths.h"

// Eight mixes at a time.
static inline __m512i mix(__m512i position, __m512i bits) {
    const __m512i by_bits = _mm512_set1_epi64((long long)0xc2b2ae3d27d4eb4fu);
    const __m512i first = _mm512_set1_epi64((long long)0xff51afd7ed558ccdu);
    const __m512i second = _mm512_set1_epi64((long long)0xc4ceb9fe1a85ec53u);
    __m512i x = _mm512_xor_si512(position, _mm512_mullo_epi64(bits, by_bits));
    x = _mm512_mullo_epi64(_mm512_xor_si512(x, _mm512_srli_epi64(x, 32)), first);
    x = _mm512_mullo_epi64(_mm512_xor_si512(x, _mm512_srli_epi64(x, 29)), second);
    return _mm512_xor_si512(x, _mm512_srli_epi64(x, 32));
}

static inline __m512i load_16(const unsigned char *values) {
    return _mm512_cvtepu16_epi64(_mm_loadu_si128((const void *)values));
}
static inline __m512i load_32(const unsigned char *values) {
    return _mm512_cvtepu32_epi64(_mm256_loadu_si256((const void *)values));
}

// Modulo 2^64: the compiler's own reduction adds as signed.
static inline uint64_t sum_lanes(__m512i lanes) {
    uint64_t each[8], total = 0;
    _mm512_storeu_si512(each, lanes);
    for (int i = 0; i < 8; i++) total += each[i];
    return total;
}

// Two sums, so that their chains of products overlap.
static inline uint64_t sum(uint64_t h, uint64_t first, int64_t n, size_t size,
                           const unsigned char *values) {
    const __m512i lanes = _mm512_set_epi64(7, 6, 5, 4, 3, 2, 1, 0);
    const __m512i step = _mm512_set1_epi64((long long)(16 * DIGEST_STEP));
    __m512i at =
        _mm512_add_epi64(_mm512_set1_epi64((long long)(h + (first + 1) * DIGEST_STEP)),
                         _mm512_mullo_epi64(lanes, _mm512_set1_epi64((long long)DIGEST_STEP)));
    __m512i next = _mm512_add_epi64(at, _mm512_set1_epi64((long long)(8 * DIGEST_STEP)));
    __m512i a = _mm512_setzero_si512(), b = a;
    for (int64_t i = 0; i < n; i += 16, values += 16 * size) {
        a = _mm512_add_epi64(a, mix(at, size == 2 ? load_16(values) : load_32(values)));
        b = _mm512_add_epi64(
            b, mix(next, size == 2 ? load_16(values + 8 * size) : load_32(values + 8 * size)));
        at = _mm512_add_epi64(at, step);
        next = _mm512_add_epi64(next, step);
    }
    return sum_lanes(_mm512_add_epi64(a, b));
}

uint64_t digest_at_avx512(uint64_t h, const uint32_t *positions, int64_t n, size_t size,
                          const unsigned char *values) {
    const __m512i step = _mm512_set1_epi64((long long)DIGEST_STEP);
    const __m512i start = _mm512_set1_epi64((long long)(h + DIGEST_STEP));
    __m512i total = _mm512_setzero_si512();
    int64_t whole = n & ~(int64_t)7;
    for (int64_t i = 0; i < whole; i += 8) {
        const unsigned char *v = values + (size_t)i * size;
        __m512i at = _mm512_cvtepu32_epi64(_mm256_loadu_si256((const void *)(positions + i)));
        at = _mm512_add_epi64(_mm512_mullo_epi64(at, step), start);
        total = _mm512_add_epi64(total, mix(at, size == 2 ? load_16(v) : load_32(v)));
    }
    return sum_lanes(total) +
           digest_at_portable(h, positions + whole, n - whole, size, values + (size_t)whole * size);
}

uint64_t digest_range_avx512(uint64_t h, uint64_t first, int64_t n, size_t size,
                             const unsigned char *values) {
    int64_t whole = n & ~(int64_t)15;
    uint64_t most = size == 2 ? sum(h, first, whole, 2, values) : sum(h, first, whole, 4, values);
    return most + digest_range_portable(h, first + (uint64_t)whole, n - whole, size,
                                        values + (size_t)whole * size);
}
