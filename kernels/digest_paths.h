// The digest's inner loop, for processors of different kinds: the same sum on each of them.
#ifndef KERNELS_DIGEST_PATHS_H
#define KERNELS_DIGEST_PATHS_H

#include "kernels/digest.h"

// The digest of n values of `size` bytes, 2 or 4, from element `first` on, in any alignment.
uint64_t digest_range_portable(uint64_t h, uint64_t first, int64_t n, size_t size,
                               const unsigned char *values);
uint64_t digest_range_avx512(uint64_t h, uint64_t first, int64_t n, size_t size,
                             const unsigned char *values);

// The same at positions.
uint64_t digest_at_portable(uint64_t h, const uint32_t *positions, int64_t n, size_t size,
                            const unsigned char *values);
uint64_t digest_at_avx512(uint64_t h, const uint32_t *positions, int64_t n, size_t size,
                          const unsigned char *values);

#endif
