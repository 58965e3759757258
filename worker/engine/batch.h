// A plan of the scheduler as the arrays of one step, and its movements of bytes.
#ifndef WORKER_ENGINE_BATCH_H
#define WORKER_ENGINE_BATCH_H

#include "worker/engine/model.h"
#include "worker/engine/rows.h"
#include "worker/engine/scheduler.h"

struct batch_options {
    int max_rows, max_prefixes, prefill_chunk;
    int n_route_values;               // MoE layers * experts used
    size_t page_bytes, conv_bytes;    // kernels_page_bytes, kernels_conv_bytes
    int suspend_pages, suspend_slots; // of the arena of suspended rows
};

// All memory is taken by batch_open; a step fits by the scheduler's promise.
struct batch {
    struct batch_options options;
    struct step step;          // points at the arrays below
    struct step_result result; // (max outputs), (max tokens, n_route_values)
    int32_t *ids;              // (max tokens)
    struct step_segment *segments;
    struct step_output *outputs; // (max tokens)
    int *first_output;           // (max segments + 1) outputs of segment i
    bool *finished;              // (max segments) for scheduler_commit
    char *arena_pages;           // (suspend_pages, page_bytes)
    char *arena_slots;           // (suspend_slots, conv_bytes)
};

// -1 with ERROR_MEMORY when the arena is not to be had.
int batch_open(struct batch *b, const struct batch_options *options, struct error *err);
void batch_close(struct batch *b);

// Executes the plan's movements of pages and conv states, in order.
void batch_move(struct batch *b, const struct plan *plan, struct model *m);

// Fills the step from the plan. Rows and prompts are read through the segments' tasks: a row of
// segment i is rows[segment.row], already started.
void batch_fill(struct batch *b, const struct plan *plan, const struct row *rows);

#endif
