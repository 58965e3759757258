// Q5_K: 256 values of 5 bits in 8 runs, see k_scales.h. Behind the head stand 32 bytes of fifth
// bits (bit r of byte i is that of value 32 r + i), then the low 4 bits as in Q4_K.
//
// A tile of 32 columns: nibbles, then one vector of single bits.
#include <string.h>

#include "kernels/types/k_scales.h"
#include "kernels/types/tile.h"

enum { HIGH = K_HEAD_BYTES, LOW = HIGH + 32, BYTES = LOW + 128, TILE = TILE_NIBBLES + TILE_VECTOR };

static void write_values(const uint8_t *w, void *block) {
    uint8_t *out = block;
    memset(out + HIGH, 0, 32);
    for (int k = 0; k < 4; k++)
        for (int i = 0; i < 32; i++)
            out[LOW + 32 * k + i] =
                (uint8_t)((w[64 * k + i] & 15) | (w[64 * k + 32 + i] & 15) << 4);
    for (int i = 0; i < K_N; i++) out[HIGH + i % 32] |= (uint8_t)(w[i] >> 4 << (i / 32));
}

static void read_values(const void *block, uint8_t *w) {
    const uint8_t *in = block;
    for (int k = 0; k < 4; k++)
        for (int i = 0; i < 32; i++) {
            w[64 * k + i] = in[LOW + 32 * k + i] & 15;
            w[64 * k + 32 + i] = (uint8_t)(in[LOW + 32 * k + i] >> 4);
        }
    for (int i = 0; i < K_N; i++) w[i] |= (uint8_t)((in[HIGH + i % 32] >> (i / 32) & 1) << 4);
}

static void pack(const float *x, void *block) {
    uint8_t w[K_N];
    k_scales_pack(x, 31, block, w);
    write_values(w, block);
}

static void levels(const void *block, struct levels *out) {
    k_scales_levels(block, out);
    read_values(block, (uint8_t *)out->w);
}

static void put(void *quants, void *scales, int row, const void *block) {
    const char *in = block;
    k_scales_put(scales, row, block);
    for (int k = 0; k < 4; k++) {
        char *tile = (char *)quants + 2 * k * TILE;
        tile_put_halves(tile, tile + TILE, row, in + LOW + 32 * k, 4);
    }
    for (int r = 0; r < K_RUNS; r++)
        tile_put_bits((char *)quants + r * TILE + TILE_NIBBLES, row, 1, in + HIGH, r);
}

static void get(const void *quants, const void *scales, int row, void *block) {
    uint8_t w[K_N], high[TYPE_RUN];
    k_scales_get(scales, row, block);
    for (int r = 0; r < K_RUNS; r++) {
        const char *tile = (const char *)quants + r * TILE;
        tile_get_nibbles(tile, row, w + r * TYPE_RUN);
        tile_get_bits(tile + TILE_NIBBLES, row, 1, high);
        for (int i = 0; i < TYPE_RUN; i++) w[r * TYPE_RUN + i] |= (uint8_t)(high[i] << 4);
    }
    write_values(w, block);
}

const struct block_type type_q5_k = {
    .dtype = DTYPE_Q5_K,
    .elements = K_N,
    .bytes = BYTES,
    .gguf = 13,
    .has_min = true,
    .pack = pack,
    .levels = levels,
    .is_finite = k_scales_is_finite,
    .quant_bytes = K_RUNS * TILE,
    .scale_bytes = K_SCALE_BYTES,
    .put = put,
    .get = get,
    .dot = TYPE_DOTS(q5_k),
};
