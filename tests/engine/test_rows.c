// Rows against the obvious: the whole text after each token, searched from its beginning.
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "protocol/base/buffer.h"
#include "protocol/base/utf8.h"
#include "tests/engine/rig.h"
#include "tests/reference.h"

static const char model[] = "examples/tiny/checkpoint";

static struct vocabulary open_vocabulary(void) {
    struct error err = {0};
    struct vocabulary v = {.tokenizer = tokenizer_load(model, &err)};
    if (!v.tokenizer) fail_msg("%s", err.text);
    v.n_ids = tokenizer_n_ids(v.tokenizer);
    for (int i = 0; i < v.n_ids; i++) {
        size_t len = tokenizer_token_bytes(v.tokenizer, i).len;
        if (len > v.max_bytes) v.max_bytes = len;
    }
    return v;
}

static void close_vocabulary(struct vocabulary *v) {
    struct tokenizer *t = (struct tokenizer *)(uintptr_t)v->tokenizer;
    tokenizer_free(&t);
}

static struct task *new_task(int n, int max_new) {
    static const int32_t prompt[] = {5, 6, 7, 5};
    struct task *t = task_new();
    t->prompt_ids = prompt;
    t->n_prompt = 4;
    t->n_samples = n;
    t->n_left = n;
    t->sampling = (struct sampling){.n = n, .max_new_tokens = max_new, .temperature = 1};
    t->sampling.top_p = t->sampling.repetition_penalty = 1;
    return t;
}

// Where the first of the stops begins in the text, -1: none does.
static int64_t find_stop(const struct buffer *text, const struct sampling *s) {
    int64_t first = -1;
    for (int i = 0; i < s->n_stops; i++) {
        const char *at =
            text->len ? memmem(text->ptr, text->len, s->stops[i].ptr, s->stops[i].len) : NULL;
        if (at && (first < 0 || at - text->ptr < first)) first = at - text->ptr;
    }
    return first;
}

// Feeds one row ids until it ends, beside a text that keeps everything. Returns how it ended.
static enum message_finish run(const struct vocabulary *v, struct task *t,
                               struct reference_random *random, int n_ids) {
    struct row row = {0};
    struct buffer text = {0};
    int64_t cut = -1;
    bool ended = false;
    row_start(&row, t, 0, v);
    for (int n = 0; !ended; n++) {
        int32_t id = 20 + reference_below(random, n_ids);
        buffer_add_slice(&text, tokenizer_token_bytes(v->tokenizer, id));
        ended = row_advance(&row, v, id, -1, -2, 0, NULL);
        cut = find_stop(&text, &t->sampling);
        assert_int_equal(ended, cut >= 0 || n + 1 == t->sampling.max_new_tokens);
    }
    enum message_finish finish = cut >= 0 ? FINISH_STOP : FINISH_LENGTH;
    assert_int_equal(row.finish, finish);
    struct sample *s = row_finish(&row, v, finish);
    if (cut >= 0) text.len = (size_t)cut;
    struct buffer want = {0};
    utf8_add_lossy(&want, buffer_slice(&text));
    assert_int_equal(s->text_bytes, want.len);
    if (want.len) assert_memory_equal(s->text, want.ptr, want.len);
    buffer_free(&want);
    buffer_free(&text);
    sample_free(&s);
    return finish;
}

// Stop strings of any length, cut out of what random tokens say, so that they lie across tokens.
static void test_stop_strings(void **state) {
    (void)state;
    struct vocabulary v = open_vocabulary();
    struct reference_random random = {1};
    int n_of[FINISH_N_REASONS] = {0};
    for (int round = 0; round < 3000; round++) {
        struct task *t = new_task(1, 1 + reference_below(&random, 60));
        int n_ids = 2 + reference_below(&random, 40), n = 1 + reference_below(&random, 3);
        struct slice *stops = arena_take(&t->arena, (size_t)n, sizeof *stops);
        for (int i = 0; i < n; i++) {
            struct buffer said = {0};
            for (int k = 0; k < 6; k++)
                buffer_add_slice(&said, tokenizer_token_bytes(
                                            v.tokenizer, 20 + reference_below(&random, n_ids)));
            size_t from = (size_t)reference_below(&random, (int)said.len);
            size_t len = 1 + (size_t)reference_below(&random, (int)(said.len - from));
            stops[i] = (struct slice){arena_copy(&t->arena, said.ptr + from, len), len};
            buffer_free(&said);
        }
        t->sampling.stops = stops;
        t->sampling.n_stops = n;
        n_of[run(&v, t, &random, n_ids)]++;
    }
    assert_true(n_of[FINISH_STOP] > 300 && n_of[FINISH_LENGTH] > 300);
    close_vocabulary(&v);
}

// Each output of a step sees the ids of prompt and output, and of the guesses before it, each once;
// then only those of the guesses that stand.
static void test_seen(void **state) {
    (void)state;
    struct vocabulary v = {.n_ids = 100};
    struct task *t = new_task(1, 50);
    t->sampling.repetition_penalty = 1.5f;
    struct row row = {0};
    struct step_output out;
    row_start(&row, t, 0, &v);
    bool seen[100] = {false};
    seen[5] = seen[6] = seen[7] = true;
    struct reference_random random = {4};
    for (int n = 0, n_seen = 3; n < 50;) {
        int32_t guesses[6] = {0};
        bool guessed[100];
        int n_guesses = reference_below(&random, 7);
        if (n_guesses > 49 - n) n_guesses = 49 - n;
        memcpy(guessed, seen, sizeof guessed);
        for (int k = 0, n_guessed = n_seen; k <= n_guesses; k++) {
            row_want(&row, guesses, k, &out);
            assert_int_equal(out.draw.n_seen, n_guessed);
            for (int i = 0; i < n_guessed; i++) assert_true(guessed[out.draw.seen[i]]);
            assert_int_equal(out.draw.position, 4 + n + k);
            if (k == n_guesses) break;
            guesses[k] = reference_below(&random, 100);
            n_guessed += !guessed[guesses[k]];
            guessed[guesses[k]] = true;
        }
        row_forget_guesses(&row);
        int n_kept = reference_below(&random, n_guesses + 1);
        for (int k = 0; k <= n_kept; k++, n++) {
            int32_t id = k < n_kept ? guesses[k] : reference_below(&random, 100);
            n_seen += !seen[id];
            seen[id] = true;
            assert_int_equal(row_advance(&row, &v, id, -1, -1, 0, NULL), n == 49);
            if (n < 49) assert_int_equal(row_id_at(&row, row_next_position(&row)), id);
        }
    }
    row_discard(&row);
    struct sample *s = row_empty_sample(t, 0, &v, FINISH_CANCELLED);
    sample_free(&s);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_stop_strings),
        cmocka_unit_test(test_seen),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
