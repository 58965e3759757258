// Rows: what a sample has become so far, and what one more token makes of it.
//
// A row starts behind its prompt, is fed one token a step, and ends with an end token, a stop, or
// its limit. Nothing here knows pages, batches or sockets.
#ifndef WORKER_ENGINE_ROWS_H
#define WORKER_ENGINE_ROWS_H

#include "kernels/kernels.h"
#include "protocol/base/buffer.h"
#include "worker/load/tokenizer.h"
#include "worker/session/task.h"

// What ends a text, and how ids become bytes.
struct vocabulary {
    const struct tokenizer *tokenizer; // NULL: the checkpoint has none, text stays NULL
    const int32_t *end_ids;            // (n_end_ids)
    int n_end_ids;
    int n_route_values; // MoE layers * experts used: routes of one position
};

struct row {
    struct task *task; // NULL: the place is free
    int sample;
    int n_tokens, capacity;
    int32_t *tokens;
    float *lp_full, *lp_behav;
    struct version_span *spans;
    int n_spans;
    struct buffer text; // bytes of the tokens so far; with a stop string, cut before it
    int32_t *seen;      // (n_seen) distinct ids of prompt and output; only with a penalty
    int n_seen;
    uint8_t *seen_bits; // (vocab / 8) membership of `seen`
    uint16_t *routes;   // (n_routes, n_route_values) or NULL
    int n_routes, routes_capacity;
    float *prompt_lp_full; // (n_prompt) or NULL
};

// Makes `row` sample `sample` of `task`, with nothing drawn yet. Copies what the prefill left in
// the task (prompt log-probabilities, routes), so that a later prefill cannot change it.
void row_start(struct row *row, struct task *task, int sample, const struct vocabulary *v,
               int vocab);

// The token to feed next, and the position where it stands.
int32_t row_next_id(const struct row *row);
int row_next_position(const struct row *row);

// Fills the output that draws the next token; pointers go into the row and its task.
void row_want(const struct row *row, struct step_output *out);

// Takes a drawn token that weights of `version` made. `routes` (n_route_values) of the position
// that was fed, or NULL. Returns true when the row ended, with the reason.
bool row_advance(struct row *row, const struct vocabulary *v, int32_t id, float lp_full,
                 float lp_behav, uint64_t version, const uint16_t *routes,
                 enum message_finish *reason);

// Turns the row into a sample that owns its arrays, and frees the place.
struct sample *row_finish(struct row *row, const struct vocabulary *v, enum message_finish reason);

// A sample of a task that never had a row: no tokens; the prompt's log-probabilities if asked for.
struct sample *row_empty_sample(struct task *task, int sample, const struct vocabulary *v,
                                enum message_finish reason);

// Throws away what was drawn (restart on a weight update) and frees the place.
void row_discard(struct row *row);

#endif
