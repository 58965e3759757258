// bench --acceptance: decode without drafts and with guesses that are right as often as told, in
// turn.
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "protocol/base/clock.h"
#include "worker/commands/bench.h"

// What the rows drew without drafts, and a source that knows it.
struct oracle {
    struct sample **samples; // (n) by task, in order of samples
    int n, n_group, vocab;
    float acceptance;
};

// Decode of all rows, from the step before which all run to the one with which the first one ends.
struct decode {
    double seconds;
    uint64_t n_tokens, n_guessed, n_accepted;
};

// A number from 0 to 1 that belongs to this guess.
static float chance_of(const struct task *t, int sample, int token) {
    uint64_t x = (t->serial * 1000003 + (uint64_t)sample) * 1000003 + (uint64_t)token;
    x = (x ^ x >> 31) * 0x7fb5d329728ea185u;
    x = (x ^ x >> 27) * 0x81dadef4bc2dd44du;
    return (float)(x >> 40) / (1 << 24);
}

static int guess(void *self, const struct row *row, int slot, const struct draft_wish *wish,
                 int32_t *ids, uint8_t *kinds) {
    const struct oracle *o = self;
    const struct sample *s = o->samples[(int)row->task->serial * o->n_group + row->sample];
    (void)slot;
    for (int i = 0; i < wish->n; i++) {
        int token = row->n_tokens + i;
        if (token >= s->n_tokens) return i;
        bool is_right = chance_of(row->task, row->sample, token) < o->acceptance;
        ids[i] = is_right ? s->tokens[token] : (s->tokens[token] + 1) % o->vocab;
        kinds[i] = 0;
    }
    return wish->n;
}

static int step(struct setup *s, struct error *err) {
    engine_submit(&s->engine);
    return engine_finish(&s->engine, err) < 0 ? -1 : 0;
}

static int run(struct setup *s, const struct bench_flags *f, int rows, int draft,
               struct decode *out, struct error *err) {
    struct engine *e = &s->engine;
    for (int i = 0, left = rows; left > 0; left -= f->n_group, i++) {
        struct task *t = bench_task(s, f->n_prompt, bench_row_tokens(f, rows) - f->n_prompt,
                                    left < f->n_group ? left : f->n_group, i);
        t->sampling.draft = draft;
        engine_add(e, t);
    }
    while (engine_status(e).n_rows < rows)
        if (step(s, err)) return -1;
    const struct status_counters before = e->counters;
    int64_t started_us = clock_us();
    while (!e->finished)
        if (step(s, err)) return -1;
    out->seconds = (double)(clock_us() - started_us + 1) / 1e6;
    out->n_tokens = e->counters.n_output_tokens - before.n_output_tokens;
    out->n_guessed = e->counters.n_guessed - before.n_guessed;
    out->n_accepted = e->counters.n_accepted - before.n_accepted;
    while (e->n_samples)
        if (step(s, err)) return -1;
    return 0;
}

static void take_samples(struct setup *s, struct oracle *o) {
    for (struct sample *x = engine_take_finished(&s->engine), *next; x; x = next) {
        next = x->next;
        x->next = NULL;
        o->samples[(int)x->task->serial * o->n_group + x->index] = x;
    }
}

static bool is_same(const struct sample *a, const struct sample *b) {
    size_t n = (size_t)a->n_tokens;
    return a->n_tokens == b->n_tokens && !memcmp(a->tokens, b->tokens, n * sizeof *a->tokens) &&
           !memcmp(a->lp_full, b->lp_full, n * sizeof *a->lp_full) &&
           !memcmp(a->lp_behav, b->lp_behav, n * sizeof *a->lp_behav);
}

static int check_same(struct setup *s, const struct oracle *o, struct error *err) {
    struct sample *list = engine_take_finished(&s->engine);
    int n_wrong = 0;
    for (const struct sample *x = list; x; x = x->next)
        n_wrong += !is_same(x, o->samples[(int)x->task->serial * o->n_group + x->index]);
    sample_free_list(list);
    if (!n_wrong) return 0;
    return error_set(err, ERROR_INTERNAL,
                     "%d samples differ with drafts; every bit should be as without.", n_wrong);
}

static double speed(const struct decode *d) {
    return (double)d->n_tokens / d->seconds;
}

// One run without drafts and one with; the first one without is what the oracle knows.
static int run_pair(struct setup *s, const struct bench_flags *f, struct oracle *o, int rows,
                    struct decode *off, struct decode *on, struct error *err) {
    const struct draft_source source = {.self = o, .guess = guess};
    if (run(s, f, rows, DRAFT_OFF, off, err)) return -1;
    if (!o->samples[0])
        take_samples(s, o);
    else if (check_same(s, o, err))
        return -1;
    drafts_set_source(s->engine.drafts, &source);
    int failed = run(s, f, rows, DRAFT_DEFAULT, on, err) || check_same(s, o, err) ? -1 : 0;
    drafts_set_source(s->engine.drafts, NULL);
    return failed;
}

int bench_measure_drafts(struct setup *s, const struct bench_flags *f, struct bench_point *p,
                         struct error *err) {
    double off_speeds[BENCH_MAX_RUNS], on_speeds[BENCH_MAX_RUNS], gains[BENCH_MAX_RUNS];
    struct oracle o = {.n_group = f->n_group < p->rows ? f->n_group : p->rows,
                       .vocab = s->requests.vocab,
                       .acceptance = f->acceptance};
    o.n = (p->rows + o.n_group - 1) / o.n_group * o.n_group;
    o.samples = memory_new((size_t)o.n, sizeof(struct sample *));
    sample_free_list(engine_take_finished(&s->engine)); // of what was measured before
    int failed = 0;
    p->drafts = (struct bench_draft){0};
    for (int i = 0; i < f->n_runs && !failed; i++) {
        struct decode off, on;
        failed = run_pair(s, f, &o, p->rows, &off, &on, err);
        if (failed) break;
        off_speeds[i] = speed(&off);
        on_speeds[i] = speed(&on);
        gains[i] = on_speeds[i] / off_speeds[i];
        p->drafts.n_guessed += on.n_guessed;
        p->drafts.n_accepted += on.n_accepted;
    }
    for (int i = 0; i < o.n; i++) sample_free(&o.samples[i]);
    free(o.samples);
    if (failed) return -1;
    p->drafts.off_tokens_per_s = bench_median(off_speeds, f->n_runs);
    p->drafts.tokens_per_s = bench_median(on_speeds, f->n_runs);
    p->drafts.gain = bench_median(gains, f->n_runs);
    return 0;
}

// ---- what is told

static double tokens_a_step(const struct status_counters *c) {
    return c->n_row_steps ? (double)c->n_output_tokens / (double)c->n_row_steps : 0;
}

void bench_drafts_print(const struct bench_point *points, int n, const struct status_counters *c) {
    if (c->n_guessed)
        printf("drafts of the whole run: %llu tokens guessed, %llu right, %.2f tokens a step\n",
               (unsigned long long)c->n_guessed, (unsigned long long)c->n_accepted,
               tokens_a_step(c));
    for (int i = 0; i < n; i++) {
        const struct bench_draft *d = &points[i].drafts;
        double guessed = d->n_guessed ? (double)d->n_guessed : 1;
        if (d->gain > 0)
            printf("%-8s %6d %12s %12.1f  %.2f times; %llu guessed, %.0f%% right\n", "drafts",
                   points[i].rows, "", d->tokens_per_s, d->gain, (unsigned long long)d->n_guessed,
                   100 * (double)d->n_accepted / guessed);
    }
}

void bench_drafts_print_json(const struct bench_point *p) {
    const struct bench_draft *d = &p->drafts;
    if (d->gain > 0)
        printf(",\"drafts\":{\"off_tokens_per_s\":%.1f,\"tokens_per_s\":%.1f,\"gain\":%.3f,"
               "\"guessed\":%llu,\"accepted\":%llu}",
               d->off_tokens_per_s, d->tokens_per_s, d->gain, (unsigned long long)d->n_guessed,
               (unsigned long long)d->n_accepted);
}

void bench_drafts_print_totals_json(const struct status_counters *c) {
    printf(",\"guessed\":%llu,\"accepted\":%llu,\"tokens_a_step\":%.3f",
           (unsigned long long)c->n_guessed, (unsigned long long)c->n_accepted, tokens_a_step(c));
}
