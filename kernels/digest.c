#include "kernels/digest_paths.h"

#include <string.h>

#include "kernels/processor.h"

// Values are little-endian.
static inline uint32_t bits_at(const unsigned char *values, int64_t i, size_t size) {
    uint32_t bits = 0;
    memcpy(&bits, values + (size_t)i * size, size);
    return bits;
}

uint64_t digest_range_portable(uint64_t h, uint64_t first, int64_t n, size_t size,
                               const unsigned char *values) {
    uint64_t sum = 0;
    if (size == 2) // apart, so that the compiler knows the size
        for (int64_t i = 0; i < n; i++)
            sum += digest_mix(h, first + (uint64_t)i, bits_at(values, i, 2));
    else
        for (int64_t i = 0; i < n; i++)
            sum += digest_mix(h, first + (uint64_t)i, bits_at(values, i, 4));
    return sum;
}

uint64_t digest_at_portable(uint64_t h, const uint32_t *positions, int64_t n, size_t size,
                            const unsigned char *values) {
    uint64_t sum = 0;
    for (int64_t i = 0; i < n; i++) sum += digest_mix(h, positions[i], bits_at(values, i, size));
    return sum;
}

uint64_t digest_positions(uint64_t name_hash, const uint32_t *positions, int64_t n,
                          enum dtype dtype, const void *values) {
    size_t size = dtype_bytes(dtype);
#ifdef __x86_64__
    if (processor_has_avx512()) return digest_at_avx512(name_hash, positions, n, size, values);
#endif
    return digest_at_portable(name_hash, positions, n, size, values);
}

uint64_t digest_range(uint64_t name_hash, int64_t first, int64_t n, enum dtype dtype,
                      const void *values) {
    size_t size = dtype_bytes(dtype);
#ifdef __x86_64__
    if (processor_has_avx512())
        return digest_range_avx512(name_hash, (uint64_t)first, n, size, values);
#endif
    return digest_range_portable(name_hash, (uint64_t)first, n, size, values);
}
