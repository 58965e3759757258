#include "kernels/digest.h"

static uint64_t sum_16(uint64_t h, uint64_t first, int64_t n, const unsigned char *values) {
    uint64_t sum = 0;
    for (int64_t i = 0; i < n; i++) {
        uint16_t bits;
        memcpy(&bits, values + 2 * i, 2);
        sum += digest_mix(h, first + (uint64_t)i, bits);
    }
    return sum;
}

static uint64_t sum_32(uint64_t h, uint64_t first, int64_t n, const unsigned char *values) {
    uint64_t sum = 0;
    for (int64_t i = 0; i < n; i++) {
        uint32_t bits;
        memcpy(&bits, values + 4 * i, 4);
        sum += digest_mix(h, first + (uint64_t)i, bits);
    }
    return sum;
}

uint64_t digest_range(uint64_t name_hash, int64_t first, int64_t n, enum dtype dtype,
                      const void *values) {
    return dtype_bytes(dtype) == 4 ? sum_32(name_hash, (uint64_t)first, n, values)
                                   : sum_16(name_hash, (uint64_t)first, n, values);
}
