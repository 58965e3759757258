// The engine on a backend that computes nothing: each sample comes out exactly once, with what it
// drew, however it ended.
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "protocol/base/memory.h"
#include "tests/engine/rig.h"

enum { MAX = 4096 };

// The tokens of a sample are those that its seed, positions and number draw.
static void check_tokens(const struct rig *rig, const struct sample *s) {
    const struct task *t = s->task;
    for (int i = 0; i < s->n_tokens; i++) {
        uint32_t position = (uint32_t)(t->n_prompt + i), sample = (uint32_t)s->index;
        int vocab = rig->engine.model.shape.vocab;
        assert_int_equal(s->tokens[i], fake_id(t->group_seed, position, sample, vocab));
        assert_true(s->lp_full[i] == fake_lp(t->group_seed, position, sample));
        assert_true(s->lp_behav[i] == s->lp_full[i]);
    }
}

static void test_each_sample_once(void **state) {
    (void)state;
    struct rig rig;
    struct sample *samples[MAX];
    int seen[20][40] = {{0}}, n_total = 0;
    rig_open(&rig, &(struct rig_options){0});
    for (uint64_t i = 0; i < 20; i++) {
        struct task *t = rig_task(&rig, i, 1 + (int)i * 3, 1 + (int)i * 2, 1 + (int)i % 7);
        t->first_sample = (int)i * 100;
        n_total += t->n_samples;
        engine_add(&rig.engine, t);
    }
    assert_int_equal(engine_status(&rig.engine).n_samples, n_total);
    rig_run(&rig);
    int n = rig_take(&rig, samples, MAX);
    assert_int_equal(n, n_total);
    for (int i = 0; i < n; i++) {
        struct sample *s = samples[i];
        uint64_t serial = s->task->serial;
        assert_int_equal(seen[serial][s->index - (int)serial * 100]++, 0);
        assert_int_equal(s->finish, FINISH_LENGTH);
        assert_int_equal(s->n_tokens, 1 + (int)serial % 7);
        assert_int_equal(s->n_spans, 1);
        assert_int_equal(s->digest, 1);
        assert_null(s->text);
        check_tokens(&rig, s);
    }
    rig_free(samples, n);
    struct status status = engine_status(&rig.engine);
    assert_int_equal(status.n_samples, 0);
    assert_int_equal(status.n_rows, 0);
    assert_null(rig.engine.first_task);
    rig_close(&rig);
}

// The first token that is an end or stop id ends a sample, and is its last token.
static void test_stops(void **state) {
    (void)state;
    static const int32_t ends[] = {3, 40}, stop_ids[] = {5, 11, 60};
    for (int ignore = 0; ignore < 2; ignore++) {
        struct rig rig;
        struct sample *samples[64];
        int n_stopped = 0;
        rig_open(&rig, &(struct rig_options){.end_ids = ends, .n_end_ids = 2});
        struct task *t = rig_task(&rig, 9, 5, 64, 60);
        t->sampling.stop_ids = stop_ids;
        t->sampling.n_stop_ids = 3;
        t->sampling.ignore_eos = ignore;
        engine_add(&rig.engine, t);
        rig_run(&rig);
        assert_int_equal(rig_take(&rig, samples, 64), 64);
        for (int i = 0; i < 64; i++) {
            const struct sample *s = samples[i];
            for (int k = 0; k < s->n_tokens; k++) {
                int32_t id = s->tokens[k];
                bool is_end = !ignore && (id == 3 || id == 40);
                bool is_stop = is_end || id == 5 || id == 11 || id == 60;
                assert_int_equal(is_stop, k + 1 == s->n_tokens && s->finish == FINISH_STOP);
            }
            if (s->finish == FINISH_LENGTH) assert_int_equal(s->n_tokens, 60);
            n_stopped += s->finish == FINISH_STOP;
            check_tokens(&rig, s);
        }
        assert_true(n_stopped > 32 && n_stopped <= 64);
        rig_free(samples, 64);
        rig_close(&rig);
    }
}

// What is cancelled ends at once with what it has, and costs no further step.
static void test_cancel(void **state) {
    (void)state;
    struct rig rig;
    struct sample *samples[MAX];
    rig_open(&rig, &(struct rig_options){0});
    engine_add(&rig.engine, rig_task(&rig, 1, 5, 6, 50));
    engine_add(&rig.engine, rig_task(&rig, 2, 5, 1, 50));
    for (int i = 0; i < 5; i++) rig_step(&rig);
    assert_int_equal(engine_status(&rig.engine).n_rows, 7);
    assert_int_equal(engine_cancel(&rig.engine, 1, 2, 3, FINISH_CANCELLED), 3);
    assert_int_equal(engine_cancel(&rig.engine, 1, 2, 3, FINISH_CANCELLED), 0);
    assert_int_equal(rig_take(&rig, samples, MAX), 3);
    for (int i = 0; i < 3; i++) {
        assert_int_equal(samples[i]->index, 2 + i);
        assert_int_equal(samples[i]->finish, FINISH_CANCELLED);
        assert_int_equal(samples[i]->n_tokens, 4);
        check_tokens(&rig, samples[i]);
    }
    rig_free(samples, 3);
    uint64_t n_tokens = rig.fake->n_tokens;
    rig_step(&rig);
    assert_int_equal(rig.fake->n_tokens - n_tokens, 4);
    assert_int_equal(engine_cancel(&rig.engine, 1, 0, 0, FINISH_CANCELLED), 3);
    assert_int_equal(engine_cancel(&rig.engine, 7, 0, 0, FINISH_CANCELLED), 0);
    assert_int_equal(rig_take(&rig, samples, MAX), 3);
    rig_free(samples, 3);
    rig_run(&rig);
    assert_int_equal(rig_take(&rig, samples, MAX), 1);
    assert_int_equal(samples[0]->finish, FINISH_LENGTH);
    rig_free(samples, 1);
    rig_close(&rig);
}

static void test_deadlines(void **state) {
    (void)state;
    struct rig rig;
    struct sample *samples[8];
    rig_open(&rig, &(struct rig_options){0});
    static const int64_t deadlines[] = {0, 300, 100, 200};
    for (int i = 0; i < 4; i++) {
        struct task *t = rig_task(&rig, (uint64_t)i, 5, 1, 100);
        t->deadline_ms = deadlines[i];
        engine_add(&rig.engine, t);
    }
    for (int i = 0; i < 3; i++) rig_step(&rig);
    engine_expire(&rig.engine, 99);
    assert_int_equal(rig_take(&rig, samples, 8), 0);
    static const uint64_t late[] = {2, 3, 1};
    for (int i = 0; i < 3; i++) {
        engine_expire(&rig.engine, 100 * (i + 1));
        assert_int_equal(rig_take(&rig, samples, 8), 1);
        assert_int_equal(samples[0]->task->serial, late[i]);
        assert_int_equal(samples[0]->finish, FINISH_CANCELLED);
        rig_free(samples, 1);
    }
    engine_expire(&rig.engine, INT64_MAX - 1);
    assert_int_equal(engine_status(&rig.engine).n_samples, 1);
    rig_close(&rig);
}

// A drain ends what has not begun; rows go on until they end or are preempted; a task that comes
// now is handed back.
static void test_drain(void **state) {
    (void)state;
    struct rig rig;
    struct sample *samples[64];
    rig_open(&rig, &(struct rig_options){.max_rows = 3});
    engine_add(&rig.engine, rig_task(&rig, 1, 5, 5, 20));
    engine_add(&rig.engine, rig_task(&rig, 2, 5, 4, 20));
    for (int i = 0; i < 4; i++) rig_step(&rig);
    engine_drain(&rig.engine);
    assert_int_equal(rig_take(&rig, samples, 64), 6);
    for (int i = 0; i < 6; i++) {
        assert_int_equal(samples[i]->finish, FINISH_PREEMPTED);
        assert_int_equal(samples[i]->n_tokens, 0);
    }
    rig_free(samples, 6);
    engine_add(&rig.engine, rig_task(&rig, 3, 5, 2, 20));
    assert_int_equal(rig_take(&rig, samples, 64), 2);
    rig_free(samples, 2);
    rig_step(&rig);
    assert_int_equal(engine_status(&rig.engine).n_rows, 3);
    engine_preempt(&rig.engine);
    assert_int_equal(rig_take(&rig, samples, 64), 3);
    for (int i = 0; i < 3; i++) {
        assert_int_equal(samples[i]->finish, FINISH_PREEMPTED);
        assert_int_equal(samples[i]->n_tokens, 4);
        check_tokens(&rig, samples[i]);
    }
    rig_free(samples, 3);
    assert_int_equal(rig_step(&rig), 0);
    rig_close(&rig);
}

// A task waits for its version and keeps nobody; an update shows in the spans, or starts anew what
// asked for it.
static void test_versions(void **state) {
    (void)state;
    struct rig rig;
    struct sample *samples[64];
    rig_open(&rig, &(struct rig_options){0});
    struct task *waits = rig_task(&rig, 1, 5, 1, 8), *restarts = rig_task(&rig, 2, 5, 1, 8);
    waits->min_version = 3;
    restarts->on_update = ON_UPDATE_RESTART;
    engine_add(&rig.engine, waits);
    engine_add(&rig.engine, restarts);
    engine_add(&rig.engine, rig_task(&rig, 3, 5, 1, 8));
    for (int i = 0; i < 4; i++) rig_step(&rig); // a step of prompts, then 3 tokens
    engine_set_version(&rig.engine, 2, 77);
    rig_run(&rig);
    assert_int_equal(rig_take(&rig, samples, 64), 2);
    const struct sample *goes_on = samples[0], *anew = samples[1];
    assert_int_equal(goes_on->task->serial, 3);
    assert_int_equal(goes_on->n_spans, 2);
    assert_int_equal(goes_on->spans[0].version, 0);
    assert_int_equal(goes_on->spans[1].first_token, 3);
    assert_int_equal(goes_on->spans[1].version, 2);
    assert_int_equal(anew->task->serial, 2);
    assert_int_equal(anew->n_spans, 1);
    assert_int_equal(anew->spans[0].version, 2);
    assert_int_equal(anew->n_tokens, 8);
    assert_int_equal(anew->digest, 77);
    check_tokens(&rig, goes_on);
    check_tokens(&rig, anew);
    rig_free(samples, 2);
    engine_set_version(&rig.engine, 3, 78);
    rig_run(&rig);
    assert_int_equal(rig_take(&rig, samples, 64), 1);
    assert_int_equal(samples[0]->task->serial, 1);
    assert_int_equal(samples[0]->spans[0].version, 3);
    rig_free(samples, 1);
    struct task *t = rig_task(&rig, 4, 5, 1, 30); // more updates than a row has room for at first
    engine_add(&rig.engine, t);
    for (int i = 0; i < 2; i++) rig_step(&rig); // the prompt, and a first token
    for (uint64_t v = 4; v < 30; v++) {
        engine_set_version(&rig.engine, v, v);
        rig_step(&rig);
    }
    rig_run(&rig);
    assert_int_equal(rig_take(&rig, samples, 64), 1);
    assert_int_equal(samples[0]->n_spans, 27);
    for (int i = 0; i < 27; i++) assert_int_equal(samples[0]->spans[i].version, 3 + i);
    rig_free(samples, 1);
    rig_close(&rig);
}

// A value that is not finite fails its sample, with what it had, or all samples of its prompt.
static void test_not_finite(void **state) {
    (void)state;
    struct rig rig;
    struct sample *samples[8];
    rig_open(&rig, &(struct rig_options){0});
    rig.fake->bad_position = 10;
    engine_add(&rig.engine, rig_task(&rig, 1, 5, 2, 20));
    struct task *t = rig_task(&rig, 2, 30, 3, 20);
    t->prompt_logprobs = true;
    engine_add(&rig.engine, t);
    rig_run(&rig);
    assert_int_equal(rig_take(&rig, samples, 8), 5);
    for (int i = 0; i < 5; i++) {
        const struct sample *s = samples[i];
        assert_int_equal(s->finish, FINISH_ERROR);
        assert_int_equal(s->n_tokens, s->task->serial == 1 ? 6 : 0);
        const char *words = s->task->serial == 1 ? "output token 6 is not finite" : "of the prompt";
        assert_non_null(strstr(s->error, words));
        check_tokens(&rig, s);
    }
    rig_free(samples, 5);
    rig_close(&rig);
}

// A prompt is scored, with its routes, without a row; one that leaves nothing to do ends at once.
static void test_prompt_only(void **state) {
    (void)state;
    struct rig rig;
    struct sample *samples[8];
    rig_open(&rig, &(struct rig_options){.has_moe = true});
    struct task *t = rig_task(&rig, 1, 40, 2, 0);
    t->prompt_logprobs = t->routed_experts = true;
    engine_add(&rig.engine, t);
    engine_add(&rig.engine, rig_task(&rig, 2, 5, 1, 0));
    assert_int_equal(rig_take(&rig, samples, 8), 1);
    assert_int_equal(samples[0]->task->serial, 2);
    assert_int_equal(samples[0]->finish, FINISH_LENGTH);
    rig_free(samples, 1);
    engine_cancel(&rig.engine, 1, 1, 1, FINISH_CANCELLED); // one of the two
    rig_run(&rig);
    assert_int_equal(rig_take(&rig, samples, 8), 2);
    assert_int_equal(samples[0]->finish, FINISH_CANCELLED);
    const struct sample *s = samples[1];
    assert_int_equal(s->finish, FINISH_LENGTH);
    assert_int_equal(s->n_routes, 39);
    assert_true(isnan(s->prompt_lp_full[0]));
    for (int i = 1; i < 40; i++)
        assert_true(s->prompt_lp_full[i] == fake_lp(0, (uint32_t)s->task->prompt_ids[i], 0));
    for (int p = 0; p < 39; p++)
        for (int k = 0; k < 6; k++) assert_int_equal(s->routes[p * 6 + k], p + k);
    rig_free(samples, 2);
    t = rig_task(&rig, 3, 20, 3, 7); // and with rows, each with a copy of the prompt's
    t->prompt_logprobs = t->routed_experts = true;
    engine_add(&rig.engine, t);
    rig_run(&rig);
    assert_int_equal(rig_take(&rig, samples, 8), 3);
    for (int i = 0; i < 3; i++) {
        assert_int_equal(samples[i]->n_routes, 20 + 7 - 1);
        for (int p = 0; p < 26; p++) assert_int_equal(samples[i]->routes[p * 6 + 5], p + 5);
        assert_true(samples[i]->prompt_lp_full[7] == fake_lp(0, (uint32_t)t->prompt_ids[7], 0));
    }
    rig_free(samples, 3);
    rig_close(&rig);
}

// Short of pages rows go to the arena and come back; the tokens are the same.
static void test_short_memory(void **state) {
    (void)state;
    struct rig rig;
    struct sample *samples[64];
    rig_open(&rig, &(struct rig_options){
                       .max_rows = 12, .n_pages = 16, .suspend_pages = 64, .suspend_slots = 6});
    for (uint64_t i = 0; i < 40; i++) // short ones, so that growth is underestimated
        engine_add(&rig.engine, rig_task(&rig, 100 + i, 2, 1, 1));
    rig_run(&rig);
    rig_free(samples, rig_take(&rig, samples, 64));
    for (uint64_t i = 0; i < 12; i++) engine_add(&rig.engine, rig_task(&rig, i, 17, 2, 90));
    rig_run(&rig);
    assert_int_equal(rig_take(&rig, samples, 64), 24);
    for (int i = 0; i < 24; i++) {
        assert_int_equal(samples[i]->n_tokens, 90);
        check_tokens(&rig, samples[i]);
    }
    assert_true(scheduler_stats(rig.engine.scheduler).n_preempted > 0);
    assert_true(rig.fake->n_moves > 24);
    rig_free(samples, 24);
    rig_close(&rig);
}

static void test_refusals(void **state) {
    (void)state;
    struct rig rig;
    struct error err = {0};
    rig_open(&rig, &(struct rig_options){.max_context = 64, .n_pages = 3});
    struct task *t = rig_task(&rig, 1, 40, 1, 24);
    assert_int_equal(engine_check(&rig.engine, t, &err), -1);
    assert_int_equal(err.code, ERROR_INPUT);
    assert_non_null(strstr(err.text, "needs 4 KV pages"));
    task_free(&t);
    rig_close(&rig);
}

// A device that is lost ends the run with its sentence; closing frees what is in flight, and what
// others still hold.
static void test_lost_device(void **state) {
    (void)state;
    struct rig rig;
    struct sample *samples[8];
    struct error err = {0};
    rig_open(&rig, &(struct rig_options){0});
    engine_add(&rig.engine, rig_task(&rig, 1, 5, 3, 20));
    for (int i = 0; i < 4; i++) rig_step(&rig);
    engine_cancel(&rig.engine, 1, 0, 1, FINISH_CANCELLED);
    assert_int_equal(rig_take(&rig, samples, 8), 1);
    engine_cancel(&rig.engine, 1, 1, 1, FINISH_CANCELLED); // is left in the engine's list
    rig.fake->is_lost = true;
    assert_true(engine_submit(&rig.engine));
    assert_int_equal(engine_finish(&rig.engine, &err), -1);
    assert_string_equal(err.text, "The device is lost.");
    rig_close(&rig);
    assert_int_equal(samples[0]->task->serial, 1);
    rig_free(samples, 1);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_each_sample_once),
        cmocka_unit_test(test_stops),
        cmocka_unit_test(test_cancel),
        cmocka_unit_test(test_deadlines),
        cmocka_unit_test(test_drain),
        cmocka_unit_test(test_versions),
        cmocka_unit_test(test_not_finite),
        cmocka_unit_test(test_prompt_only),
        cmocka_unit_test(test_short_memory),
        cmocka_unit_test(test_refusals),
        cmocka_unit_test(test_lost_device),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
