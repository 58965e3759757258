#include "kernels/digest_paths.h"

#include <stdbool.h>

uint64_t digest_16_portable(uint64_t h, uint64_t first, int64_t n, const unsigned char *values) {
    uint64_t sum = 0;
    for (int64_t i = 0; i < n; i++) {
        uint16_t bits;
        memcpy(&bits, values + 2 * i, 2);
        sum += digest_mix(h, first + (uint64_t)i, bits);
    }
    return sum;
}

uint64_t digest_32_portable(uint64_t h, uint64_t first, int64_t n, const unsigned char *values) {
    uint64_t sum = 0;
    for (int64_t i = 0; i < n; i++) {
        uint32_t bits;
        memcpy(&bits, values + 4 * i, 4);
        sum += digest_mix(h, first + (uint64_t)i, bits);
    }
    return sum;
}

uint64_t digest_at_portable(uint64_t h, const uint32_t *positions, int64_t n, size_t size,
                            const unsigned char *values) {
    uint64_t sum = 0;
    for (int64_t i = 0; i < n; i++) {
        uint32_t bits = 0;
        memcpy(&bits, values + (size_t)i * size, size); // little-endian
        sum += digest_mix(h, positions[i], bits);
    }
    return sum;
}

static bool has_avx512(void) {
#ifdef __x86_64__
    // All that the file's flags allow the compiler.
    return __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512dq") &&
           __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512vl") &&
           __builtin_cpu_supports("avx512vnni");
#else
    return false;
#endif
}

uint64_t digest_positions(uint64_t name_hash, const uint32_t *positions, int64_t n,
                          enum dtype dtype, const void *values) {
    size_t size = dtype_bytes(dtype);
#ifdef __x86_64__
    if (has_avx512()) return digest_at_avx512(name_hash, positions, n, size, values);
#endif
    return digest_at_portable(name_hash, positions, n, size, values);
}

uint64_t digest_range(uint64_t name_hash, int64_t first, int64_t n, enum dtype dtype,
                      const void *values) {
    bool is_wide = dtype_bytes(dtype) == 4;
    uint64_t at = (uint64_t)first;
#ifdef __x86_64__
    if (has_avx512())
        return is_wide ? digest_32_avx512(name_hash, at, n, values)
                       : digest_16_avx512(name_hash, at, n, values);
#endif
    return is_wide ? digest_32_portable(name_hash, at, n, values)
                   : digest_16_portable(name_hash, at, n, values);
}
