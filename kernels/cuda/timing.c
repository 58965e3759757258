#include "kernels/cuda/timing.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "protocol/base/memory.h"

int timing_open(struct timing *t, int max) {
    cudaError_t status = cudaSuccess;
    t->is_on = true;
    t->events = memory_new((size_t)max, sizeof *t->events);
    t->names = memory_new((size_t)max, sizeof *t->names);
    for (; t->max < max && !status; t->max++) status = cudaEventCreate(&t->events[t->max]);
    return status;
}

void timing_close(struct timing *t) {
    for (int i = 0; i < t->max; i++) cudaEventDestroy(t->events[i]);
    free(t->events);
    free(t->names);
    *t = (struct timing){0};
}

int timing_mark(struct timing *t, cudaStream_t stream, const char *name) {
    if (!t->is_on) return cudaSuccess;
    if (!name) t->n = 0;
    assert(t->n < t->max);
    t->names[t->n] = name;
    return cudaEventRecord(t->events[t->n++], stream);
}

static struct timing_row *find_row(struct timing *t, const char *name) {
    for (int i = 0; i < t->n_rows; i++)
        if (strcmp(t->rows[i].name, name) == 0) return &t->rows[i];
    assert(t->n_rows < TIMING_MAX_KERNELS);
    t->rows[t->n_rows].name = name;
    return &t->rows[t->n_rows++];
}

void timing_add(struct timing *t) {
    for (int i = 1; t->is_on && i < t->n; i++) {
        float ms = 0;
        if (cudaEventElapsedTime(&ms, t->events[i - 1], t->events[i])) continue;
        struct timing_row *row = find_row(t, t->names[i]);
        row->ms += (double)ms;
        row->n++;
    }
    t->n_steps++;
}

void timing_print(const struct timing *t) {
    if (!t->is_on || t->n_steps == 0) return;
    double steps = (double)t->n_steps, all = 0;
    for (int i = 0; i < t->n_rows; i++) all += t->rows[i].ms;
    fprintf(stderr, "%-16s %9s %12s %12s %7s\n", "kernel", "a step", "us a step", "us each",
            "share");
    for (int i = 0; i < t->n_rows; i++) {
        const struct timing_row *r = &t->rows[i];
        fprintf(stderr, "%-16s %9.1f %12.1f %12.2f %6.1f%%\n", r->name, (double)r->n / steps,
                r->ms * 1e3 / steps, r->ms * 1e3 / (double)r->n, 100 * r->ms / all);
    }
    fprintf(stderr, "%-16s %9s %12.1f  (%lld steps)\n", "all", "", all * 1e3 / steps,
            (long long)t->n_steps);
}
