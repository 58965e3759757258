// The functions of kernels/math.h against the C library in float64, and published answers.
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "kernels/math.h"

// Distance of a float32 to the true value in units of the last place (of the smallest normal
// number below it).
static double ulps(float got, double want) {
    int exponent = want == 0 ? -126 : ilogb(want);
    return fabs((double)got - want) / ldexp(1, (exponent < -126 ? -126 : exponent) - 23);
}

static void test_exp(void **state) {
    (void)state;
    double worst = 0;
    for (uint32_t u = 0; u < 0x42d20000u; u += 997) { // to 105, both signs
        for (int sign = 0; sign < 2; sign++) {
            float x = sign ? -math_float(u) : math_float(u);
            double want = exp((double)x);
            if (want > 3.4028235e38)
                assert_true(math_exp(x) == INFINITY || (double)x < 88.7229);
            else
                worst = fmax(worst, ulps(math_exp(x), want));
        }
    }
    assert_true(worst < 1.5);
    assert_true(math_exp(-INFINITY) == 0);
    assert_true(math_exp(-200) == 0);
    assert_true(math_exp(INFINITY) == INFINITY);
    assert_true(math_exp(0) == 1);
    assert_true(isnan(math_exp(NAN)));
}

static void test_log(void **state) {
    (void)state;
    double worst = 0;
    for (uint32_t u = 1; u < 0x7f800000u; u += 997)
        worst = fmax(worst, ulps(math_log(math_float(u)), log((double)math_float(u))));
    for (uint32_t u = 0x3f700000u; u < 0x3f900000u; u++) // around 1, where results are small
        worst = fmax(worst, ulps(math_log(math_float(u)), log((double)math_float(u))));
    assert_true(worst < 1.5);
    assert_true(math_log(0) == -INFINITY);
    assert_true(math_log(INFINITY) == INFINITY);
    assert_true(isnan(math_log(-1)));
    assert_true(math_log(1) == 0);
}

static void test_sqrt(void **state) {
    (void)state;
    for (uint32_t u = 0; u < 0x7f800000u; u += 499)
        assert_true(math_sqrt(math_float(u)) == sqrtf(math_float(u)));
    assert_true(isnan(math_sqrt(-1)));
    assert_true(math_sqrt(INFINITY) == INFINITY);
}

// Angles up to the last position of the longest context.
static void test_sin_cos(void **state) {
    (void)state;
    double worst = 0;
    for (uint32_t u = 0x30000000u; u < 0x48000000u; u += 1499) { // 5e-10 to 131072
        float s, c, x = math_float(u);
        math_sin_cos(x, &s, &c);
        worst = fmax(worst, fmax(ulps(s, sin((double)x)), ulps(c, cos((double)x))));
        float minus, same;
        math_sin_cos(-x, &minus, &same);
        assert_true(minus == -s && same == c);
    }
    assert_true(worst < 0.51);
}

static void test_float64(void **state) {
    (void)state;
    for (double x = -600; x < 600; x += 0.37) assert_true(fabs(math_exp64(x) / exp(x) - 1) < 1e-15);
    for (double x = 1e-300; x < 1e300; x *= 1.37)
        assert_true(fabs(math_log64(x) - log(x)) <= 3e-16 * fmax(1, fabs(log(x))));
}

// What torch 2.13 computes for theta 1e6 and 64 values a head, as bits.
static void test_inverse_frequency(void **state) {
    (void)state;
    assert_int_equal(math_bits(math_inverse_frequency(1e6f, 0, 64)), 0x3f800000);
    assert_int_equal(math_bits(math_inverse_frequency(1e6f, 1, 64)), 0x3f263de0);
    assert_int_equal(math_bits(math_inverse_frequency(1e6f, 9, 64)), 0x3ca8398b);
    assert_int_equal(math_bits(math_inverse_frequency(1e6f, 31, 64)), 0x35ceaf79);
}

// Known answers of Random123 (kat_vectors, philox4x32 10).
static void test_philox(void **state) {
    (void)state;
    static const uint32_t vectors[3][10] = {
        {0, 0, 0, 0, 0, 0, 0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8},
        {~0u, ~0u, ~0u, ~0u, ~0u, ~0u, 0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd},
        {0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344, 0xa4093822, 0x299f31d0, 0xd16cfe09,
         0x94fdcceb, 0x5001e420, 0x24126ea1},
    };
    for (int i = 0; i < 3; i++) {
        struct math_words c, got;
        memcpy(c.w, vectors[i], sizeof c.w);
        got = math_philox(c, vectors[i][4], vectors[i][5]);
        assert_memory_equal(got.w, vectors[i] + 6, sizeof got.w);
    }
}

// Every u is inside (0, 1), and the noise follows -ln(-ln u).
static void test_gumbel(void **state) {
    (void)state;
    for (uint64_t w = 0; w <= 0xffffffffu; w += 0x10001) {
        double u = ((double)(w >> 9) + 0.5) / 8388608.0, want = -log(-log(u));
        assert_true(fabs((double)math_gumbel((uint32_t)w) - want) < 1e-6 * fmax(1, fabs(want)));
    }
    assert_true(math_gumbel(0xffffffffu) < 16.64f && math_gumbel(0) > -2.82f);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_exp),     cmocka_unit_test(test_log),
        cmocka_unit_test(test_sqrt),    cmocka_unit_test(test_sin_cos),
        cmocka_unit_test(test_float64), cmocka_unit_test(test_inverse_frequency),
        cmocka_unit_test(test_philox),  cmocka_unit_test(test_gumbel),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
