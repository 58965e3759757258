// What the description of a step says of its parts, each against the same part alone: draws of all
// kinds beside each other, steps and contexts that a device cuts, lists of moves.
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "protocol/base/memory.h"
#include "tests/kernels/harness.h"

static void fill_ids(const struct model_shape *s, int n, int32_t *ids) {
    struct reference_random r = {55};
    for (int i = 0; i < n; i++) ids[i] = reference_below(&r, s->vocab);
}

// ------------------------------------------------------------------ draws

// Kinds of draws: by themselves, and with lists of ids of which no two are the same.
enum { N_KINDS = 11, N_LISTED = 20 };
static const struct {
    int seen, biased, top_k; // seen, biased: which list, 0: none
    float temperature, top_p, min_p;
} KINDS[N_KINDS] = {
    {0, 0, 0, 1, 1, 0},      {1, 0, 0, 1, 1, 0}, {2, 0, 0, 1, 1, 0}, {0, 1, 0, 1, 1, 0},
    {0, 2, 0, 1, 1, 0},      {1, 2, 0, 1, 1, 0}, {2, 1, 0, 1, 1, 0}, {0, 0, 0, 0, 1, 0},
    {0, 0, 1, 1, 1, 0}, // the last three leave nothing but the largest logit
    {0, 0, 0, 1, 0.001f, 0}, {0, 0, 0, 1, 1, 1},
};
enum { GREEDY = 7 };

struct drawn {
    int32_t ids[2 * N_KINDS];
    float full[2 * N_KINDS], behav[2 * N_KINDS];
};

// n draws of each of two tokens.
static void draw_some(struct harness *h, const struct draw *draws, int n, struct drawn *out) {
    int32_t tokens[2] = {3, 4}, page = 0;
    uint8_t bad[2 * N_KINDS];
    struct step_output outputs[2 * N_KINDS];
    for (int i = 0; i < 2 * n; i++)
        outputs[i] = (struct step_output){.token = i / n, .is_draw = true, .draw = draws[i % n]};
    struct step_segment segment = {0, 2, 0, 0, &page, 1};
    struct step step = {2, 1, 2 * n, tokens, &segment, outputs, false};
    struct step_result r = {out->ids, out->full, out->behav, bad, NULL};
    harness_step(h, &step, &r);
    for (int i = 0; i < 2 * n; i++) assert_false(bad[i]);
}

// A draw is what it is alone, whatever is drawn beside it; its lists count; and no id is drawn that
// does not exist.
static void test_draws(void **state) {
    (void)state;
    struct model_shape s = harness_shape(0);
    uint8_t exists[131];
    int32_t listed[3][N_LISTED] = {{0}};
    float bias[3][N_LISTED] = {{0}};
    struct draw draws[N_KINDS];
    struct drawn all, one;
    for (int i = 0; i < s.vocab; i++) exists[i] = i % 9 != 5 && i < s.vocab - 1;
    for (int i = 0; i < 3 * N_LISTED; i++) {
        listed[i / N_LISTED][i % N_LISTED] = i % N_LISTED * 6 + i / N_LISTED;
        bias[i / N_LISTED][i % N_LISTED] = (float)(i % 7);
    }
    listed[1][N_LISTED - 1] = s.vocab - 1; // which would always be drawn
    bias[1][N_LISTED - 1] = 1000;
    for (int i = 0; i < N_KINDS; i++) {
        draws[i] = (struct draw){.temperature = KINDS[i].temperature, .seed = 5, .position = 2};
        draws[i].sample = (uint32_t)i;
        draws[i].top_k = KINDS[i].top_k;
        draws[i].top_p = KINDS[i].top_p;
        draws[i].min_p = KINDS[i].min_p;
        draws[i].repetition_penalty = KINDS[i].seen ? 1.5f : 1;
        draws[i].seen = listed[KINDS[i].seen];
        draws[i].n_seen = KINDS[i].seen ? N_LISTED : 0;
        draws[i].bias_ids = listed[KINDS[i].biased];
        draws[i].bias = bias[KINDS[i].biased];
        draws[i].n_bias = KINDS[i].biased ? N_LISTED : 0;
    }
    struct harness_options o = {.n_threads = 1, .page_tokens = 16, .id_exists = exists};
    struct harness *h = harness_open(&s, &o, 3);
    draw_some(h, draws, N_KINDS, &all);
    for (int n = 0; n < 2 * N_KINDS; n++) {
        int kind = n / 2, token = n % 2, i = token * N_KINDS + kind;
        if (token == 0) draw_some(h, &draws[kind], 1, &one);
        assert_int_equal(all.ids[i], one.ids[token]);
        assert_memory_equal(&all.full[i], &one.full[token], sizeof(float));
        assert_memory_equal(&all.behav[i], &one.behav[token], sizeof(float));
        assert_true(exists[all.ids[i]]);
        // Of a draw without lists only the ids that do not exist make the two differ.
        float plain = all.behav[token * N_KINDS] - all.full[token * N_KINDS];
        if (kind > 0 && kind < GREEDY)
            assert_true(fabsf(all.behav[i] - all.full[i] - plain) > 1e-3f);
        if (kind < GREEDY) continue;
        assert_int_equal(all.ids[i], all.ids[i - kind + GREEDY]);
        assert_true(all.behav[i] == 0);
    }
    harness_close(&h);
}

// ------------------------------------------------------------------ tokens and moves

// A step that begins right behind a sequence's first tokens and is longer than a tile of
// convolutions: it reads what they left before its own last tokens take the place.
static void test_long_second_steps(void **state) {
    (void)state;
    enum { LONG = HARNESS_MAX_TOKENS };
    struct model_shape s = harness_shape(0);
    struct harness_options o = {.n_threads = 1, .page_tokens = 16};
    struct harness *h = harness_open(&s, &o, 3);
    int32_t ids[LONG], target = 11;
    float whole[LONG], rest[LONG];
    fill_ids(&s, LONG, ids);
    struct harness_sequence q = {ids, LONG, 0, LONG, 0, 0, &target, 1};
    harness_score(h, &q, whole);
    for (int cut = 1; cut <= 3; cut++) {
        struct harness_sequence first = {ids, cut, 0, cut, cut, 0, &target, 1};
        harness_score(h, &first, rest);
        struct harness_sequence second = {ids + cut, LONG - cut, cut, LONG, cut, 0, &target, 1};
        harness_score(h, &second, rest + cut);
        assert_memory_equal(rest, whole, sizeof whole);
    }
    harness_close(&h);
}

// The same behind another sequence of the step, which is in one tile: each has a state of its own.
static void test_long_segment_behind_another(void **state) {
    (void)state;
    enum { LONG = HARNESS_MAX_TOKENS, CUT = 2, PAGES = 8 };
    struct model_shape s = harness_shape(0);
    struct harness_options o = {.n_threads = 1, .page_tokens = 16};
    struct harness *h = harness_open(&s, &o, 3);
    int32_t ids[LONG], all[LONG], drawn[LONG], target = 11, pages[2][PAGES];
    float whole[LONG], lp[LONG], behav[LONG];
    uint8_t bad[LONG];
    struct step_output outputs[LONG];
    fill_ids(&s, LONG, ids);
    struct harness_sequence q = {ids, LONG, 0, LONG, 0, 0, &target, 1};
    harness_score(h, &q, whole);
    struct harness_sequence first = {ids, CUT, 0, CUT, 1, 0, &target, 1};
    harness_score(h, &first, lp);
    for (int k = 0; k < PAGES; k++) {
        pages[0][k] = k;
        pages[1][k] = PAGES + k;
    }
    const int n = LONG - CUT + 1;
    all[0] = ids[0];
    memcpy(all + 1, ids + CUT, (LONG - CUT) * sizeof *all);
    for (int i = 0; i < n; i++)
        outputs[i] = (struct step_output){.token = i, .target = target, .temperature = 1};
    struct step_segment segments[] = {{0, 1, 0, 2, pages[1], PAGES},
                                      {1, LONG - CUT, CUT, 1, pages[0], PAGES}};
    struct step step = {n, 2, n, all, segments, outputs, false};
    struct step_result r = {drawn, lp, behav, bad, NULL};
    harness_step(h, &step, &r);
    assert_memory_equal(lp, whole, sizeof *lp);
    assert_memory_equal(lp + 1, whole + CUT, (LONG - CUT) * sizeof *lp);
    harness_close(&h);
}

// Rows that go on from a position of one sequence: they share its pages, and have copies of their
// own from the page of that position on.
enum { N_ROWS = 3, ROW_PAGES = 17, OWN_PAGES = 2, ROW_PAGE_TOKENS = 64 };
static int row_page(int row, int first, int k) {
    int own = k - first / ROW_PAGE_TOKENS;
    return own >= 0 && own < OWN_PAGES ? ROW_PAGES + row * OWN_PAGES + own : k;
}
static void copy_rows(struct harness *h, const int *first) {
    struct state_move moves[N_ROWS * OWN_PAGES];
    int n = 0;
    for (int i = 0; i < N_ROWS; i++)
        for (int k = 0; k < ROW_PAGES; k++)
            if (row_page(i, first[i], k) != k)
                moves[n++] = (struct state_move){MOVE_PAGE_COPY, k, row_page(i, first[i], k)};
    h->backend->ops->move(h->backend, moves, (size_t)n);
}

// Tokens done .. done + n - 1 of all rows in one step: their scores are those of `whole`.
static void step_rows(struct harness *h, const int32_t *ids, const int *first, int done, int n,
                      const float *whole) {
    enum { MOST = 8 };
    int32_t all[N_ROWS * MOST], pages[N_ROWS][ROW_PAGES], drawn[N_ROWS * MOST];
    float lp[N_ROWS * MOST], behav[N_ROWS * MOST];
    uint8_t bad[N_ROWS * MOST];
    struct step_segment segments[N_ROWS];
    struct step_output outputs[N_ROWS * MOST];
    for (int i = 0; i < N_ROWS; i++) {
        for (int k = 0; k < ROW_PAGES; k++) pages[i][k] = row_page(i, first[i], k);
        segments[i] = (struct step_segment){i * n, n, first[i] + done, i, pages[i], ROW_PAGES};
        for (int k = 0; k < n; k++) {
            all[i * n + k] = ids[first[i] + done + k];
            outputs[i * n + k] =
                (struct step_output){.token = i * n + k, .target = 11, .temperature = 1};
        }
    }
    struct step step = {N_ROWS * n, N_ROWS, N_ROWS * n, all, segments, outputs, false};
    struct step_result r = {drawn, lp, behav, bad, NULL};
    harness_step(h, &step, &r);
    for (int i = 0; i < N_ROWS; i++)
        assert_memory_equal(lp + i * n, whole + first[i] + done, (size_t)n * sizeof *lp);
}

// Rows of few tokens on both sides of the end of a chunk of attention's positions, which a device
// takes apart: the last tokens of a step see a third chunk, the first ones two. Beside them a row
// with one chunk, which stays whole.
static void test_chunk_edges(void **state) {
    (void)state;
    enum { EDGE = 1024, LONG = EDGE + 8, REST = 14 };
    static const int first[N_ROWS] = {3, LONG - REST, LONG - REST - 1};
    struct model_shape s = harness_shape(0);
    s.n_layers = s.n_dense_layers = 1;
    s.is_attention[0] = true;
    s.n_heads = 8;
    s.n_kv_heads = 2;
    s.head_dim = 8;
    struct harness_options o = {.n_threads = 1, .page_tokens = ROW_PAGE_TOKENS};
    struct harness *h = harness_open(&s, &o, 3);
    int32_t ids[LONG], target = 11;
    float whole[LONG];
    fill_ids(&s, LONG, ids);
    struct harness_sequence q = {ids, LONG, 0, HARNESS_MAX_TOKENS, 0, 0, &target, 1};
    harness_score(h, &q, whole);
    copy_rows(h, first);
    for (int n = 1; n <= 5; n++)
        for (int done = 0; done + n <= REST; done += n) step_rows(h, ids, first, done, n, whole);
    harness_close(&h);
}

// Two contexts so long that a device has room to take the chunks of one apart, not of both. All
// their pages but the last are one, so that both are the same.
static void test_long_contexts(void **state) {
    (void)state;
    enum { PAGE = 64, MANY = 2060, LAST = MANY * PAGE };
    struct model_shape s = harness_shape(0);
    s.n_layers = s.n_dense_layers = 1;
    s.is_attention[0] = true;
    s.n_heads = s.n_kv_heads = s.head_dim = 8;
    struct harness_options o = {.n_threads = 1, .page_tokens = PAGE};
    struct harness *h = harness_open(&s, &o, 3);
    int32_t ids[PAGE], same[2] = {7, 7}, *pages[2], target = 11, drawn[2];
    float lp[2], behav[2], begin[PAGE];
    uint8_t bad[2];
    fill_ids(&s, PAGE, ids);
    struct harness_sequence q = {ids, PAGE, 0, PAGE, 0, 0, &target, 1};
    harness_score(h, &q, begin);
    struct step_segment segments[2];
    const struct step_output outputs[2] = {{.token = 0, .target = 11}, {.token = 1, .target = 11}};
    for (int i = 0; i < 2; i++) {
        pages[i] = memory_new(MANY + 1, sizeof *pages[i]);
        pages[i][MANY] = 1 + i;
        segments[i] = (struct step_segment){i, 1, LAST, i, pages[i], MANY + 1};
    }
    struct step step = {2, 2, 2, same, segments, outputs, false};
    struct step_result r = {drawn, lp, behav, bad, NULL};
    harness_step(h, &step, &r);
    assert_false(bad[0]);
    assert_memory_equal(lp, lp + 1, sizeof *lp);
    free(pages[0]);
    free(pages[1]);
    harness_close(&h);
}

// More moves than a device lists at a time, each of which reads what the one ahead wrote.
static void test_many_moves(void **state) {
    (void)state;
    enum { N = 37, MANY = 4096 + 5, CUT = 21, SLOTS = HARNESS_SLOTS - 1 };
    struct model_shape s = harness_shape(0);
    struct harness_options o = {.n_threads = 1, .page_tokens = 16};
    struct harness *h = harness_open(&s, &o, 3);
    struct state_move *moves = memory_new(MANY, sizeof *moves);
    int32_t ids[N], target = 11;
    float whole[N], rest[N];
    fill_ids(&s, N, ids);
    struct harness_sequence q = {ids, N, 0, N, 1, 0, &target, 1};
    harness_score(h, &q, whole);
    q.n = CUT;
    q.conv_slot = 0;
    harness_score(h, &q, rest);
    for (int i = 0; i < MANY; i++)
        moves[i] = (struct state_move){MOVE_CONV_COPY, i % SLOTS, (i + 1) % SLOTS};
    h->backend->ops->move(h->backend, moves, MANY);
    struct harness_sequence fork = {ids + CUT, N - CUT, CUT, N, MANY % SLOTS, 0, &target, 1};
    harness_score(h, &fork, rest);
    assert_memory_equal(rest, whole + CUT, (size_t)(N - CUT) * sizeof *rest);
    free(moves);
    harness_close(&h);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_draws),
        cmocka_unit_test(test_long_second_steps),
        cmocka_unit_test(test_long_segment_behind_another),
        cmocka_unit_test(test_chunk_edges),
        cmocka_unit_test(test_long_contexts),
        cmocka_unit_test(test_many_moves),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
