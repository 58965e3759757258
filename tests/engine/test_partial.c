// A sample that one engine begins and another ends has the bits of one that nobody disturbed.
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "protocol/base/memory.h"
#include "tests/engine/rig.h"
#include "tests/kernels/harness.h"
#include "tests/reference.h"

enum { N_PROMPT = 21 };

// On the emulator everything is smaller.
static int n_new(void) {
    return harness_is_emulated() ? 12 : 40;
}

struct variant {
    const char *name;
    struct rig_options first, second;
    float repetition_penalty, temperature;
    int n_stop_ids;
    bool prompt_logprobs, routed_experts;
};

static const int32_t stop_ids[] = {11, 12, 13};

static struct task *new_task(const struct rig *rig, const struct variant *v) {
    struct task *t = rig_task(rig, 7, N_PROMPT, 1, n_new());
    t->first_sample = 3;
    t->sampling.repetition_penalty = v->repetition_penalty;
    t->sampling.temperature = v->temperature;
    t->sampling.stop_ids = stop_ids;
    t->sampling.n_stop_ids = v->n_stop_ids;
    t->prompt_logprobs = v->prompt_logprobs;
    t->routed_experts = v->routed_experts;
    return t;
}

static struct sample *take_one(struct rig *rig) {
    struct sample *s[4];
    assert_int_equal(rig_take(rig, s, 4), 1);
    s[0]->next = NULL;
    return s[0];
}

// The task of `from`, to go on in another engine: as a TASK that carries the partial sample.
static struct task *go_on(const struct rig *rig, const struct variant *v,
                          const struct sample *from) {
    struct task *t = new_task(rig, v);
    size_t n = (size_t)from->n_tokens;
    int32_t *ids = arena_take(&t->arena, N_PROMPT + n, sizeof *ids);
    memcpy(ids, t->prompt_ids, N_PROMPT * sizeof *ids);
    memcpy(ids + N_PROMPT, from->tokens, n * sizeof *ids);
    t->prompt_ids = ids;
    t->partial = (struct partial){
        .n_tokens = from->n_tokens,
        .n_spans = from->n_spans,
        .lp_full = (void *)arena_copy(&t->arena, from->lp_full, n * sizeof(float)),
        .lp_behav = (void *)arena_copy(&t->arena, from->lp_behav, n * sizeof(float)),
        .spans = (void *)arena_copy(&t->arena, from->spans,
                                    (size_t)from->n_spans * sizeof *from->spans)};
    return t;
}

static void same(const struct sample *a, const struct sample *b, const struct rig *rig) {
    size_t n = (size_t)a->n_tokens, width = (size_t)rig->engine.vocabulary.n_route_values;
    assert_int_equal(a->n_tokens, b->n_tokens);
    assert_int_equal(a->finish, b->finish);
    assert_memory_equal(a->tokens, b->tokens, n * sizeof *a->tokens);
    assert_memory_equal(a->lp_full, b->lp_full, n * sizeof *a->lp_full);
    assert_memory_equal(a->lp_behav, b->lp_behav, n * sizeof *a->lp_behav);
    assert_int_equal(a->n_spans, b->n_spans);
    for (int i = 0; i < a->n_spans; i++) {
        assert_int_equal(a->spans[i].first_token, b->spans[i].first_token);
        assert_int_equal(a->spans[i].version, b->spans[i].version);
    }
    assert_int_equal(a->n_routes, b->n_routes);
    assert_true(!a->routes == !b->routes && !a->prompt_lp_full == !b->prompt_lp_full);
    if (a->routes)
        assert_memory_equal(a->routes, b->routes, (size_t)a->n_routes * width * sizeof *a->routes);
    if (a->prompt_lp_full)
        assert_memory_equal(a->prompt_lp_full, b->prompt_lp_full, N_PROMPT * sizeof(float));
}

static struct sample *whole(const struct variant *v) {
    struct rig rig;
    rig_open(&rig, &v->first);
    engine_add(&rig.engine, new_task(&rig, v));
    rig_run(&rig);
    struct sample *s = take_one(&rig);
    rig_close(&rig);
    return s;
}

// Hands the sample from engine to engine, each of which makes `n_steps` steps. Returns how many
// made a token of it.
static int pass_on(const struct variant *v, int n_steps, const struct sample *expected) {
    struct sample *former = NULL;
    int n_engines = 0;
    while (!former || former->finish == FINISH_PREEMPTED) {
        struct rig rig;
        rig_open(&rig, n_engines % 2 ? &v->second : &v->first);
        struct task *t = former && former->n_tokens ? go_on(&rig, v, former) : new_task(&rig, v);
        int n_given = t->partial.n_tokens;
        engine_add(&rig.engine, t);
        for (int i = 0; i < n_steps && rig_step(&rig) > 0; i++) continue;
        engine_preempt(&rig.engine);
        struct sample *s = take_one(&rig);
        // Never less than was given, and nothing of it computed as a new token.
        assert_true(s->n_tokens == 0 || s->n_tokens >= n_given);
        int n_drawn = (int)rig.engine.counters.n_output_tokens;
        assert_int_equal(n_drawn, s->n_tokens ? s->n_tokens - n_given : 0);
        n_engines += n_drawn > 0;
        if (!former || s->n_tokens > former->n_tokens) {
            sample_free(&former);
            former = s;
        } else {
            sample_free(&s);
        }
        if (former->finish != FINISH_PREEMPTED) same(former, expected, &rig);
        rig_close(&rig);
        assert_true(n_engines < 100);
        n_steps += n_drawn == 0; // a longer prompt takes more steps
    }
    sample_free(&former);
    return n_engines;
}

static void test_any_number_of_engines(void **state) {
    (void)state;
    const struct rig_options real = {.is_real = true, .vocab = 300};
    const struct rig_options small = {
        .is_real = true, .vocab = 300, .max_rows = 2, .prefill_chunk = 5};
    const struct rig_options drafts = {
        .is_real = true, .vocab = 300, .draft = {.max_draft = 4, .is_auto = false}};
    const struct rig_options moe = {.is_real = true, .vocab = 300, .has_moe = true};
    const struct variant variants[] = {
        {.name = "plain",
         .first = real,
         .second = small,
         .repetition_penalty = 1,
         .temperature = 1},
        {"penalty", real, small, 1.3f, 1, 0, false, false},
        {"greedy, stop ids", real, small, 1.1f, 0, 3, false, false},
        {"prompt's log-probabilities", small, real, 1, 1, 0, true, false},
        {"routes", moe, moe, 1.2f, 1, 0, true, true},
        {"drafts", drafts, real, 1, 0, 0, false, false},
        {"drafts there", real, drafts, 1.2f, 0.5f, 0, false, false},
    };
    for (size_t i = 0; i < sizeof variants / sizeof *variants; i++) {
        if (harness_is_emulated() && i % 4 != 1) continue;
        struct sample *expected = whole(&variants[i]);
        int n_most = 0;
        for (int n_steps = 1; n_steps < 24; n_steps += harness_is_emulated() ? 8 : 3) {
            int n = pass_on(&variants[i], n_steps, expected);
            if (n > n_most) n_most = n;
        }
        if (n_most < 3) fail_msg("%s: at most %d engines", variants[i].name, n_most);
        sample_free(&expected);
    }
}

// Weights that are others than the spans say: a task goes on with spans that tell, or begins anew.
static void test_other_weights(void **state) {
    (void)state;
    for (int restarts = 0; restarts < 2; restarts++) {
        const struct variant v = {.repetition_penalty = 1, .temperature = 1};
        struct rig rig;
        rig_open(&rig, &v.first);
        engine_add(&rig.engine, new_task(&rig, &v));
        for (int i = 0; i < n_new() / 4; i++) rig_step(&rig);
        engine_forget(&rig.engine);
        struct sample *part = take_one(&rig);
        assert_in_range(part->n_tokens, 1, n_new() - 1);
        engine_set_version(&rig.engine, 5, 1);
        struct task *t = go_on(&rig, &v, part);
        t->on_update = restarts ? ON_UPDATE_RESTART : ON_UPDATE_CONTINUE;
        engine_add(&rig.engine, t);
        rig_run(&rig);
        struct sample *s = take_one(&rig);
        assert_int_equal(s->n_tokens, n_new());
        assert_int_equal(s->n_spans, restarts ? 1 : 2);
        assert_int_equal(s->spans[s->n_spans - 1].version, 5);
        assert_int_equal(s->spans[s->n_spans - 1].first_token, restarts ? 0 : part->n_tokens);
        sample_free(&s);
        // The weights change while it runs, or waits behind others.
        for (int n_steps = 0; n_steps < n_new() / 3; n_steps += 3) {
            struct task *again = go_on(&rig, &v, part);
            again->partial.spans = &(struct version_span){0, 5 + (uint64_t)n_steps};
            again->on_update = restarts ? ON_UPDATE_RESTART : ON_UPDATE_CONTINUE;
            engine_add(&rig.engine, again);
            for (int i = 0; i < n_steps; i++) rig_step(&rig);
            engine_set_version(&rig.engine, 10 + (uint64_t)n_steps, 1);
            rig_run(&rig);
            s = take_one(&rig);
            assert_int_equal(s->n_tokens, n_new());
            assert_int_equal(s->spans[0].version, restarts ? 10 + n_steps : 5 + n_steps);
            sample_free(&s);
        }
        sample_free(&part);
        rig_close(&rig);
    }
}

static struct sample *first_steps(struct rig *rig, const struct variant *v, int n_steps) {
    engine_add(&rig->engine, new_task(rig, v));
    for (int i = 0; i < n_steps; i++) rig_step(rig);
    engine_forget(&rig->engine);
    struct sample *part = take_one(rig);
    assert_in_range(part->n_tokens, 1, n_new() - 1);
    return part;
}

static void update(struct rig *rig, uint64_t version) {
    engine_end_stale(&rig->engine, version);
    engine_set_version(&rig->engine, version, 1);
}

// A partial sample may be behind by as much as its task allows; one that is further behind, where
// it comes or before it runs, begins anew.
static void test_too_far_behind(void **state) {
    (void)state;
    const struct variant v = {.repetition_penalty = 1, .temperature = 1};
    struct rig rig;
    rig_open(&rig, &v.first);
    struct sample *part = first_steps(&rig, &v, 9);
    uint64_t first = part->spans[0].version;
    for (uint64_t lag = 0; lag < 4; lag++)
        for (int waits = 0; waits < 2; waits++) {
            engine_set_version(&rig.engine, waits ? first : first + 2, 1);
            struct task *t = go_on(&rig, &v, part);
            t->max_version_lag = lag;
            engine_add(&rig.engine, t);
            if (waits) update(&rig, first + 2);
            rig_run(&rig);
            struct sample *s = take_one(&rig);
            assert_int_equal(s->finish, FINISH_LENGTH);
            assert_int_equal(s->n_tokens, n_new());
            assert_int_equal(s->spans[0].version, lag < 2 ? first + 2 : first);
            assert_int_equal(s->n_spans, lag < 2 ? 1 : 2);
            sample_free(&s);
        }
    sample_free(&part);
    rig_close(&rig);
}

// A row that goes on from a partial sample is recomputed like any other. The weights stay what
// they are, so that all tokens are those of a sample that nobody disturbed.
static void test_recomputed(void **state) {
    (void)state;
    const struct variant v = {.first = {.is_real = true, .vocab = 300, .prefill_chunk = 5},
                              .repetition_penalty = 1.2f,
                              .temperature = 1};
    struct sample *expected = whole(&v);
    for (int n_steps = 1; n_steps < n_new() / 2; n_steps += 3) {
        struct rig rig;
        rig_open(&rig, &v.first);
        struct sample *part = first_steps(&rig, &v, harness_is_emulated() ? 8 : 12);
        uint64_t first = part->spans[0].version;
        struct task *t = go_on(&rig, &v, part);
        t->on_update = ON_UPDATE_RECOMPUTE;
        engine_add(&rig.engine, t);
        for (int i = 0; i < n_steps; i++) rig_step(&rig);
        update(&rig, first + 1);
        rig_run(&rig);
        struct sample *s = take_one(&rig);
        assert_int_equal(s->n_spans, 2);
        assert_true(s->spans[1].first_token >= part->n_tokens);
        assert_int_equal(s->n_tokens, n_new());
        assert_memory_equal(s->tokens, expected->tokens, (size_t)n_new() * sizeof *s->tokens);
        assert_memory_equal(s->lp_full, expected->lp_full, (size_t)n_new() * sizeof *s->lp_full);
        sample_free(&s);
        sample_free(&part);
        rig_close(&rig);
    }
    sample_free(&expected);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_any_number_of_engines),
        cmocka_unit_test(test_other_weights),
        cmocka_unit_test(test_too_far_behind),
        cmocka_unit_test(test_recomputed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
