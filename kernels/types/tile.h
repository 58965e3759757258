// How 16 rows of 32 columns lie in tiles: in vectors of 64 bytes, 4 columns of each row at a time.
//
//   bytes    8 vectors: byte 4 * row + i of vector g is column 4 g + i
//   nibbles  4 vectors: likewise, columns 8 v + i in the low and 8 v + 4 + i in the high half
//   bits     vectors of b bits a column, 8 / b times 4 columns each: column 4 g + i of vector
//            4 g / (4 * 8 / b) has the bits b * (g mod 8 / b) and up
#ifndef KERNELS_TYPES_TILE_H
#define KERNELS_TYPES_TILE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

// What the dot_*.h and the files that include them are written in.
#define DOT_INLINE static inline __attribute__((always_inline))
#if defined(__clang__)
#define DOT_UNROLL _Pragma("unroll")
#else
#define DOT_UNROLL _Pragma("GCC unroll 16")
#endif

enum { TILE_VECTOR = 64, TILE_NIBBLES = 4 * TILE_VECTOR, TILE_BYTES = 8 * TILE_VECTOR };

// The 4 bytes of a row in the vector at `p`.
static inline uint8_t *tile_row(void *p, int row) {
    return (uint8_t *)p + 4 * row;
}

// Words: files and tiles are little-endian, as all machines that this runs on.
static inline uint32_t tile_word(const void *p, int i) {
    uint32_t w;
    memcpy(&w, (const char *)p + 4 * i, 4);
    return w;
}

// Of a scale in a block, a float16.
static inline bool tile_scale_is_finite(const void *p) {
    uint16_t half;
    memcpy(&half, p, 2);
    return (half & 0x7c00) != 0x7c00;
}

static inline void tile_put_word(void *p, uint32_t w) {
    memcpy(p, &w, 4);
}

// 8 * n bytes with a value in each half: the low halves are the columns of n vectors at `low`, the
// high halves those at `high`.
static inline void tile_put_halves(void *low, void *high, int row, const void *bytes, int n) {
    const uint32_t mask = 0x0f0f0f0fu;
    for (int v = 0; v < n; v++) {
        uint32_t a = tile_word(bytes, 2 * v), b = tile_word(bytes, 2 * v + 1);
        size_t at = (size_t)v * TILE_VECTOR + 4 * (size_t)row;
        tile_put_word((char *)low + at, (a & mask) | (b & mask) << 4);
        tile_put_word((char *)high + at, (a >> 4 & mask) | (b & ~mask));
    }
}

// Bits shift .. shift + bits - 1 of 32 bytes, one for each column.
static inline void tile_put_bits(void *tile, int row, int bits, const void *bytes, int shift) {
    int groups = 8 / bits;
    uint32_t mask = bits == 1 ? 0x01010101u : 0x03030303u;
    for (int g = 0; g < 8; g += groups) {
        uint32_t w = 0;
        for (int k = 0; k < groups; k++)
            w |= (tile_word(bytes, g + k) >> shift & mask) << (bits * k);
        tile_put_word(tile_row((char *)tile + g / groups * TILE_VECTOR, row), w);
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

// What stands above the nibble of each of the 32 columns, below 2 ^ bits.
static inline void tile_get_bits(const void *tile, int row, int bits, uint8_t *high) {
    int groups = 8 / bits;
    for (int g = 0; g < 8; g++) {
        const uint8_t *at = (const uint8_t *)tile + g / groups * TILE_VECTOR + 4 * row;
        for (int i = 0; i < 4; i++)
            high[4 * g + i] = (uint8_t)(at[i] >> (bits * (g % groups)) & ((1 << bits) - 1));
    }
}

#endif
