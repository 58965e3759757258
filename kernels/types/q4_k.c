// Q4_K: 256 values of 4 bits in 8 runs, see k_scales.h. Behind the head stand 128 bytes: byte
// 32 k + i holds value 64 k + i in its low half and value 64 k + 32 + i in its high half.
#include <string.h>

#include "kernels/types/k_scales.h"
#include "kernels/types/tile.h"

enum { BYTES = K_HEAD_BYTES + 128 };

static void write_nibbles(const uint8_t *w, void *block) {
    uint8_t *out = (uint8_t *)block + K_HEAD_BYTES;
    for (int k = 0; k < 4; k++)
        for (int i = 0; i < 32; i++)
            out[32 * k + i] = (uint8_t)((w[64 * k + i] & 15) | w[64 * k + 32 + i] << 4);
}

static void read_nibbles(const void *block, uint8_t *w) {
    const uint8_t *in = (const uint8_t *)block + K_HEAD_BYTES;
    for (int k = 0; k < 4; k++)
        for (int i = 0; i < 32; i++) {
            w[64 * k + i] = in[32 * k + i] & 15;
            w[64 * k + 32 + i] = (uint8_t)(in[32 * k + i] >> 4);
        }
}

static void pack(const float *x, void *block) {
    uint8_t w[K_N];
    k_scales_pack(x, 15, block, w);
    write_nibbles(w, block);
}

static void levels(const void *block, struct levels *out) {
    k_scales_levels(block, out);
    read_nibbles(block, (uint8_t *)out->w);
}

static void put(void *quants, void *scales, int row, const void *block) {
    k_scales_put(scales, row, block);
    for (int k = 0; k < 4; k++) {
        char *tile = (char *)quants + 2 * k * TILE_NIBBLES;
        tile_put_halves(tile, tile + TILE_NIBBLES, row, (const char *)block + K_HEAD_BYTES + 32 * k,
                        4);
    }
}

static void get(const void *quants, const void *scales, int row, void *block) {
    uint8_t w[K_N];
    k_scales_get(scales, row, block);
    for (int r = 0; r < K_RUNS; r++)
        tile_get_nibbles((const char *)quants + r * TILE_NIBBLES, row, w + r * TYPE_RUN);
    write_nibbles(w, block);
}

const struct block_type type_q4_k = {
    .dtype = DTYPE_Q4_K,
    .elements = K_N,
    .bytes = BYTES,
    .gguf = 12,
    .has_min = true,
    .pack = pack,
    .levels = levels,
    .is_finite = k_scales_is_finite,
    .quant_bytes = K_RUNS * TILE_NIBBLES,
    .scale_bytes = K_SCALE_BYTES,
    .put = put,
    .get = get,
    .dot = TYPE_DOTS(q4_k),
};
