// A plan of the scheduler as the arrays of one step, and its movements of bytes.
#ifndef WORKER_ENGINE_BATCH_H
#define WORKER_ENGINE_BATCH_H

#include "kernels/kernels.h"
#include "worker/engine/rows.h"
#include "worker/engine/scheduler.h"

struct batch_options {
    int max_rows, max_prefixes, prefill_chunk;
    int n_route_values; // MoE layers * experts used
};

// All memory is taken by batch_open, but for the list of moves, which grows to the largest step; a
// step fits by the scheduler's promise.
struct batch {
    struct step step;          // points at the arrays below
    struct step_result result; // (max outputs), (max tokens, n_route_values)
    int32_t *ids;              // (max tokens)
    struct step_segment *segments;
    struct step_output *outputs; // (max tokens)
    int *first_output;           // (max segments + 1) outputs of segment i
    struct outcome *outcomes;    // (max segments) for scheduler_commit
    struct state_move *moves;    // (n_moves)
    size_t n_moves, moves_room;
};

void batch_open(struct batch *b, const struct batch_options *options);
void batch_close(struct batch *b);

// Fills the moves and the step from the plan. Rows and prompts are read through the segments'
// tasks: a row of segment i is rows[segment.row], already started, and the guesses behind its token
// are guesses[i * max_draft] and up.
void batch_fill(struct batch *b, const struct plan *plan, struct row *rows, const int32_t *guesses,
                int max_draft);

#endif
