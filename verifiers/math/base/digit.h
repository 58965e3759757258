// Decimal digits of all scripts.
#ifndef VERIFIERS_MATH_BASE_DIGIT_H
#define VERIFIERS_MATH_BASE_DIGIT_H

#include <stdint.h>

// The value of a decimal digit, or -1: ASCII, Arabic, Persian, Devanagari, Bengali, Tamil, Thai,
// full width, and the five mathematical fonts.
static inline int digit_value(uint32_t code) {
    static const uint32_t ZEROS[] = {0x30,   0x660,   0x6F0,   0x966,   0x9E6,   0xBE6,  0xE50,
                                     0xFF10, 0x1D7CE, 0x1D7D8, 0x1D7E2, 0x1D7EC, 0x1D7F6};
    if (code < 0x660) return code >= 0x30 && code < 0x3A ? (int)(code - 0x30) : -1;
    for (unsigned i = 0; i < sizeof ZEROS / sizeof *ZEROS; i++)
        if (code - ZEROS[i] < 10) return (int)(code - ZEROS[i]);
    return -1;
}

#endif
