#include "worker/session/result.h"

#include <assert.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    MAX_BYTES = 1 << 20,         // of samples that share a RESULT
    MAX_REFUSAL_BYTES = 8 << 20, // of sentences in one
};

// ---- which samples go together

// Bytes of a sample in the payload, about.
static size_t size_of(const struct sample *s) {
    return 12 * (size_t)s->n_tokens + s->text_bytes + 512;
}

static bool same_prompt_lp(const struct sample *a, const struct sample *b) {
    if (!a->prompt_lp_full || !b->prompt_lp_full) return !a->prompt_lp_full == !b->prompt_lp_full;
    size_t bytes = (size_t)a->task->n_prompt * sizeof(float);
    return memcmp(a->prompt_lp_full, b->prompt_lp_full, bytes) == 0;
}

// A RESULT has one task, one digest, one column of the prompt's log-probabilities, and text of all
// its samples or of none. Routes are large: a sample that has them goes alone.
static bool go_together(const struct sample *a, const struct sample *b) {
    return a->task == b->task && a->digest == b->digest && !a->text == !b->text && !a->routes &&
           !b->routes && same_prompt_lp(a, b);
}

int result_count(const struct sample *first) {
    size_t bytes = size_of(first);
    int n = 1;
    for (const struct sample *s = first->next; s && go_together(first, s); s = s->next, n++) {
        bytes += size_of(s);
        if (bytes > MAX_BYTES) break;
    }
    return n;
}

// ---- columns

static enum message_status wire_status(const struct reward *reward) {
    static const enum message_status statuses[] = {
        [REWARD_BAD_SPEC] = STATUS_BAD_SPEC,   [REWARD_UNSUPPORTED] = STATUS_UNSUPPORTED,
        [REWARD_CRASH] = STATUS_CRASH,         [REWARD_TIMEOUT] = STATUS_TIMEOUT,
        [REWARD_UNKNOWN] = STATUS_UNKNOWN,     [REWARD_LIMIT] = STATUS_LIMIT,
        [REWARD_NO_ANSWER] = STATUS_NO_ANSWER, [REWARD_OK] = STATUS_OK};
    return reward ? statuses[reward->status] : STATUS_NONE;
}

// The columns that are built: each sample is added to all of them.
struct columns {
    struct buffer sample, finish, status, value;
    struct buffer tokens, lp_full, lp_behav, token_offsets;
    struct buffer span_first, span_version, span_offsets;
    struct buffer routes, routed_offsets; // u16
    struct column_texts text, reward, error;
    int64_t n_tokens, n_spans, n_routes;
};

static void add_spans(struct columns *c, const struct sample *s) {
    for (int i = 0; i < s->n_spans; i++) {
        int32_t first = s->spans[i].first_token;
        buffer_add(&c->span_first, &first, sizeof first);
        buffer_add(&c->span_version, &s->spans[i].version, sizeof s->spans[i].version);
    }
    c->n_spans += s->n_spans;
}

static void add_texts(struct columns *c, const struct sample *s) {
    struct buffer json = {0};
    if (s->reward) reward_to_json(s->reward, &json);
    column_texts_add(&c->text, (struct slice){s->text, s->text_bytes});
    column_texts_add(&c->reward, buffer_slice(&json));
    column_texts_add(&c->error, s->error ? slice_of(s->error) : (struct slice){0});
    buffer_free(&json);
}

static void add_sample(struct columns *c, const struct sample *s, size_t route_bytes) {
    size_t n = (size_t)s->n_tokens;
    int32_t index = s->index;
    uint8_t finish = (uint8_t)s->finish, status = (uint8_t)wire_status(s->reward);
    double value = s->reward ? s->reward->value : (double)NAN;
    buffer_add(&c->sample, &index, sizeof index);
    buffer_add(&c->finish, &finish, 1);
    buffer_add(&c->status, &status, 1);
    buffer_add(&c->value, &value, sizeof value);
    buffer_add(&c->tokens, s->tokens, n * sizeof *s->tokens);
    buffer_add(&c->lp_full, s->lp_full, n * sizeof *s->lp_full);
    buffer_add(&c->lp_behav, s->lp_behav, n * sizeof *s->lp_behav);
    if (s->routes) buffer_add(&c->routes, s->routes, (size_t)s->n_routes * route_bytes);
    add_spans(c, s);
    add_texts(c, s);
    c->n_tokens += s->n_tokens;
    c->n_routes += s->n_routes;
    buffer_add(&c->token_offsets, &c->n_tokens, sizeof c->n_tokens);
    buffer_add(&c->span_offsets, &c->n_spans, sizeof c->n_spans);
    buffer_add(&c->routed_offsets, &c->n_routes, sizeof c->n_routes);
}

static void open_columns(struct columns *c) {
    const int64_t zero = 0;
    *c = (struct columns){0};
    buffer_add(&c->token_offsets, &zero, sizeof zero);
    buffer_add(&c->span_offsets, &zero, sizeof zero);
    buffer_add(&c->routed_offsets, &zero, sizeof zero);
}

static void close_columns(struct columns *c) {
    struct buffer *const buffers[] = {
        &c->sample,       &c->finish,   &c->status,        &c->value,      &c->tokens,
        &c->lp_full,      &c->lp_behav, &c->token_offsets, &c->span_first, &c->span_version,
        &c->span_offsets, &c->routes,   &c->routed_offsets};
    for (size_t i = 0; i < sizeof buffers / sizeof buffers[0]; i++) buffer_free(buffers[i]);
    column_texts_free(&c->text);
    column_texts_free(&c->reward);
    column_texts_free(&c->error);
}

static struct column column_from(enum column_dtype dtype, const struct buffer *b) {
    return column_of(dtype, b->ptr ? b->ptr : "", b->len / column_dtype_bytes(dtype));
}

// Experts go as bytes where all numbers fit.
static void fill_routes(struct message_result *m, struct columns *c,
                        const struct output_shape *shape) {
    size_t n = c->routes.len / sizeof(uint16_t);
    const uint16_t *wide = (const uint16_t *)(const void *)c->routes.ptr;
    bool is_narrow = shape->n_experts <= 256;
    uint8_t *narrow = (uint8_t *)c->routes.ptr; // in place: byte i is written behind value i's read
    for (size_t i = 0; i < n && is_narrow; i++) narrow[i] = (uint8_t)wide[i];
    m->routed = column_of(is_narrow ? COLUMN_U8 : COLUMN_U16, c->routes.ptr, n);
    m->routed_offsets = column_from(COLUMN_I64, &c->routed_offsets);
    m->moe_layers = (uint32_t)shape->n_moe_layers;
    m->experts_per_token = (uint32_t)shape->n_experts_used;
}

static void fill_columns(struct message_result *m, struct columns *c) {
    m->sample = column_from(COLUMN_I32, &c->sample);
    m->finish = column_from(COLUMN_U8, &c->finish);
    m->token_offsets = column_from(COLUMN_I64, &c->token_offsets);
    m->tokens = column_from(COLUMN_I32, &c->tokens);
    m->lp_full = column_from(COLUMN_F32, &c->lp_full);
    m->lp_behav = column_from(COLUMN_F32, &c->lp_behav);
    m->span_offsets = column_from(COLUMN_I64, &c->span_offsets);
    m->span_first = column_from(COLUMN_I32, &c->span_first);
    m->span_version = column_from(COLUMN_U64, &c->span_version);
    m->value = column_from(COLUMN_F64, &c->value);
    m->status = column_from(COLUMN_U8, &c->status);
    m->reward = column_texts_bytes(&c->reward);
    m->reward_offsets = column_texts_offsets(&c->reward);
    m->error = column_texts_bytes(&c->error);
    m->error_offsets = column_texts_offsets(&c->error);
}

// What a RESULT has once, from the first sample and its task.
static void fill_task(struct message_result *m, struct columns *c, const struct sample *s) {
    const struct task *t = s->task;
    m->serial = t->serial;
    m->id = t->id;
    m->attempt = t->attempt;
    m->digest = s->digest;
    m->prompt_ids = column_of(COLUMN_I32, t->prompt_ids, (uint64_t)t->n_prompt);
    if (s->prompt_lp_full)
        m->prompt_lp_full = column_of(COLUMN_F32, s->prompt_lp_full, (uint64_t)t->n_prompt);
    if (s->text) {
        m->text = column_texts_bytes(&c->text);
        m->text_offsets = column_texts_offsets(&c->text);
    }
    if (t->meta.len) m->meta = column_of_text(t->meta);
}

static int encode(struct message_result *m, struct slice run, uint64_t epoch, uint64_t number,
                  struct message_frames *out, struct error *err) {
    struct message message = {
        .type = MESSAGE_RESULT, .minor = MESSAGE_MINOR, .run = run, .epoch = epoch, .result = *m};
    message.result.result = number;
    return message_encode(&message, out, err);
}

int result_encode(const struct sample *first, int n, const struct output_shape *shape,
                  struct slice run, uint64_t epoch, uint64_t number, struct message_frames *out,
                  struct error *err) {
    struct columns c;
    struct message_result m = {0};
    size_t route_bytes =
        (size_t)shape->n_moe_layers * (size_t)shape->n_experts_used * sizeof(uint16_t);
    open_columns(&c);
    const struct sample *s = first;
    for (int i = 0; i < n; i++, s = s->next) add_sample(&c, s, route_bytes);
    fill_columns(&m, &c);
    fill_task(&m, &c, first);
    if (first->routes) fill_routes(&m, &c, shape);
    int failed = encode(&m, run, epoch, number, out, err);
    close_columns(&c);
    return failed;
}

void result_encode_refusal(const struct message_task *task, const struct error *why,
                           struct slice run, uint64_t epoch, uint64_t number,
                           struct message_frames *out) {
    struct columns c;
    struct message_result m = {.serial = task->serial, .id = task->id, .attempt = task->attempt};
    struct error err = {0};
    open_columns(&c);
    // Each sample carries the sentence; of very many samples, its beginning.
    char text[sizeof why->text];
    size_t room = MAX_REFUSAL_BYTES / task->n;
    snprintf(text, room < sizeof text ? room : sizeof text, "%s", why->text);
    for (uint32_t i = 0; i < task->n; i++) {
        const struct sample s = {
            .index = (int)(task->first + i), .finish = FINISH_ERROR, .error = text};
        add_sample(&c, &s, 0);
    }
    fill_columns(&m, &c);
    if (why->code == ERROR_SPEC) memset(c.status.ptr, STATUS_BAD_SPEC, c.status.len);
    int failed = encode(&m, run, epoch, number, out, &err);
    assert(!failed); // no part of it comes from outside but the id, which TASK has carried here
    close_columns(&c);
}
