#include "worker/session/outbox.h"

#include <assert.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

struct result {
    struct message_frames frames;
    uint64_t number;
    int n_samples;   // that its ACK gives credit for
    int64_t sent_ms; // 0: not sent yet
    struct result *next;
};

void outbox_open(struct outbox *o, const struct output_shape *shape) {
    *o = (struct outbox){.next_result = 1, .shape = *shape};
    o->last = &o->first;
}

static struct result *free_result(struct result *r) {
    struct result *next = r->next;
    message_frames_free(&r->frames);
    free(r);
    return next;
}

void outbox_close(struct outbox *o) {
    while (o->first) o->first = free_result(o->first);
    *o = (struct outbox){.next_result = o->next_result, .shape = o->shape};
    o->last = &o->first;
}

static int append(struct outbox *o, const struct outbox_session *session,
                  const struct message_result *m, struct error *err) {
    struct result *r = memory_new(1, sizeof *r);
    struct message message = {.type = MESSAGE_RESULT,
                              .minor = MESSAGE_MINOR,
                              .run = session->run,
                              .epoch = session->epoch,
                              .result = *m};
    message.result.result = r->number = o->next_result++;
    r->n_samples = session->is_over ? 0 : (int)m->sample.n;
    if (message_encode(&message, &r->frames, err)) {
        free_result(r);
        return -1;
    }
    *o->last = r;
    o->last = &r->next;
    o->n_unacked++;
    return 0;
}

// ---- one sample

static enum message_status wire_status(const struct reward *reward) {
    static const enum message_status statuses[] = {
        [REWARD_BAD_SPEC] = STATUS_BAD_SPEC,   [REWARD_UNSUPPORTED] = STATUS_UNSUPPORTED,
        [REWARD_CRASH] = STATUS_CRASH,         [REWARD_TIMEOUT] = STATUS_TIMEOUT,
        [REWARD_UNKNOWN] = STATUS_UNKNOWN,     [REWARD_LIMIT] = STATUS_LIMIT,
        [REWARD_NO_ANSWER] = STATUS_NO_ANSWER, [REWARD_OK] = STATUS_OK};
    return reward ? statuses[reward->status] : STATUS_NONE;
}

// The columns of one sample that are not arrays of it already.
struct columns {
    int32_t sample;
    uint8_t finish, status;
    int64_t token_offsets[2], span_offsets[2], routed_offsets[2];
    double value;
    struct buffer span_first, span_version, routed;
    struct column_texts text, reward, error;
};

static void fill_spans(struct columns *c, const struct sample *s) {
    for (int i = 0; i < s->n_spans; i++) {
        int32_t first = s->spans[i].first_token;
        buffer_add(&c->span_first, &first, sizeof first);
        buffer_add(&c->span_version, &s->spans[i].version, sizeof s->spans[i].version);
    }
    c->span_offsets[1] = s->n_spans;
}

static void fill_texts(struct columns *c, const struct sample *s) {
    struct buffer json = {0};
    if (s->reward) reward_to_json(s->reward, &json);
    column_texts_add(&c->text, (struct slice){s->text, s->text_bytes});
    column_texts_add(&c->reward, buffer_slice(&json));
    column_texts_add(&c->error, s->error ? slice_of(s->error) : (struct slice){0});
    buffer_free(&json);
}

static void fill_routes(struct columns *c, const struct sample *s, const struct output_shape *shape,
                        struct message_result *m) {
    size_t n = (size_t)s->n_routes * (size_t)shape->n_moe_layers * (size_t)shape->n_experts_used;
    bool narrow = true;
    for (size_t i = 0; i < n; i++) narrow &= s->routes[i] < 256;
    for (size_t i = 0; i < n && narrow; i++) {
        uint8_t expert = (uint8_t)s->routes[i];
        buffer_add(&c->routed, &expert, 1);
    }
    m->routed =
        narrow ? column_of(COLUMN_U8, c->routed.ptr, n) : column_of(COLUMN_U16, s->routes, n);
    c->routed_offsets[1] = s->n_routes;
    m->routed_offsets = column_of(COLUMN_I64, c->routed_offsets, 2);
    m->moe_layers = (uint32_t)shape->n_moe_layers;
    m->experts_per_token = (uint32_t)shape->n_experts_used;
}

static void fill_result(struct message_result *m, struct columns *c, const struct sample *s) {
    const struct task *t = s->task;
    uint64_t n = (uint64_t)s->n_tokens;
    m->serial = t->serial;
    m->id = t->id;
    m->attempt = t->attempt;
    m->digest = s->digest;
    m->sample = column_of(COLUMN_I32, &c->sample, 1);
    m->finish = column_of(COLUMN_U8, &c->finish, 1);
    m->token_offsets = column_of(COLUMN_I64, c->token_offsets, 2);
    m->tokens = column_of(COLUMN_I32, s->tokens, n);
    m->lp_full = column_of(COLUMN_F32, s->lp_full, n);
    m->lp_behav = column_of(COLUMN_F32, s->lp_behav, n);
    m->span_offsets = column_of(COLUMN_I64, c->span_offsets, 2);
    m->span_first = column_of(COLUMN_I32, c->span_first.ptr, (uint64_t)s->n_spans);
    m->span_version = column_of(COLUMN_U64, c->span_version.ptr, (uint64_t)s->n_spans);
    m->prompt_ids = column_of(COLUMN_I32, t->prompt_ids, (uint64_t)t->n_prompt);
    if (s->prompt_lp_full)
        m->prompt_lp_full = column_of(COLUMN_F32, s->prompt_lp_full, (uint64_t)t->n_prompt);
    if (s->text) {
        m->text = column_texts_bytes(&c->text);
        m->text_offsets = column_texts_offsets(&c->text);
    }
    m->value = column_of(COLUMN_F64, &c->value, 1);
    m->status = column_of(COLUMN_U8, &c->status, 1);
    m->reward = column_texts_bytes(&c->reward);
    m->reward_offsets = column_texts_offsets(&c->reward);
    m->error = column_texts_bytes(&c->error);
    m->error_offsets = column_texts_offsets(&c->error);
    if (t->meta.len) m->meta = column_of_text(t->meta);
}

static void clear_columns(struct columns *c) {
    buffer_free(&c->span_first);
    buffer_free(&c->span_version);
    buffer_free(&c->routed);
    column_texts_free(&c->text);
    column_texts_free(&c->reward);
    column_texts_free(&c->error);
}

static int add_sample(struct outbox *o, const struct outbox_session *session,
                      const struct sample *s, struct error *err) {
    struct columns c = {.sample = s->index,
                        .finish = (uint8_t)s->finish,
                        .status = (uint8_t)wire_status(s->reward),
                        .value = s->reward ? s->reward->value : (double)NAN,
                        .token_offsets = {0, s->n_tokens}};
    struct message_result m = {0};
    fill_spans(&c, s);
    fill_texts(&c, s);
    fill_result(&m, &c, s);
    if (s->routes) fill_routes(&c, s, &o->shape, &m);
    int failed = append(o, session, &m, err);
    clear_columns(&c);
    return failed;
}

void outbox_add(struct outbox *o, const struct outbox_session *session, struct sample *s) {
    struct error err = {0};
    if (add_sample(o, session, s, &err)) {
        struct message_task refused = {.serial = s->task->serial,
                                       .id = s->task->id,
                                       .attempt = s->task->attempt,
                                       .first = (uint32_t)s->index,
                                       .n = 1};
        error_prefix(&err, "The result cannot be sent");
        outbox_refuse(o, session, &refused, &err);
    }
    sample_free(&s);
}

void outbox_refuse(struct outbox *o, const struct outbox_session *session,
                   const struct message_task *task, const struct error *why) {
    size_t n = task->n;
    int32_t *samples = memory_new(n, sizeof *samples);
    uint8_t *finish = memory_new(n, 1), *status = memory_new(n, 1);
    int64_t *zeros = memory_new(n + 1, sizeof *zeros);
    double *values = memory_new(n, sizeof *values);
    struct column_texts errors = {0};
    for (size_t i = 0; i < n; i++) {
        samples[i] = (int32_t)(task->first + i);
        finish[i] = FINISH_ERROR;
        status[i] = why->code == ERROR_SPEC ? STATUS_BAD_SPEC : STATUS_NONE;
        values[i] = (double)NAN;
        column_texts_add(&errors, slice_of(why->text));
    }
    struct message_result m = {.serial = task->serial, .id = task->id, .attempt = task->attempt};
    m.sample = column_of(COLUMN_I32, samples, n);
    m.finish = column_of(COLUMN_U8, finish, n);
    m.token_offsets = m.span_offsets = column_of(COLUMN_I64, zeros, n + 1);
    m.tokens = column_of(COLUMN_I32, samples, 0);
    m.lp_full = m.lp_behav = column_of(COLUMN_F32, values, 0);
    m.span_first = column_of(COLUMN_I32, samples, 0);
    m.span_version = column_of(COLUMN_U64, values, 0);
    m.value = column_of(COLUMN_F64, values, n);
    m.status = column_of(COLUMN_U8, status, n);
    m.error = column_texts_bytes(&errors);
    m.error_offsets = column_texts_offsets(&errors);
    struct error err = {0};
    int failed = append(o, session, &m, &err);
    assert(!failed); // no part of it comes from outside but the id, which TASK has carried here
    free(samples);
    free(finish);
    free(status);
    free(zeros);
    free(values);
    column_texts_free(&errors);
}

int outbox_send(struct outbox *o, struct socket *socket, int64_t now_ms, struct error *err) {
    for (struct result *r = o->first; r; r = r->next) {
        if (r->sent_ms && now_ms - r->sent_ms < MESSAGE_RESEND_MS) continue;
        int full = socket_send(socket, &r->frames, err);
        if (full) return full < 0 ? -1 : 0;
        o->n_resent += r->sent_ms != 0;
        r->sent_ms = now_ms;
    }
    return 0;
}

int outbox_ack(struct outbox *o, uint64_t number) {
    for (struct result **link = &o->first; *link; link = &(*link)->next) {
        struct result *r = *link;
        if (r->number != number) continue;
        int n = r->n_samples;
        *link = free_result(r);
        if (!*link) o->last = link;
        o->n_unacked--;
        return n;
    }
    return 0;
}

void outbox_resend_all(struct outbox *o) {
    for (struct result *r = o->first; r; r = r->next) {
        r->sent_ms = 0;
        r->n_samples = 0;
    }
}
