#include "kernels/tensor.h"

enum { RUN = 1024 }; // elements looked at before the first bad one is sought

// Exponents of all ones are infinities and NaN.
static unsigned any_16(const unsigned char *v, int64_t n, unsigned mask) {
    unsigned any = 0;
    for (int64_t i = 0; i < n; i++) {
        uint16_t bits;
        memcpy(&bits, v + 2 * i, 2);
        any |= (bits & mask) == mask;
    }
    return any;
}

static unsigned any_32(const unsigned char *v, int64_t n) {
    unsigned any = 0;
    for (int64_t i = 0; i < n; i++) {
        uint32_t bits;
        memcpy(&bits, v + 4 * i, 4);
        any |= (bits & 0x7f800000u) == 0x7f800000u;
    }
    return any;
}

static unsigned any(enum dtype t, const unsigned char *v, int64_t n) {
    return t == DTYPE_F32 ? any_32(v, n) : any_16(v, n, t == DTYPE_BF16 ? 0x7f80 : 0x7c00);
}

int64_t dtype_find_not_finite(enum dtype t, const void *values, int64_t n) {
    const unsigned char *v = values;
    size_t size = dtype_bytes(t);
    for (int64_t first = 0; first < n; first += RUN) {
        int64_t run = n - first < RUN ? n - first : RUN;
        if (!any(t, v + (size_t)first * size, run)) continue;
        while (!any(t, v + (size_t)first * size, 1)) first++;
        return first;
    }
    return -1;
}
