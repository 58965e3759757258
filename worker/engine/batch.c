#include "worker/engine/batch.h"

#include <assert.h>
#include <stdlib.h>

#include "protocol/base/memory.h"

void batch_open(struct batch *b, const struct batch_options *o) {
    size_t n_tokens = (size_t)(o->max_rows + o->prefill_chunk);
    size_t n_segments = (size_t)(o->max_rows + o->max_prefixes);
    *b = (struct batch){.moves_room = 2 * n_segments};
    b->ids = memory_new(n_tokens, sizeof *b->ids);
    b->segments = memory_new(n_segments, sizeof *b->segments);
    b->outputs = memory_new(n_tokens, sizeof *b->outputs);
    b->first_output = memory_new(n_segments + 1, sizeof *b->first_output);
    b->outcomes = memory_new(n_segments, sizeof *b->outcomes);
    b->moves = memory_new(b->moves_room, sizeof *b->moves);
    b->result.ids = memory_new(n_tokens, sizeof *b->result.ids);
    b->result.lp_full = memory_new(n_tokens, sizeof *b->result.lp_full);
    b->result.lp_behav = memory_new(n_tokens, sizeof *b->result.lp_behav);
    b->result.bad = memory_new(n_tokens, sizeof *b->result.bad);
    b->result.routes = memory_new(n_tokens * (size_t)o->n_route_values, sizeof *b->result.routes);
    b->step.ids = b->ids;
    b->step.segments = b->segments;
    b->step.outputs = b->outputs;
}

void batch_close(struct batch *b) {
    free(b->ids);
    free(b->segments);
    free(b->outputs);
    free(b->first_output);
    free(b->outcomes);
    free(b->moves);
    free(b->result.ids);
    free(b->result.lp_full);
    free(b->result.lp_behav);
    free(b->result.bad);
    free(b->result.routes);
    *b = (struct batch){0};
}

static void fill_moves(struct batch *b, const struct plan *plan) {
    static const enum move_kind kinds[] = {
        [CACHE_PAGE_COPY] = MOVE_PAGE_COPY,       [CACHE_PAGE_SUSPEND] = MOVE_PAGE_SUSPEND,
        [CACHE_PAGE_RESUME] = MOVE_PAGE_RESUME,   [CACHE_CONV_COPY] = MOVE_CONV_COPY,
        [CACHE_CONV_SUSPEND] = MOVE_CONV_SUSPEND, [CACHE_CONV_RESUME] = MOVE_CONV_RESUME};
    if (plan->n_ops > b->moves_room) {
        b->moves_room = 2 * plan->n_ops;
        b->moves = memory_resize(b->moves, b->moves_room, sizeof *b->moves);
    }
    for (size_t i = 0; i < plan->n_ops; i++) {
        const struct cache_op *op = &plan->ops[i];
        b->moves[i] = (struct state_move){kinds[op->kind], op->from, op->to};
    }
    b->n_moves = plan->n_ops;
}

// The tokens of a prompt's chunk; each is scored against the token behind it when asked for.
static void fill_prefix(struct batch *b, const struct segment *s, const struct task *task) {
    struct step *step = &b->step;
    for (int i = 0; i < s->n_tokens; i++) {
        int p = s->position + i;
        if (task->prompt_logprobs)
            b->outputs[step->n_outputs++] =
                (struct step_output){.token = step->n_tokens,
                                     .target = task->prompt_ids[p + 1],
                                     .temperature = task->sampling.temperature};
        b->ids[step->n_tokens++] = task->prompt_ids[p];
    }
}

// The token that was drawn last and the guesses behind it, with a draw at each; before it what is
// recomputed.
static void fill_row(struct batch *b, const struct segment *s, struct row *row,
                     const int32_t *guesses) {
    struct step *step = &b->step;
    int n_again = s->n_recomputed, next = row_next_position(row);
    assert(s->position + n_again <= next);
    for (int i = 0; i < n_again; i++) b->ids[step->n_tokens++] = row_id_at(row, s->position + i);
    assert(s->n_tokens == n_again || s->position + n_again == next);
    for (int i = 0; i < s->n_tokens - n_again; i++) {
        struct step_output *out = &b->outputs[step->n_outputs++];
        *out = (struct step_output){.token = step->n_tokens};
        row_want(row, guesses, i, out);
        b->ids[step->n_tokens++] = i ? guesses[i - 1] : row_id_at(row, next);
    }
}

void batch_fill(struct batch *b, const struct plan *plan, struct row *rows, const int32_t *guesses,
                int max_draft) {
    struct step *step = &b->step;
    fill_moves(b, plan);
    step->n_tokens = step->n_outputs = 0;
    step->n_segments = plan->n_segments;
    step->want_routes = false;
    for (int i = 0; i < plan->n_segments; i++) {
        const struct segment *s = &plan->segments[i];
        const struct task *task = s->user;
        b->segments[i] = (struct step_segment){.first_token = step->n_tokens,
                                               .n_tokens = s->n_tokens,
                                               .position = s->position,
                                               .conv_slot = s->conv_slot,
                                               .pages = s->pages,
                                               .n_pages = s->n_pages};
        b->first_output[i] = step->n_outputs;
        step->want_routes |= task->routed_experts;
        if (s->row >= 0)
            fill_row(b, s, &rows[s->row], guesses ? guesses + (size_t)i * (size_t)max_draft : NULL);
        else
            fill_prefix(b, s, task);
    }
    b->first_output[plan->n_segments] = step->n_outputs;
    assert(step->n_tokens == plan->n_tokens);
}
