// The parts of `stampede bench`: bench_measure.c measures, bench_plan.c computes what a device
// could do at best (roofline/), bench.c takes the flags and tells both.
#ifndef WORKER_COMMANDS_BENCH_H
#define WORKER_COMMANDS_BENCH_H

#include "worker/commands/roofline/roofline.h"
#include "worker/commands/setup.h"

enum { BENCH_MAX_POINTS = 16, BENCH_MAX_RUNS = 101 };

struct bench_flags {
    struct engine_flags engine;
    const char *synthetic, *rows, *prefill; // NULL: not given
    int n_runs;                             // of each measurement
    int n_prompt, n_new, n_group;           // of what is measured; 0: not given
    const char *plan;                       // NULL: measure only
    const char *compare;                    // checkpoint beside --model; NULL: measure speed
    int n_in, n_out, n_concurrent;          // the mix, of a plan or measured
    int context;                            // of a plan; 0: not given
    int n_draft;                            // of a plan; 0: none
    float acceptance;                       // of guesses; -1: not given
    bool measure, json;
};

// Decode with guesses of a given acceptance, medians of all runs; the gain is that of pairs.
struct bench_draft {
    double off_tokens_per_s, tokens_per_s, gain; // 0: not asked for
    uint64_t n_guessed, n_accepted;              // of all runs
};

// Decode at some number of rows.
struct bench_point {
    int rows;
    double step_ms, tokens_per_s;
    double experts_hit; // of a MoE layer in a step, the mean: of those steps that were timed
    double plan_ms;     // of a step, where there is a plan
    struct bench_draft drafts;
};

// Prefill of one prompt.
struct bench_prefill {
    int n_tokens;
    double tokens_per_s;
    double attention_flops; // of the whole prompt
};

// What this machine multiplies, measured in the same run: in products with weights, and in
// attention's, which are of float32. 0: of a device, not measured.
struct bench_limits {
    double peak_flops, attention_peak_flops;
    double token_flops; // of a prompt's token in products with weights
};

// Requests that are all there at the start, from the first step to the last.
struct bench_mix {
    double seconds, tokens_per_s, output_tokens_per_s; // tokens: of prompts too
};

// What this machine reads and multiplies, looked at before each number of rows and at the end:
// where others use it too it changes by the minute. Medians are told.
struct bench_looks {
    double read[BENCH_MAX_POINTS + 1];           // bytes a second
    double peak[BENCH_MAX_POINTS + 1];           // as peak_flops of bench_limits
    double attention_peak[BENCH_MAX_POINTS + 1]; // 0: no prefill is asked for
    int n; // 0: of another device than the processor these are not its limits
};

// Looks once more.
void bench_look(struct bench_looks *l, const struct setup *s, const struct bench_flags *f);

// Whether block types hold most of the values, and are what is multiplied.
bool bench_is_mostly_blocks(const struct setup *s);

// The median of values, 0 of none; sorts them.
double bench_median(double *values, int n);

// Prefills prompts, lets p->rows rows decode, `n_group` of each prompt, and times the steps in
// which all of them run: the median of f->n_runs. *prefill_tokens_per_s is raised to the median of
// what was measured here.
int bench_measure_rows(struct setup *s, const struct bench_flags *f, struct bench_point *p,
                       double *prefill_tokens_per_s, struct error *err);

// Task `number` of n samples; no two numbers share a prompt.
struct task *bench_task(const struct setup *s, int n_prompt, int n_new, int n, int number);

// Decodes p->rows rows without drafts and with guesses that are right with f->acceptance, in turn,
// f->n_runs times each, to p->drafts. -1 also where not every bit is the same.
int bench_measure_drafts(struct setup *s, const struct bench_flags *f, struct bench_point *p,
                         struct error *err);
// Prefills one prompt of p->n_tokens: the median of f->n_runs.
int bench_measure_prefill(struct setup *s, const struct bench_flags *f, struct bench_prefill *p,
                          struct error *err);

// Operations of attention's two products (q k, and weights times v) for a prompt, all layers.
double bench_attention_flops(const struct model_shape *s, int n_tokens);
// The time that all products of the prompt take at the limits, over the time that it took.
double bench_prefill_share(const struct bench_prefill *p, const struct bench_limits *l);
// What is told of prompts, as a table and as members of the report.
void bench_prefill_print(const struct bench_prefill *list, int n, const struct bench_limits *l);
void bench_prefill_print_json(const struct bench_prefill *list, int n,
                              const struct bench_limits *l);

// What of drafts is told: as lines, in the object of a point, and in that of the whole.
void bench_drafts_print(const struct bench_point *points, int n, const struct status_counters *c);
void bench_drafts_print_json(const struct bench_point *p);
void bench_drafts_print_totals_json(const struct status_counters *c);

// Positions that a row of bench_measure_rows takes at most.
int bench_row_tokens(const struct bench_flags *f, int rows);

// f->n_concurrent requests of f->n_in prompt tokens and f->n_out new ones, each of its own prompt.
int bench_measure_mix(struct setup *s, const struct bench_flags *f, struct bench_mix *mix,
                      struct error *err);

// "1,4,16", the value of `flag`, as numbers from 1 to `most`; returns how many, or -1. `why`: what
// set `most`, for the sentence.
int bench_parse_list(const char *flag, const char *text, int most, const char *why,
                     int list[BENCH_MAX_POINTS], struct error *err);

// --plan without a measured run: prints the plan. Refuses flags that belong to a measured run, and
// with ERROR_MEMORY what does not fit into the device.
int bench_plan(struct bench_flags *f, struct error *err);

// --compare: prints how far --model's log-probabilities are from f->compare's in float32.
int bench_compare(const struct bench_flags *f, struct error *err);

// The device of --plan: one that has a name, or a file's. "auto" is bench.c's, which measures it.
int bench_plan_device(const struct bench_flags *f, struct device *out, struct error *err);

// The model that a measured run has, as it is resident.
void bench_plan_resident(const struct names *names, const enum dtype *dtypes, enum dtype kv,
                         struct roofline_model *out);

#endif
