// Guesses from texts: against an obvious twin that searches all texts from their beginning, and
// what a table that is too small forgets.
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "protocol/base/memory.h"
#include "tests/reference.h"
#include "worker/engine/history.h"

enum { N_TEXTS = 6, LENGTH = 400, N_PROMPT = 20, BIG = 1 << 24 };

// All texts of one prompt as they came, each with the prompt in front, and the order of their
// tokens.
struct twin {
    int32_t ids[N_TEXTS][LENGTH];
    int n[N_TEXTS];
    int when[N_TEXTS][LENGTH]; // which settle filed the token; what is not filed yet: INT_MAX
};

// How often each id followed the last `n` ids of text `text`, and when last.
static void count_next(const struct twin *w, int text, const int32_t *tail, int n, int *counts,
                       int *last) {
    (void)text;
    for (int t = 0; t < N_TEXTS; t++)
        for (int i = n; i < w->n[t]; i++) {
            // The prompt itself is filed once, with the first text.
            if (i < N_PROMPT && t > 0) continue;
            if (w->when[t][i] < 0 || memcmp(&w->ids[t][i - n], tail, (size_t)n * sizeof *tail))
                continue;
            counts[w->ids[t][i]]++;
            if (w->when[t][i] > last[w->ids[t][i]]) last[w->ids[t][i]] = w->when[t][i];
        }
}

// The id that the header promises, -1: none; `ties`: others would do as well.
static int32_t expected(const struct twin *w, int text, const int32_t *tail, int n_tail, int vocab,
                        bool *ties) {
    static const int lengths[] = {16, 8, 4, 2};
    for (int k = 0; k < 4; k++) {
        int counts[64] = {0}, last[64] = {0}, best = -1;
        if (lengths[k] > n_tail) continue; // short texts: the twin does not say
        count_next(w, text, tail + n_tail - lengths[k], lengths[k], counts, last);
        for (int id = 0; id < vocab; id++) {
            if (!counts[id]) continue;
            if (best < 0 || counts[id] > counts[best] ||
                (counts[id] == counts[best] && last[id] > last[best]))
                best = id;
        }
        *ties = false;
        for (int id = 0; best >= 0 && id < vocab; id++)
            *ties |= id != best && counts[id] == counts[best] && last[id] == last[best];
        if (best >= 0) return best;
    }
    return -1;
}

static const float unsure[HISTORY_KINDS] = {0};
static const float sure[HISTORY_KINDS] = {1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1};

static void check_guesses(const struct history *h, const struct twin *w, int text, int vocab) {
    int32_t ids[8], tail[LENGTH + 8];
    uint8_t kinds[8];
    bool ties = false;
    int n_tail = w->n[text], n = history_guess(h, text, 8, sure, 1, ids, kinds);
    memcpy(tail, w->ids[text], (size_t)n_tail * sizeof *tail);
    for (int i = 0; i < 8; i++) {
        int32_t id = expected(w, text, tail, n_tail, vocab, &ties);
        if (i >= n) {
            assert_int_equal(id, -1);
            return;
        }
        assert_true(kinds[i] < HISTORY_KINDS);
        if (ties) return; // from here on the two may go apart
        assert_int_equal(ids[i], id);
        tail[n_tail++] = id;
    }
}

// Texts of few ids, which repeat themselves and each other; each guess is what the twin finds. With
// at most 5 continuations of a context, which is what a bucket holds.
static void test_against_twin(void **state) {
    (void)state;
    for (uint64_t seed = 1; seed <= 20; seed++) {
        struct history *h = history_open(BIG, N_TEXTS, N_TEXTS);
        struct twin w = {0};
        struct reference_random random = {seed};
        const int vocab = 3 + (int)(seed % 3);
        int32_t prompt[N_PROMPT];
        for (int i = 0; i < N_PROMPT; i++) prompt[i] = reference_below(&random, vocab);
        uint64_t key = history_key(prompt, N_PROMPT);
        for (int t = 0; t < N_TEXTS; t++) {
            history_begin(h, t, key, prompt, N_PROMPT, t == 0);
            memcpy(w.ids[t], prompt, sizeof prompt);
            w.n[t] = N_PROMPT;
        }
        for (int step = 1; step < LENGTH - N_PROMPT; step++) {
            history_settle(h);
            for (int t = 0; t < N_TEXTS; t++) check_guesses(h, &w, t, vocab);
            for (int t = 0; t < N_TEXTS; t++) {
                // Mostly what came some tokens before, so that long contexts come again.
                int n = w.n[t], back = 7 + t;
                int32_t id = n > back && reference_below(&random, 10)
                                 ? w.ids[t][n - back]
                                 : reference_below(&random, vocab);
                history_add(h, t, id);
                w.ids[t][n] = id;
                w.when[t][n] = step;
                w.n[t]++;
            }
        }
        history_free(&h);
    }
}

static void add_text(struct history *h, int text, uint64_t key, const int32_t *prompt,
                     const int32_t *ids, int n) {
    history_begin(h, text, key, prompt, 2, 0);
    for (int i = 0; i < n; i++) history_add(h, text, ids[i]);
    history_settle(h);
}

// Texts of a prompt serve that prompt, in a later call too, and no other prompt.
static void test_prompts_apart(void **state) {
    (void)state;
    static const int32_t prompt[] = {1, 2}, other[] = {1, 3}, ids[] = {5, 6, 7, 8, 9};
    struct history *h = history_open(BIG, 2, 64);
    int32_t guesses[8];
    uint8_t kinds[8];
    uint64_t key = history_key(prompt, 2), other_key = history_key(other, 2);
    assert_true(key != other_key);
    add_text(h, 0, key, prompt, ids, 5);
    history_begin(h, 1, key, prompt, 2, 0);
    assert_int_equal(history_guess(h, 1, 8, sure, 1, guesses, kinds), 5);
    assert_memory_equal(guesses, ids, sizeof ids);
    assert_int_equal(history_guess(h, 1, 8, unsure, 0.1f, guesses, kinds), 0);
    history_begin(h, 1, other_key, prompt, 2, 0); // the same tokens, another prompt
    assert_int_equal(history_guess(h, 1, 8, sure, 1, guesses, kinds), 0);
    history_free(&h);
}

// The most frequent continuation first; the last one where two are equally frequent.
static void test_frequent_first(void **state) {
    (void)state;
    static const int32_t prompt[] = {1, 2}, a[] = {5, 6}, b[] = {7, 8};
    struct history *h = history_open(BIG, 2, 64);
    int32_t id;
    uint8_t kind[3];
    uint64_t key = history_key(prompt, 2);
    add_text(h, 0, key, prompt, a, 2);
    add_text(h, 0, key, prompt, b, 2);
    history_begin(h, 1, key, prompt, 2, 0);
    assert_int_equal(history_guess(h, 1, 1, sure, 1, &id, &kind[0]), 1);
    assert_int_equal(id, 7);
    add_text(h, 0, key, prompt, a, 2);
    assert_int_equal(history_guess(h, 1, 1, sure, 1, &id, &kind[1]), 1);
    assert_int_equal(id, 5);
    for (int i = 0; i < 600; i++) add_text(h, 0, key, prompt, a, 2); // more than are counted
    assert_int_equal(history_guess(h, 1, 1, sure, 1, &id, &kind[2]), 1);
    assert_int_equal(id, 5);
    assert_true(kind[1] != kind[2]); // nearly all, and two of three
    for (int i = 0; i < 600; i++) add_text(h, 0, key, prompt, b, 2);
    assert_int_equal(history_guess(h, 1, 1, sure, 1, &id, &kind[2]), 1);
    assert_int_equal(id, 7); // what was counted long ago has faded
    history_free(&h);
}

// A table that is full forgets what was used least recently, and stays what it is in size.
static void test_forgets(void **state) {
    (void)state;
    enum { N = 2000 };
    struct history *h = history_open(1 << 14, 1, 64); // 1,280 facts, four of them a token
    int n_known[2] = {0};
    for (int k = 0; k < N; k++) {
        int32_t prompt[] = {k, 1}, ids[] = {k % 50, 3, 4};
        add_text(h, 0, history_key(prompt, 2), prompt, ids, 3);
    }
    for (int k = 0; k < N; k++) {
        int32_t prompt[] = {k, 1}, ids[3];
        uint8_t kinds[3];
        history_begin(h, 0, history_key(prompt, 2), prompt, 2, 0);
        n_known[k >= N - 40] +=
            history_guess(h, 0, 3, sure, 1, ids, kinds) == 3 && ids[0] == k % 50;
    }
    assert_true(n_known[1] > 30); // of the last 40
    assert_true(n_known[0] < 100);
    history_free(&h);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_against_twin),
        cmocka_unit_test(test_prompts_apart),
        cmocka_unit_test(test_frequent_first),
        cmocka_unit_test(test_forgets),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
