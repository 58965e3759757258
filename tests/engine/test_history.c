// Guesses from texts: against an obvious twin that searches all texts from their beginning, and
// what a table that is too small forgets.
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "kernels/math.h"
#include "protocol/base/memory.h"
#include "tests/reference.h"
#include "worker/engine/history.h"

enum { N_TEXTS = 4, LENGTH = 200, BIG = 1 << 24, OTHERS = 64 };

// The facts by their contexts, in a list that is searched from its beginning.
struct fact {
    int length;
    int32_t context[16], id;
    int n, when;
};
struct twin {
    int32_t ids[N_TEXTS][LENGTH];
    int n[N_TEXTS];
    bool is_repeated[N_TEXTS];
    bool few;           // tokens come at a time
    struct fact *facts; // (n_facts)
    int n_facts;
};

static const int lengths[] = {2, 4, 8, 16};

static bool twin_file(struct twin *w, const int32_t *next, int length, int when) {
    for (int i = 0; i < w->n_facts; i++) {
        struct fact *f = &w->facts[i];
        if (f->length != length || f->id != *next ||
            memcmp(f->context, next - length, (size_t)length * sizeof *next))
            continue;
        f->n++;
        f->when = when;
        return true;
    }
    struct fact *f = &w->facts[w->n_facts++];
    *f = (struct fact){.length = length, .id = *next, .n = 1, .when = when};
    memcpy(f->context, next - length, (size_t)length * sizeof *next);
    return false;
}

// The last token of the text, as the header says.
static void twin_add(struct twin *w, int text, bool *is_repeated, int at, int when) {
    const int32_t *next = &w->ids[text][at];
    if (at < 16) return; // shorter texts have contexts that the twin has not
    if (*is_repeated && twin_file(w, next, 16, when)) return;
    int k = 1;
    bool is_known = true;
    twin_file(w, next, lengths[0], when);
    for (; k < 4 && (is_known || w->few); k++) is_known = twin_file(w, next, lengths[k], when);
    *is_repeated = is_known && k == 4;
}

// The id that the header promises behind `end`, -1: none. Of facts that tie the last one filed.
static int32_t expected(const struct twin *w, const int32_t *end) {
    for (int k = 3; k >= 0; k--) {
        const struct fact *best = NULL;
        for (int i = 0; i < w->n_facts; i++) {
            const struct fact *f = &w->facts[i];
            size_t n = (size_t)f->length;
            if (f->length != lengths[k] || memcmp(f->context, end - n, n * sizeof *end)) continue;
            if (!best || f->n > best->n || (f->n == best->n && f->when > best->when)) best = f;
        }
        if (best) return best->id;
    }
    return -1;
}

static const float unsure[HISTORY_KINDS] = {0};
static float sure[HISTORY_KINDS]; // 1 each

static void check_guesses(const struct history *h, const struct twin *w, int text) {
    int32_t ids[8], tail[LENGTH + 8];
    uint8_t kinds[8];
    int n_tail = w->n[text], n = history_guess(h, text, 8, NULL, sure, 1, ids, kinds);
    memcpy(tail, w->ids[text], (size_t)n_tail * sizeof *tail);
    for (int i = 0; i < 8; i++) {
        int32_t id = expected(w, tail + n_tail);
        assert_int_equal(i < n ? ids[i] : -1, id);
        if (id < 0) return;
        assert_true(kinds[i] < HISTORY_KINDS);
        tail[n_tail++] = id;
    }
}

// Mostly what came some tokens before, so that long contexts come again.
static int32_t next_id(const struct twin *w, int text, struct reference_random *random, int vocab) {
    int n = w->n[text], back = 7 + text;
    if (n > back && reference_below(random, 10)) return w->ids[text][n - back];
    return reference_below(random, vocab);
}

// Texts of few ids, which repeat themselves and each other; each guess is what the twin finds. One
// token of theirs is filed at a time, so that there are no ties, and no more ids than a bucket
// holds. With every other seed other texts bring tokens too, more than few at a time.
static void test_against_twin(void **state) {
    (void)state;
    for (uint64_t seed = 1; seed <= 6; seed++) {
        struct history *h = history_open(BIG, N_TEXTS + OTHERS, 1 + OTHERS);
        struct twin w = {.facts = memory_new(4 * N_TEXTS * LENGTH, sizeof *w.facts)};
        w.few = seed % 2;
        struct reference_random random = {seed};
        const int vocab = 3 + (int)(seed % 3);
        int32_t prompt[16];
        for (int i = 0; i < 16; i++) prompt[i] = reference_below(&random, vocab);
        for (int t = 0; t < N_TEXTS; t++) {
            history_begin(h, t, history_key(prompt, 16), prompt, 16, 0);
            memcpy(w.ids[t], prompt, sizeof prompt);
            w.n[t] = 16;
        }
        for (int step = 0; step < N_TEXTS * (LENGTH - 16); step++) {
            int t = step % N_TEXTS;
            int32_t id = next_id(&w, t, &random, vocab);
            history_add(h, t, id, 0);
            for (int i = 0; !w.few && i < OTHERS; i++) history_add(h, N_TEXTS + i, 0, 0);
            history_settle(h);
            w.ids[t][w.n[t]++] = id;
            twin_add(&w, t, &w.is_repeated[t], w.n[t] - 1, step);
            check_guesses(h, &w, (t + 1) % N_TEXTS);
        }
        history_free(&h);
        free(w.facts);
    }
}

// A prompt is what its texts are guessed from before there are any.
static void test_from_prompt(void **state) {
    (void)state;
    static const int32_t prompt[] = {4, 5, 6, 7, 8, 9, 1, 2, 4, 5};
    struct history *h = history_open(BIG, 2, 64);
    int32_t ids[4];
    uint8_t kinds[4];
    uint64_t key = history_key(prompt, 10);
    history_begin(h, 0, key, prompt, 10, 1);
    assert_int_equal(history_guess(h, 0, 4, NULL, sure, 1, ids, kinds), 0);
    history_settle(h);
    assert_int_equal(history_guess(h, 0, 4, NULL, sure, 1, ids, kinds), 4);
    assert_memory_equal(ids, &prompt[2], sizeof ids);
    history_free(&h);
}

static void add_text(struct history *h, int text, uint64_t key, const int32_t *prompt,
                     const int32_t *ids, int n) {
    history_begin(h, text, key, prompt, 2, 0);
    for (int i = 0; i < n; i++) history_add(h, text, ids[i], 0);
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
    assert_int_equal(history_guess(h, 1, 8, NULL, sure, 1, guesses, kinds), 5);
    assert_memory_equal(guesses, ids, sizeof ids);
    assert_int_equal(history_guess(h, 1, 8, NULL, unsure, 0.1f, guesses, kinds), 0);
    history_begin(h, 1, other_key, prompt, 2, 0); // the same tokens, another prompt
    assert_int_equal(history_guess(h, 1, 8, NULL, sure, 1, guesses, kinds), 0);
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
    assert_int_equal(history_guess(h, 1, 1, NULL, sure, 1, &id, &kind[0]), 1);
    assert_int_equal(id, 7);
    add_text(h, 0, key, prompt, a, 2);
    assert_int_equal(history_guess(h, 1, 1, NULL, sure, 1, &id, &kind[1]), 1);
    assert_int_equal(id, 5);
    for (int i = 0; i < 600; i++) add_text(h, 0, key, prompt, a, 2); // more than are counted
    assert_int_equal(history_guess(h, 1, 1, NULL, sure, 1, &id, &kind[2]), 1);
    assert_int_equal(id, 5);
    assert_true(kind[1] != kind[2]); // nearly all, and two of three
    for (int i = 0; i < 600; i++) add_text(h, 0, key, prompt, b, 2);
    assert_int_equal(history_guess(h, 1, 1, NULL, sure, 1, &id, &kind[2]), 1);
    assert_int_equal(id, 7); // what was counted long ago has faded
    history_free(&h);
}

// Two continuations of one context, with the chances that they were drawn with: the guess is the
// one that wins with the noise of its draw, and the more it wins by the surer is its kind.
static void test_noise(void **state) {
    (void)state;
    enum { N = 2000 };
    struct history *h = history_open(BIG, 2, 64);
    const int32_t prompt[] = {1, 2}, ids[2][1] = {{7}, {8}};
    const float lps[2] = {-0.3567f, -1.2040f}; // 0.7 and 0.3
    uint64_t key = history_key(prompt, 2);
    int n_first = 0, n_sure = 0;
    for (int k = 0; k < 2; k++) {
        history_begin(h, 0, key, prompt, 2, 0);
        history_add(h, 0, ids[k][0], lps[k]);
        history_settle(h);
    }
    history_begin(h, 1, key, prompt, 2, 0);
    for (uint32_t i = 0; i < N; i++) {
        struct history_noise noise = {12345, i / 8, i % 8};
        float lead = lps[0] + math_gumbel_of(noise.seed, 7, noise.position, noise.sample) - lps[1] -
                     math_gumbel_of(noise.seed, 8, noise.position, noise.sample);
        int32_t id;
        uint8_t kind;
        assert_int_equal(history_guess(h, 1, 1, &noise, sure, 1, &id, &kind), 1);
        // Chances are kept to a quarter of their odds' logarithm.
        if (lead > 0.25f || lead < -0.25f) assert_int_equal(id, lead > 0 ? 7 : 8);
        if (lead > 2 || lead < -2) assert_true(kind % HISTORY_SHARES >= HISTORY_SHARES - 2);
        if (lead > -0.1f && lead < 0.1f) assert_true(kind % HISTORY_SHARES <= 2);
        n_first += id == 7;
        n_sure += kind % HISTORY_SHARES == HISTORY_SHARES - 1;
    }
    assert_in_range(n_first, N * 66 / 100, N * 74 / 100);
    assert_true(n_sure > N / 2);
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
            history_guess(h, 0, 3, NULL, sure, 1, ids, kinds) == 3 && ids[0] == k % 50;
    }
    assert_true(n_known[1] > 30); // of the last 40
    assert_true(n_known[0] < 300);
    history_free(&h);
}

int main(void) {
    for (int i = 0; i < HISTORY_KINDS; i++) sure[i] = 1;
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_against_twin),  cmocka_unit_test(test_from_prompt),
        cmocka_unit_test(test_prompts_apart), cmocka_unit_test(test_frequent_first),
        cmocka_unit_test(test_noise),         cmocka_unit_test(test_forgets),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
