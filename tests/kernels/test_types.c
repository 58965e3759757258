// Block types: what is packed comes back within the type's step, tiles lose nothing, and products
// of every path have the bits of plain C, which are those of float64 within rounding.
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "kernels/cpu/isa.h"
#include "kernels/types/types.h"
#include "protocol/base/memory.h"
#include "tests/reference.h"

enum { BLOCKS = 3, COLUMNS = BLOCKS * TYPE_MAX_ELEMENTS };

static const enum dtype all[] = {DTYPE_Q8_0, DTYPE_Q4_0, DTYPE_Q4_K, DTYPE_Q5_K, DTYPE_Q6_K};
enum { N_TYPES = sizeof all / sizeof *all };

static uint32_t random_bits(struct reference_random *r) {
    return (uint32_t)(reference_uniform(r) * 4294967296.0);
}

// Any bytes are a block, but for scales, which are made small and finite.
static void random_block(const struct block_type *t, struct reference_random *r, uint8_t *block) {
    for (int i = 0; i < t->bytes; i++) block[i] = (uint8_t)random_bits(r);
    int at = t->dtype == DTYPE_Q6_K ? 208 : 0;
    for (int i = 0; i < (t->has_min ? 2 : 1); i++) {
        uint16_t h = dtype_f32_to_f16((float)reference_normal(r) * 0.01f);
        memcpy(block + at + 2 * i, &h, 2);
    }
}

// A group of random rows, as blocks and as tiles.
struct group {
    const struct block_type *t;
    uint8_t blocks[TYPE_ROWS][COLUMNS / 32 * 64];
    _Alignas(64) char quants[TYPE_ROWS * COLUMNS];
    char scales[TYPE_ROWS * COLUMNS / 8];
    int n_blocks;
};

static void make_group(struct group *g, enum dtype t, struct reference_random *r) {
    g->t = type_find(t);
    g->n_blocks = COLUMNS / g->t->elements;
    for (int row = 0; row < TYPE_ROWS; row++)
        for (int b = 0; b < g->n_blocks; b++) {
            uint8_t *block = g->blocks[row] + b * g->t->bytes;
            random_block(g->t, r, block);
            g->t->put(g->quants + b * g->t->quant_bytes, g->scales + b * g->t->scale_bytes, row,
                      block);
        }
}

static void test_tiles(void **state) {
    (void)state;
    struct reference_random r = {1};
    struct group *g = memory_new(1, sizeof *g);
    for (int i = 0; i < N_TYPES; i++) {
        make_group(g, all[i], &r);
        for (int row = 0; row < TYPE_ROWS; row++)
            for (int b = 0; b < g->n_blocks; b++) {
                uint8_t block[TYPE_MAX_BYTES];
                g->t->get(g->quants + b * g->t->quant_bytes, g->scales + b * g->t->scale_bytes, row,
                          block);
                assert_memory_equal(block, g->blocks[row] + b * g->t->bytes, (size_t)g->t->bytes);
            }
    }
    free(g);
}

static void activate(struct reference_random *r, int path, struct activation *out) {
    float x[COLUMNS];
    for (int i = 0; i < COLUMNS; i++) x[i] = (float)reference_normal(r) * (i < 64 ? 9 : 1);
    type_activate((enum type_path)path, x, COLUMNS, out);
}

// The twin: exact products of what the numbers stand for, summed in float64. Each of 24 (or 24
// and 24) terms of the float32 sum is rounded three times at most.
static void check_twin(const struct group *g, int row, const struct activation *x, float got) {
    float w[COLUMNS];
    double want = 0, size = 0;
    type_unpack(g->t->dtype, g->blocks[row], COLUMNS, w);
    for (int c = 0; c < COLUMNS; c++) {
        const struct activation *a = &x[c / TYPE_RUN];
        double term = (double)w[c] * (double)a->scale * a->q[c % TYPE_RUN];
        want += term;
        size += fabs(term);
    }
    assert_true(fabs(want - (double)got) <= 4e-6 * size + 1e-12);
}

static void test_dots(void **state) {
    (void)state;
    struct reference_random r = {2};
    struct group *g = memory_new(1, sizeof *g);
    static struct activation x[TYPE_TOKENS][COLUMNS / TYPE_RUN];
    for (int i = 0; i < N_TYPES; i++) {
        make_group(g, all[i], &r);
        for (int k = 0; k < TYPE_TOKENS; k++) activate(&r, TYPE_PORTABLE, x[k]);
        _Alignas(64) float want[TYPE_TOKENS][TYPE_ROWS], got[TYPE_TOKENS][TYPE_ROWS];
        struct type_dot d = {.quants = g->quants, .scales = g->scales, .n_blocks = g->n_blocks};
        d.n = 1;
        for (int k = 0; k < TYPE_TOKENS; k++) {
            d.x[0] = x[k];
            d.y = want + k;
            type_dot(g->t, TYPE_PORTABLE, &d);
        }
        for (int row = 0; row < TYPE_ROWS; row++)
            for (int k = 0; k < TYPE_TOKENS; k++) check_twin(g, row, x[k], want[k][row]);
        for (enum type_path path = 0; path <= isa_find(NULL)->types; path++)
            for (int first = 0; first < TYPE_TOKENS; first++) // and any company
                for (int n = 1; first + n <= TYPE_TOKENS && n <= type_tokens(path); n++) {
                    struct type_dot some = d;
                    some.n = n;
                    some.y = got;
                    for (int k = 0; k < n; k++) some.x[k] = x[first + k];
                    type_dot(g->t, path, &some);
                    assert_memory_equal(got, want[first], (size_t)n * sizeof *got);
                }
    }
    print_message("# paths up to %s\n", type_path_name(isa_find(NULL)->types));
    free(g);
}

static void test_activations(void **state) {
    (void)state;
    struct reference_random r = {3};
    for (int round = 0; round < 200; round++) {
        float x[2 * TYPE_RUN], size = round % 5 ? 1 : 1e-31f;
        struct activation a[2], b[2];
        for (int i = 0; i < 2 * TYPE_RUN; i++) x[i] = (float)reference_normal(&r) * size;
        if (round == 7) memset(x, 0, sizeof x);
        for (int i = 0; round == 8 && i < 2 * TYPE_RUN; i++) // halves go to even
            x[i] = i % TYPE_RUN ? (float)(i % TYPE_RUN) - 15.5f : -127;
        if (round % 3 == 1) x[40] = round % 2 ? INFINITY : NAN;
        type_activate_portable(x, 2 * TYPE_RUN, a);
        for (int i = 0; i < TYPE_RUN && round % 5; i++)
            assert_true(fabs((double)a[0].scale * a[0].q[i] - (double)x[i]) <=
                        0.5001 * (double)a[0].scale);
        assert_int_equal(isfinite(a[1].scale) != 0, round % 3 != 1);
        for (int path = TYPE_PORTABLE + 1; path <= (int)isa_find(NULL)->types; path++) {
            type_activate((enum type_path)path, x, 2 * TYPE_RUN, b);
            for (int i = 0; i < 2; i++) {
                assert_memory_equal(a[i].q, b[i].q, TYPE_RUN);
                assert_int_equal(a[i].minus_sum, b[i].minus_sum);
                assert_int_equal(a[i].minus_low_sum, b[i].minus_low_sum);
                if (isfinite(a[i].scale))
                    assert_memory_equal(&a[i], &b[i], sizeof a[i]);
                else
                    assert_true(isfinite(b[i].scale) == 0);
            }
        }
        type_activate(isa_find(NULL)->types, x, 2 * TYPE_RUN, (struct activation *)(void *)x);
        assert_memory_equal(((struct activation *)(void *)x)->q, a[0].q, TYPE_RUN); // in place
    }
}

// Mean squares of the error beside those of the values, which are normal. A uniform quantiser of n
// levels over four deviations has (8 / n)^2 / 12; the best of 32 values span more than that.
static void test_packing(void **state) {
    (void)state;
    static const double limits[N_DTYPES] = {[DTYPE_Q8_0] = 5e-5,
                                            [DTYPE_Q4_0] = 1.2e-2,
                                            [DTYPE_Q4_K] = 6e-3,
                                            [DTYPE_Q5_K] = 1.5e-3,
                                            [DTYPE_Q6_K] = 4e-4};
    struct reference_random r = {4};
    static float x[64 * 256], y[64 * 256];
    static char blocks[64 * 256 / 32 * 64];
    int n = 64 * 256;
    for (int i = 0; i < n; i++) x[i] = (float)reference_normal(&r) * 0.02f;
    for (int i = 0; i < N_TYPES; i++) {
        double error = 0, size = 0;
        type_pack(all[i], x, n, blocks);
        assert_int_equal(type_find_not_finite(all[i], blocks, n), -1);
        type_unpack(all[i], blocks, n, y);
        for (int k = 0; k < n; k++) {
            error += pow((double)x[k] - (double)y[k], 2);
            size += pow((double)x[k], 2);
        }
        assert_true(error / size < limits[all[i]]);
        assert_true(error > 0);
    }
}

// Blocks of one value, of zeros, of tiny, huge and one-sided ones: nothing overflows.
static void test_odd_blocks(void **state) {
    (void)state;
    static const float values[] = {0, 1, -1, 1e-30f, -1e-38f, 1e-41f, 6e4f, -6e4f};
    for (int i = 0; i < N_TYPES; i++)
        for (size_t v = 0; v < sizeof values / sizeof *values; v++)
            for (int one_sided = 0; one_sided < 2; one_sided++) {
                float x[256], y[256];
                char blocks[256 / 32 * 64];
                for (int k = 0; k < 256; k++)
                    x[k] = values[v] * (one_sided ? (float)(k % 7) / 6 : 1);
                type_pack(all[i], x, 256, blocks);
                assert_int_equal(type_find_not_finite(all[i], blocks, 256), -1);
                type_unpack(all[i], blocks, 256, y);
                double step = fabs((double)values[v]) / 7 + 1e-6;
                for (int k = 0; k < 256; k++) assert_true(fabs((double)(x[k] - y[k])) <= step);
            }
}

// Values that no scale holds are found, wherever they stand, also where sums of squares overflow.
static void test_too_large(void **state) {
    (void)state;
    static const float values[] = {3e38f, -3e38f, 1e20f, -1e12f, 4e8f};
    for (int i = 0; i < N_TYPES; i++) {
        int64_t size = type_elements(all[i]), n = 3 * size;
        float x[3 * TYPE_MAX_ELEMENTS];
        char blocks[3 * TYPE_MAX_BYTES], plain[3 * TYPE_MAX_BYTES];
        for (int64_t k = 0; k < n; k++) x[k] = (float)(k % 17) - 8;
        assert_int_equal(type_pack_checked(all[i], x, n, blocks), -1);
        type_pack(all[i], x, n, plain);
        assert_memory_equal(blocks, plain, type_size(all[i], n));
        for (size_t v = 0; v < sizeof values / sizeof *values; v++)
            for (int64_t k = 0; k < n; k += 31) {
                float kept = x[k];
                x[k] = values[v];
                assert_int_equal(type_pack_checked(all[i], x, n, blocks), k / size * size);
                x[k] = kept;
            }
    }
}

static void test_finite(void **state) {
    (void)state;
    struct reference_random r = {5};
    for (int i = 0; i < N_TYPES; i++) {
        const struct block_type *t = type_find(all[i]);
        uint8_t blocks[3][TYPE_MAX_BYTES], packed[3 * TYPE_MAX_BYTES];
        int64_t n = 3 * t->elements;
        for (int b = 0; b < 3; b++) {
            random_block(t, &r, blocks[b]);
            memcpy(packed + b * t->bytes, blocks[b], (size_t)t->bytes);
        }
        assert_int_equal(type_find_not_finite(all[i], packed, n), -1);
        uint16_t infinite = 0x7c00;
        memcpy(packed + 2 * t->bytes +
                   (all[i] == DTYPE_Q6_K ? 208
                    : t->has_min         ? 2
                                         : 0),
               &infinite, 2);
        assert_int_equal(type_find_not_finite(all[i], packed, n), 2 * t->elements);
        enum dtype named;
        assert_int_equal(type_parse(dtype_name(all[i]), &named), 0);
        assert_int_equal(named, all[i]);
        assert_int_equal(t->dtype, all[i]);
        assert_int_equal(type_size(all[i], n), 3 * t->bytes);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_tiles),       cmocka_unit_test(test_dots),
        cmocka_unit_test(test_activations), cmocka_unit_test(test_packing),
        cmocka_unit_test(test_odd_blocks),  cmocka_unit_test(test_finite),
        cmocka_unit_test(test_too_large),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
