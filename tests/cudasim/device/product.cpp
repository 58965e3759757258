#include "tests/cudasim/device/product.h"

#include <math.h>
#include <string.h>

#include "tests/cudasim/device/vector.h"

namespace cudasim {

typedef int32_t Int8 __attribute__((vector_size(32), may_alias));
typedef double Double8 __attribute__((vector_size(64)));
typedef int64_t Long4 __attribute__((vector_size(32)));
typedef int64_t Long8 __attribute__((vector_size(64)));

// N_BITS below the largest exponent the terms are cut. Between LOWEST and HIGHEST for that largest
// one, no step of the fast way leaves the range of float32 or of int32.
static const int32_t N_BITS = 25, ZERO = -10000, ENDLESS = 30000, LOWEST = -100, HIGHEST = 100;

static inline Int8 all(int32_t v) { return Int8{} + v; }

static inline Int8 exponents_of(Int8 bits) {
    Int8 field = bits >> 23 & 0xff, magnitude = bits & 0x7fffffff, e = field - 127;
    e = field == 0 ? all(-126) : e;
    e = magnitude == 0 ? all(ZERO) : e;
    return field == 0xff ? all(ENDLESS) : e;
}

void product_exponents(const float *v, int32_t *exponents, int n) {
    for (int i = 0; i < n; i += 8) {
        Int8 bits, e;
        memcpy(&bits, v + i, sizeof bits);
        e = exponents_of(bits);
        memcpy(exponents + i, &e, sizeof e);
    }
}

// One sum in double, which holds every product and every sum of cut terms exactly.
static float add_slowly(float c, int top, const float *a, const float *b, int b_row) {
    double sum = c;
    for (int k = 0; k < PRODUCT_DEPTH; k++) sum += (double)a[k] * b[k * b_row];
    if (top >= ENDLESS + ZERO) { // something is not finite, so the sum is not
        const uint32_t nan = 0x7fffffff;
        float f = (float)sum;
        if (sum != sum) memcpy(&f, &nan, 4);
        return f;
    }
    if (top <= ZERO / 2) return 0;
    double unit = ldexp(1, top - N_BITS), terms = trunc(c / unit);
    for (int k = 0; k < PRODUCT_DEPTH; k++) terms += trunc((double)a[k] * b[k * b_row] / unit);
    sum = terms * unit;
    float f = (float)sum;
    return fabs((double)f) > fabs(sum) && !isinf(f) ? nextafterf(f, 0) : f;
}

// sum * 2^(top - N_BITS), the sum cut to 24 bits; high and low are its two halves.
static inline Float8 scaled(Int8 high, Int8 low, Int8 top) {
    Double8 sum = __builtin_convertvector(high, Double8) + __builtin_convertvector(low, Double8);
    Long8 bits = (Long8)sum & ~((1ll << 29) - 1);
    Float8 cut = __builtin_convertvector((Double8)bits, Float8);
    return cut * (Float8)((top - N_BITS + 127) << 23);
}

static inline bool any(Int8 mask) {
    Long4 halves = (Long4)mask;
    return (halves[0] | halves[1] | halves[2] | halves[3]) != 0;
}

static inline void add_8(float *c, const float *a, const int32_t *a_exponents,
                         const ProductRight &right, int column) {
    const float *b = right.b + column;
    const int32_t *b_exponents = right.exponents + column;
    Float8 addend = *(Float8 *)c;
    Int8 top = exponents_of((Int8)addend);
    for (int k = 0; k < PRODUCT_DEPTH; k++) {
        Int8 e = a_exponents[k] + *(const Int8 *)&b_exponents[k * right.row];
        top = e > top ? e : top;
    }
    Int8 outside = (top > HIGHEST) | (top < LOWEST), near = outside ? Int8{} : top;
    // A product times 2^(N_BITS - top) is below 2^27: two sums of eight fit into int32, one does not.
    Float8 scale = (Float8)((N_BITS + 127 - near) << 23);
    Int8 even = __builtin_convertvector(addend * scale, Int8), odd = {};
    for (int k = 0; k < PRODUCT_DEPTH; k += 2) {
        const Float8 *b0 = (const Float8 *)&b[k * right.row];
        const Float8 *b1 = (const Float8 *)&b[(k + 1) * right.row];
        even += __builtin_convertvector(a[k] * *b0 * scale, Int8);
        odd += __builtin_convertvector(a[k + 1] * *b1 * scale, Int8);
    }
    *(Float8 *)c = scaled(even, odd, near);
    if (!any(outside)) return;
    for (int i = 0; i < 8; i++)
        if (outside[i]) c[i] = add_slowly(addend[i], top[i], a, b + i, right.row);
}

void product_add(float *c, int c_row, const float (*a)[PRODUCT_DEPTH],
                 const int32_t (*a_exponents)[PRODUCT_DEPTH], int rows, const ProductRight &right) {
    for (int i = 0; i < rows; i++)
        for (int j = 0; j < right.n; j += 8)
            add_8(c + i * c_row + j, a[i], a_exponents[i], right, j);
}

} // namespace cudasim
