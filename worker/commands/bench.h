// The two halves of `stampede bench`: bench.c measures, bench_plan.c computes what a device could
// do at best (roofline/).
#ifndef WORKER_COMMANDS_BENCH_H
#define WORKER_COMMANDS_BENCH_H

#include "worker/commands/roofline/roofline.h"
#include "worker/commands/setup.h"

enum { BENCH_MAX_POINTS = 16 };

struct bench_flags {
    struct engine_flags engine;
    const char *synthetic, *rows;                    // NULL: not given
    int n_prompt, n_new;                             // of what is measured; 0: not given
    const char *plan;                                // NULL: measure only
    int context, n_in, n_out, n_concurrent, n_draft; // of a plan; 0: not given
    float acceptance;                                // -1: not given
    bool measure, json;
};

// "1,4,16" as numbers from 1 to max_rows; returns how many, or -1. `why`: what set max_rows, for
// the sentence.
int bench_parse_rows(const char *text, int max_rows, const char *why, int rows[BENCH_MAX_POINTS],
                     struct error *err);

// --plan without a measured run: prints the plan. Refuses flags that belong to a measured run, and
// with ERROR_MEMORY what does not fit into the device.
int bench_plan(const struct bench_flags *f, struct error *err);

// The device of --plan: one that has a name, or a file's. "auto" is bench.c's, which measures it.
int bench_plan_device(const struct bench_flags *f, struct device *out, struct error *err);

// The model that a measured run has, as it is resident.
void bench_plan_resident(const struct names *names, const enum dtype *dtypes, enum dtype kv,
                         struct roofline_model *out);

#endif
