#include "worker/weights/digest.h"

#include <stdlib.h>

#include "protocol/base/memory.h"

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

uint64_t digest_backend(const struct names *names, const enum dtype *dtypes,
                        const struct backend *b) {
    enum { CHUNK = 1 << 16 };
    void *values = memory_new(CHUNK, 4);
    uint64_t sum = 0;
    for (int i = 0; i < names->n; i++) {
        int64_t size = weight_n(&names->weights[i]);
        for (int64_t first = 0; first < size; first += CHUNK) {
            int64_t n = size - first < CHUNK ? size - first : CHUNK;
            b->ops->weight_read(b, i, first, n, values);
            sum += digest_range(names->hashes[i], first, n, dtypes[i], values);
        }
    }
    free(values);
    return sum;
}
