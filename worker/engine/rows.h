// Rows: what a sample has become so far, and what one more token makes of it.
//
// A row starts behind its prompt, is fed the token that was drawn last, perhaps with guesses behind
// it, and ends with an end token, a stop, or its limit. Nothing here knows pages, batches or
// sockets. All memory of a row is taken when it starts, so that a token takes none.
#ifndef WORKER_ENGINE_ROWS_H
#define WORKER_ENGINE_ROWS_H

#include "kernels/kernels.h"
#include "worker/load/tokenizer.h"
#include "worker/task.h"

// What ends a text, and how ids become bytes.
struct vocabulary {
    const struct tokenizer *tokenizer; // NULL: the checkpoint has none, text stays NULL
    const int32_t *end_ids;            // (n_end_ids)
    int n_end_ids;
    int n_ids;          // rows of the head
    int n_route_values; // MoE layers * experts used: routes of one position
    size_t max_bytes;   // of one token; filled by engine_open
};

// The end of a row's text, where a stop string may lie across tokens.
struct row_tail {
    char *bytes; // (room) the last bytes of the text, NULL: no stop strings
    size_t len, room;
    size_t kept;  // bytes of the text so far that a stop string may still begin in
    size_t total; // bytes of the whole text
};

// What one step leaves of a row; a sample has it as columns.
struct row_token {
    int32_t id;
    float lp_full, lp_behav;
};

struct row {
    struct task *task; // NULL: the place is free
    int sample;
    int n_tokens, max_tokens;
    struct row_token *tokens;   // (max_tokens)
    struct version_span *spans; // (n_spans)
    int n_spans, max_spans;
    struct row_tail tail;
    int n_text_tokens; // tokens whose bytes are text: all, or all but the one that ended it
    size_t text_bytes; // where a stop string cut the text; SIZE_MAX: it did not
    int32_t *seen;     // (n_seen) distinct ids of prompt and output; only with a penalty
    int n_seen;
    int n_guessed_seen; // more of them, behind those: of guesses that are being judged
    uint8_t *seen_bits; // (n_ids / 8 + 1) membership of `seen`
    uint16_t *routes;   // (n_routes, n_route_values) or NULL
    int n_routes;
    float *prompt_lp_full;      // (n_prompt) or NULL
    enum message_finish finish; // once it has ended by itself
};

// Makes `row` sample `sample` of `task`, with nothing drawn yet. Copies what the prefill left in
// the task (prompt log-probabilities, routes), so that a later prefill cannot change it.
void row_start(struct row *row, struct task *task, int sample, const struct vocabulary *v);

// The position of the token to feed next, and the token at a position up to that, from the prompt's
// last one on.
int row_next_position(const struct row *row);
int32_t row_id_at(const struct row *row, int position);

// Fills the output that draws the token behind the next one and the first n of the guesses;
// pointers go into the row and its task. Within a step n rises from 0 by 1.
void row_want(struct row *row, const int32_t *guesses, int n, struct step_output *out);

// The step is over: the guesses are forgotten.
void row_forget_guesses(struct row *row);

// Whether the token, drawn next, would end the row whatever else it has.
bool row_ends_with(const struct row *row, const struct vocabulary *v, int32_t id);

// Takes a drawn token that weights of `version` made. `routes` (n_route_values) of the position
// that was fed, or NULL. Returns true when the row ended; row->finish is the reason.
bool row_advance(struct row *row, const struct vocabulary *v, int32_t id, float lp_full,
                 float lp_behav, uint64_t version, const uint16_t *routes);

// Turns the row into a sample that owns its arrays, and frees the place.
struct sample *row_finish(struct row *row, const struct vocabulary *v, enum message_finish reason);

// A sample of a task that never had a row: no tokens; the prompt's log-probabilities if asked for.
struct sample *row_empty_sample(struct task *task, int sample, const struct vocabulary *v,
                                enum message_finish reason);

// Throws away what was drawn (restart on a weight update) and frees the place.
void row_discard(struct row *row);

// Gives the row to its task to keep while it has no place (its KV is to be computed anew), and
// frees the place; puts a sample's row back into a free one, as it was. False where none is kept.
void row_keep(struct row *row);
bool row_take_kept(struct task *task, int sample, struct row *row);

#endif
