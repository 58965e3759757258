// What Q4_K and Q5_K share: 8 runs of 32 values x = d s_r w - d_min m_r, with 6-bit s and m.
//
// A block begins with d and d_min (float16) and 12 bytes of s and m: byte i holds s_i (its low 6
// bits), byte 4 + i m_i, for i < 4; byte 8 + i holds the low 4 bits of s_(4 + i) and, above them,
// of m_(4 + i), whose two high bits are the two high bits of bytes i and 4 + i.
#ifndef KERNELS_TYPES_K_SCALES_H
#define KERNELS_TYPES_K_SCALES_H

#include "kernels/types/types.h"

enum {
    K_N = 256,
    K_RUNS = 8,
    K_HEAD_BYTES = 16, // d, d_min, s and m
    // Of 16 rows in tiles: d (16), d_min (16), float16; s (8, 16), m (8, 16), bytes.
    K_SCALE_BYTES = 4 * TYPE_ROWS + 2 * K_RUNS * TYPE_ROWS,
};

void k_scales_read(const void *block, uint8_t s[K_RUNS], uint8_t m[K_RUNS]);

// Scales and minima of levels; sub is 1.
void k_scales_levels(const void *block, struct levels *out);
bool k_scales_is_finite(const void *block);

void k_scales_put(void *scales, int row, const void *block);
void k_scales_get(const void *scales, int row, void *block);

// Finds d, d_min, s and m for 256 finite values and w from 0 to `top`, writes the head of the block
// and w (256).
void k_scales_pack(const float *x, int top, void *block, uint8_t *w);

#endif
