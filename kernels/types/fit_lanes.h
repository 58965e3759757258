// The loops of fit.h, for files that are compiled for one instruction set each.
#ifndef KERNELS_TYPES_FIT_LANES_H
#define KERNELS_TYPES_FIT_LANES_H

#include <math.h>

#include "kernels/types/fit.h"

enum { RANGE_TRIES = 17, SIGNED_TRIES = 19, LANES = 24 }; // whole vectors; lanes too many are idle

struct range_lanes {
    float first[LANES], w[FIT_RANGE][LANES];
    float w1[LANES], w2[LANES], xw[LANES]; // sums of p w, p w w, p x w
    float scale[LANES], min[LANES], error[LANES];
};

// Loops without conditions over arrays that cannot overlap, which compilers make vectors of.
static inline void range_round(float *restrict w, const float *restrict first, float from_min,
                               float top) {
    for (int k = 0; k < LANES; k++) {
        float v = from_min / first[k];
        v = v > 0 ? v : 0;
        v = v < top ? v : top;
        w[k] = (float)(int)(v + 0.5f);
    }
}

static inline void add_products(float *restrict sums, const float *restrict w, float p) {
    for (int k = 0; k < LANES; k++) sums[k] += p * w[k];
}

static inline void add_squares(float *restrict sums, const float *restrict w, float p) {
    for (int k = 0; k < LANES; k++) sums[k] += p * w[k] * w[k];
}

// The whole numbers that first scales give, and their sums.
static inline void range_sums(struct range_lanes *l, const float *x, const float *weight, float min,
                              float top) {
    for (int i = 0; i < FIT_RANGE; i++) {
        range_round(l->w[i], l->first, x[i] + min, top);
        add_products(l->w1, l->w[i], weight[i]);
        add_squares(l->w2, l->w[i], weight[i]);
        add_products(l->xw, l->w[i], weight[i] * x[i]);
    }
}

static inline void range_solve(struct range_lanes *l, float n, float x1, float min) {
    for (int k = 0; k < RANGE_TRIES; k++) {
        float determinant = n * l->w2[k] - l->w1[k] * l->w1[k];
        l->scale[k] = l->first[k];
        l->min[k] = min;
        if (determinant > 0) {
            l->scale[k] = (n * l->xw[k] - l->w1[k] * x1) / determinant;
            l->min[k] = (l->w1[k] * l->xw[k] - l->w2[k] * x1) / determinant;
        }
        if (l->min[k] < 0) { // the type has no such minimum
            l->min[k] = 0;
            l->scale[k] = l->w2[k] > 0 ? l->xw[k] / l->w2[k] : 0;
        }
    }
}

static inline void add_errors(float *restrict errors, const float *restrict w,
                              const float *restrict scale, const float *restrict min, float x,
                              float p) {
    for (int k = 0; k < LANES; k++) {
        float e = scale[k] * w[k] - min[k] - x;
        errors[k] += p * e * e;
    }
}

static struct fit range(const float x[FIT_RANGE], int top) {
    float low = 0, high = x[0], squares = 0, weight[FIT_RANGE], n = 0, x1 = 0;
    for (int i = 0; i < FIT_RANGE; i++) {
        low = x[i] < low ? x[i] : low;
        high = x[i] > high ? x[i] : high;
        squares += x[i] * x[i];
    }
    float spread = high - low, mean = squares / FIT_RANGE;
    if (!(spread > 1e-30f)) return (struct fit){0, -low};
    for (int i = 0; i < FIT_RANGE; i++) {
        weight[i] = 1 + (mean > 0 ? x[i] * x[i] / mean : 0);
        n += weight[i];
        x1 += weight[i] * x[i];
    }
    struct range_lanes l = {0};
    for (int k = 0; k < LANES; k++)
        l.first[k] = spread / ((float)top + 0.1f * (float)(k < RANGE_TRIES ? k - 8 : 8));
    range_sums(&l, x, weight, -low, (float)top);
    range_solve(&l, n, x1, -low);
    for (int i = 0; i < FIT_RANGE; i++)
        add_errors(l.error, l.w[i], l.scale, l.min, x[i], weight[i]);
    int best = 8; // the scale without an offset counts whatever it is
    for (int k = 0; k < RANGE_TRIES; k++)
        if (l.scale[k] > 0 && l.error[k] < l.error[best]) best = k;
    return (struct fit){l.scale[best], l.min[best]};
}

// The whole numbers nearest to x * per_unit, halves up, within -32 .. 31. Products are within 33 of
// zero, since no |x| is above the largest.
static inline void signed_round(float *restrict w, const float *restrict per_unit, float x) {
    for (int k = 0; k < LANES; k++) {
        float v = x * per_unit[k] + 0.5f;
        int whole = (int)v; // towards 0
        whole -= (float)whole > v;
        whole = whole > -32 ? whole : -32;
        w[k] = (float)(whole < 31 ? whole : 31);
    }
}

static float signed_scale(const float x[FIT_SIGNED]) {
    float largest = 0, best = 0, gain = 0, per_unit[LANES], xw[LANES] = {0}, ww[LANES] = {0};
    for (int i = 0; i < FIT_SIGNED; i++)
        if (fabsf(x[i]) > fabsf(largest)) largest = x[i];
    if (!(fabsf(largest) > 1e-30f)) return 0;
    for (int k = 0; k < LANES; k++)
        per_unit[k] = -(32.0f + 0.1f * (float)(k < SIGNED_TRIES ? k - 9 : 9)) / largest;
    for (int i = 0; i < FIT_SIGNED; i++) {
        float w[LANES], p = x[i] * x[i];
        signed_round(w, per_unit, x[i]);
        add_products(xw, w, p * x[i]);
        add_squares(ww, w, p);
    }
    for (int k = 0; k < SIGNED_TRIES; k++)
        if (ww[k] > 0 && xw[k] * xw[k] > gain * ww[k]) {
            gain = xw[k] * xw[k] / ww[k];
            best = xw[k] / ww[k];
        }
    return best;
}

#endif
