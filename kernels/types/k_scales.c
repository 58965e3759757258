#include "kernels/types/k_scales.h"

#include <string.h>

#include "kernels/types/lanes.h"
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

// 32 values. Large ones count more: weights are 1 + x^2 / mean x^2.
struct run {
    float x[TYPE_RUN], weight[TYPE_RUN];
    float n, x1; // sums of weights and of weighted values
    float top;   // w goes from 0 to this
};

struct fit {
    float scale, min; // x = scale * w - min
    float error;
};

// Weighted sums of w, w^2 and x w, for the w nearest to x for a scale and min.
struct sums {
    float w1, w2, xw;
};
static struct sums round_run(const struct run *r, float per_unit, float min, float w[TYPE_RUN]) {
    lanes w1 = {0}, w2 = {0}, xw = {0}, top = lanes_all(r->top);
    for (int i = 0; i < TYPE_RUN; i += LANES) {
        lanes x = lanes_at(r->x + i), q = lanes_nearest((x + min) * per_unit, top);
        lanes pq = lanes_at(r->weight + i) * q;
        memcpy(w + i, &q, sizeof q);
        w1 += pq;
        w2 += pq * q;
        xw += pq * x;
    }
    return (struct sums){lanes_total(w1), lanes_total(w2), lanes_total(xw)};
}

static float error_of(const struct run *r, const struct fit *f, const float w[TYPE_RUN]) {
    lanes sum = {0};
    for (int i = 0; i < TYPE_RUN; i += LANES) {
        lanes e = f->scale * lanes_at(w + i) - f->min - lanes_at(r->x + i);
        sum += lanes_at(r->weight + i) * (e * e);
    }
    return lanes_total(sum);
}

// The scale and min of least squares for the w that a first scale gives.
static struct fit fit_once(const struct run *r, float first, float min) {
    float w[TYPE_RUN];
    struct sums s = round_run(r, 1.0f / first, min, w);
    float determinant = r->n * s.w2 - s.w1 * s.w1;
    struct fit f = {first, min, 0};
    if (determinant > 0) {
        f.scale = (r->n * s.xw - s.w1 * r->x1) / determinant;
        f.min = (s.w1 * s.xw - s.w2 * r->x1) / determinant;
    }
    if (f.min < 0) { // the type has no such minimum
        f.min = 0;
        f.scale = s.w2 > 0 ? s.xw / s.w2 : 0;
    }
    f.error = error_of(r, &f, w);
    return f;
}

static struct run weigh(const float *x, int top, float mean) {
    struct run r = {.top = (float)top};
    lanes n = {0}, x1 = {0};
    float per_mean = mean > 0 ? 1.0f / mean : 0;
    for (int i = 0; i < TYPE_RUN; i += LANES) {
        lanes v = lanes_at(x + i), p = 1 + v * v * per_mean;
        memcpy(r.weight + i, &p, sizeof p);
        n += p;
        x1 += p * v;
    }
    memcpy(r.x, x, sizeof r.x);
    r.n = lanes_total(n);
    r.x1 = lanes_total(x1);
    return r;
}

static struct fit fit_run(const float *x, int top) {
    float low = 0, high = x[0], squares = 0;
    for (int i = 0; i < TYPE_RUN; i++) {
        low = x[i] < low ? x[i] : low;
        high = x[i] > high ? x[i] : high;
        squares += x[i] * x[i];
    }
    float spread = high - low;
    if (!(spread > 1e-30f)) return (struct fit){0, -low, 0};
    const struct run r = weigh(x, top, squares / TYPE_RUN);
    struct fit best = fit_once(&r, spread / (float)top, -low);
    for (int k = -8; k <= 8; k++) {
        if (k == 0) continue; // the first one
        struct fit f = fit_once(&r, spread / ((float)top + 0.1f * (float)k), -low);
        if (f.scale > 0 && f.error < best.error) best = f;
    }
    return best;
}

static uint8_t nearest(float v, int top) {
    return (uint8_t)lanes_nearest(lanes_all(v), lanes_all((float)top))[0];
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
        s[r] = d > 0 ? nearest(fits[r].scale / d, 63) : 0;
        m[r] = d_min > 0 ? nearest(fits[r].min / d_min, 63) : 0;
        float step = d * (float)s[r], offset = d_min * (float)m[r];
        float per_step = step > 0 ? 1.0f / step : 0;
        for (int i = r * TYPE_RUN; i < (r + 1) * TYPE_RUN; i++)
            w[i] = nearest((x[i] + offset) * per_step, top);
    }
    memcpy(block, halves, 4);
    write(block, s, m);
}
