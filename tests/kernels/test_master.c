// A master: blocks that updates make anew are those that the whole master is packed to, for each
// block type and wherever in a block an element changes.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "kernels/types/types.h"
#include "protocol/base/memory.h"
#include "protocol/base/sanitized.h"
#include "tests/kernels/staged.h"

static const enum dtype types[] = {DTYPE_Q8_0, DTYPE_Q4_0, DTYPE_Q4_K, DTYPE_Q5_K, DTYPE_Q6_K};
enum { N_TYPES = 5 };

// Rows of whole super-blocks; the experts' w2 have none.
static struct model_shape wide_shape(void) {
    struct model_shape s = harness_shape(1);
    s.n_layers = 2;
    s.hidden = 256;
    s.head_dim = 32;
    s.n_heads = 8;
    s.ff_dense = 512;
    s.n_experts = 4;
    s.ff_expert = 64;
    return s;
}

static struct staged *open_master(const struct model_shape *s, enum dtype blocks, uint64_t seed) {
    const struct harness_options o = {.matrices = DTYPE_BF16,
                                      .blocks = blocks,
                                      .has_master = true,
                                      .n_threads = 2,
                                      .page_tokens = 16};
    return staged_new(s, &o, seed);
}

// ------------------------------------------------------------------ what is right

static void test_every_type(void **state) {
    (void)state;
    for (int type = 0; type < N_TYPES; type++) {
        struct model_shape s = wide_shape();
        struct staged *u = open_master(&s, types[type], (uint64_t)type + 1);
        int n_blocks = 0;
        for (int i = 0; i < u->h->model->n; i++) n_blocks += u->h->resident[i] == types[type];
        assert_true(n_blocks > 10);
        staged_expect_weights(u); // as they were loaded
        for (int turn = 0; turn < (IS_SANITIZED ? 2 : 5); turn++) {
            staged_add_turn(u, turn);
            staged_exchange_twice(u);
            staged_clear(u);
        }
        staged_free(u);
    }
}

// Blocks of codes begin and end in the middle of blocks of elements, behind skips and before them.
static void test_gaps(void **state) {
    (void)state;
    static const uint32_t gaps[] = {1, 3, 31, 33, 63, 100, 254, 255, 256, 257, 300, 511, 513, 1000};
    struct model_shape s = wide_shape();
    s.vocab = 5000; // the embedding has codes for several blocks of them
    for (int type = 1; type < 3; type++) {
        struct staged *u = open_master(&s, types[type], 7);
        uint32_t size = (uint32_t)staged_n_elements(u->h, 0);
        for (size_t i = 0; i < sizeof gaps / sizeof *gaps; i += IS_SANITIZED ? 3 : 1) {
            uint32_t *positions = memory_new(size, sizeof *positions);
            int64_t n = 0;
            for (uint32_t p = (uint32_t)i; p < size; p += gaps[i] + (uint32_t)(n % 7 == 3))
                positions[n++] = p;
            staged_add(u, 0, 1, positions, n, i % 2);
            staged_exchange_twice(u);
            staged_clear(u);
        }
        staged_free(u);
    }
}

// Many updates one upon the other: what is resident lies now here and now there.
static void test_updates_follow(void **state) {
    (void)state;
    struct model_shape s = wide_shape();
    struct staged *u = open_master(&s, DTYPE_Q4_K, 5);
    for (int round = 0; round < 9; round++) {
        for (int i = u->h->model->n - 1; i >= 0; i -= 1 + reference_below(&u->random, 3))
            staged_add_pattern(u, i, 1 + round % 2,
                               (enum pattern)reference_below(&u->random, N_PATTERNS));
        staged_stage_all(u);
        staged_expect_sums(u);
        staged_apply(u);
        if (round % 3 == 1) staged_apply(u); // taken back
        staged_expect_weights(u);
        staged_clear(u);
    }
    staged_free(u);
}

// What was checked and never applied leaves nothing behind.
static void test_checked_alone(void **state) {
    (void)state;
    struct model_shape s = wide_shape();
    struct staged *u = open_master(&s, DTYPE_Q6_K, 6);
    for (int i = 0; i < u->h->model->n; i++) staged_add_pattern(u, i, 2, PATTERN_ALL);
    staged_stage_all(u);
    staged_expect_sums(u);
    staged_expect_weights(u);
    staged_clear(u);
    for (int i = 0; i < u->h->model->n; i += 2) staged_add_pattern(u, i, 2, PATTERN_EDGES);
    staged_exchange_twice(u);
    staged_free(u);
}

// ------------------------------------------------------------------ what is wrong

// Finite in bf16, and more than the scale of a block holds.
static void test_too_large(void **state) {
    (void)state;
    static const float large[] = {3e38f, -3e38f, 1e20f, 1e12f};
    struct model_shape s = wide_shape();
    for (int type = 0; type < N_TYPES; type++)
        for (int form = 0; form < 2; form++) {
            struct staged *u = open_master(&s, types[type], 8);
            struct change_sums sums[3];
            struct error err;
            int bad;
            staged_add_pattern(u, 1, 1, PATTERN_ALL);
            if (form)
                staged_add_dense(u, 0);
            else
                staged_add_pattern(u, 0, 1, PATTERN_EDGES);
            staged_add_dense(u, 3);
            const struct weight_change *c = &u->changes[1];
            for (int k = 0; k < 4; k++) {
                int64_t at[] = {0, c->n_values / 2, c->n_values - 1};
                uint32_t kept = staged_bits_at(DTYPE_BF16, u->image + c->values, at[k % 3]);
                dtype_put(DTYPE_BF16, u->image + c->values, at[k % 3], large[k]);
                staged_stage(u, 0, u->bytes, u->image);
                assert_int_equal(staged_check(u, sums, &bad, &err), -1);
                assert_int_equal(bad, 1);
                assert_int_equal(err.code, ERROR_INPUT);
                assert_non_null(strstr(err.text, "too large for "));
                assert_non_null(strstr(err.text, dtype_name(u->h->resident[0])));
                staged_put_bits(DTYPE_BF16, u->image + c->values, at[k % 3], kept);
            }
            staged_exchange_twice(u); // nothing has changed meanwhile
            staged_free(u);
        }
}

// ------------------------------------------------------------------ the plan

static void test_plan(void **state) {
    (void)state;
    struct model_shape s = wide_shape();
    struct staged *u = open_master(&s, DTYPE_Q4_0, 9);
    struct backend_options o = staged_plan_options(u, &s);
    struct backend_plan without, with;
    struct error err = {0};
    const struct backend_ops *ops = u->h->backend->ops;
    assert_int_equal(ops->plan(&o, &without, &err), 0);
    o.master_dtypes = u->h->dtypes;
    assert_int_equal(ops->plan(&o, &with, &err), 0);
    int64_t n = 0;
    for (int i = 0; i < u->h->model->n; i++) n += staged_n_elements(u->h, i);
    assert_true(without.bytes[MEMORY_MASTER] == 0 && without.bytes[MEMORY_SECOND_COPY] == 0);
    assert_true(with.bytes[MEMORY_MASTER] >= 2 * (uint64_t)n);
    assert_true(with.bytes[MEMORY_SECOND_COPY] == with.bytes[MEMORY_WEIGHTS]);
    assert_true(with.is_host[MEMORY_MASTER] && with.is_host[MEMORY_SECOND_COPY]);
    for (int i = 0; i < MEMORY_SECOND_COPY; i++) assert_true(with.bytes[i] == without.bytes[i]);
    staged_free(u);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_type),     cmocka_unit_test(test_gaps),
        cmocka_unit_test(test_updates_follow), cmocka_unit_test(test_checked_alone),
        cmocka_unit_test(test_too_large),      cmocka_unit_test(test_plan),
    };
    return harness_is_cpu() ? cmocka_run_group_tests(tests, NULL, NULL) : 0;
}
