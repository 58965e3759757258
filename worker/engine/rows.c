#include "worker/engine/rows.h"

#include <assert.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "protocol/base/buffer.h"
#include "protocol/base/utf8.h"

static void note_seen(struct row *row, int32_t id) {
    uint8_t bit = (uint8_t)(1u << (id & 7));
    if (row->seen_bits[id >> 3] & bit) return;
    row->seen_bits[id >> 3] |= bit;
    row->seen[row->n_seen++] = id;
}

static void start_seen(struct row *row, int n_ids) {
    int64_t n = (int64_t)row->task->n_prompt + row->max_tokens;
    row->seen_bits = memory_new((size_t)n_ids / 8 + 1, 1);
    row->seen = memory_take((size_t)(n < n_ids ? n : n_ids), sizeof *row->seen);
    for (int i = 0; i < row->task->n_prompt; i++) note_seen(row, row->task->prompt_ids[i]);
}

// Room for the longest stop string but its last byte, and one token behind it.
static void start_tail(struct row *row, const struct vocabulary *v) {
    const struct sampling *s = &row->task->sampling;
    size_t longest = 1;
    if (!v->tokenizer || !s->n_stops) return;
    for (int i = 0; i < s->n_stops; i++)
        if (s->stops[i].len > longest) longest = s->stops[i].len;
    row->tail.kept = longest - 1;
    row->tail.room = longest - 1 + v->max_bytes;
    row->tail.bytes = memory_take(row->tail.room, 1);
}

static void start_routes(struct row *row, const struct vocabulary *v) {
    const struct task *t = row->task;
    size_t width = (size_t)v->n_route_values, n_prompt = (size_t)t->n_prompt - 1;
    if (!t->routed_experts || !width) return;
    row->routes = memory_take((n_prompt + (size_t)row->max_tokens) * width, sizeof *row->routes);
    if (n_prompt) memcpy(row->routes, t->prompt_routes, n_prompt * width * sizeof *row->routes);
    row->n_routes = t->n_prompt - 1;
}

static float *copy_prompt_lp(const struct task *t) {
    if (!t->prompt_lp_full) return NULL;
    float *copy = memory_take((size_t)t->n_prompt, sizeof *copy);
    memcpy(copy, t->prompt_lp_full, (size_t)t->n_prompt * sizeof *copy);
    return copy;
}

void row_start(struct row *row, struct task *task, int sample, const struct vocabulary *v) {
    enum { SPANS = 4 }; // more are taken when the weights change so often
    assert(!row->task);
    *row = (struct row){.task = task, .sample = sample, .text_bytes = SIZE_MAX};
    row->max_tokens = task->sampling.max_new_tokens;
    row->tokens = memory_take((size_t)row->max_tokens, sizeof *row->tokens);
    row->max_spans = SPANS;
    row->spans = memory_take(SPANS, sizeof *row->spans);
    row->prompt_lp_full = copy_prompt_lp(task);
    if (task->sampling.repetition_penalty != 1) start_seen(row, v->n_ids);
    start_tail(row, v);
    start_routes(row, v);
}

int row_next_position(const struct row *row) {
    return row->task->n_prompt - 1 + row->n_tokens;
}

int32_t row_id_at(const struct row *row, int position) {
    const struct task *t = row->task;
    int i = position - t->n_prompt; // of the output tokens
    assert(i >= -1 && i < row->n_tokens);
    return i < 0 ? t->prompt_ids[position] : row->tokens[i].id;
}

// The ids are noted behind those of the row as if they had been drawn.
static void note_guess(struct row *row, int32_t id) {
    int n_seen = row->n_seen;
    row->n_seen += row->n_guessed_seen;
    note_seen(row, id);
    row->n_guessed_seen = row->n_seen - n_seen;
    row->n_seen = n_seen;
}

void row_forget_guesses(struct row *row) {
    for (; row->n_guessed_seen > 0; row->n_guessed_seen--) {
        int32_t id = row->seen[row->n_seen + row->n_guessed_seen - 1];
        row->seen_bits[id >> 3] &= (uint8_t) ~(1u << (id & 7));
    }
}

void row_want(struct row *row, const int32_t *guesses, int n, struct step_output *out) {
    if (n > 0 && row->seen) note_guess(row, guesses[n - 1]);
    const struct sampling *s = &row->task->sampling;
    out->is_draw = true;
    out->draw = (struct draw){
        .temperature = s->temperature,
        .top_p = s->top_p,
        .min_p = s->min_p,
        .repetition_penalty = s->repetition_penalty,
        .top_k = s->top_k,
        .seed = row->task->group_seed,
        .position = (uint32_t)(row_next_position(row) + 1 + n),
        .sample = (uint32_t)row->sample,
        .seen = row->seen,
        .n_seen = row->n_seen + row->n_guessed_seen,
        .bias_ids = s->bias_ids,
        .bias = s->bias,
        .n_bias = s->n_bias,
    };
}

static void note_version(struct row *row, uint64_t version) {
    if (row->n_spans && row->spans[row->n_spans - 1].version == version) return;
    if (row->n_spans == row->max_spans) {
        row->max_spans *= 2;
        row->spans = memory_resize(row->spans, (size_t)row->max_spans, sizeof *row->spans);
    }
    row->spans[row->n_spans++] = (struct version_span){row->n_tokens, version};
}

static void add_token(struct row *row, struct row_token token, uint64_t version) {
    assert(row->n_tokens < row->max_tokens && row->n_guessed_seen == 0);
    note_version(row, version);
    row->tokens[row->n_tokens++] = token;
    if (row->seen) note_seen(row, token.id);
}

static void add_routes(struct row *row, const struct vocabulary *v, const uint16_t *routes) {
    if (!row->routes) return;
    size_t width = (size_t)v->n_route_values;
    assert(routes && row->n_routes < row->task->n_prompt - 1 + row->max_tokens);
    memcpy(row->routes + (size_t)row->n_routes * width, routes, width * sizeof *routes);
    row->n_routes++;
}

static bool contains(const int32_t *ids, int n, int32_t id) {
    for (int i = 0; i < n; i++)
        if (ids[i] == id) return true;
    return false;
}

static bool contains_rising(const int32_t *ids, int n, int32_t id) {
    int low = 0;
    while (n > 0) {
        int half = n / 2;
        if (ids[low + half] == id) return true;
        if (ids[low + half] < id)
            low += half + 1, n -= half + 1;
        else
            n = half;
    }
    return false;
}

// Puts the token's bytes behind the tail, whose front gives way to what no stop can begin in.
static void add_to_tail(struct row_tail *tail, struct slice bytes) {
    size_t over = tail->len > tail->kept ? tail->len - tail->kept : 0;
    memmove(tail->bytes, tail->bytes + over, tail->len - over);
    tail->len -= over;
    assert(tail->len + bytes.len <= tail->room);
    if (bytes.len) memcpy(tail->bytes + tail->len, bytes.ptr, bytes.len);
    tail->len += bytes.len;
    tail->total += bytes.len;
}

// Looks for the first stop string that the last token completed: where it begins is where the text
// ends. One that an earlier token completed would have ended the row.
static bool cut_at_stop(struct row *row) {
    const struct sampling *s = &row->task->sampling;
    const struct row_tail *tail = &row->tail;
    const char *first = NULL;
    for (int i = 0; i < s->n_stops; i++) {
        const char *at = memmem(tail->bytes, tail->len, s->stops[i].ptr, s->stops[i].len);
        if (at && (!first || at < first)) first = at;
    }
    if (!first) return false;
    row->text_bytes = tail->total - tail->len + (size_t)(first - tail->bytes);
    return true;
}

bool row_ends_with(const struct row *row, const struct vocabulary *v, int32_t id) {
    const struct sampling *s = &row->task->sampling;
    if (!s->ignore_eos && contains(v->end_ids, v->n_end_ids, id)) return true;
    return contains_rising(s->stop_ids, s->n_stop_ids, id);
}

// Whether the token that was drawn last ends the row, by itself or by the text.
static bool is_stop(struct row *row, const struct vocabulary *v, int32_t id) {
    if (row_ends_with(row, v, id)) return true;
    row->n_text_tokens++;
    if (!row->tail.bytes) return false;
    add_to_tail(&row->tail, tokenizer_token_bytes(v->tokenizer, id));
    return cut_at_stop(row);
}

bool row_advance(struct row *row, const struct vocabulary *v, int32_t id, float lp_full,
                 float lp_behav, uint64_t version, const uint16_t *routes) {
    add_routes(row, v, routes);
    add_token(row, (struct row_token){id, lp_full, lp_behav}, version);
    bool stopped = is_stop(row, v, id);
    row->finish = stopped ? FINISH_STOP : FINISH_LENGTH;
    return stopped || row->n_tokens >= row->max_tokens;
}

static struct sample *new_sample(struct task *task, int index, enum message_finish reason) {
    struct sample *sample = memory_new(1, sizeof *sample);
    sample->task = task;
    sample->index = index;
    sample->finish = reason;
    return sample;
}

static void add_text(struct sample *sample, const struct row *row, const struct vocabulary *v) {
    struct buffer bytes = {0}, text = {0};
    for (int i = 0; i < row->n_text_tokens; i++)
        buffer_add_slice(&bytes, tokenizer_token_bytes(v->tokenizer, row->tokens[i].id));
    if (bytes.len > row->text_bytes) bytes.len = row->text_bytes;
    utf8_add_lossy(&text, buffer_slice(&bytes));
    buffer_extend(&text, 0); // an empty text is "" and not NULL
    buffer_free(&bytes);
    sample->text = text.ptr;
    sample->text_bytes = text.len;
}

static void add_columns(struct sample *s, const struct row *row) {
    size_t n = (size_t)row->n_tokens;
    s->n_tokens = row->n_tokens;
    s->tokens = memory_take(n, sizeof *s->tokens);
    s->lp_full = memory_take(n, sizeof *s->lp_full);
    s->lp_behav = memory_take(n, sizeof *s->lp_behav);
    for (size_t i = 0; i < n; i++) {
        s->tokens[i] = row->tokens[i].id;
        s->lp_full[i] = row->tokens[i].lp_full;
        s->lp_behav[i] = row->tokens[i].lp_behav;
    }
}

// What a sample does not take along.
static void clear(struct row *row) {
    free(row->tokens);
    free(row->tail.bytes);
    free(row->seen);
    free(row->seen_bits);
    *row = (struct row){0};
}

struct sample *row_finish(struct row *row, const struct vocabulary *v, enum message_finish reason) {
    struct sample *sample = new_sample(row->task, row->sample, reason);
    add_columns(sample, row);
    if (v->tokenizer) add_text(sample, row, v);
    sample->spans = row->spans;
    sample->n_spans = row->n_spans;
    sample->n_routes = row->n_routes;
    if (row->routes) // without the room behind them
        sample->routes = memory_resize(row->routes, (size_t)row->n_routes,
                                       (size_t)v->n_route_values * sizeof *row->routes);
    sample->prompt_lp_full = row->prompt_lp_full;
    clear(row);
    return sample;
}

struct sample *row_empty_sample(struct task *task, int index, const struct vocabulary *v,
                                enum message_finish reason) {
    struct row row = {.task = task, .sample = index, .text_bytes = SIZE_MAX};
    if (reason == FINISH_LENGTH) { // the prompt was all that was wanted
        row.prompt_lp_full = copy_prompt_lp(task);
        if (task->prompt_routes) start_routes(&row, v);
    }
    return row_finish(&row, v, reason);
}

void row_discard(struct row *row) {
    free(row->spans);
    free(row->routes);
    free(row->prompt_lp_full);
    clear(row);
}

void row_keep(struct row *row) {
    struct task *t = row->task;
    struct row *kept = memory_take(1, sizeof *kept);
    if (!t->kept) t->kept = arena_take(&t->arena, (size_t)t->n_samples, sizeof(struct row *));
    *kept = *row;
    t->kept[row->sample - t->first_sample] = kept;
    *row = (struct row){0};
}

bool row_take_kept(struct task *t, int sample, struct row *row) {
    struct row **kept = t->kept ? &t->kept[sample - t->first_sample] : NULL;
    if (!kept || !*kept) return false;
    *row = **kept;
    free(*kept);
    *kept = NULL;
    return true;
}
