// The digest's inner loop, for processors of different kinds: the same sum on each of them.
#ifndef KERNELS_DIGEST_PATHS_H
#define KERNELS_DIGEST_PATHS_H

#include "kernels/digest.h"

// The digest of n values of 2 or 4 bytes, from element `first` on, in any alignment.
uint64_t digest_16_portable(uint64_t h, uint64_t first, int64_t n, const unsigned char *values);
uint64_t digest_32_portable(uint64_t h, uint64_t first, int64_t n, const unsigned char *values);
uint64_t digest_16_avx512(uint64_t h, uint64_t first, int64_t n, const unsigned char *values);
uint64_t digest_32_avx512(uint64_t h, uint64_t first, int64_t n, const unsigned char *values);

#endif
