// Scales of K types: every path gives the bits of the obvious way, one try after the other.
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "kernels/types/fit.h"
#include "tests/reference.h"

// ------------------------------------------------------------------ the obvious way

static int nearest(float v, int low, int high) {
    return !(v > (float)low) ? low : v >= (float)high ? high : (int)floorf(v + 0.5f);
}

struct try {
    struct fit fit;
    float error;
};

static struct try range_try(const float *x, const float *weight, int top, float first, float min) {
    float n = 0, w1 = 0, w2 = 0, x1 = 0, xw = 0;
    int w[FIT_RANGE];
    for (int i = 0; i < FIT_RANGE; i++) {
        w[i] = nearest((x[i] + min) / first, 0, top);
        float q = (float)w[i], p = weight[i];
        n += p;
        w1 += p * q;
        w2 += p * q * q;
        x1 += p * x[i];
        xw += p * x[i] * q;
    }
    float determinant = n * w2 - w1 * w1;
    struct try t = {{first, min}, 0};
    if (determinant > 0) {
        t.fit.scale = (n * xw - w1 * x1) / determinant;
        t.fit.min = (w1 * xw - w2 * x1) / determinant;
    }
    if (t.fit.min < 0) {
        t.fit.min = 0;
        t.fit.scale = w2 > 0 ? xw / w2 : 0;
    }
    for (int i = 0; i < FIT_RANGE; i++) {
        float e = t.fit.scale * (float)w[i] - t.fit.min - x[i];
        t.error += weight[i] * e * e;
    }
    return t;
}

static struct fit slow_range(const float *x, int top) {
    float low = 0, high = x[0], squares = 0, weight[FIT_RANGE];
    for (int i = 0; i < FIT_RANGE; i++) {
        low = x[i] < low ? x[i] : low;
        high = x[i] > high ? x[i] : high;
        squares += x[i] * x[i];
    }
    float spread = high - low, mean = squares / FIT_RANGE;
    if (!(spread > 1e-30f)) return (struct fit){0, -low};
    for (int i = 0; i < FIT_RANGE; i++) weight[i] = 1 + (mean > 0 ? x[i] * x[i] / mean : 0);
    struct try best = range_try(x, weight, top, spread / (float)top, -low);
    for (int k = -8; k <= 8; k++) {
        struct try t = range_try(x, weight, top, spread / ((float)top + 0.1f * (float)k), -low);
        if (t.fit.scale > 0 && t.error < best.error) best = t;
    }
    return best.fit;
}

static float slow_signed(const float *x) {
    float largest = 0, best = 0, gain = 0;
    for (int i = 0; i < FIT_SIGNED; i++)
        if (fabsf(x[i]) > fabsf(largest)) largest = x[i];
    if (!(fabsf(largest) > 1e-30f)) return 0;
    for (int k = -9; k <= 9; k++) {
        float per_unit = -(32.0f + 0.1f * (float)k) / largest, xw = 0, ww = 0;
        for (int i = 0; i < FIT_SIGNED; i++) {
            float w = (float)nearest(x[i] * per_unit, -32, 31), p = x[i] * x[i];
            xw += p * x[i] * w;
            ww += p * w * w;
        }
        if (ww > 0 && xw * xw > gain * ww) {
            gain = xw * xw / ww;
            best = xw / ww;
        }
    }
    return best;
}

// ------------------------------------------------------------------ tests

// Normal ones, of one sign, with an outlier, multiples of a step, tiny, huge, all the same.
enum { N_KINDS = 8 };
static float value_of(struct reference_random *r, int kind, int i) {
    float v = (float)reference_normal(r);
    switch (kind) {
    case 1:
        return fabsf(v) + 3;
    case 2:
        return i == 5 ? 40 * v : v;
    case 3:
        return (float)(reference_below(r, 63) - 31) / 16;
    case 4:
        return v * 1e-14f;
    case 5:
        return v * 1e6f;
    case 6:
        return reference_below(r, 4) ? 0 : v;
    case 7:
        return -0.5f;
    default:
        return v * 0.02f;
    }
}

static void expect_same(const struct fit_ops *ops, int n_rounds) {
    struct reference_random r = {3};
    for (int round = 0; round < n_rounds; round++) {
        float x[FIT_RANGE];
        for (int i = 0; i < FIT_RANGE; i++) x[i] = value_of(&r, round % N_KINDS, i);
        for (int top = 15; top <= 31; top += 16) {
            struct fit want = slow_range(x, top), found = ops->range(x, top);
            assert_memory_equal(&found, &want, sizeof want);
        }
        float want = slow_signed(x), found = ops->signed_scale(x);
        assert_memory_equal(&found, &want, sizeof want);
    }
}

static void test_portable(void **state) {
    (void)state;
    expect_same(&fit_portable, 20000);
}

static void test_here(void **state) {
    (void)state;
    expect_same(fit_ops(), 20000);
}

#if defined(__x86_64__)
static void test_avx2(void **state) {
    (void)state;
    if (fit_ops() == &fit_portable) skip();
    expect_same(&fit_avx2, 20000);
}
#endif

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_portable),
        cmocka_unit_test(test_here),
#if defined(__x86_64__)
        cmocka_unit_test(test_avx2),
#endif
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
