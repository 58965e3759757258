// The inner loop of stampede_differing, for processors of different kinds: the same result on each.
#ifndef KERNELS_DIFF_DIFF_PATHS_H
#define KERNELS_DIFF_DIFF_PATHS_H

#include <stddef.h>
#include <stdint.h>

size_t diff_portable(const unsigned char *a, const unsigned char *b, size_t n, size_t size,
                     uint32_t first, uint32_t *positions, unsigned char *values);
size_t diff_avx512(const unsigned char *a, const unsigned char *b, size_t n, size_t size,
                   uint32_t first, uint32_t *positions, unsigned char *values);

#endif
