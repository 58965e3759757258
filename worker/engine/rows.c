#include "worker/engine/rows.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "protocol/base/utf8.h"

static void note_seen(struct row *row, int32_t id) {
    uint8_t bit = (uint8_t)(1u << (id & 7));
    if (row->seen_bits[id >> 3] & bit) return;
    row->seen_bits[id >> 3] |= bit;
    row->seen[row->n_seen++] = id;
}

static void start_seen(struct row *row, int vocab) {
    row->seen_bits = memory_new((size_t)vocab / 8 + 1, 1);
    row->seen = memory_new((size_t)vocab, sizeof *row->seen);
    for (int i = 0; i < row->task->n_prompt; i++) note_seen(row, row->task->prompt_ids[i]);
}

void row_start(struct row *row, struct task *task, int sample, const struct vocabulary *v,
               int vocab) {
    assert(!row->task);
    *row = (struct row){.task = task, .sample = sample};
    if (task->sampling.repetition_penalty != 1) start_seen(row, vocab);
    size_t n_prompt = (size_t)task->n_prompt;
    if (task->prompt_lp_full) {
        row->prompt_lp_full = memory_new(n_prompt, sizeof(float));
        memcpy(row->prompt_lp_full, task->prompt_lp_full, n_prompt * sizeof(float));
    }
    if (task->routed_experts && v->n_route_values) {
        size_t n = (n_prompt - 1) * (size_t)v->n_route_values;
        row->routes = memory_new(n, sizeof *row->routes);
        if (n) memcpy(row->routes, task->prompt_routes, n * sizeof *row->routes);
        row->n_routes = row->routes_capacity = task->n_prompt - 1;
    }
}

int32_t row_next_id(const struct row *row) {
    const struct task *t = row->task;
    return row->n_tokens ? row->tokens[row->n_tokens - 1] : t->prompt_ids[t->n_prompt - 1];
}

int row_next_position(const struct row *row) {
    return row->task->n_prompt - 1 + row->n_tokens;
}

void row_want(const struct row *row, struct step_output *out) {
    const struct sampling *s = &row->task->sampling;
    out->is_draw = true;
    out->draw = (struct draw){
        .temperature = s->temperature,
        .top_p = s->top_p,
        .min_p = s->min_p,
        .repetition_penalty = s->repetition_penalty,
        .top_k = s->top_k,
        .seed = row->task->group_seed,
        .position = (uint32_t)(row_next_position(row) + 1),
        .sample = (uint32_t)row->sample,
        .seen = row->seen,
        .n_seen = row->n_seen,
        .bias_ids = s->bias_ids,
        .bias = s->bias,
        .n_bias = s->n_bias,
    };
}

static void grow(struct row *row) {
    if (row->n_tokens < row->capacity) return;
    row->capacity = row->capacity ? 2 * row->capacity : 64;
    size_t n = (size_t)row->capacity;
    row->tokens = memory_resize(row->tokens, n, sizeof *row->tokens);
    row->lp_full = memory_resize(row->lp_full, n, sizeof *row->lp_full);
    row->lp_behav = memory_resize(row->lp_behav, n, sizeof *row->lp_behav);
}

static void add_token(struct row *row, int32_t id, float lp_full, float lp_behav,
                      uint64_t version) {
    grow(row);
    int n = row->n_tokens;
    if (!row->n_spans || row->spans[row->n_spans - 1].version != version) {
        row->spans = memory_resize(row->spans, (size_t)row->n_spans + 1, sizeof *row->spans);
        row->spans[row->n_spans++] = (struct version_span){n, version};
    }
    row->tokens[n] = id;
    row->lp_full[n] = lp_full;
    row->lp_behav[n] = lp_behav;
    row->n_tokens++;
    if (row->seen) note_seen(row, id);
}

static void add_routes(struct row *row, const struct vocabulary *v, const uint16_t *routes) {
    if (!row->task->routed_experts || !v->n_route_values) return;
    assert(routes);
    size_t width = (size_t)v->n_route_values, n = (size_t)row->n_routes;
    if (row->n_routes == row->routes_capacity) {
        row->routes_capacity = 2 * row->routes_capacity + 64;
        row->routes =
            memory_resize(row->routes, (size_t)row->routes_capacity * width, sizeof *routes);
    }
    memcpy(row->routes + n * width, routes, width * sizeof *routes);
    row->n_routes++;
}

static bool contains(const int32_t *ids, int n, int32_t id) {
    for (int i = 0; i < n; i++)
        if (ids[i] == id) return true;
    return false;
}

// Looks for the first stop string that the new bytes complete; cuts the text before it.
// A stop may begin in earlier tokens, so the search starts that much earlier.
static bool cut_at_stop(struct row *row, size_t old_len) {
    const struct sampling *s = &row->task->sampling;
    const char *first = NULL;
    for (int i = 0; i < s->n_stops; i++) {
        struct slice stop = s->stops[i];
        size_t from = old_len >= stop.len ? old_len - (stop.len - 1) : 0;
        if (row->text.len < stop.len) continue;
        const char *at = memmem(row->text.ptr + from, row->text.len - from, stop.ptr, stop.len);
        if (at && (!first || at < first)) first = at;
    }
    if (!first) return false;
    row->text.len = (size_t)(first - row->text.ptr);
    return true;
}

bool row_advance(struct row *row, const struct vocabulary *v, int32_t id, float lp_full,
                 float lp_behav, uint64_t version, const uint16_t *routes,
                 enum message_finish *reason) {
    const struct sampling *s = &row->task->sampling;
    add_routes(row, v, routes);
    add_token(row, id, lp_full, lp_behav, version);
    *reason = FINISH_STOP;
    if (!s->ignore_eos && contains(v->end_ids, v->n_end_ids, id)) return true;
    if (contains(s->stop_ids, s->n_stop_ids, id)) return true;
    if (v->tokenizer) {
        size_t old_len = row->text.len;
        buffer_add_slice(&row->text, tokenizer_token_bytes(v->tokenizer, id));
        if (cut_at_stop(row, old_len)) return true;
    }
    *reason = FINISH_LENGTH;
    return row->n_tokens >= s->max_new_tokens;
}

static struct sample *new_sample(struct task *task, int index, enum message_finish reason) {
    struct sample *sample = memory_new(1, sizeof *sample);
    sample->task = task;
    sample->index = index;
    sample->finish = reason;
    return sample;
}

static void add_text(struct sample *sample, struct slice bytes) {
    struct buffer text = {0};
    utf8_add_lossy(&text, bytes);
    buffer_extend(&text, 0); // an empty text is "" and not NULL
    sample->text = text.ptr;
    sample->text_bytes = text.len;
}

static void clear(struct row *row) {
    buffer_free(&row->text);
    free(row->seen);
    free(row->seen_bits);
    *row = (struct row){0};
}

struct sample *row_finish(struct row *row, const struct vocabulary *v, enum message_finish reason) {
    struct sample *sample = new_sample(row->task, row->sample, reason);
    sample->n_tokens = row->n_tokens;
    sample->tokens = row->tokens;
    sample->lp_full = row->lp_full;
    sample->lp_behav = row->lp_behav;
    sample->spans = row->spans;
    sample->n_spans = row->n_spans;
    sample->routes = row->routes;
    sample->n_routes = row->n_routes;
    sample->prompt_lp_full = row->prompt_lp_full;
    if (v->tokenizer) add_text(sample, buffer_slice(&row->text));
    clear(row);
    return sample;
}

struct sample *row_empty_sample(struct task *task, int index, const struct vocabulary *v,
                                enum message_finish reason) {
    struct row row = {0};
    row.task = task;
    row.sample = index;
    if (task->prompt_lp_full && reason == FINISH_LENGTH) {
        row.prompt_lp_full = memory_new((size_t)task->n_prompt, sizeof(float));
        memcpy(row.prompt_lp_full, task->prompt_lp_full, (size_t)task->n_prompt * sizeof(float));
    }
    size_t n = (size_t)(task->n_prompt - 1) * (size_t)v->n_route_values;
    if (task->prompt_routes && reason == FINISH_LENGTH) {
        row.routes = memory_new(n, sizeof *row.routes);
        if (n) memcpy(row.routes, task->prompt_routes, n * sizeof *row.routes);
        row.n_routes = task->n_prompt - 1;
    }
    return row_finish(&row, v, reason);
}

void row_discard(struct row *row) {
    free(row->tokens);
    free(row->lp_full);
    free(row->lp_behav);
    free(row->spans);
    free(row->routes);
    free(row->prompt_lp_full);
    clear(row);
}
