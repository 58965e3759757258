#include "protocol/base/clock.h"
#include "worker/commands/bench.h"

struct task *bench_task(const struct setup *s, int n_prompt, int n_new, int n, int number) {
    struct task *t = task_new();
    int32_t *ids = arena_take(&t->arena, (size_t)n_prompt, sizeof *ids);
    for (int i = 0; i < n_prompt; i++)
        ids[i] =
            (int32_t)((uint32_t)(i * 7919 + number * 104729 + 13) % (uint32_t)s->requests.vocab);
    t->serial = t->group_seed = (uint64_t)number;
    t->prompt_ids = ids;
    t->n_prompt = n_prompt;
    t->n_samples = n;
    t->n_left = n;
    t->sampling = sampling_defaults();
    t->sampling.n = n;
    t->sampling.ignore_eos = true;
    t->sampling.max_new_tokens = n_new;
    return t;
}

static int step(struct setup *s, struct error *err) {
    engine_submit(&s->engine);
    sample_free_list(engine_take_finished(&s->engine));
    return engine_finish(&s->engine, err);
}

static int step_until_idle(struct setup *s, struct error *err) {
    while (s->engine.n_samples)
        if (step(s, err) < 0) return -1;
    return 0;
}

static double seconds_since(int64_t started_us) {
    return (double)(clock_us() - started_us + 1) / 1e6;
}

// Computes the prompts; rows whose prompt is done decode beside it. The prompts' last tokens belong
// to the rows.
static int prefill(struct setup *s, int n_tokens, double *tokens_per_s, struct error *err) {
    struct engine *e = &s->engine;
    uint64_t end = e->counters.n_prompt_tokens + (uint64_t)n_tokens;
    int64_t started_us = clock_us();
    while (e->counters.n_prompt_tokens < end)
        if (step(s, err) < 0) return -1;
    double measured = n_tokens / seconds_since(started_us);
    if (measured > *tokens_per_s) *tokens_per_s = measured;
    return 0;
}

// While other prompts are computed, the first rows decode: they get as many tokens more.
int bench_row_tokens(const struct bench_flags *f, int rows) {
    int n_groups = (rows + f->n_group - 1) / f->n_group, chunk = f->engine.prefill_chunk;
    int n_early = n_groups == 1 ? 0 : (n_groups * f->n_prompt + chunk - 1) / chunk + 2;
    return f->n_prompt + f->n_new + n_early;
}

int bench_measure_rows(struct setup *s, const struct bench_flags *f, struct bench_point *p,
                       double *prefill_tokens_per_s, struct error *err) {
    struct engine *e = &s->engine;
    int n_groups = 0, n_new = bench_row_tokens(f, p->rows) - f->n_prompt;
    for (int left = p->rows; left > 0; left -= f->n_group, n_groups++)
        engine_add(
            e, bench_task(s, f->n_prompt, n_new, left < f->n_group ? left : f->n_group, n_groups));
    if (prefill(s, n_groups * (f->n_prompt - 1), prefill_tokens_per_s, err)) return -1;
    if (step(s, err) < 0) return -1; // the last rows start
    int64_t first_us = clock_us();
    uint64_t tokens = e->counters.n_output_tokens, steps = e->counters.n_steps;
    for (int i = 2; i < f->n_new; i++)
        if (step(s, err) < 0) return -1;
    double seconds = seconds_since(first_us);
    p->tokens_per_s = (double)(e->counters.n_output_tokens - tokens) / seconds;
    p->step_ms = 1000 * seconds / (double)(e->counters.n_steps - steps);
    for (int i = 0; i < n_groups; i++) engine_cancel(e, (uint64_t)i, 0, 0, FINISH_CANCELLED);
    return step_until_idle(s, err);
}

int bench_measure_mix(struct setup *s, const struct bench_flags *f, struct bench_mix *mix,
                      struct error *err) {
    int64_t started_us = clock_us();
    for (int i = 0; i < f->n_concurrent; i++)
        engine_add(&s->engine, bench_task(s, f->n_in, f->n_out, 1, i));
    if (step_until_idle(s, err)) return -1;
    mix->seconds = seconds_since(started_us);
    mix->output_tokens_per_s = f->n_concurrent * (double)f->n_out / mix->seconds;
    mix->tokens_per_s = f->n_concurrent * ((double)f->n_in + f->n_out) / mix->seconds;
    return 0;
}
