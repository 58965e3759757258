// The time of every kernel, by events around the launches: for measurements, since kernels then
// neither overlap nor run as graphs.
#ifndef KERNELS_CUDA_TIMING_H
#define KERNELS_CUDA_TIMING_H

#include <cuda_runtime_api.h>
#include <stdbool.h>
#include <stdint.h>

enum { TIMING_MAX_KERNELS = 32 };

struct timing_row {
    const char *name;
    double ms;
    int64_t n;
};
struct timing {
    bool is_on;
    cudaEvent_t *events; // (max)
    const char **names;  // (max) of what ran before the event
    int n, max;
    struct timing_row rows[TIMING_MAX_KERNELS];
    int n_rows;
    int64_t n_steps;
};

// A cudaError_t. max: launches of a step.
int timing_open(struct timing *t, int max);
void timing_close(struct timing *t);

// Before the first launch of a step (name NULL), and behind each. A cudaError_t.
int timing_mark(struct timing *t, cudaStream_t stream, const char *name);

// Adds up a step that the stream was waited for.
void timing_add(struct timing *t);

// A line for each kernel, to stderr: launches and microseconds of a step, microseconds of a launch.
void timing_print(const struct timing *t);

#endif
