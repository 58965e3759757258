// Sums of 16 products of bf16, added to float32, with the bits of the hardware. Seen on an H100
// (2026-11-26) for wgmma of every N and for mma.sync alike, and nothing else is known to be so:
// each product is exact; it and the addend are cut (toward 0) at 2^-25 of the largest power of two
// among the addend's and the products', where a product's is the sum of its factors' exponents;
// those are summed exactly, and the sum is cut to float32.
// Not seen there, chosen here: bf16 below 2^-126 has that exponent; what is not finite, or too large
// for float32, gives infinities and the NaN 0x7fffffff by the rules of IEEE 754.
#ifndef TESTS_CUDASIM_DEVICE_PRODUCT_H
#define TESTS_CUDASIM_DEVICE_PRODUCT_H

#include <stdint.h>

namespace cudasim {

enum { PRODUCT_DEPTH = 16 };

// The exponents of n values (a multiple of 8): 2^e <= |v| < 2^(e + 1). Zeros have one that is far
// below, infinities and NaN one that is far above all others.
void product_exponents(const float *v, int32_t *exponents, int n);

// c (rows, n) += a (rows, 16) b (16, n), n a multiple of 8, all of bf16 but c. A row of c is c_row
// elements long, one of b and b_exponents b_row; all of b, b_exponents and c are aligned to 32.
struct ProductRight {
    const float *b;
    const int32_t *exponents;
    int row, n;
};
void product_add(float *c, int c_row, const float (*a)[PRODUCT_DEPTH],
                 const int32_t (*a_exponents)[PRODUCT_DEPTH], int rows, const ProductRight &right);

} // namespace cudasim

#endif
