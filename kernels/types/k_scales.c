#include "kernels/types/k_scales.h"

#include <string.h>

#include "kernels/types/tile.h"

void k_scales_read(const void *block, uint8_t s[K_RUNS], uint8_t m[K_RUNS]) {
    const uint8_t *b = (const uint8_t *)block + 4;
    for (int i = 0; i < 4; i++) {
        s[i] = b[i] & 63;
        m[i] = b[4 + i] & 63;
        s[4 + i] = (uint8_t)((b[8 + i] & 15) | b[i] >> 6 << 4);
        m[4 + i] = (uint8_t)(b[8 + i] >> 4 | b[4 + i] >> 6 << 4);
    }
}

static void write(void *block, const uint8_t s[K_RUNS], const uint8_t m[K_RUNS]) {
    uint8_t *b = (uint8_t *)block + 4;
    for (int i = 0; i < 4; i++) {
        b[i] = (uint8_t)(s[i] | s[4 + i] >> 4 << 6);
        b[4 + i] = (uint8_t)(m[i] | m[4 + i] >> 4 << 6);
        b[8 + i] = (uint8_t)((s[4 + i] & 15) | (m[4 + i] & 15) << 4);
    }
}

static float half_at(const void *p, int i) {
    uint16_t h;
    memcpy(&h, (const char *)p + 2 * i, 2);
    return dtype_f16_to_f32(h);
}

void k_scales_levels(const void *block, struct levels *out) {
    uint8_t s[K_RUNS], m[K_RUNS];
    k_scales_read(block, s, m);
    for (int r = 0; r < K_RUNS; r++) {
        out->scale[r] = half_at(block, 0) * (float)s[r];
        out->min[r] = half_at(block, 1) * (float)m[r];
        out->sub[2 * r] = out->sub[2 * r + 1] = 1;
    }
}

bool k_scales_is_finite(const void *block) {
    return tile_scale_is_finite(block) && tile_scale_is_finite((const char *)block + 2);
}

void k_scales_put(void *scales, int row, const void *block) {
    char *at = scales;
    uint8_t s[K_RUNS], m[K_RUNS];
    k_scales_read(block, s, m);
    memcpy(at + 2 * row, block, 2);
    memcpy(at + 2 * (TYPE_ROWS + row), (const char *)block + 2, 2);
    for (int r = 0; r < K_RUNS; r++) {
        at[4 * TYPE_ROWS + r * TYPE_ROWS + row] = (char)s[r];
        at[4 * TYPE_ROWS + (K_RUNS + r) * TYPE_ROWS + row] = (char)m[r];
    }
}

void k_scales_get(const void *scales, int row, void *block) {
    const uint8_t *at = scales;
    uint8_t s[K_RUNS], m[K_RUNS];
    memcpy(block, at + 2 * row, 2);
    memcpy((char *)block + 2, at + 2 * (TYPE_ROWS + row), 2);
    for (int r = 0; r < K_RUNS; r++) {
        s[r] = at[4 * TYPE_ROWS + r * TYPE_ROWS + row];
        m[r] = at[4 * TYPE_ROWS + (K_RUNS + r) * TYPE_ROWS + row];
    }
    write(block, s, m);
}

// ------------------------------------------------------------------ packing

// The whole number nearest to v, within 0 .. top.
static int nearest(float v, int top) {
    return !(v > 0) ? 0 : v >= (float)top ? top : (int)(v + 0.5f);
}

struct fit {
    float scale, min; // x = scale * w - min
    float error;
};

// The scale and min of least squares for the w that a first scale gives. Large values count more:
// weights are 1 + x^2 / mean x^2.
static struct fit fit_once(const float *x, const float *weight, int top, float first, float min) {
    float n = 0, w1 = 0, w2 = 0, x1 = 0, xw = 0;
    int w[TYPE_RUN];
    for (int i = 0; i < TYPE_RUN; i++) {
        w[i] = nearest((x[i] + min) / first, top);
        float q = (float)w[i], p = weight[i];
        n += p;
        w1 += p * q;
        w2 += p * q * q;
        x1 += p * x[i];
        xw += p * x[i] * q;
    }
    float determinant = n * w2 - w1 * w1;
    struct fit f = {first, min, 0};
    if (determinant > 0) {
        f.scale = (n * xw - w1 * x1) / determinant;
        f.min = (w1 * xw - w2 * x1) / determinant;
    }
    if (f.min < 0) { // the type has no such minimum
        f.min = 0;
        f.scale = w2 > 0 ? xw / w2 : 0;
    }
    for (int i = 0; i < TYPE_RUN; i++) {
        float e = f.scale * (float)w[i] - f.min - x[i];
        f.error += weight[i] * e * e;
    }
    return f;
}

static struct fit fit_run(const float *x, int top) {
    float low = 0, high = x[0], squares = 0, weight[TYPE_RUN];
    for (int i = 0; i < TYPE_RUN; i++) {
        low = x[i] < low ? x[i] : low;
        high = x[i] > high ? x[i] : high;
        squares += x[i] * x[i];
    }
    float spread = high - low, mean = squares / TYPE_RUN;
    if (!(spread > 1e-30f)) return (struct fit){0, -low, 0};
    for (int i = 0; i < TYPE_RUN; i++) weight[i] = 1 + (mean > 0 ? x[i] * x[i] / mean : 0);
    struct fit best = fit_once(x, weight, top, spread / (float)top, -low);
    for (int k = -8; k <= 8; k++) {
        float first = spread / ((float)top + 0.1f * (float)k);
        struct fit f = fit_once(x, weight, top, first, -low);
        if (f.scale > 0 && f.error < best.error) best = f;
    }
    return best;
}

void k_scales_pack(const float *x, int top, void *block, uint8_t *w) {
    struct fit fits[K_RUNS];
    float scale = 0, min = 0;
    uint8_t s[K_RUNS], m[K_RUNS];
    for (int r = 0; r < K_RUNS; r++) {
        fits[r] = fit_run(x + r * TYPE_RUN, top);
        if (!(fits[r].scale > 0)) fits[r].scale = 0;
        scale = fits[r].scale > scale ? fits[r].scale : scale;
        min = fits[r].min > min ? fits[r].min : min;
    }
    uint16_t halves[2] = {dtype_f32_to_f16(scale / 63.0f), dtype_f32_to_f16(min / 63.0f)};
    float d = dtype_f16_to_f32(halves[0]), d_min = dtype_f16_to_f32(halves[1]);
    for (int r = 0; r < K_RUNS; r++) {
        s[r] = (uint8_t)(d > 0 ? nearest(fits[r].scale / d, 63) : 0);
        m[r] = (uint8_t)(d_min > 0 ? nearest(fits[r].min / d_min, 63) : 0);
        float step = d * (float)s[r], offset = d_min * (float)m[r];
        for (int i = r * TYPE_RUN; i < (r + 1) * TYPE_RUN; i++)
            w[i] = (uint8_t)(step > 0 ? nearest((x[i] + offset) / step, top) : 0);
    }
    memcpy(block, halves, 4);
    write(block, s, m);
}
