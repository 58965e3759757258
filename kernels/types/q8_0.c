// Q8_0: 32 values x = d w. A block is d (float16) and w (int8, 32).
//
// Packing: d = largest |x| / 127, w = x / d rounded, halves away from zero, with the d before its
// rounding to float16, as the gguf package does.
#include <math.h>
#include <string.h>

#include "kernels/types/tile.h"
#include "kernels/types/types.h"

enum { N = 32, BYTES = 34 };

static void pack(const float *x, void *block) {
    char *out = block;
    float largest = 0;
    for (int i = 0; i < N; i++) largest = fabsf(x[i]) > largest ? fabsf(x[i]) : largest;
    float d = largest / 127.0f, per_unit = d > 0 ? 1.0f / d : 0;
    uint16_t h = dtype_f32_to_f16(d);
    memcpy(out, &h, 2);
    for (int i = 0; i < N; i++) {
        float v = x[i] * per_unit, a = fabsf(v);
        a = a < 127.0f ? a : 127.0f; // 1 / d overflows where d is subnormal
        int whole = (int)a, up = (int)(2.0f * (a - (float)whole));
        out[2 + i] = (char)(int8_t)(v < 0 ? -(whole + up) : whole + up);
    }
}

static float scale_of(const void *block) {
    uint16_t h;
    memcpy(&h, block, 2);
    return dtype_f16_to_f32(h);
}

static void levels(const void *block, struct levels *out) {
    memcpy(out->w, (const char *)block + 2, N);
    out->sub[0] = out->sub[1] = 1;
    out->scale[0] = scale_of(block);
    out->min[0] = 0;
}

static bool is_finite(const void *block) {
    return tile_scale_is_finite(block);
}

static void put(void *quants, void *scales, int row, const void *block) {
    const char *in = block;
    memcpy((char *)scales + 2 * row, in, 2);
    for (int g = 0; g < 8; g++)
        memcpy(tile_row((char *)quants + g * TILE_VECTOR, row), in + 2 + 4 * g, 4);
}

static void get(const void *quants, const void *scales, int row, void *block) {
    char *out = block;
    memcpy(out, (const char *)scales + 2 * row, 2);
    for (int g = 0; g < 8; g++)
        memcpy(out + 2 + 4 * g, (const char *)quants + g * TILE_VECTOR + 4 * row, 4);
}

const struct block_type type_q8_0 = {
    .dtype = DTYPE_Q8_0,
    .elements = N,
    .bytes = BYTES,
    .gguf = 8,
    .pack = pack,
    .levels = levels,
    .is_finite = is_finite,
    .quant_bytes = TILE_BYTES,
    .scale_bytes = 2 * TYPE_ROWS,
    .put = put,
    .get = get,
    .dot = TYPE_DOTS(q8_0),
};
