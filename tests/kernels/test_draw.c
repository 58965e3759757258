// Draws and both log-probabilities against float64, over a grid of settings (D4, D5).
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "kernels/cpu/draw.h"
#include "kernels/math.h"
#include "protocol/base/memory.h"
#include "tests/kernels/harness.h"

enum { VOCAB = 203 };

struct row {
    float logits[VOCAB];
    double logits64[VOCAB], full[VOCAB], behav[VOCAB];
    uint8_t exists[VOCAB];
    int32_t missing[VOCAB], seen[40], bias_ids[5];
    float bias[5];
    struct draw_scratch scratch;
};

static struct row *row_new(uint64_t seed, double spread) {
    struct row *w = memory_new(1, sizeof *w);
    struct reference_random r = {seed};
    for (int i = 0; i < VOCAB; i++) {
        w->logits64[i] = (double)(w->logits[i] = (float)(spread * reference_normal(&r)));
        w->exists[i] = i % 50 != 7;
    }
    for (int i = 0; i < 40; i++) w->seen[i] = i * 5;
    for (int i = 0; i < 5; i++) {
        w->bias_ids[i] = 40 * i + 3;
        w->bias[i] = (float)(3 * reference_normal(&r));
    }
    w->scratch.x = memory_new(VOCAB, 4);
    for (int i = 0; i < 2; i++) {
        w->scratch.keys[i] = memory_new(VOCAB, 4);
        w->scratch.ids[i] = memory_new(VOCAB, 4);
    }
    return w;
}

static void row_free(struct row *w) {
    free(w->scratch.x);
    for (int i = 0; i < 2; i++) {
        free(w->scratch.keys[i]);
        free(w->scratch.ids[i]);
    }
    free(w);
}

// Setting number i of a grid: temperature, top-k, top-p, min-p, penalty, bias, missing ids.
enum { N_SETTINGS = 4 * 3 * 3 * 3 * 2 * 2 * 2 };
static struct draw setting(const struct row *w, int i, bool *is_missing) {
    static const float temperatures[] = {1, 0.6f, 1.7f, 0}, top_p[] = {1, 0.9f, 0.3f};
    static const float min_p[] = {0, 0.05f, 0.4f};
    static const int top_k[] = {0, 20, 1};
    struct draw d = {.seed = 0x123456789abcdefu, .position = 17, .sample = 3};
    d.temperature = temperatures[i % 4];
    d.top_k = top_k[i / 4 % 3];
    d.top_p = top_p[i / 12 % 3];
    d.min_p = min_p[i / 36 % 3];
    d.repetition_penalty = i / 108 % 2 ? 1.3f : 1;
    d.seen = w->seen;
    d.n_seen = 40;
    d.bias_ids = w->bias_ids;
    d.bias = w->bias;
    d.n_bias = i / 216 % 2 ? 5 : 0;
    *is_missing = i / 432 % 2;
    return d;
}

static struct draw_vocab vocab_of(struct row *w, bool is_missing) {
    struct draw_vocab v = {.n = VOCAB, .missing = w->missing};
    for (int i = 0; is_missing && i < VOCAB; i++)
        if (!w->exists[i]) w->missing[v.n_missing++] = i;
    return v;
}

// argmax of processed logits + noise, or without noise at temperature 0, in float64.
static void check_id(const struct row *w, const struct draw *d, int id) {
    double best = -INFINITY, second = -INFINITY, mine = 0;
    for (int i = 0; i < VOCAB; i++) {
        double u = 0, v = w->behav[i];
        if (d->temperature > 0) {
            struct math_words c = {{(uint32_t)i, d->position, d->sample, 0}};
            uint32_t word = math_philox(c, (uint32_t)d->seed, (uint32_t)(d->seed >> 32)).w[0];
            u = -log(-log(((double)(word >> 9) + 0.5) / 8388608.0));
        }
        if (i == id) mine = v + u;
        if (v + u > best) {
            second = best;
            best = v + u;
        } else if (v + u > second) {
            second = v + u;
        }
    }
    assert_true(mine == best || best - mine < 1e-4); // within rounding of the winner
    if (best - second > 1e-4) assert_true(mine == best);
}

static void test_grid(void **state) {
    (void)state;
    int n_checked = 0;
    for (int i = 0; i < N_SETTINGS; i++)
        for (int path = 0; harness_isa(path); path++) {
            struct row *w = row_new((uint64_t)i / 4, i % 7 ? 3 : 12);
            bool is_missing;
            struct draw d = setting(w, i, &is_missing), hot = d;
            struct draw_vocab v = vocab_of(w, is_missing);
            struct step_output o = {.is_draw = true, .draw = d};
            struct draw_result got =
                draw_output(isa_find(harness_isa(path)), &v, &o, w->logits, &w->scratch);
            assert_false(got.bad);
            double edge, t = d.temperature > 0 ? (double)d.temperature : 1;
            if (d.temperature == 0) { // greedy looks at processed logits only
                hot.temperature = 1;
                hot.top_k = 0;
                hot.top_p = 1;
                hot.min_p = 0;
            }
            for (int k = 0; k < VOCAB; k++) w->full[k] = w->logits64[k] / t;
            reference_log_softmax(VOCAB, w->full, w->full);
            reference_draw(VOCAB, w->logits64, &hot, is_missing ? w->exists : NULL, w->behav,
                           &edge);
            assert_true(fabs(w->full[got.id] - (double)got.lp_full) < 1e-5);
            if (edge > 1e-5) { // else either set of survivors is right
                assert_true(w->behav[got.id] > -INFINITY);
                double want = d.temperature > 0 ? w->behav[got.id] : 0;
                assert_true(fabs(want - (double)got.lp_behav) < 1e-5);
                check_id(w, &d, got.id);
                n_checked++;
            }
            if (!is_missing && d.n_bias == 0 && d.repetition_penalty == 1 && d.top_k == 0 &&
                d.top_p == 1 && d.min_p == 0 && d.temperature > 0)
                assert_memory_equal(&got.lp_full, &got.lp_behav, sizeof(float));
            row_free(w);
        }
    assert_true(n_checked > N_SETTINGS * 9 / 10);
}

// A score at a temperature; 0 counts as 1.
static void test_score(void **state) {
    (void)state;
    struct row *w = row_new(5, 4);
    struct draw_vocab v = {.n = VOCAB};
    static const float temperatures[] = {1, 0, 0.5f, 3};
    for (int i = 0; i < 4; i++)
        for (int32_t target = 0; target < VOCAB; target += 29) {
            struct step_output o = {.target = target, .temperature = temperatures[i]};
            struct draw_result r = draw_output(isa_find(NULL), &v, &o, w->logits, &w->scratch);
            double t = temperatures[i] > 0 ? (double)temperatures[i] : 1;
            for (int k = 0; k < VOCAB; k++) w->full[k] = w->logits64[k] / t;
            reference_log_softmax(VOCAB, w->full, w->full);
            assert_int_equal(r.id, target);
            assert_true(r.lp_behav == 0);
            assert_true(fabs(w->full[target] - (double)r.lp_full) < 5e-6);
        }
    row_free(w);
}

// 200,000 draws of one row follow the distribution: chi-square over ids with an expected count of
// 10 and more, the rest as one class. The seed is fixed, so the test always says the same.
static void test_chi_square(void **state) {
    (void)state;
    enum { DRAWS = 200000 };
    static const int settings[] = {0, 2, 4, 12 + 36, 108 + 216 + 432 + 1};
    for (int i = 0; i < 5; i++) {
        struct row *w = row_new(77, 1.5);
        bool is_missing;
        struct draw d = setting(w, settings[i], &is_missing);
        struct draw_vocab v = vocab_of(w, is_missing);
        struct step_output o = {.is_draw = true, .draw = d};
        int count[VOCAB] = {0}, classes = 0;
        double edge, chi = 0, rest = 0, rest_count = 0;
        reference_draw(VOCAB, w->logits64, &d, is_missing ? w->exists : NULL, w->behav, &edge);
        float x[VOCAB]; // the survivors; draws are over the row as draw_output leaves it
        draw_output(isa_find(NULL), &v, &o, w->logits, &w->scratch);
        memcpy(x, w->scratch.x, sizeof x);
        const struct isa *isa = isa_find(NULL);
        for (int k = 0; k < DRAWS; k++)
            count[isa->draw_gumbel(VOCAB, x, 42, (uint32_t)(k / 64), (uint32_t)(k % 64))]++;
        for (int k = 0; k < VOCAB; k++) {
            double expected = DRAWS * exp(w->behav[k]);
            if (w->behav[k] == -INFINITY) assert_int_equal(count[k], 0);
            if (expected < 10) {
                rest += expected;
                rest_count += count[k];
                continue;
            }
            chi += (count[k] - expected) * (count[k] - expected) / expected;
            classes++;
        }
        if (rest >= 10) {
            chi += (rest_count - rest) * (rest_count - rest) / rest;
            classes++;
        }
        double freedom = classes - 1;
        // Beyond 4 standard deviations once in 30,000 times.
        assert_true(freedom < 1 || chi < freedom + 4 * sqrt(2 * freedom));
        assert_true(freedom < 20 || chi > freedom - 4 * sqrt(2 * freedom));
        row_free(w);
    }
}

// The vector draw is the scalar one, id for id: peaked rows, flat rows, holes, odd lengths, ties.
static void test_paths(void **state) {
    (void)state;
    const struct isa *path = isa_find(NULL);
    if (path == isa_find("portable")) skip();
    struct reference_random r = {3};
    static float x[VOCAB];
    for (int i = 0; i < 3000; i++) {
        int n = 1 + reference_below(&r, VOCAB);
        double spread = i % 4 ? 10 : 0, base = i % 4 == 2 ? 1e10 : 0; // 1e10 swallows the noise
        for (int k = 0; k < n; k++) {
            x[k] = (float)(base + spread * reference_normal(&r));
            if (k && reference_below(&r, 3) == 0) x[k] = -INFINITY;
        }
        uint64_t seed = reference_next(&r);
        uint32_t position = (uint32_t)i, sample = (uint32_t)reference_next(&r);
        int id = path->draw_gumbel(n, x, seed, position, sample);
        assert_int_equal(isa_portable.draw_gumbel(n, x, seed, position, sample), id);
        if (base > 0) assert_int_equal(id, 0); // of equal sums the lowest id
    }
}

static int n_left(const float *x) {
    int n = 0;
    for (int i = 0; i < VOCAB; i++) n += x[i] > -INFINITY;
    return n;
}

// Edges of the cuts: ties of the k-th stay, equal probabilities go by lower id, the id that
// crosses p stays, the largest always stays.
static void test_cuts(void **state) {
    (void)state;
    struct row *w = row_new(5, 4);
    float x[VOCAB], flat[VOCAB];
    for (int i = 0; i < VOCAB; i++) flat[i] = (float)-(i / 10);
    memcpy(x, flat, sizeof x);
    draw_top_k(VOCAB, x, 15);
    assert_int_equal(n_left(x), 20);
    draw_top_k(VOCAB, x, 200); // more than there are
    assert_int_equal(n_left(x), 20);
    for (int i = 0; i < VOCAB; i++) x[i] = i < 4 ? 0 : -INFINITY;
    draw_top_p(isa_find(NULL), VOCAB, x, 0.5f,
               &w->scratch); // two of four equal: exactly p is enough
    assert_true(n_left(x) == 2 && x[0] == 0 && x[1] == 0);
    for (int i = 0; i < VOCAB; i++) x[i] = i < 4 ? 0 : -INFINITY;
    draw_top_p(isa_find(NULL), VOCAB, x, 0.51f, &w->scratch);
    assert_true(n_left(x) == 3 && x[2] == 0);
    draw_top_p(isa_find(NULL), VOCAB, x, 0, &w->scratch);
    assert_true(n_left(x) == 1 && x[0] == 0);
    memcpy(x, flat, sizeof x);
    draw_min_p(isa_find(NULL), VOCAB, x, 0.1f); // e^-2 = 0.135, e^-3 = 0.05
    assert_int_equal(n_left(x), 30);
    draw_min_p(isa_find(NULL), VOCAB, x, 1);
    assert_int_equal(n_left(x), 10);
    // The k-th largest of mixed signs.
    for (int k = 1; k < VOCAB; k += 37) {
        memcpy(x, w->logits, sizeof x);
        draw_top_k(VOCAB, x, k);
        assert_int_equal(n_left(x), k);
    }
    row_free(w);
}

// A row with a number that is not finite is bad, for draws and for scores.
static void test_bad(void **state) {
    (void)state;
    struct row *w = row_new(5, 4);
    struct draw_vocab v = {.n = VOCAB};
    struct step_output o = {.is_draw = true, .draw = {.temperature = 1, .top_p = 1}};
    o.draw.repetition_penalty = 1;
    w->logits[VOCAB - 1] = NAN;
    assert_true(draw_output(isa_find(NULL), &v, &o, w->logits, &w->scratch).bad);
    o.is_draw = false;
    assert_true(draw_output(isa_find(NULL), &v, &o, w->logits, &w->scratch).bad);
    row_free(w);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_grid),       cmocka_unit_test(test_score),
        cmocka_unit_test(test_chi_square), cmocka_unit_test(test_paths),
        cmocka_unit_test(test_cuts),       cmocka_unit_test(test_bad),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
