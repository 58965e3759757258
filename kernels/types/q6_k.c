// Q6_K: 256 values x = d s (w - 32), w from 0 to 63, with a signed 8-bit s for every 16 of them. A
// block is 128 bytes of low bits, 64 of high bits, s (16) and d (float16). Of value 128 h + 32 k +
// i (h < 2, k < 4, i < 32) the low 4 bits stand in byte 64 h + 32 (k mod 2) + i, in its high half
// for k >= 2, and the two high bits at bit 2 k of byte 128 + 32 h + i.
//
// A tile of 32 columns: nibbles, then two vectors of pairs of bits.
#include <math.h>
#include <string.h>

#include "kernels/types/lanes.h"
#include "kernels/types/tile.h"
#include "kernels/types/types.h"

enum {
    N = 256,
    SUBS = 16,
    HIGH = 128,
    SUB = 192,
    SCALE = 208,
    BYTES = 210,
    TILE = TILE_NIBBLES + 2 * TILE_VECTOR,
};

static void write_values(const uint8_t *w, void *block) {
    uint8_t *out = block;
    memset(out, 0, SUB);
    for (int at = 0; at < N; at++) {
        int h = at / 128, k = at / 32 % 4, i = at % 32;
        out[64 * h + 32 * (k % 2) + i] |= (uint8_t)((w[at] & 15) << (k / 2 * 4));
        out[HIGH + 32 * h + i] |= (uint8_t)(w[at] >> 4 << (2 * k));
    }
}

static void read_values(const void *block, uint8_t *w) {
    const uint8_t *in = block;
    for (int at = 0; at < N; at++) {
        int h = at / 128, k = at / 32 % 4, i = at % 32;
        int low = in[64 * h + 32 * (k % 2) + i] >> (k / 2 * 4) & 15;
        w[at] = (uint8_t)(low | (in[HIGH + 32 * h + i] >> (2 * k) & 3) << 4);
    }
}

static float scale_of(const void *block) {
    uint16_t h;
    memcpy(&h, (const char *)block + SCALE, 2);
    return dtype_f16_to_f32(h);
}

static int nearest(float v, int low, int high) {
    lanes n = lanes_nearest(lanes_all(v - (float)low), lanes_all((float)(high - low)));
    return (int)n[0] + low;
}

// Of 16 values and their nearest w: the sums of x^2 x w, and of x^2 w^2.
static float sums(const float *x, float per_unit, float *ww) {
    lanes sum_xw = {0}, sum_ww = {0}, top = lanes_all(63);
    for (int i = 0; i < SUBS; i += LANES) {
        lanes v = lanes_at(x + i), w = lanes_nearest(v * per_unit + 32, top) - 32;
        lanes pw = v * v * w;
        sum_xw += pw * v;
        sum_ww += pw * w;
    }
    *ww = lanes_total(sum_ww);
    return lanes_total(sum_xw);
}

// The scale of 16 values with the least error, each weighted by its square: the best of a few first
// scales, improved by least squares. Its sign is such that the largest value is at -32.
static float fit(const float *x) {
    float largest = 0, best = 0, gain = 0;
    for (int i = 0; i < SUBS; i++)
        if (fabsf(x[i]) > fabsf(largest)) largest = x[i];
    if (!(fabsf(largest) > 1e-30f)) return 0;
    for (int k = -9; k <= 9; k++) {
        float ww, xw = sums(x, -(32.0f + 0.1f * (float)k) / largest, &ww);
        if (ww > 0 && xw * xw > gain * ww) {
            gain = xw * xw / ww;
            best = xw / ww;
        }
    }
    return best;
}

static void pack(const float *x, void *block) {
    float scales[SUBS], largest = 0;
    uint8_t w[N];
    for (int s = 0; s < SUBS; s++) {
        scales[s] = fit(x + s * SUBS);
        if (fabsf(scales[s]) > fabsf(largest)) largest = scales[s];
    }
    uint16_t half = dtype_f32_to_f16(largest / -128.0f);
    float d = dtype_f16_to_f32(half);
    int8_t *sub = (int8_t *)block + SUB;
    for (int s = 0; s < SUBS; s++) {
        sub[s] = (int8_t)(d < 0 || d > 0 ? nearest(scales[s] / d, -128, 127) : 0);
        float step = d * (float)sub[s], per_step = step < 0 || step > 0 ? 1.0f / step : 0;
        for (int i = s * SUBS; i < (s + 1) * SUBS; i++)
            w[i] = (uint8_t)(nearest(x[i] * per_step, -32, 31) + 32);
    }
    write_values(w, block);
    memcpy((char *)block + SCALE, &half, 2);
}

static void levels(const void *block, struct levels *out) {
    uint8_t w[N];
    read_values(block, w);
    for (int i = 0; i < N; i++) out->w[i] = (int8_t)(w[i] - 32);
    memcpy(out->sub, (const char *)block + SUB, SUBS);
    for (int r = 0; r < N / TYPE_RUN; r++) {
        out->scale[r] = scale_of(block);
        out->min[r] = 0;
    }
}

static bool is_finite(const void *block) {
    return tile_scale_is_finite((const char *)block + SCALE);
}

// Scales of 16 rows: d (16) in float16, s (16 of a block, 16 rows).
static void put(void *quants, void *scales, int row, const void *block) {
    const char *in = block;
    char *at = scales;
    memcpy(at + 2 * row, in + SCALE, 2);
    for (int s = 0; s < SUBS; s++) at[2 * TYPE_ROWS + s * TYPE_ROWS + row] = in[SUB + s];
    for (int h = 0; h < 2; h++)
        for (int k = 0; k < 2; k++) {
            char *tile = (char *)quants + (4 * h + k) * TILE;
            tile_put_halves(tile, tile + 2 * TILE, row, in + 64 * h + 32 * k, 4);
        }
    for (int r = 0; r < N / TYPE_RUN; r++)
        tile_put_bits((char *)quants + r * TILE + TILE_NIBBLES, row, 2, in + HIGH + r / 4 * 32,
                      r % 4 * 2);
}

static void get(const void *quants, const void *scales, int row, void *block) {
    uint8_t w[N], high[TYPE_RUN];
    const char *at = scales;
    for (int r = 0; r < N / TYPE_RUN; r++) {
        const char *tile = (const char *)quants + r * TILE;
        tile_get_nibbles(tile, row, w + r * TYPE_RUN);
        tile_get_bits(tile + TILE_NIBBLES, row, 2, high);
        for (int i = 0; i < TYPE_RUN; i++) w[r * TYPE_RUN + i] |= (uint8_t)(high[i] << 4);
    }
    write_values(w, block);
    for (int s = 0; s < SUBS; s++)
        ((char *)block)[SUB + s] = at[2 * TYPE_ROWS + s * TYPE_ROWS + row];
    memcpy((char *)block + SCALE, at + 2 * row, 2);
}

const struct block_type type_q6_k = {
    .dtype = DTYPE_Q6_K,
    .elements = N,
    .bytes = BYTES,
    .gguf = 14,
    .pack = pack,
    .levels = levels,
    .is_finite = is_finite,
    .quant_bytes = N / TYPE_RUN * TILE,
    .scale_bytes = 2 * TYPE_ROWS + SUBS * TYPE_ROWS,
    .put = put,
    .get = get,
    .dot = TYPE_DOTS(q6_k),
};
