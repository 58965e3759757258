#include "kernels/types/k_scales.h"

#include <string.h>

#include "kernels/types/fit.h"
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

void k_scales_pack(const float *x, int top, void *block, uint8_t *w) {
    const struct fit_ops *ops = fit_ops();
    struct fit fits[K_RUNS];
    float scale = 0, min = 0;
    uint8_t s[K_RUNS], m[K_RUNS];
    for (int r = 0; r < K_RUNS; r++) {
        fits[r] = ops->range(x + r * TYPE_RUN, top);
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
