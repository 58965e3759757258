// What steps are expected to cost, beside devices whose costs are known.
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

#include "tests/reference.h"
#include "worker/engine/draft_cost.h"

// A step of 4 rows: the first token more costs most, as experts are called that nobody else called.
static double true_cost(int n_rows, int n_tokens) {
    return 17000 + 4000.0 * n_tokens + (n_tokens > n_rows ? 16000 : 0);
}

static void note(struct draft_costs *c, int n_rows, int n_tokens, double slower) {
    draft_costs_note(c, n_rows, n_tokens, slower * true_cost(n_rows, n_tokens));
}

// Over the step without guesses, since only ratios count.
static double error_of(const struct draft_costs *c, int n_rows, int n_tokens) {
    double told = draft_costs_of(c, n_rows, n_tokens) / draft_costs_of(c, n_rows, n_rows);
    return told * true_cost(n_rows, n_rows) / true_cost(n_rows, n_tokens) - 1;
}

static void check(const struct draft_costs *c, int n_rows, int n_tokens, double tolerance) {
    double error = error_of(c, n_rows, n_tokens);
    if (error < 0) error = -error;
    if (error > tolerance) fail_msg("%d tokens: %.3f off", n_tokens, error);
}

// Lengths that were seen, and through the line those that were not.
static void test_lengths(void **state) {
    (void)state;
    struct draft_costs c;
    draft_costs_open(&c);
    assert_false(draft_costs_knows(&c, 4));
    for (int i = 0; i < 60; i++) note(&c, 4, 4 + (i % 3) * 5, 1);
    assert_true(draft_costs_knows(&c, 4));
    assert_false(draft_costs_knows(&c, 5));
    for (int n = 4; n <= 24; n++) check(&c, 4, n, n == 9 || n == 14 ? 0.02 : 0.06);
    draft_costs_close(&c);
}

// The machine is slow while one length is seen, then fast while another is. Not that (1.6 times) is
// taken for their cost, since steps in between say how slow it was.
static void test_moods(void **state) {
    (void)state;
    struct draft_costs c;
    draft_costs_open(&c);
    for (int i = 0; i < 1200; i++) {
        int is_slow = i / 100 % 2, other = is_slow ? 14 : 9;
        note(&c, 4, i % 2 ? 4 : other, is_slow ? 1.6 : 1);
    }
    check(&c, 4, 9, 0.15);
    check(&c, 4, 14, 0.15);
    draft_costs_close(&c);
}

// A step that was held up, the first of its length or a later one.
static void test_held_up(void **state) {
    (void)state;
    struct draft_costs c;
    struct reference_random random = {3};
    draft_costs_open(&c);
    for (int i = 0; i < 600; i++) {
        int n = 4 + reference_below(&random, 3) * 4;
        note(&c, 4, n, i == 10 || reference_below(&random, 20) == 0 ? 5 : 1);
    }
    check(&c, 4, 8, 0.08);
    check(&c, 4, 12, 0.08);
    draft_costs_close(&c);
}

// Any number of rows and tokens has a place, and guesses cost something.
// line.
static void test_extremes(void **state) {
    (void)state;
    struct draft_costs c;
    draft_costs_open(&c);
    for (int rows = 1; rows <= 1 << 20; rows *= 4) {
        assert_true(draft_costs_of(&c, rows, 17 * rows) > draft_costs_of(&c, rows, rows));
        for (int i = 0; i < 8; i++) note(&c, rows, i % 2 ? rows : 17 * rows, 1);
        assert_true(draft_costs_of(&c, rows, rows) > 0);
        assert_true(draft_costs_of(&c, rows, 17 * rows) > draft_costs_of(&c, rows, rows));
    }
    draft_costs_close(&c);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_lengths),
        cmocka_unit_test(test_moods),
        cmocka_unit_test(test_held_up),
        cmocka_unit_test(test_extremes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
