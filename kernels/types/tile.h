// How 16 rows of 32 columns lie in tiles: in vectors of 64 bytes, 4 columns of each row at a time.
//
//   bytes    8 vectors: byte 4 * row + i of vector g is column 4 g + i
//   nibbles  4 vectors: likewise, columns 8 v + i in the low and 8 v + 4 + i in the high half
//   bits     vectors of b bits a column, 8 / b times 4 columns each: column 4 g + i of vector
//            4 g / (4 * 8 / b) has the bits b * (g mod 8 / b) and up
#ifndef KERNELS_TYPES_TILE_H
#define KERNELS_TYPES_TILE_H

#include <stdint.h>

enum { TILE_VECTOR = 64, TILE_NIBBLES = 4 * TILE_VECTOR, TILE_BYTES = 8 * TILE_VECTOR };

// The 4 bytes of a row in the vector at `p`.
static inline uint8_t *tile_row(void *p, int row) {
    return (uint8_t *)p + 4 * row;
}

static inline void tile_put_nibbles(void *tile, int row, const uint8_t *w) {
    for (int v = 0; v < 4; v++, w += 8) {
        uint8_t *at = tile_row((char *)tile + v * TILE_VECTOR, row);
        for (int i = 0; i < 4; i++) at[i] = (uint8_t)((w[i] & 15) | w[4 + i] << 4);
    }
}

static inline void tile_get_nibbles(const void *tile, int row, uint8_t *w) {
    for (int v = 0; v < 4; v++, w += 8) {
        const uint8_t *at = (const uint8_t *)tile + v * TILE_VECTOR + 4 * row;
        for (int i = 0; i < 4; i++) {
            w[i] = at[i] & 15;
            w[4 + i] = (uint8_t)(at[i] >> 4);
        }
    }
}

// `high`: what stands above the nibble of each of the 32 columns, below 2 ^ bits.
static inline void tile_put_bits(void *tile, int row, int bits, const uint8_t *high) {
    int groups = 8 / bits;
    for (int g = 0; g < 8; g += groups) {
        uint8_t *at = tile_row((char *)tile + g / groups * TILE_VECTOR, row);
        for (int i = 0; i < 4; i++) {
            unsigned byte = 0;
            for (int k = 0; k < groups; k++) byte |= (unsigned)high[4 * (g + k) + i] << (bits * k);
            at[i] = (uint8_t)byte;
        }
    }
}

static inline void tile_get_bits(const void *tile, int row, int bits, uint8_t *high) {
    int groups = 8 / bits;
    for (int g = 0; g < 8; g++) {
        const uint8_t *at = (const uint8_t *)tile + g / groups * TILE_VECTOR + 4 * row;
        for (int i = 0; i < 4; i++)
            high[4 * g + i] = (uint8_t)(at[i] >> (bits * (g % groups)) & ((1 << bits) - 1));
    }
}

#endif
