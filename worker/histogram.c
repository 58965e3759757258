#include "worker/histogram.h"

static const double waits[] = {0.01, 0.05, 0.1, 0.5, 1, 2.5, 5, 10, 30, 120, 600};
static const double gaps[] = {0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.2, 0.5, 1, 2.5, 10};
static const double tokens[] = {1, 10, 50, 100, 200, 500, 1000, 2000, 5000, 10000, 50000};
static const double steps[] = {1, 8, 32, 64, 128, 256, 512, 1024, 2048, 4096, 16384};
static const double versions[] = {0, 1, 2, 4, 8, 16};
static const double pauses[] = {0.001, 0.01, 0.05, 0.1, 0.5, 1, 5, 30, 120};

const double *histogram_bounds(enum measure measure, int *n) {
    *n = 11;
    switch (measure) {
    case MEASURE_INTER_TOKEN:
        return gaps;
    case MEASURE_PROMPT_TOKENS:
    case MEASURE_OUTPUT_TOKENS:
        return tokens;
    case MEASURE_STEP_TOKENS:
        return steps;
    case MEASURE_STALENESS:
        *n = (int)(sizeof versions / sizeof versions[0]);
        return versions;
    case MEASURE_PAUSE:
    case MEASURE_STAGE:
    case MEASURE_COMMIT:
        *n = (int)(sizeof pauses / sizeof pauses[0]);
        return pauses;
    default:
        return waits;
    }
}

void histogram_add(struct histogram *h, enum measure measure, double value, uint64_t times) {
    int n, i = 0;
    const double *bounds = histogram_bounds(measure, &n);
    while (i < n && value > bounds[i]) i++;
    h->counts[i] += times;
    h->sum += value * (double)times;
}
