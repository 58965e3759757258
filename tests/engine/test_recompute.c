// Rows in flight at an update: whose KV is computed anew on the new weights, that end because they
// would be too old, and that are let end first.
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "protocol/base/memory.h"
#include "tests/engine/rig.h"
#include "tests/kernels/harness.h"

enum { MAX = 64 };

// ---- bits on a device

// The task with n tokens of the sample as part of its prompt: it draws what the sample drew behind
// them, since a draw is a function of seed, position and sample.
static struct task *continued(const struct rig *rig, const struct sample *s, int n) {
    const struct task *t = s->task;
    struct task *c = rig_task(rig, t->serial, t->n_prompt + n, 1, t->sampling.max_new_tokens - n);
    int32_t *ids = arena_take(&c->arena, (size_t)c->n_prompt, sizeof *ids);
    memcpy(ids, t->prompt_ids, (size_t)t->n_prompt * sizeof *ids);
    memcpy(ids + t->n_prompt, s->tokens, (size_t)n * sizeof *ids);
    c->prompt_ids = ids;
    c->first_sample = s->index;
    c->sampling.repetition_penalty = t->sampling.repetition_penalty;
    return c;
}

static struct sample *run_alone(struct rig *rig, struct task *t) {
    struct sample *s;
    engine_add(&rig->engine, t);
    rig_run(rig);
    assert_int_equal(rig_take(rig, &s, 1), 1);
    return s;
}

static bool same_bits(const float *a, const float *b, int n) {
    return memcmp(a, b, (size_t)n * sizeof *a) == 0;
}

// Tokens first .. end - 1 of the sample are what a fresh row of the weights in `alone` draws behind
// the tokens before them, and have the log-probabilities of scoring them as a prompt there.
static bool is_of(struct rig *alone, const struct sample *s, int first, int end) {
    int n = end - first, at = s->task->n_prompt + first;
    struct sample *fresh = run_alone(alone, continued(alone, s, first));
    assert_true(fresh->n_tokens >= n);
    bool same = memcmp(fresh->tokens, s->tokens + first, (size_t)n * sizeof *s->tokens) == 0 &&
                same_bits(fresh->lp_full, s->lp_full + first, n) &&
                same_bits(fresh->lp_behav, s->lp_behav + first, n);
    sample_free(&fresh);
    struct task *scored = continued(alone, s, end);
    scored->sampling.max_new_tokens = 0;
    scored->prompt_logprobs = true;
    fresh = run_alone(alone, scored);
    same = same && same_bits(fresh->prompt_lp_full + at, s->lp_full + first, n);
    sample_free(&fresh);
    return same;
}

static void open_at(struct rig *rig, enum dtype kv, uint64_t version) {
    rig_open(rig, &(struct rig_options){.max_rows = 1, .is_real = true, .has_moe = true, .kv = kv});
    for (uint64_t v = 1; v <= version; v++) rig_update(rig, v);
}

// Each span of the sample, of versions 0 and up, on weights of that version alone. Where the KV is
// kept, the spans behind the first are not (or the test could not fail).
static void check_spans(struct rig *alone, const struct sample *s) {
    bool keeps = s->task->on_update == ON_UPDATE_CONTINUE;
    for (int i = 0; i < s->n_spans; i++) {
        int end = i + 1 < s->n_spans ? s->spans[i + 1].first_token : s->n_tokens;
        bool same = is_of(&alone[s->spans[i].version], s, s->spans[i].first_token, end);
        assert_int_equal(same, i == 0 || !keeps);
    }
}

struct company {
    struct rig_options rig;
    int n_others;     // tasks of other kinds beside
    int first_update; // after so many steps, then after as many again
};

// Takes a step; counts those in which a prompt was computed from its beginning after `version`.
static bool step(struct rig *rig, int *n_prefills) {
    struct error err = {0};
    if (!engine_submit(&rig->engine)) return false;
    const struct plan *plan = rig->engine.plan;
    for (int i = plan->n_rows; i < plan->n_segments; i++) {
        const struct task *t = plan->segments[i].user;
        *n_prefills += plan->segments[i].is_first && t->serial == 1;
    }
    assert_int_equal(engine_finish(&rig->engine, &err), 1);
    return true;
}

// The scheduler expects rows to be short, and so takes in more than there is room for.
static void expect_short_rows(struct rig *rig) {
    struct sample *samples[MAX];
    engine_add(&rig->engine, rig_task(rig, 99, 2, 40, 1));
    rig_run(rig);
    rig_free(samples, rig_take(rig, samples, MAX));
}

static void recompute_in(const struct company *c, struct rig *alone, uint64_t n_versions) {
    struct rig rig;
    struct sample *samples[MAX];
    const int n_new = harness_is_emulated() ? 10 : 40;
    rig_open(&rig, &c->rig);
    if (c->rig.suspend_pages) expect_short_rows(&rig);
    for (int i = 0; i <= c->n_others; i++) {
        struct task *t = rig_task(&rig, (uint64_t)i + 1, 19 + 3 * i, 3 - i % 2, n_new);
        t->on_update = i ? (enum message_on_update)(i % 3) : ON_UPDATE_RECOMPUTE;
        t->sampling.repetition_penalty = i % 2 ? 1 : 1.1f;
        t->prompt_logprobs = t->routed_experts = true;
        engine_add(&rig.engine, t);
    }
    uint64_t version = 0;
    int n_prefills = 0;
    for (int n = 1; step(&rig, &n_prefills); n++)
        if (n % c->first_update == 0 && version + 1 < n_versions) rig_update(&rig, ++version);
    int n = rig_take(&rig, samples, MAX), n_recomputed = 0;
    for (int i = 0; i < n; i++) {
        const struct sample *s = samples[i];
        assert_int_equal(s->n_tokens, n_new);
        assert_int_equal(s->n_routes, s->task->n_prompt + n_new - 1);
        n_recomputed += s->task->on_update == ON_UPDATE_RECOMPUTE && s->n_spans == (int)n_versions;
        check_spans(alone, s);
    }
    assert_true(n_recomputed >= 3);
    // The three rows shared the prompt, at first and after each update.
    assert_int_equal(n_prefills, (int)n_versions);
    struct scheduler_stats stats = scheduler_stats(rig.engine.scheduler);
    assert_int_equal(stats.n_free_pages, rig.engine.options.n_pages);
    if (c->rig.suspend_pages) assert_true(stats.n_pages_moved > 5);
    if (c->rig.draft.max_draft) assert_true(rig.engine.counters.n_accepted > 0);
    rig_free(samples, n);
    rig_close(&rig);
}

// Companies from, from + by, ....
static void check_bits(enum dtype kv, int from, int by) {
    enum { N_VERSIONS = 3 };
    struct company companies[] = {
        {.first_update = 6},
        {.rig.prefill_chunk = 3, .first_update = 11},
        {.rig.draft.max_draft = 4, .rig.prefill_chunk = 7, .n_others = 5, .first_update = 12},
        {.rig = {.max_rows = 6, .n_pages = 8, .suspend_pages = 40, .suspend_slots = 3},
         .n_others = 3,
         .first_update = 14},
    };
    bool is_small = harness_is_emulated();
    int n_companies = is_small ? 1 : 4;
    uint64_t n_versions = is_small ? 2 : N_VERSIONS;
    struct rig alone[N_VERSIONS];
    for (uint64_t v = 0; v < n_versions; v++) open_at(&alone[v], kv, v);
    for (int i = from; i < n_companies; i += by) {
        companies[i].rig.is_real = companies[i].rig.has_moe = true;
        companies[i].rig.kv = kv;
        recompute_in(&companies[i], alone, n_versions);
    }
    for (uint64_t v = 0; v < n_versions; v++) rig_close(&alone[v]);
}

static void test_bits_on_device(void **state) {
    (void)state;
    check_bits(DTYPE_F32, 0, 1);
    for (int i = 1; i < harness_n_kv() && !harness_is_emulated(); i++)
        check_bits(harness_kv(i), i, 2);
}

// ---- what becomes of samples, on a backend that computes nothing

static struct task *add(struct rig *rig, uint64_t serial, int n, enum message_on_update on_update) {
    struct task *t = rig_task(rig, serial, 20, n, 30);
    t->on_update = on_update;
    engine_add(&rig->engine, t);
    return t;
}

static void check_tokens(const struct rig *rig, const struct sample *s) {
    for (int i = 0; i < s->n_tokens; i++)
        assert_int_equal(s->tokens[i],
                         fake_id(s->task->group_seed, (uint32_t)(s->task->n_prompt + i),
                                 (uint32_t)s->index, rig->engine.model.shape.vocab));
}

static void steps(struct rig *rig, int n) {
    for (int i = 0; i < n; i++) assert_int_equal(rig_step(rig), 1);
}

// Between the update and their return, samples are cancelled, drained and preempted with what they
// have, and an older version makes them begin anew.
static void test_ends_before_the_return(void **state) {
    (void)state;
    struct rig rig;
    struct sample *samples[MAX];
    rig_open(&rig, &(struct rig_options){.max_rows = 3});
    struct engine *e = &rig.engine;
    add(&rig, 1, 3, ON_UPDATE_RECOMPUTE);
    add(&rig, 2, 1, ON_UPDATE_RECOMPUTE);
    steps(&rig, 8); // two of the prompt, six tokens
    engine_set_version(e, 1, 1);
    assert_int_equal(engine_n_begun(e), 3);
    assert_int_equal(engine_status(e).n_rows, 0);
    assert_int_equal(engine_cancel(e, 1, 1, 1, FINISH_CANCELLED), 1);
    assert_int_equal(rig_take(&rig, samples, MAX), 1);
    assert_int_equal(samples[0]->n_tokens, 6);
    assert_int_equal(samples[0]->index, 1);
    check_tokens(&rig, samples[0]);
    rig_free(samples, 1);
    engine_drain(e); // what has begun goes on
    assert_int_equal(rig_take(&rig, samples, MAX), 1);
    assert_int_equal(samples[0]->task->serial, 2);
    assert_int_equal(samples[0]->finish, FINISH_PREEMPTED);
    rig_free(samples, 1);
    steps(&rig, 4);
    engine_set_version(e, 2, 2); // again, before the first return is over
    engine_preempt(e);
    assert_int_equal(rig_take(&rig, samples, MAX), 2);
    for (int i = 0; i < 2; i++) {
        assert_int_equal(samples[i]->finish, FINISH_PREEMPTED);
        assert_true(samples[i]->n_tokens >= 6 && samples[i]->n_tokens <= 10);
        check_tokens(&rig, samples[i]);
    }
    rig_free(samples, 2);
    rig_close(&rig);

    rig_open(&rig, &(struct rig_options){.max_rows = 3});
    add(&rig, 1, 2, ON_UPDATE_RECOMPUTE);
    steps(&rig, 8);
    engine_set_version(&rig.engine, 1, 1);
    engine_take_back(&rig.engine, 0, 0);
    rig_run(&rig);
    assert_int_equal(rig_take(&rig, samples, MAX), 2);
    for (int i = 0; i < 2; i++) {
        assert_int_equal(samples[i]->n_spans, 1);
        assert_int_equal(samples[i]->n_tokens, 30);
        check_tokens(&rig, samples[i]);
    }
    rig_free(samples, 2);
    add(&rig, 2, 2, ON_UPDATE_RECOMPUTE);
    steps(&rig, 8);
    engine_set_version(&rig.engine, 1, 1);
    rig_close(&rig); // with rows that were to return
}

// Who would be more versions behind than its task allows ends before the update, with what it has.
static void test_lag(void **state) {
    (void)state;
    static const struct {
        enum message_on_update on_update;
        uint64_t lag, ends_at; // a version, 0: by itself
    } tasks[] = {{ON_UPDATE_CONTINUE, VERSION_LAG_ANY, 0},
                 {ON_UPDATE_CONTINUE, 0, 7},
                 {ON_UPDATE_CONTINUE, 2, 8},
                 {ON_UPDATE_RECOMPUTE, 2, 8},
                 {ON_UPDATE_RECOMPUTE, 5, 11},
                 {ON_UPDATE_RESTART, 0, 0},
                 {ON_UPDATE_RECOMPUTE, 6, 0}};
    enum { N_TASKS = sizeof tasks / sizeof *tasks };
    static const uint64_t versions[] = {7, 8, 11};
    struct rig rig;
    struct sample *samples[MAX];
    int n_ended = 0;
    rig_open(&rig, &(struct rig_options){.max_rows = 8, .prefill_chunk = 64});
    engine_set_version(&rig.engine, 5, 5);
    for (int i = 0; i < N_TASKS; i++) {
        struct task *t = rig_task(&rig, (uint64_t)i, 5, 1, 40);
        t->on_update = tasks[i].on_update;
        t->max_version_lag = tasks[i].lag;
        engine_add(&rig.engine, t);
    }
    for (int v = 0; v < 3; v++) {
        steps(&rig, v == 2 ? 1 : 6); // at last they are at their prompts again
        n_ended += engine_end_stale(&rig.engine, versions[v]);
        engine_set_version(&rig.engine, versions[v], versions[v]);
    }
    rig_run(&rig);
    int n = rig_take(&rig, samples, MAX);
    assert_int_equal(n, N_TASKS);
    assert_int_equal(n_ended, 4);
    for (int i = 0; i < n; i++) {
        const struct sample *s = samples[i];
        uint64_t ends_at = tasks[s->task->serial].ends_at;
        check_tokens(&rig, s);
        assert_int_equal(s->finish, ends_at ? FINISH_CANCELLED : FINISH_LENGTH);
        if (!ends_at) continue;
        assert_int_equal(s->digest, ends_at == 7 ? 5 : ends_at == 8 ? 7 : 8);
        assert_int_equal(s->spans[0].version, 5);
        assert_true(s->n_tokens > 0 && s->n_tokens < 40);
        assert_non_null(strstr(s->error, "Its first token is of policy version 5"));
    }
    rig_free(samples, n);
    rig_close(&rig);
}

// Rows end, those that return too; what has not begun waits, and begins where the hold ends.
static void test_hold(void **state) {
    (void)state;
    struct rig rig;
    struct sample *samples[MAX];
    rig_open(&rig, &(struct rig_options){.max_rows = 2, .prefill_chunk = 4});
    struct engine *e = &rig.engine;
    add(&rig, 1, 3, ON_UPDATE_RECOMPUTE);
    steps(&rig, 8);
    engine_set_version(e, 1, 1);
    add(&rig, 2, 1, ON_UPDATE_CONTINUE);
    engine_hold(e, true);
    rig_run(&rig);
    assert_int_equal(rig_take(&rig, samples, MAX), 2);
    for (int i = 0; i < 2; i++) {
        assert_int_equal(samples[i]->index, i);
        assert_int_equal(samples[i]->n_spans, 2);
        check_tokens(&rig, samples[i]);
    }
    assert_int_equal(engine_n_begun(e), 0);
    rig_free(samples, 2);
    assert_int_equal(rig_step(&rig), 0);
    engine_hold(e, false);
    engine_set_version(e, 2, 2);
    rig_run(&rig);
    assert_int_equal(rig_take(&rig, samples, MAX), 2);
    for (int i = 0; i < 2; i++) assert_int_equal(samples[i]->spans[0].version, 2);
    rig_free(samples, 2);
    rig_close(&rig);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_bits_on_device),
        cmocka_unit_test(test_ends_before_the_return),
        cmocka_unit_test(test_lag),
        cmocka_unit_test(test_hold),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
