// Q4_0: 32 values x = d (w - 8), w from 0 to 15. A block is d (float16) and 16 bytes: value i in
// the low half of byte i, value 16 + i in the high half.
//
// Packing: d = -x_m / 8 where |x_m| is the (first) largest, w = x / d + 8.5 cut to a whole number,
// at most 15, with the d before its rounding to float16, as the gguf package does.
#include <math.h>
#include <string.h>

#include "kernels/types/tile.h"
#include "kernels/types/types.h"

enum { N = 32, BYTES = 18 };

static void pack(const float *x, void *block) {
    uint8_t *out = block, w[N];
    float largest = 0, value = x[0]; // of zeros, its sign is that of the first
    for (int i = 0; i < N; i++)
        if (fabsf(x[i]) > largest) {
            largest = fabsf(x[i]);
            value = x[i];
        }
    float d = value / -8.0f, per_unit = d < 0 || d > 0 ? 1.0f / d : 0;
    uint16_t h = dtype_f32_to_f16(d);
    memcpy(out, &h, 2);
    for (int i = 0; i < N; i++) {
        float v = x[i] * per_unit + 8.5f;
        w[i] = !(v < 15.0f) ? 15 : v > 0 ? (uint8_t)v : 0; // 1 / d overflows where d is subnormal
    }
    for (int i = 0; i < 16; i++) out[2 + i] = (uint8_t)(w[i] | w[16 + i] << 4);
}

static void nibbles_of(const void *block, uint8_t w[N]) {
    const uint8_t *in = (const uint8_t *)block + 2;
    for (int i = 0; i < 16; i++) {
        w[i] = in[i] & 15;
        w[16 + i] = (uint8_t)(in[i] >> 4);
    }
}

static void levels(const void *block, struct levels *out) {
    uint8_t w[N];
    uint16_t h;
    nibbles_of(block, w);
    memcpy(&h, block, 2);
    for (int i = 0; i < N; i++) out->w[i] = (int8_t)(w[i] - 8);
    out->sub[0] = out->sub[1] = 1;
    out->scale[0] = dtype_f16_to_f32(h);
    out->min[0] = 0;
}

static bool is_finite(const void *block) {
    return tile_scale_is_finite(block);
}

static void put(void *quants, void *scales, int row, const void *block) {
    memcpy((char *)scales + 2 * row, block, 2);
    tile_put_halves(quants, (char *)quants + 2 * TILE_VECTOR, row, (const char *)block + 2, 2);
}

static void get(const void *quants, const void *scales, int row, void *block) {
    uint8_t *out = block, w[N];
    memcpy(out, (const char *)scales + 2 * row, 2);
    tile_get_nibbles(quants, row, w);
    for (int i = 0; i < 16; i++) out[2 + i] = (uint8_t)(w[i] | w[16 + i] << 4);
}

const struct block_type type_q4_0 = {
    .dtype = DTYPE_Q4_0,
    .elements = N,
    .bytes = BYTES,
    .gguf = 2,
    .pack = pack,
    .levels = levels,
    .is_finite = is_finite,
    .quant_bytes = TILE_NIBBLES,
    .scale_bytes = 2 * TYPE_ROWS,
    .put = put,
    .get = get,
    .dot = TYPE_DOTS(q4_0),
};
