// Histograms of what a worker measures, with the bounds of vLLM's (a part of them).
#ifndef WORKER_HISTOGRAM_H
#define WORKER_HISTOGRAM_H

#include <stdint.h>

enum measure {
    MEASURE_FIRST_TOKEN, // seconds from a task's arrival to a sample's first token
    MEASURE_INTER_TOKEN, // seconds between two tokens of a row
    MEASURE_E2E,         // seconds from a task's arrival to a sample's end
    MEASURE_QUEUE,       // seconds from a task's arrival to its prompt's first step
    MEASURE_PREFILL,     // seconds from there to a sample's first token
    MEASURE_DECODE,      // seconds from a sample's first token to its end
    MEASURE_PROMPT_TOKENS,
    MEASURE_OUTPUT_TOKENS, // of a sample
    MEASURE_STEP_TOKENS,   // that a step computes
    MEASURE_STALENESS,     // policy versions behind the one served, of a sample's first token
    MEASURE_PAUSE,         // seconds that an update kept decoding still
    N_MEASURES,
    MEASURE_STAGE = N_MEASURES, // seconds from an update's offer to staged; kept by the I/O thread
    MEASURE_COMMIT,             // seconds from COMMIT to applied; likewise
};

enum { HISTOGRAM_MAX_BOUNDS = 11 };

struct histogram {
    uint64_t counts[HISTOGRAM_MAX_BOUNDS + 1]; // values up to each bound, not cumulative; the rest
    double sum;
};

// The upper bounds of a measure, (*n) rising.
const double *histogram_bounds(enum measure measure, int *n);

void histogram_add(struct histogram *h, enum measure measure, double value, uint64_t times);

#endif
