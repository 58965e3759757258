// Codes of positions that are near each other, sixteen at a time.
#ifndef KERNELS_DIFF_CODES_PATHS_H
#define KERNELS_DIFF_CODES_PATHS_H

#include <stddef.h>
#include <stdint.h>

// Writes the codes of the first positions of (n) as long as none of a run of 16 needs a code
// without a value; `cursor` and `width` as of stampede_encode. Returns how many positions these
// are. codes: (n), or NULL: none are written.
size_t codes_run_avx512(const uint32_t *positions, size_t n, uint32_t cursor, size_t width,
                        unsigned char *codes);

#endif
