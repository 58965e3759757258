// How far the policy guesses on devices that are simulated: by what a step of T tokens costs, and
// by how often guesses are right. Nothing here is timed.
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "tests/reference.h"
#include "worker/engine/draft_policy.h"

enum { MAX_ROWS = 1024, LENGTH = 16 };

// Steps of a device that takes a + b T microseconds, and `jump` more where anything is guessed.
struct device {
    double a, b, jump;
    int noise; // of 100 steps, so many take five times as long
    int moods; // steps for which it is slow, then as fast as told; 0: always fast
};

static double cost_of(const struct device *d, int n_rows, int n_tokens) {
    return d->a + d->b * n_tokens + (n_tokens > n_rows ? d->jump : 0);
}

struct outcome {
    double gain;        // tokens a microsecond over those of steps without guesses
    double guesses;     // of a row in a step
    uint64_t n_refused; // looks that the policy did not take, of steps
};

static struct outcome run(const struct device *d, int n_rows, double right, int n_steps) {
    struct draft_policy p;
    struct reference_random random = {11};
    struct outcome out = {0};
    double us = 0, plain_us = 0, tokens = 0, guesses = 0;
    draft_policy_open(&p, MAX_ROWS);
    for (int r = 0; r < n_rows; r++) draft_policy_begin_row(&p, r, 7);
    for (int s = -5; s < 0; s++) draft_policy_begin(&p, 0), draft_policy_choose(&p, 0); // prompts
    for (int s = 0; s < n_steps; s++) {
        static float chances[MAX_ROWS][LENGTH];
        static int offered[MAX_ROWS];
        uint8_t kinds[LENGTH] = {3, 3, 3, 3, 3, 3, 3, 3, 3, 3, 3, 3, 3, 3, 3, 3};
        int n_tokens = n_rows;
        bool looks = draft_policy_begin(&p, n_rows);
        out.n_refused += !looks;
        for (int r = 0; r < n_rows; r++)
            offered[r] = looks ? draft_policy_offer(&p, r, LENGTH, kinds, chances[r]) : 0;
        float least = draft_policy_choose(&p, n_rows);
        for (int r = 0; r < n_rows; r++) {
            int n = 0, n_right = 0;
            while (n < offered[r] && chances[r][n] >= least) n++;
            while (n_right < n && reference_below(&random, 1000) < 1000 * right) n_right++;
            for (int k = 0; k < n && k <= n_right; k++)
                draft_policy_judge(&p, r, kinds[k], k < n_right);
            n_tokens += n;
            if (s >= n_steps / 2) tokens += 1 + n_right, guesses += n;
        }
        double cost = cost_of(d, n_rows, n_tokens), plain = cost_of(d, n_rows, n_rows), seen = cost;
        if (reference_below(&random, 100) < d->noise) seen *= 5;
        if (d->moods && s / d->moods % 2) seen *= 1.6;
        draft_policy_time(&p, n_rows, n_tokens, (int64_t)seen);
        if (s >= n_steps / 2) us += cost, plain_us += plain;
    }
    out.gain = tokens / us / ((n_steps - n_steps / 2) * (double)n_rows / plain_us);
    out.guesses = guesses / (n_steps - n_steps / 2) / n_rows;
    draft_policy_close(&p);
    return out;
}

// Bound by memory: a token more costs next to nothing, so all are guessed that may be right.
static void test_memory_bound(void **state) {
    (void)state;
    const struct device d = {.a = 20000, .b = 10};
    assert_true(run(&d, 1, 0.9, 2000).gain > 6);
    assert_true(run(&d, 64, 0.9, 1000).gain > 4);
    assert_true(run(&d, 64, 0.5, 1000).gain > 1.7);
}

// Bound by arithmetic: each token costs the same, and no guess that may be wrong pays.
static void test_arithmetic_bound(void **state) {
    (void)state;
    const struct device d = {.a = 0, .b = 300};
    for (int rows = 1; rows <= 1024; rows *= 8) {
        struct outcome o = run(&d, rows, 0.7, 2000);
        assert_true(o.gain > 0.97);
        assert_true(o.guesses < 0.3);
    }
}

// Something of both, as the CPU here has it: 14 + 2.75 T milliseconds.
static void test_between(void **state) {
    (void)state;
    const struct device d = {.a = 14000, .b = 2750};
    struct outcome one = run(&d, 1, 0.9, 2000), four = run(&d, 4, 0.9, 2000),
                   many = run(&d, 64, 0.9, 1000);
    assert_true(one.gain > 1.9 && four.gain > 1.4 && many.gain > 0.99);
    assert_true(one.guesses > four.guesses && four.guesses > many.guesses);
}

// Where nothing is right, nearly nothing is guessed after a while, on any device.
static void test_nothing_right(void **state) {
    (void)state;
    const struct device devices[] = {{.a = 20000, .b = 10}, {.a = 14000, .b = 2750}, {.b = 300}};
    for (int i = 0; i < 3; i++)
        for (int rows = 1; rows <= 64; rows *= 8)
            assert_true(run(&devices[i], rows, 0, 2000).gain > 0.98);
}

// Steps that something else held up do not change the choice for long.
static void test_noise(void **state) {
    (void)state;
    const struct device memory = {.a = 20000, .b = 10, .noise = 10},
                        arithmetic = {.b = 300, .noise = 10};
    assert_true(run(&memory, 1, 0.9, 4000).gain > 5);
    assert_true(run(&arithmetic, 64, 0.7, 2000).gain > 0.95);
}

// The first guess of a step costs most, as with experts that nobody else has called: one guess
// loses at 4 rows, many gain (at most 1.3 times).
static void test_jump(void **state) {
    (void)state;
    const struct device d = {.a = 17000, .b = 4000, .jump = 16000},
                        noisy = {.a = 17000, .b = 4000, .jump = 16000, .noise = 5};
    assert_true(run(&d, 4, 0.95, 2000).gain > 1.2);
    assert_true(run(&noisy, 4, 0.95, 2000).gain > 1.15);
    assert_true(run(&d, 4, 0.5, 2000).gain > 0.97);
}

// A machine that is slow for a while is slow with guesses and without.
static void test_moods(void **state) {
    (void)state;
    for (int moods = 20; moods <= 500; moods *= 5) {
        const struct device d = {.a = 20000, .b = 2750, .moods = moods},
                            arithmetic = {.b = 300, .moods = moods};
        assert_true(run(&d, 1, 0.95, 3000).gain > 2.5);
        assert_true(run(&arithmetic, 8, 0.7, 3000).gain > 0.97);
    }
}

// With many rows on a busy device most steps do not even look for guesses, which costs the host.
static void test_rests(void **state) {
    (void)state;
    const struct device d = {.a = 0, .b = 300};
    assert_true(run(&d, 512, 0.5, 800).n_refused > 400);
    assert_true(run(&d, 512, 0, 800).n_refused > 400);
    assert_int_equal(run(&d, 8, 0.5, 800).n_refused, 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_memory_bound),
        cmocka_unit_test(test_between),
        cmocka_unit_test(test_arithmetic_bound),
        cmocka_unit_test(test_nothing_right),
        cmocka_unit_test(test_noise),
        cmocka_unit_test(test_jump),
        cmocka_unit_test(test_moods),
        cmocka_unit_test(test_rests),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
