#include <stdlib.h>
#include <string.h>

#include "protocol/base/clock.h"
#include "protocol/base/json.h"
#include "protocol/base/machine.h"
#include "worker/commands/commands.h"
#include "worker/commands/limits.h"
#include "worker/commands/setup.h"

struct flags {
    struct engine_flags engine;
    const char *synthetic, *rows;
    int n_prompt, n_new;
    bool json;
};

enum { MAX_POINTS = 16 };

struct point {
    int rows;
    double step_ms, tokens_per_s;
};

struct report {
    double prefill_tokens_per_s;
    struct point points[MAX_POINTS];
    int n_points;
    double read_bytes_per_s; // of the machine, measured in this run
    double row_bytes;        // weights that one row's step must read
    double peak_flops;       // likewise measured
    double row_flops;        // of the products of one token
};

static const char usage[] =
    "stampede bench (--model DIR | --synthetic 24b|8b|350m|tiny) [flags]\n"
    "Measures prefill, and decode at several numbers of rows, beside this machine's read\n"
    "bandwidth in the same run. These are figures of one run: repeat them and quote medians.";

static int fill_table(struct flags *f, struct flag *table) {
    const struct flag flags[] = {
        {FLAG_HEADING, "", "", "Bench:", NULL, 0, 0},
        {FLAG_TEXT, "--synthetic", "NAME", "random weights: 24b, 8b, 350m or tiny", &f->synthetic,
         0, 0},
        {FLAG_TEXT, "--rows", "LIST", "rows that decode at once (default 1,4,16,64)", &f->rows, 0,
         0},
        {FLAG_INT, "--prompt", "N", "prompt tokens (default 512)", &f->n_prompt, 2, 1 << 20},
        {FLAG_INT, "--new", "N", "output tokens of a row (default 64)", &f->n_new, 2, 1 << 20},
        {FLAG_SWITCH, "--json", NULL, "one JSON object instead of the table", &f->json, 0, 0},
    };
    int n = (int)(sizeof flags / sizeof flags[0]);
    memcpy(table, flags, sizeof flags);
    engine_flags_add(&f->engine, table, &n);
    return n;
}

static int parse_rows(const char *text, struct report *r, int max_rows, struct error *err) {
    while (*text) {
        char *end;
        long n = strtol(text, &end, 10);
        if (end == text || n < 1 || n > max_rows || (*end && *end != ',') ||
            r->n_points == MAX_POINTS)
            return error_set(err, ERROR_USAGE,
                             "--rows is wrong at '%s'; expected up to %d numbers from 1 to %d "
                             "(--max-rows), with commas.",
                             text, MAX_POINTS, max_rows);
        r->points[r->n_points++].rows = (int)n;
        text = *end ? end + 1 : end;
    }
    return 0;
}

// ---- the engine

static struct task *make_task(const struct setup *s, int n_prompt, int n_new, int n,
                              uint64_t serial) {
    struct task *t = task_new();
    int32_t *ids = arena_take(&t->arena, (size_t)n_prompt, sizeof *ids);
    for (int i = 0; i < n_prompt; i++)
        ids[i] = (int32_t)((uint32_t)(i * 7919 + 13) % (uint32_t)s->requests.vocab);
    t->serial = t->group_seed = serial;
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

// Prefills a prompt, lets `rows` samples of it decode, and times the steps in which all run.
static int measure(struct setup *s, const struct flags *f, struct point *p, double *prefill,
                   struct error *err) {
    struct engine *e = &s->engine;
    engine_add(e, make_task(s, f->n_prompt, f->n_new, p->rows, (uint64_t)p->rows));
    uint64_t prompt_tokens = e->counters.n_prompt_tokens + (uint64_t)f->n_prompt - 1;
    int64_t started = clock_us();
    while (e->counters.n_prompt_tokens < prompt_tokens)
        if (step(s, err) < 0) return -1;
    double seconds = (double)(clock_us() - started + 1) / 1e6;
    if ((double)(f->n_prompt - 1) / seconds > *prefill)
        *prefill = (double)(f->n_prompt - 1) / seconds;
    if (step(s, err) < 0) return -1; // the rows start
    int64_t first_us = clock_us();
    uint64_t tokens = e->counters.n_output_tokens, steps = e->counters.n_steps;
    for (int i = 2; i < f->n_new; i++)
        if (step(s, err) < 0) return -1;
    seconds = (double)(clock_us() - first_us + 1) / 1e6;
    p->tokens_per_s = (double)(e->counters.n_output_tokens - tokens) / seconds;
    p->step_ms = 1000 * seconds / (double)(e->counters.n_steps - steps);
    while (e->n_samples)
        if (step(s, err) < 0) return -1;
    return 0;
}

// Two operations for each weight that a token meets; attention's own products are not counted.
static double row_flops(const struct setup *s) {
    const struct model_shape *shape = &s->names->shape;
    double n = 0;
    for (int i = 0; i < s->names->n; i++) {
        const struct weight *w = &s->names->weights[i];
        if (w->kind == WEIGHT_EMBED && !shape->tied_head) continue;
        double share = w->expert < 0 ? 1 : (double)shape->n_experts_used / shape->n_experts;
        n += 2 * share * (double)weight_n(w);
    }
    return n;
}

// A row reads every weight but the experts that it was not sent to, and of an untied embedding one
// row (which is not counted).
static double row_bytes(const struct setup *s) {
    const struct model_shape *shape = &s->names->shape;
    double bytes = 0;
    for (int i = 0; i < s->names->n; i++) {
        const struct weight *w = &s->names->weights[i];
        if (w->kind == WEIGHT_EMBED && !shape->tied_head) continue;
        double share = w->expert < 0 ? 1 : (double)shape->n_experts_used / shape->n_experts;
        bytes += share * (double)weight_n(w) * (double)dtype_bytes(s->dtypes[i]);
    }
    return bytes;
}

// Prefill computes no logits.
static double head_flops(const struct setup *s) {
    return 2.0 * s->names->shape.vocab * s->names->shape.hidden;
}

static void print_table(const struct report *r, const struct setup *s, const struct flags *f) {
    const struct model *m = &s->engine.model;
    printf("%s, prompt %d, %d new tokens\n", m->ops->numerics(m->backend), f->n_prompt, f->n_new);
    printf("this machine: %.1f GB/s read, %.0f GFLOP/s multiply-add\n", r->read_bytes_per_s / 1e9,
           r->peak_flops / 1e9);
    printf("%-8s %6s %12s %12s %10s %10s\n", "stage", "rows", "ms a step", "tokens/s", "of FLOP/s",
           "of GB/s");
    printf("%-8s %6d %12s %12.1f %9.0f%%\n", "prefill", 1, "", r->prefill_tokens_per_s,
           100 * (r->row_flops - head_flops(s)) * r->prefill_tokens_per_s / r->peak_flops);
    for (int i = 0; i < r->n_points; i++) {
        const struct point *p = &r->points[i];
        double flops = r->row_flops * p->tokens_per_s;
        printf("%-8s %6d %12.2f %12.1f %9.0f%%", "decode", p->rows, p->step_ms, p->tokens_per_s,
               100 * flops / r->peak_flops);
        if (p->rows == 1)
            printf(" %9.0f%%", 100 * r->row_bytes * p->tokens_per_s / r->read_bytes_per_s);
        printf("\n");
    }
}

static void print_json(const struct report *r, const struct setup *s, const struct flags *f) {
    const struct model *m = &s->engine.model;
    printf("{\"numerics\":\"%s\",\"prompt\":%d,\"new\":%d,\"read_bytes_per_s\":%.0f,"
           "\"row_bytes\":%.0f,\"peak_flops\":%.0f,\"row_flops\":%.0f,\"prefill_tokens_per_s\":%."
           "1f,\"decode\":[",
           m->ops->numerics(m->backend), f->n_prompt, f->n_new, r->read_bytes_per_s, r->row_bytes,
           r->peak_flops, r->row_flops, r->prefill_tokens_per_s);
    for (int i = 0; i < r->n_points; i++)
        printf("%s{\"rows\":%d,\"step_ms\":%.3f,\"tokens_per_s\":%.1f}", i ? "," : "",
               r->points[i].rows, r->points[i].step_ms, r->points[i].tokens_per_s);
    printf("]}\n");
}

static int bench(struct flags *f, struct error *err) {
    struct setup s;
    struct report r = {0};
    if (!f->synthetic == !f->engine.model)
        return error_set(err, ERROR_USAGE, "Expected exactly one of --model and --synthetic.");
    if (parse_rows(f->rows, &r, f->engine.max_rows, err)) return -1;
    f->engine.no_verify = true;
    if (!f->engine.log_level) f->engine.log_level = "warn";
    if (f->synthetic ? setup_open_synthetic(&s, &f->engine, f->synthetic, err)
                     : setup_open(&s, &f->engine, false, err))
        return -1;
    int failed = 0, room = s.requests.max_context;
    if (f->n_prompt + f->n_new > room)
        failed =
            error_set(err, ERROR_USAGE, "--prompt %d and --new %d need %d tokens; a row holds %d.",
                      f->n_prompt, f->n_new, f->n_prompt + f->n_new, room);
    for (int i = 0; i < r.n_points && !failed; i++)
        failed = measure(&s, f, &r.points[i], &r.prefill_tokens_per_s, err);
    int n_threads = f->engine.n_threads ? f->engine.n_threads : machine_n_cores();
    r.read_bytes_per_s = limits_read_bandwidth(n_threads);
    r.row_bytes = row_bytes(&s);
    r.row_flops = row_flops(&s);
    r.peak_flops = limits_peak_flops(n_threads);
    if (!failed) f->json ? print_json(&r, &s, f) : print_table(&r, &s, f);
    setup_close(&s);
    return failed;
}

static int run_flags(void *f, int *status, struct error *err) {
    (void)status;
    return bench(f, err);
}

int command_bench(int argc, char **argv) {
    struct flags f = {
        .engine = engine_flags_defaults(), .rows = "1,4,16,64", .n_prompt = 512, .n_new = 64};
    struct flag table[SETUP_MAX_FLAGS];
    const struct command command = {.name = "bench",
                                    .usage = usage,
                                    .table = table,
                                    .n_flags = fill_table(&f, table),
                                    .run = run_flags,
                                    .flags = &f};
    int status = command_run(&command, argc, argv);
    flag_list_free(&f.engine.verifiers);
    return status;
}
