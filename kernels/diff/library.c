#include "kernels/diff/library.h"

#include "kernels/digest.h"

int stampede_weights_abi(void) {
    return STAMPEDE_WEIGHTS_ABI;
}

// A digest reads bits: all types of a size are one.
static enum dtype type_of(size_t size) {
    return size == 4 ? DTYPE_F32 : DTYPE_BF16;
}

uint64_t stampede_digest_range(uint64_t name_hash, uint64_t first, const void *values, size_t n,
                               size_t size) {
    return digest_range(name_hash, (int64_t)first, (int64_t)n, type_of(size), values);
}

uint64_t stampede_digest_positions(uint64_t name_hash, const uint32_t *positions,
                                   const void *values, size_t n, size_t size) {
    return digest_positions(name_hash, positions, (int64_t)n, type_of(size), values);
}
