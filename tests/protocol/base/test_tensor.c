// bf16 and f16 conversions: all values there and back, and rounding against a twin in float64.
#include "kernels/tensor.h"

#include <math.h>
#include <stdarg.h>
#include <setjmp.h>
#include <stdbool.h>

#include <cmocka.h>

// A 16-bit float with `mantissa` fraction bits, from its definition.
static double slow_value(uint16_t bits, int mantissa) {
    int bias = mantissa == 7 ? 127 : 15, top = mantissa == 7 ? 255 : 31;
    int exponent = (bits & 0x7fff) >> mantissa, fraction = bits & ((1 << mantissa) - 1);
    double sign = bits >> 15 ? -1.0 : 1.0;
    if (exponent == top) return fraction ? NAN : sign * INFINITY;
    if (exponent == 0) return sign * ldexp(fraction, 1 - bias - mantissa);
    return sign * ldexp(fraction + (1 << mantissa), exponent - bias - mantissa);
}

// The nearest value, ties to the even bit pattern: the patterns of one sign are ordered as their
// values are, and infinity stands where the next power of two would.
static uint16_t slow_round(float f, int mantissa) {
    uint16_t sign = signbit(f) ? 0x8000 : 0, infinity = mantissa == 7 ? 0x7f80 : 0x7c00;
    double a = fabs((double)f), overflow = mantissa == 7 ? 0x1p128 : 65536.0;
    if (isinf(f)) return sign | infinity;
    uint16_t low = 0, high = infinity; // value(low) <= a < value(high)
    while (high - low > 1) {
        uint16_t middle = (uint16_t)((low + high) / 2);
        if (slow_value(middle, mantissa) <= a)
            low = middle;
        else
            high = middle;
    }
    double below = a - slow_value(low, mantissa);
    double above = (high == infinity ? overflow : slow_value(high, mantissa)) - a;
    bool up = above < below || (above == below && low % 2 == 1);
    return sign | (up ? high : low);
}

static void test_all_values(void **state) {
    (void)state;
    for (uint32_t i = 0; i < 65536; i++) {
        uint16_t bits = (uint16_t)i;
        float b = dtype_bf16_to_f32(bits), h = dtype_f16_to_f32(bits);
        double want_b = slow_value(bits, 7), want_h = slow_value(bits, 10);
        if (isnan(want_b)) {
            assert_true(isnan(b) && isnan(dtype_bf16_to_f32(dtype_f32_to_bf16(b))));
        } else {
            assert_true((double)b == want_b && !signbit(b) == !signbit(want_b));
            assert_int_equal(dtype_f32_to_bf16(b), bits);
        }
        if (isnan(want_h)) {
            assert_true(isnan(h) && isnan(dtype_f16_to_f32(dtype_f32_to_f16(h))));
        } else {
            assert_true((double)h == want_h && !signbit(h) == !signbit(want_h));
            assert_int_equal(dtype_f32_to_f16(h), bits);
        }
    }
}

static void check_rounding(uint32_t bits) {
    float f;
    memcpy(&f, &bits, 4);
    if (isnan(f)) {
        assert_true(isnan(dtype_bf16_to_f32(dtype_f32_to_bf16(f))));
        assert_true(isnan(dtype_f16_to_f32(dtype_f32_to_f16(f))));
        return;
    }
    if (dtype_f32_to_bf16(f) != slow_round(f, 7)) fail_msg("bf16 of %a is wrong", (double)f);
    if (dtype_f32_to_f16(f) != slow_round(f, 10)) fail_msg("f16 of %a is wrong", (double)f);
}

static void test_rounding(void **state) {
    (void)state;
    uint64_t x = 3;
    for (int i = 0; i < 300000; i++) {
        x = x * 6364136223846793005u + 1442695040888963407u;
        uint32_t bits = (uint32_t)(x >> 32);
        check_rounding(bits);
        // The range of f16, subnormals and overflow included: exponents 2^-27 to 2^17.
        check_rounding((bits & 0x807fffffu) | (100u + bits % 45u) << 23);
        // Halfway between two values, and one float to each side of it.
        uint32_t tie = i % 2 ? (bits & 0xffff0000u) | 0x8000u : (bits & 0xffffe000u) | 0x1000u;
        check_rounding(tie);
        check_rounding(tie + 1);
        check_rounding(tie - 1);
    }
    static const float edges[] = {65504.0f,        65519.996f, 65520.0f,  65536.0f,    0x1p-24f,
                                  0x1p-25f,        0x1.8p-25f, 0x1p-26f,  0x1p-14f,    0x1.ffcp-15f,
                                  0x1.ffep-15f,    0x1p-149f,  0x1p-126f, 0x1.fep127f, 0x1.ffp127f,
                                  0x1.fffffep127f, INFINITY,   0.0f};
    for (size_t i = 0; i < sizeof edges / sizeof *edges; i++) {
        uint32_t bits;
        memcpy(&bits, &edges[i], 4);
        check_rounding(bits);
        check_rounding(bits | 0x80000000u);
    }
}

static void test_access(void **state) {
    (void)state;
    static const size_t bytes[N_FLOAT_DTYPES] = {
        [DTYPE_F32] = 4, [DTYPE_BF16] = 2, [DTYPE_F16] = 2};
    for (int t = 0; t < N_FLOAT_DTYPES; t++) {
        char data[33];
        memset(data, 0x55, sizeof data);
        assert_int_equal(dtype_bytes((enum dtype)t), bytes[t]);
        for (int i = 0; i < 8; i++) dtype_put((enum dtype)t, data + 1, i, (float)(i - 4) * 0.5f);
        for (int i = 0; i < 8; i++)
            assert_true(dtype_get((enum dtype)t, data + 1, i) == (float)(i - 4) * 0.5f);
        for (size_t i = 1 + 8 * bytes[t]; i < sizeof data; i++) assert_int_equal(data[i], 0x55);
    }
    assert_string_equal(dtype_name(DTYPE_F32), "f32");
    assert_string_equal(dtype_name(DTYPE_BF16), "bf16");
    assert_string_equal(dtype_name(DTYPE_F16), "f16");
    struct tensor t = {.n_dims = 3, .dims = {2, 3, 5}};
    assert_int_equal(tensor_n(&t), 30);
    t.n_dims = 0;
    assert_int_equal(tensor_n(&t), 1);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_all_values),
        cmocka_unit_test(test_rounding),
        cmocka_unit_test(test_access),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
