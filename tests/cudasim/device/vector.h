// Eight floats at once, and bf16 as float32. The compiler makes AVX2 of it where it may.
#ifndef TESTS_CUDASIM_DEVICE_VECTOR_H
#define TESTS_CUDASIM_DEVICE_VECTOR_H

#include <stdint.h>
#include <string.h>

namespace cudasim {

typedef float Float8 __attribute__((vector_size(32), may_alias));
typedef float Float8Loose __attribute__((vector_size(32), aligned(4), may_alias));

// The low (0) or high (1) bf16 of a register.
static inline float bf16_half(uint32_t pair, int half) {
    uint32_t bits = half ? pair & 0xffff0000 : pair << 16;
    float f;
    memcpy(&f, &bits, 4);
    return f;
}

} // namespace cudasim

#endif
