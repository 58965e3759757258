#include "worker/engine/batch.h"

#include <assert.h>
#include <stdlib.h>
#include <sys/mman.h>

static int take_arena(char **out, size_t bytes, struct error *err) {
    *out = NULL;
    if (!bytes) return 0;
    // Pages of the arena are touched only when a row is suspended.
    void *p = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE,
                   -1, 0);
    if (p == MAP_FAILED)
        return error_set(err, ERROR_MEMORY,
                         "%zu bytes for suspended rows are not to be had (--suspend-memory).",
                         bytes);
    *out = p;
    return 0;
}

static size_t arena_bytes(const struct batch_options *o) {
    return (size_t)o->suspend_pages * o->page_bytes;
}

static size_t slot_bytes(const struct batch_options *o) {
    return (size_t)o->suspend_slots * o->conv_bytes;
}

int batch_open(struct batch *b, const struct batch_options *o, struct error *err) {
    size_t n_tokens = (size_t)(o->max_rows + o->prefill_chunk);
    size_t n_segments = (size_t)(o->max_rows + o->max_prefixes);
    *b = (struct batch){.options = *o};
    if (take_arena(&b->arena_pages, arena_bytes(o), err)) return -1;
    if (take_arena(&b->arena_slots, slot_bytes(o), err)) return batch_close(b), -1;
    b->ids = memory_new(n_tokens, sizeof *b->ids);
    b->segments = memory_new(n_segments, sizeof *b->segments);
    b->outputs = memory_new(n_tokens, sizeof *b->outputs);
    b->first_output = memory_new(n_segments + 1, sizeof *b->first_output);
    b->finished = memory_new(n_segments, sizeof *b->finished);
    b->result.ids = memory_new(n_tokens, sizeof *b->result.ids);
    b->result.lp_full = memory_new(n_tokens, sizeof *b->result.lp_full);
    b->result.lp_behav = memory_new(n_tokens, sizeof *b->result.lp_behav);
    b->result.bad = memory_new(n_tokens, sizeof *b->result.bad);
    b->result.routes = memory_new(n_tokens * (size_t)o->n_route_values, sizeof *b->result.routes);
    b->step.ids = b->ids;
    b->step.segments = b->segments;
    b->step.outputs = b->outputs;
    return 0;
}

void batch_close(struct batch *b) {
    if (b->arena_pages) munmap(b->arena_pages, arena_bytes(&b->options));
    if (b->arena_slots) munmap(b->arena_slots, slot_bytes(&b->options));
    free(b->ids);
    free(b->segments);
    free(b->outputs);
    free(b->first_output);
    free(b->finished);
    free(b->result.ids);
    free(b->result.lp_full);
    free(b->result.lp_behav);
    free(b->result.bad);
    free(b->result.routes);
    *b = (struct batch){0};
}

static void move(struct batch *b, const struct cache_op *op, struct model *m) {
    const struct backend_ops *ops = m->ops;
    size_t page = b->options.page_bytes, conv = b->options.conv_bytes;
    size_t from = (size_t)op->from, to = (size_t)op->to;
    switch (op->kind) {
    case CACHE_PAGE_COPY:
        ops->page_copy(m->backend, op->from, op->to);
        break;
    case CACHE_PAGE_SUSPEND:
        ops->page_out(m->backend, op->from, b->arena_pages + to * page);
        break;
    case CACHE_PAGE_RESUME:
        ops->page_in(m->backend, op->to, b->arena_pages + from * page);
        break;
    case CACHE_CONV_CLEAR:
        ops->conv_clear(m->backend, op->to);
        break;
    case CACHE_CONV_COPY:
        ops->conv_copy(m->backend, op->from, op->to);
        break;
    case CACHE_CONV_SUSPEND:
        ops->conv_out(m->backend, op->from, b->arena_slots + to * conv);
        break;
    case CACHE_CONV_RESUME:
        ops->conv_in(m->backend, op->to, b->arena_slots + from * conv);
        break;
    }
}

void batch_move(struct batch *b, const struct plan *plan, struct model *m) {
    for (size_t i = 0; i < plan->n_ops; i++) move(b, &plan->ops[i], m);
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

static void fill_row(struct batch *b, const struct segment *s, const struct row *row) {
    struct step *step = &b->step;
    assert(s->n_tokens == 1 && s->position == row_next_position(row));
    struct step_output *out = &b->outputs[step->n_outputs++];
    *out = (struct step_output){.token = step->n_tokens};
    row_want(row, out);
    b->ids[step->n_tokens++] = row_next_id(row);
}

void batch_fill(struct batch *b, const struct plan *plan, const struct row *rows) {
    struct step *step = &b->step;
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
            fill_row(b, s, &rows[s->row]);
        else
            fill_prefix(b, s, task);
    }
    b->first_output[plan->n_segments] = step->n_outputs;
    assert(step->n_tokens == plan->n_tokens);
}
