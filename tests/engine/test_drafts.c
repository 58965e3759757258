// Drafts (D15): whatever is guessed, and however much of it, a sample has the bits that it has
// without. Sources here know what will be drawn, and guess right, wrong, or now this, now that.
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "kernels/digest.h"
#include "protocol/base/memory.h"
#include "tests/engine/rig.h"
#include "tests/kernels/harness.h"

enum { MAX = 256, MAX_TOKENS = 128 };

// ---- sources

enum honesty { RIGHT, WRONG, MIXED };

// What was drawn without drafts, by serial and sample; of a backend that computes nothing, a
// function.
struct truth {
    int n;
    struct sample *samples[MAX];
};

struct liar {
    enum honesty honesty;
    const struct truth *truth; // NULL: the fake backend's
    int vocab;
    uint64_t state;
    int n_guessed;
};

static int32_t true_id(const struct liar *l, const struct row *row, int token) {
    const struct task *t = row->task;
    if (!l->truth)
        return fake_id(t->group_seed, (uint32_t)(t->n_prompt + token), (uint32_t)row->sample,
                       l->vocab);
    for (int i = 0; i < l->truth->n; i++) {
        const struct sample *s = l->truth->samples[i];
        if (s->task->serial == t->serial && s->index == row->sample)
            return token < s->n_tokens ? s->tokens[token] : 0;
    }
    return 0;
}

static uint64_t draw(struct liar *l) {
    l->state++;
    return digest_mix(l->state, 5, 7);
}

static int guess(void *self, const struct row *row, int slot, const struct draft_wish *wish,
                 int32_t *ids, uint8_t *kinds) {
    struct liar *l = self;
    int n = wish->n;
    (void)slot;
    if (l->honesty == MIXED) n = (int)(draw(l) % (uint64_t)(n + 1));
    for (int i = 0; i < n; i++) {
        bool lies = l->honesty == WRONG || (l->honesty == MIXED && draw(l) % 5 == 0);
        ids[i] =
            (true_id(l, row, row->n_tokens + i) + (lies ? 1 + (int)(draw(l) % 3) : 0)) % l->vocab;
        kinds[i] = (uint8_t)(i % DRAFT_KINDS);
    }
    l->n_guessed += n;
    return n;
}

static void open_liar(struct rig *rig, const struct rig_options *options, struct liar *liar) {
    rig_open(rig, options);
    liar->vocab = rig->engine.model.shape.vocab;
    const struct draft_source source = {.self = liar, .guess = guess};
    drafts_set_source(rig->engine.drafts, &source);
}

// ---- comparing samples

static int by_serial(const void *a, const void *b) {
    const struct sample *x = *(struct sample *const *)a, *y = *(struct sample *const *)b;
    if (x->task->serial != y->task->serial) return x->task->serial < y->task->serial ? -1 : 1;
    return x->index - y->index;
}

static void take_all(struct rig *rig, struct truth *out) {
    out->n = rig_take(rig, out->samples, MAX);
    qsort(out->samples, (size_t)out->n, sizeof *out->samples, by_serial);
}

static void same_bytes(const void *a, const void *b, size_t n) {
    assert_int_equal(a == NULL, b == NULL);
    if (a && n) assert_memory_equal(a, b, n);
}

static void same_sample(const struct rig *rig, const struct sample *a, const struct sample *b) {
    size_t n = (size_t)a->n_tokens, width = (size_t)rig->engine.vocabulary.n_route_values;
    assert_int_equal(a->task->serial, b->task->serial);
    assert_int_equal(a->index, b->index);
    assert_int_equal(a->n_tokens, b->n_tokens);
    assert_int_equal(a->finish, b->finish);
    same_bytes(a->tokens, b->tokens, n * sizeof *a->tokens);
    same_bytes(a->lp_full, b->lp_full, n * sizeof *a->lp_full);
    same_bytes(a->lp_behav, b->lp_behav, n * sizeof *a->lp_behav);
    assert_int_equal(a->n_routes, b->n_routes);
    same_bytes(a->routes, b->routes, (size_t)a->n_routes * width * sizeof *a->routes);
    same_bytes(a->prompt_lp_full, b->prompt_lp_full,
               (size_t)a->task->n_prompt * sizeof *a->prompt_lp_full);
    assert_int_equal(a->text_bytes, b->text_bytes);
    same_bytes(a->text, b->text, a->text_bytes);
    assert_int_equal(a->n_spans, b->n_spans);
    for (int i = 0; i < a->n_spans; i++) {
        assert_int_equal(a->spans[i].first_token, b->spans[i].first_token);
        assert_int_equal(a->spans[i].version, b->spans[i].version);
    }
}

static void same_samples(const struct rig *rig, const struct truth *a, const struct truth *b) {
    assert_int_equal(a->n, b->n);
    for (int i = 0; i < a->n; i++) same_sample(rig, a->samples[i], b->samples[i]);
}

// ---- loads

static const int32_t ends[] = {3, 40}, stop_ids[] = {5, 11}, bias_ids[] = {9, 20, 30};
static const float bias[] = {1.5f, -2, 0.5f};
static const struct slice stops[] = {{"a", 1}, {"1 +", 3}, {"= 4", 3}};

// Tasks with all kinds of lengths and settings; few of one prompt, so that forks and own prompts
// meet.
static void add_load(struct rig *rig, bool has_text) {
    // The emulator has time for a few short ones.
    bool is_small = !rig->fake && harness_is_emulated();
    for (uint64_t i = 0; i < 12; i += is_small ? 5 : 1) {
        int max_new = i == 7 ? 1 : is_small ? 8 : 20 + (int)i * 5;
        struct task *t = rig_task(rig, i, 1 + (int)i * 5, is_small ? 1 : 1 + (int)i % 4, max_new);
        struct sampling *s = &t->sampling;
        s->temperature = i % 3 == 2 ? 0 : i % 3 == 1 ? 0.7f : 1;
        if (i % 4 == 1) s->top_k = 20, s->top_p = 0.9f, s->repetition_penalty = 1.3f;
        if (i % 4 == 2) s->min_p = 0.02f, s->bias_ids = bias_ids, s->bias = bias, s->n_bias = 3;
        s->ignore_eos = i % 5 != 0;
        if (i % 6 == 3) s->stop_ids = stop_ids, s->n_stop_ids = 2;
        if (has_text && i % 3 == 0) s->stops = stops, s->n_stops = 3;
        t->prompt_logprobs = i % 2;
        t->routed_experts = rig->engine.vocabulary.n_route_values > 0;
        engine_add(&rig->engine, t);
    }
}

static const struct rig_options loads[] = {
    {.max_rows = 24, .prefill_chunk = 64},
    {.max_rows = 1, .prefill_chunk = 3},
    {.max_rows = 12, .n_pages = 16, .suspend_pages = 64, .suspend_slots = 6}, // rows are suspended
    {.max_rows = 12, .n_pages = 16},                                          // rows wait
    {.max_rows = 8, .max_context = 64, .prefill_chunk = 16},                  // rows end there
};

static void run_load(struct rig *rig, struct truth *out, bool has_text) {
    struct sample *short_ones[64];
    int n_short = rig->engine.options.suspend_pages ? 40 : 0;
    for (uint64_t i = 0; i < (uint64_t)n_short; i++) // so that growth is underestimated
        engine_add(&rig->engine, rig_task(rig, 100 + i, 2, 1, 1));
    rig_run(rig);
    rig_free(short_ones, rig_take(rig, short_ones, 64));
    add_load(rig, has_text);
    rig_run(rig);
    take_all(rig, out);
}

static void check_load(struct rig_options o, bool has_text, const int *drafts, int n_drafts) {
    struct rig rig;
    struct truth truth, drafted;
    uint64_t n_preempted = 0;
    o.end_ids = ends;
    o.n_end_ids = 2;
    rig_open(&rig, &o);
    run_load(&rig, &truth, has_text);
    bool is_small = o.is_real && harness_is_emulated();
    assert_true(truth.n > (is_small ? 2 : 20));
    for (int i = 0; i < (is_small ? 1 : 3 * n_drafts); i++) {
        struct rig other;
        struct liar liar = {.honesty = is_small ? MIXED : (enum honesty)(i % 3),
                            .truth = o.is_real ? &truth : NULL};
        o.draft.max_draft = drafts[i / 3];
        open_liar(&other, &o, &liar);
        run_load(&other, &drafted, has_text);
        same_samples(&rig, &truth, &drafted);
        const struct status_counters *c = &other.engine.counters;
        assert_true(c->n_guessed > (is_small ? 5 : 20));
        if (liar.honesty == RIGHT) assert_true(c->n_accepted > c->n_guessed * 9 / 10);
        if (liar.honesty == WRONG) assert_int_equal(c->n_accepted, 0);
        if (liar.honesty == MIXED) assert_true(c->n_accepted > 0 && c->n_accepted < c->n_guessed);
        struct scheduler_stats stats = scheduler_stats(other.engine.scheduler);
        assert_int_equal(stats.n_free_pages, other.engine.options.n_pages);
        n_preempted += stats.n_preempted;
        rig_free(drafted.samples, drafted.n);
        rig_close(&other);
    }
    assert_int_equal(n_preempted > 0, o.n_pages && o.suspend_pages);
    rig_free(truth.samples, truth.n);
    rig_close(&rig);
}

static const int few_and_many[] = {1, 3, 8, 16};

static void test_any_guess_on_fake(void **state) {
    (void)state;
    for (size_t i = 0; i < sizeof loads / sizeof *loads; i++)
        for (int moe = 0; moe < 2; moe++) {
            struct rig_options o = loads[i];
            o.has_moe = moe;
            check_load(o, false, few_and_many, 4);
        }
}

static void test_any_guess_on_device(void **state) {
    (void)state;
    struct error err = {0};
    struct tokenizer *tokenizer = tokenizer_load("examples/tiny/checkpoint", &err);
    if (!tokenizer) fail_msg("%s", err.text);
    size_t n_loads = harness_is_emulated() ? 1 : sizeof loads / sizeof *loads;
    for (size_t i = 0; i < n_loads; i++) {
        struct rig_options o = loads[i];
        o.is_real = o.has_moe = true;
        o.kv = harness_kv((int)i % harness_n_kv());
        o.tokenizer = tokenizer;
        o.vocab = tokenizer_n_ids(tokenizer);
        check_load(o, true, &few_and_many[i % 4 ? i % 4 : 1], 1);
        if (i == 2) check_load(o, true, few_and_many, 4);
    }
    tokenizer_free(&tokenizer);
}

// ---- in between: cancels, updates, restarts

// What the fake backend draws is known, so a sample may end anywhere and still be checked.
static void check_known(const struct rig *rig, const struct sample *s) {
    const struct task *t = s->task;
    assert_true(s->n_tokens <= t->sampling.max_new_tokens);
    for (int i = 0; i < s->n_tokens; i++) {
        uint32_t position = (uint32_t)(t->n_prompt + i), sample = (uint32_t)s->index;
        int32_t id = fake_id(t->group_seed, position, sample, rig->engine.model.shape.vocab);
        assert_int_equal(s->tokens[i], id);
        assert_true(s->lp_full[i] == fake_lp(t->group_seed, position, sample));
        assert_int_equal((id == ends[0] || id == ends[1]) && !t->sampling.ignore_eos,
                         s->finish == FINISH_STOP && i + 1 == s->n_tokens);
    }
    for (int i = 0; i < s->n_routes * 6; i++) assert_int_equal(s->routes[i], i / 6 + i % 6);
    if (s->n_tokens && t->routed_experts)
        assert_int_equal(s->n_routes, t->n_prompt + s->n_tokens - 1);
    assert_int_equal(s->n_spans > 0, s->n_tokens > 0);
    for (int i = 1; i < s->n_spans; i++) {
        assert_true(s->spans[i].first_token > s->spans[i - 1].first_token);
        assert_true(s->spans[i].version > s->spans[i - 1].version);
    }
    if (s->finish == FINISH_LENGTH) assert_int_equal(s->n_tokens, t->sampling.max_new_tokens);
}

static void disturb(struct rig *rig, struct liar *liar, uint64_t *version) {
    struct engine *e = &rig->engine;
    uint64_t what = draw(liar) % 40, serial = draw(liar) % 60;
    if (what < 3) engine_cancel(e, serial, 0, (int)(draw(liar) % 3), FINISH_CANCELLED);
    if (what == 3) {
        ++*version;
        engine_set_version(e, *version, *version);
    }
    if (what == 4) engine_expire(e, (int64_t)(draw(liar) % 1000));
}

static void test_disturbed(void **state) {
    (void)state;
    for (int k = 0; k < 4; k++) {
        struct rig rig;
        struct liar liar = {.honesty = MIXED};
        struct sample *samples[MAX];
        uint64_t version = 1;
        int n_total = 0, n_of[FINISH_N_REASONS] = {0};
        open_liar(&rig,
                  &(struct rig_options){.max_rows = 10,
                                        .n_pages = 30,
                                        .suspend_pages = 40,
                                        .suspend_slots = 5,
                                        .has_moe = true,
                                        .end_ids = ends,
                                        .n_end_ids = 2,
                                        .draft = {.max_draft = few_and_many[k]}},
                  &liar);
        for (uint64_t i = 0; i < 60; i++) {
            struct task *t = rig_task(&rig, i, 1 + (int)i % 40, 1 + (int)i % 5, 1 + (int)i % 70);
            t->on_update = (enum message_on_update)(i % 3);
            t->routed_experts = true;
            t->sampling.ignore_eos = i % 2;
            if (i % 7 == 0) t->deadline_ms = 100 + (int64_t)i * 15;
            n_total += t->n_samples;
            engine_add(&rig.engine, t);
        }
        while (rig_step(&rig) > 0) disturb(&rig, &liar, &version);
        int n = rig_take(&rig, samples, MAX);
        assert_int_equal(n, n_total);
        for (int i = 0; i < n; i++) {
            check_known(&rig, samples[i]);
            n_of[samples[i]->finish]++;
        }
        assert_true(n_of[FINISH_CANCELLED] && n_of[FINISH_STOP] && n_of[FINISH_LENGTH]);
        assert_true(version > 3 && rig.engine.counters.n_accepted > 100);
        assert_int_equal(scheduler_stats(rig.engine.scheduler).n_free_pages, 30);
        rig_free(samples, n);
        rig_close(&rig);
    }
}

// A value that is not finite ends the row with the tokens before it, also among guesses.
static void test_not_finite(void **state) {
    (void)state;
    for (int honesty = RIGHT; honesty <= MIXED; honesty++) {
        struct rig rig;
        struct liar liar = {.honesty = (enum honesty)honesty};
        struct sample *samples[4];
        open_liar(&rig, &(struct rig_options){.draft = {.max_draft = 8}}, &liar);
        rig.fake->bad_position = 25;
        engine_add(&rig.engine, rig_task(&rig, 1, 5, 4, 60));
        rig_run(&rig);
        assert_int_equal(rig_take(&rig, samples, 4), 4);
        for (int i = 0; i < 4; i++) {
            assert_int_equal(samples[i]->finish, FINISH_ERROR);
            assert_int_equal(samples[i]->n_tokens, 21);
            assert_non_null(strstr(samples[i]->error, "output token 21 is not finite"));
        }
        rig_free(samples, 4);
        rig_close(&rig);
    }
}

// One sample, with an update where `when` says so (NULL: after each eighth step, or fourth).
static struct sample *sample_with_updates(struct rig *rig, const struct sample *when) {
    struct sample *sample;
    struct task *t = rig_task(rig, 0, 21, 1, harness_is_emulated() ? 20 : 60);
    const int every = harness_is_emulated() ? 4 : 8;
    uint64_t version = 1;
    t->sampling.repetition_penalty = 1.1f;
    t->routed_experts = t->prompt_logprobs = true;
    engine_add(&rig->engine, t);
    for (int step = 0, next = 1; rig_step(rig) > 0; step++) {
        int n_tokens = rig->engine.rows[0].task ? rig->engine.rows[0].n_tokens : 0;
        bool now = when ? next < when->n_spans && n_tokens == when->spans[next].first_token
                        : n_tokens > 0 && step % every == every - 1;
        if (now) rig_update(rig, ++version), next++;
    }
    assert_int_equal(rig_take(rig, &sample, 1), 1);
    return sample;
}

// With drafts an update finds a row at other tokens than without; where it finds it at the same
// ones, all bits are the same.
static void test_updates_on_device(void **state) {
    (void)state;
    const struct rig_options plain = {.max_rows = 1, .is_real = true, .has_moe = true};
    bool is_small = harness_is_emulated();
    for (int k = is_small; k < (is_small ? 2 : 4); k++) {
        struct rig rig, drafted, replay;
        struct truth truth = {.n = 1};
        struct rig_options o = plain;
        o.draft.max_draft = few_and_many[k];
        rig_open(&rig, &plain);
        truth.samples[0] = sample_with_updates(&rig, NULL);
        struct liar liar = {.honesty = MIXED, .truth = &truth};
        open_liar(&drafted, &o, &liar);
        struct sample *s = sample_with_updates(&drafted, NULL);
        assert_true(s->n_spans > 1 && drafted.engine.counters.n_accepted > (is_small ? 0 : 2));
        rig_open(&replay, &plain);
        struct sample *same = sample_with_updates(&replay, s);
        same_sample(&rig, s, same);
        sample_free(&s);
        sample_free(&same);
        sample_free(&truth.samples[0]);
        rig_close(&replay);
        rig_close(&drafted);
        rig_close(&rig);
    }
}

// ---- the history and the policy behind it, in an engine

// Samples of the same prompt, again: what the first ones drew is guessed of the others. A prompt
// ends in the same ids as another; what was drawn of one is not guessed of the other.
static void test_history_in_engine(void **state) {
    (void)state;
    for (int is_auto = 0; is_auto < 2; is_auto++) {
        struct rig rig;
        struct sample *samples[8];
        rig_open(&rig, &(struct rig_options){.draft = {.max_draft = 8, .is_auto = is_auto}});
        const struct status_counters *c = &rig.engine.counters;
        for (int epoch = 0; epoch < 3; epoch++) {
            uint64_t n_steps = c->n_steps, n_accepted = c->n_accepted;
            struct task *t = rig_task(&rig, 7, 30, 1, 60); // draws the same each time
            t->sampling.ignore_eos = true;
            engine_add(&rig.engine, t);
            rig_run(&rig);
            assert_int_equal(rig_take(&rig, samples, 8), 1);
            check_known(&rig, samples[0]);
            rig_free(samples, 1);
            // How far auto guesses depends on what steps cost, and so on the machine.
            if (is_auto) continue;
            if (epoch == 0) assert_true(c->n_accepted < 10);
            if (epoch == 2) assert_true(c->n_accepted - n_accepted > 48);
            if (epoch == 2) assert_true(c->n_steps - n_steps < 16);
        }
        rig_close(&rig);
    }
}

// Draws of a prompt with other seeds, among two ids each: once all paths are known the history says
// which one a draw takes, but for chances so near to each other that it cannot tell.
static void test_noise_in_engine(void **state) {
    (void)state;
    struct rig rig;
    struct sample *samples[8];
    rig_open(&rig, &(struct rig_options){.is_real = true, .draft = {.max_draft = 2}});
    const struct status_counters *c = &rig.engine.counters;
    uint64_t n_guessed = 0, n_accepted = 0;
    for (uint64_t serial = 1; serial <= 30; serial++) {
        if (serial == 20) n_guessed = c->n_guessed, n_accepted = c->n_accepted;
        struct task *t = rig_task(&rig, serial, 30, 8, 4);
        t->sampling.ignore_eos = true;
        t->sampling.top_k = 2;
        engine_add(&rig.engine, t);
        rig_run(&rig);
        assert_int_equal(rig_take(&rig, samples, 8), 8);
        rig_free(samples, 8);
    }
    n_guessed = c->n_guessed - n_guessed, n_accepted = c->n_accepted - n_accepted;
    print_message("%d of %d guesses right\n", (int)n_accepted, (int)n_guessed);
    assert_true(n_guessed > 80);
    assert_true(100 * n_accepted > 80 * n_guessed);
    rig_close(&rig);
}

// One guess a step, right and of kind 0 at even places, wrong and of kind 1 at odd ones.
struct parity {
    struct liar liar;
    float chances[2]; // as the policy had them at last
    int n_asked;
};

static int guess_by_parity(void *self, const struct row *row, int slot,
                           const struct draft_wish *wish, int32_t *ids, uint8_t *kinds) {
    struct parity *p = self;
    int kind = row->n_tokens % 2;
    (void)slot;
    memcpy(p->chances, wish->chances, sizeof p->chances);
    if (wish->n == 0) return 0;
    p->n_asked++;
    ids[0] = (true_id(&p->liar, row, row->n_tokens) + kind) % p->liar.vocab;
    kinds[0] = (uint8_t)kind;
    return 1;
}

// Beside prompts the cost of a step is not learnt, and so nothing is fed: what would have been is
// judged all the same.
static void test_judged_without_being_fed(void **state) {
    (void)state;
    struct rig rig;
    struct parity p = {0};
    struct sample *samples[8];
    rig_open(&rig,
             &(struct rig_options){.prefill_chunk = 1, .draft = {.max_draft = 4, .is_auto = true}});
    p.liar.vocab = rig.engine.model.shape.vocab;
    drafts_set_source(rig.engine.drafts,
                      &(struct draft_source){.self = &p, .guess = guess_by_parity});
    for (uint64_t serial = 1; serial <= 2; serial++) {
        bool decodes = serial == 1; // while the other one's prompt is read
        struct task *t = rig_task(&rig, serial, decodes ? 1 : 100, 1, decodes ? 80 : 1);
        t->sampling.ignore_eos = true;
        engine_add(&rig.engine, t);
    }
    rig_run(&rig);
    assert_int_equal(rig_take(&rig, samples, 8), 2);
    rig_free(samples, 2);
    assert_int_equal(rig.engine.counters.n_guessed, 0);
    assert_true(p.n_asked > 70);
    assert_true(p.chances[0] > 0.9f);
    assert_true(p.chances[1] < 0.1f);
    rig_close(&rig);
}

// What a task asks for goes before what the worker was told.
static void test_asked_by_task(void **state) {
    (void)state;
    static const int drafts[] = {DRAFT_DEFAULT, DRAFT_OFF, DRAFT_OFF + 2, DRAFT_OFF + 64};
    static const int most[] = {5, 0, 2, 5};
    for (int i = 0; i < 4; i++) {
        struct rig rig;
        struct liar liar = {.honesty = RIGHT};
        struct sample *sample;
        open_liar(&rig, &(struct rig_options){.draft = {.max_draft = 5}}, &liar);
        struct task *t = rig_task(&rig, 1, 30, 1, 61);
        t->sampling.draft = drafts[i];
        engine_add(&rig.engine, t);
        rig_run(&rig);
        assert_int_equal(rig_take(&rig, &sample, 1), 1);
        const struct status_counters *c = &rig.engine.counters;
        assert_int_equal(c->n_row_steps, (61 + most[i]) / (1 + most[i]));
        assert_int_equal(c->n_accepted, 61 - c->n_row_steps);
        sample_free(&sample);
        rig_close(&rig);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_any_guess_on_fake),
        cmocka_unit_test(test_any_guess_on_device),
        cmocka_unit_test(test_disturbed),
        cmocka_unit_test(test_not_finite),
        cmocka_unit_test(test_updates_on_device),
        cmocka_unit_test(test_history_in_engine),
        cmocka_unit_test(test_noise_in_engine),
        cmocka_unit_test(test_asked_by_task),
        cmocka_unit_test(test_judged_without_being_fed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
