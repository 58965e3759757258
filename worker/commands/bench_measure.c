#include <stdlib.h>

#include "protocol/base/clock.h"
#include "worker/commands/bench.h"

enum { HIT_STEPS = 64 }; // at most: steps whose experts are counted

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
    t->routed_experts = s->requests.has_moe;
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

static int compare(const void *a, const void *b) {
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

double bench_median(double *values, int n) {
    if (n == 0) return 0;
    qsort(values, (size_t)n, sizeof *values, compare);
    return n % 2 ? values[n / 2] : (values[n / 2 - 1] + values[n / 2]) / 2;
}

// ---- the experts of a step: what its rows chose in each layer, together

// hit[step][layer][expert], steps counted from the last one back, in which every row has its last
// position.
static void note_experts(const struct setup *s, const struct sample *list, int n_steps,
                         uint8_t *hit) {
    const struct model_shape *shape = &s->names->shape;
    int layers = shape_n_moe(shape), k = shape->n_experts_used;
    for (; list; list = list->next)
        for (int i = 0; i < n_steps && i < list->n_routes; i++)
            for (int j = 0; j < layers * k; j++) {
                int expert = list->routes[(size_t)(list->n_routes - 1 - i) * (size_t)(layers * k) +
                                          (size_t)j];
                hit[(i * layers + j / k) * shape->n_experts + expert] = 1;
            }
}

// Ends all rows. Returns the mean of experts that a MoE layer met in the last n_steps steps.
static int end_rows(struct setup *s, int n_groups, int n_steps, double *experts_hit,
                    struct error *err) {
    const struct model_shape *shape = &s->names->shape;
    int layers = shape_n_moe(shape), n = n_steps < HIT_STEPS ? n_steps : HIT_STEPS;
    size_t n_flags = (size_t)n * (size_t)layers * (size_t)shape->n_experts, n_hit = 0;
    uint8_t *hit = memory_new(n_flags, 1);
    for (int i = 0; i < n_groups; i++)
        engine_cancel(&s->engine, (uint64_t)i, 0, 0, FINISH_CANCELLED);
    int failed = 0;
    do {
        struct sample *ended = engine_take_finished(&s->engine);
        if (layers > 0) note_experts(s, ended, n, hit);
        sample_free_list(ended);
        if (s->engine.n_samples) failed = step(s, err) < 0;
    } while (s->engine.n_samples && !failed);
    for (size_t i = 0; i < n_flags; i++) n_hit += hit[i];
    *experts_hit = layers > 0 ? (double)n_hit / (n * layers) : 0;
    free(hit);
    return failed ? -1 : 0;
}

// ---- decode, prefill, a mix

// One run of bench_measure_rows.
static int run_rows(struct setup *s, const struct bench_flags *f, struct bench_point *p,
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
    return end_rows(s, n_groups, f->n_new - 2, &p->experts_hit, err);
}

int bench_measure_rows(struct setup *s, const struct bench_flags *f, struct bench_point *p,
                       double *prefill_tokens_per_s, struct error *err) {
    double speeds[BENCH_MAX_RUNS] = {0}, times[BENCH_MAX_RUNS] = {0};
    double prefills[BENCH_MAX_RUNS] = {0};
    for (int i = 0; i < f->n_runs; i++) {
        if (run_rows(s, f, p, &prefills[i], err)) return -1;
        speeds[i] = p->tokens_per_s;
        times[i] = p->step_ms;
    }
    p->tokens_per_s = bench_median(speeds, f->n_runs);
    p->step_ms = bench_median(times, f->n_runs);
    double median = bench_median(prefills, f->n_runs);
    if (median > *prefill_tokens_per_s) *prefill_tokens_per_s = median;
    return 0;
}

int bench_measure_prefill(struct setup *s, const struct bench_flags *f, struct bench_prefill *p,
                          struct error *err) {
    double speeds[BENCH_MAX_RUNS] = {0};
    for (int i = 0; i < f->n_runs; i++) {
        engine_add(&s->engine, bench_task(s, p->n_tokens + 1, 1, 1, 0));
        if (prefill(s, p->n_tokens, &speeds[i], err) || step_until_idle(s, err)) return -1;
    }
    p->tokens_per_s = bench_median(speeds, f->n_runs);
    p->attention_flops = bench_attention_flops(&s->names->shape, p->n_tokens);
    return 0;
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
