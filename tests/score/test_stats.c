// Sums of a run against their definitions.
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "verifiers/score/score_stats.h"

static void add(struct score_stats *s, uint64_t group, uint64_t answer, double value, bool right) {
    struct score_stat stat = {.index = s->n,
                              .group = group,
                              .answer = answer,
                              .value = value,
                              .us = (uint32_t)(s->n * 7919 % 101),
                              .n_tokens = -1,
                              .status = REWARD_OK,
                              .flags = SCORE_ROW_JUDGED};
    struct slice none = {"", 0};
    if (right) stat.flags |= SCORE_ROW_RIGHT;
    const struct score_accounts accounts = {1, 1, &none, &stat};
    score_stats_add(s, &accounts);
}

static double choose(unsigned n, unsigned k) {
    double out = 1;
    if (k > n) return 0;
    for (unsigned i = 1; i <= k; i++) out = out * (n - k + i) / i;
    return out;
}

static void test_pass_at_k(void **state) {
    (void)state;
    struct score_stats s = {0};
    double want[11] = {0}, got;
    for (uint64_t g = 1; g <= 300; g++) {
        unsigned n = 10, c = (unsigned)(g * 31 % 11);
        for (unsigned i = 0; i < n; i++) add(&s, g, 5, i < c, i < c);
        for (unsigned k = 1; k <= n; k++) want[k] += 1 - choose(n - c, k) / choose(n, k);
    }
    add(&s, 1000, 5, 1, true); // a group of one counts for k = 1 only
    assert_int_equal(score_stats_pass_at(&s, 1, &got), 301);
    for (uint32_t k = 2; k <= 10; k++) {
        assert_int_equal(score_stats_pass_at(&s, k, &got), 300);
        assert_true(fabs(got - want[k] / 300) < 1e-12);
    }
    assert_int_equal(score_stats_pass_at(&s, 11, &got), 0);
    assert_true(isnan(got));
    assert_int_equal(score_stats_largest_group(&s), 10);
    score_stats_free(&s);
}

static void test_majority(void **state) {
    (void)state;
    // Votes for the right answer, then for wrong ones; what the group counts for.
    static const struct {
        int right, wrong[4];
        double counts;
    } groups[] = {
        {3, {2, 1}, 1}, {2, {3}, 0}, {2, {2}, 0.5},           {1, {1, 1}, 1.0 / 3},
        {0, {1}, 0},    {1, {0}, 1}, {2, {2, 2, 1}, 1.0 / 3},
    };
    struct score_stats s = {0};
    double want = 0;
    size_t n = sizeof groups / sizeof *groups;
    for (size_t g = 0; g < n; g++) {
        for (int i = 0; i < groups[g].right; i++) add(&s, g + 1, (uint64_t)i + 50, 1, true);
        for (int a = 0; a < 4; a++)
            for (int i = 0; i < groups[g].wrong[a]; i++) add(&s, g + 1, (uint64_t)a + 1, 0, false);
        want += groups[g].counts / (double)n;
    }
    assert_true(fabs(score_stats_majority(&s) - want) < 1e-12);
    score_stats_free(&s);
}

static void test_errors_of_the_mean(void **state) {
    (void)state;
    struct score_stats alone = {0}, grouped = {0};
    for (int i = 0; i < 100; i++) {
        add(&alone, 0, 0, i % 4 == 0, false);
        add(&grouped, (uint64_t)(i % 4) + 1, 0, i % 4 == 0, false); // groups of one mind
    }
    assert_true(fabs(alone.mean - 0.25) < 1e-12);
    assert_true(fabs(score_stats_error(&alone) - sqrt(0.1875 / 99)) < 1e-12);
    // Four groups of 25: sums off their share by 18.75 and three times -6.25.
    assert_true(fabs(score_stats_error(&grouped) - sqrt(18.75 * 18.75 + 3 * 6.25 * 6.25) / 100) <
                1e-12);
    score_stats_free(&alone);
    score_stats_free(&grouped);
}

static void test_slowest(void **state) {
    (void)state;
    struct score_stats s = {0};
    for (int i = 0; i < 1000; i++) add(&s, 0, 0, 1, true);
    assert_int_equal(s.n_slowest, STATS_N_LISTED);
    assert_true(s.slowest[0].value == 100);
    for (int i = 1; i < STATS_N_LISTED; i++) {
        assert_true(s.slowest[i - 1].value >= s.slowest[i].value);
        if (s.slowest[i - 1].value == s.slowest[i].value)
            assert_true(s.slowest[i - 1].index < s.slowest[i].index);
    }
    score_stats_free(&s);
}

static void test_many_names(void **state) {
    (void)state;
    struct score_stats s = {0};
    for (int i = 0; i < 1000; i++) {
        char text[16];
        int len = snprintf(text, sizeof text, "set%d", i);
        struct slice names[2] = {{"", 0}, {text, (size_t)len}};
        struct score_stat stat = {.dataset = 1, .status = REWARD_OK, .flags = SCORE_ROW_JUDGED};
        const struct score_accounts accounts = {2, 1, names, &stat};
        score_stats_add(&s, &accounts);
    }
    assert_int_equal(s.datasets.n, STATS_MAX_NAMES);
    assert_string_equal(s.datasets.list[STATS_MAX_NAMES - 1].name, "(others)");
    assert_int_equal(s.datasets.list[STATS_MAX_NAMES - 1].n, 1000 - STATS_MAX_NAMES + 1);
    score_stats_free(&s);
}

static void test_accounts_that_are_damaged(void **state) {
    (void)state;
    struct score_meta meta = {0};
    struct buffer bytes = {0};
    struct arena arena = {0};
    struct score_accounts out;
    for (int i = 0; i < 5; i++) {
        struct score_stat stat = {.status = REWARD_OK};
        stat.dataset = score_meta_string(&meta, slice_of(i % 2 ? "odd" : "even"));
        score_meta_add(&meta, &stat);
    }
    score_meta_write(&meta, &bytes);
    assert_int_equal(score_accounts_read(buffer_slice(&bytes), &arena, &out), 0);
    assert_int_equal(out.n_strings, 3);
    assert_true(slice_is(out.strings[out.stats[4].dataset], "even"));
    for (size_t len = 0; len < bytes.len; len++) {
        char *cut = memory_copy(bytes.ptr, len); // its end is seen by the sanitizer
        assert_int_equal(score_accounts_read((struct slice){cut, len}, &arena, &out), -1);
        free(cut);
    }
    arena_clear(&arena);
    buffer_free(&bytes);
    score_meta_free(&meta);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_pass_at_k),          cmocka_unit_test(test_majority),
        cmocka_unit_test(test_errors_of_the_mean), cmocka_unit_test(test_slowest),
        cmocka_unit_test(test_many_names),         cmocka_unit_test(test_accounts_that_are_damaged),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
