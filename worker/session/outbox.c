#include "worker/session/outbox.h"

#include <assert.h>
#include <stdlib.h>

#include "worker/session/result.h"

enum { FIRST_ROOM = 64 };

struct result {
    uint64_t serial; // of its group
    struct message_frames frames;
    int n_samples;   // that its ACK gives credit for
    int n_all;       // that it holds
    int64_t sent_ms; // 0: not sent yet in this session
    bool was_sent;   // in any
};

void outbox_open(struct outbox *o, const struct output_shape *shape) {
    *o = (struct outbox){.first = 1, .next = 1, .next_new = 1, .room = FIRST_ROOM, .shape = *shape};
    o->results = memory_new(FIRST_ROOM, sizeof *o->results);
    o->next_due_ms = INT64_MAX;
}

static struct result **place(const struct outbox *o, uint64_t number) {
    assert(number >= o->first && number < o->next);
    return &o->results[number & (o->room - 1)];
}

static uint64_t bytes_of(const struct result *r) {
    return r->frames.header.len + r->frames.payload.len;
}

static void free_result(struct outbox *o, struct result **r) {
    if (!*r) return;
    o->n_unacked--;
    o->n_unacked_samples -= (uint64_t)(*r)->n_samples;
    o->n_bytes -= bytes_of(*r);
    message_frames_free(&(*r)->frames);
    free(*r);
    *r = NULL;
}

void outbox_clear(struct outbox *o) {
    for (; o->first < o->next; o->first++) free_result(o, place(o, o->first));
    o->next_new = o->next;
    o->next_due_ms = INT64_MAX;
}

void outbox_close(struct outbox *o) {
    outbox_clear(o);
    free(o->results);
    *o = (struct outbox){0};
}

static void grow(struct outbox *o) {
    struct result **old = o->results;
    uint64_t old_room = o->room;
    o->room *= 2;
    o->results = memory_new(o->room, sizeof *o->results);
    for (uint64_t i = o->first; i < o->next; i++)
        o->results[i & (o->room - 1)] = old[i & (old_room - 1)];
    free(old);
}

// A result whose frames are to be filled; its number is o->next - 1 from now on.
static struct result *append(struct outbox *o, const struct outbox_session *session,
                             uint64_t serial, int n) {
    if (o->next - o->first == o->room) grow(o);
    struct result *r = memory_new(1, sizeof *r);
    r->serial = serial;
    r->n_samples = session->is_over ? 0 : n;
    r->n_all = n;
    o->next++;
    *place(o, o->next - 1) = r;
    o->n_unacked++;
    o->n_unacked_samples += (uint64_t)r->n_samples;
    return r;
}

static struct sample *skip(struct sample *list, int n) {
    for (; n > 0; n--) list = list->next;
    return list;
}

static void add_result(struct outbox *o, const struct outbox_session *session,
                       const struct sample *first, int n) {
    struct error err = {0};
    struct result *r = append(o, session, first->task->serial, n);
    if (!result_encode(first, n, &o->shape, session->run, session->epoch, o->next - 1, &r->frames,
                       &err)) {
        o->n_bytes += bytes_of(r);
        return;
    }
    const struct message_task refused = {.serial = first->task->serial,
                                         .id = first->task->id,
                                         .attempt = first->task->attempt,
                                         .first = (uint32_t)first->index,
                                         .n = 1};
    assert(n == 1); // more are together only where they are small
    error_prefix(&err, "The result cannot be sent");
    result_encode_refusal(&refused, &err, session->run, session->epoch, o->next - 1, &r->frames);
    o->n_bytes += bytes_of(r);
}

void outbox_add(struct outbox *o, const struct outbox_session *session, struct sample *list) {
    for (struct sample *first = list; first;) {
        int n = result_count(first);
        add_result(o, session, first, n);
        first = skip(first, n);
    }
    sample_free_list(list);
}

void outbox_refuse(struct outbox *o, const struct outbox_session *session,
                   const struct message_task *task, const struct error *why) {
    struct result *r = append(o, session, task->serial, (int)task->n);
    result_encode_refusal(task, why, session->run, session->epoch, o->next - 1, &r->frames);
    o->n_bytes += bytes_of(r);
}

// Returns as socket_send.
static int send_one(struct outbox *o, struct socket *socket, struct result *r, int64_t now_ms,
                    struct error *err) {
    int full = socket_send(socket, &r->frames, err);
    if (full) return full;
    if (r->was_sent) o->n_resent_samples += (uint64_t)r->n_all;
    r->was_sent = true;
    r->sent_ms = now_ms;
    if (now_ms + MESSAGE_RESEND_MS < o->next_due_ms) o->next_due_ms = now_ms + MESSAGE_RESEND_MS;
    return 0;
}

static int send_due(struct outbox *o, struct socket *socket, int64_t now_ms, struct error *err) {
    if (now_ms < o->next_due_ms) return 0;
    o->next_due_ms = INT64_MAX;
    for (uint64_t i = o->first; i < o->next_new; i++) {
        struct result *r = *place(o, i);
        if (!r) continue;
        int64_t due_ms = r->sent_ms + MESSAGE_RESEND_MS;
        int full = now_ms >= due_ms ? send_one(o, socket, r, now_ms, err) : 0;
        if (full) o->next_due_ms = now_ms;
        if (full) return full;
        if (due_ms > now_ms && due_ms < o->next_due_ms) o->next_due_ms = due_ms;
    }
    return 0;
}

int outbox_send(struct outbox *o, struct socket *socket, int64_t now_ms, struct error *err) {
    int full = send_due(o, socket, now_ms, err);
    while (!full && o->next_new < o->next) {
        struct result *r = *place(o, o->next_new);
        if (r) full = send_one(o, socket, r, now_ms, err);
        if (!full) o->next_new++;
    }
    return full < 0 ? -1 : 0;
}

void outbox_serials(const struct outbox *o, struct buffer *serials) {
    for (uint64_t i = o->first; i < o->next; i++) {
        const struct result *r = *place(o, i);
        if (r) buffer_add(serials, &r->serial, sizeof r->serial);
    }
}

int outbox_ack(struct outbox *o, uint64_t number) {
    if (number < o->first || number >= o->next || !*place(o, number)) return 0;
    int n = (*place(o, number))->n_samples;
    free_result(o, place(o, number));
    while (o->first < o->next && !*place(o, o->first)) o->first++;
    if (o->next_new < o->first) o->next_new = o->first;
    return n;
}

void outbox_resend_all(struct outbox *o, uint64_t after) {
    for (uint64_t i = o->first; i < o->next; i++) {
        struct result *r = *place(o, i);
        if (!r) continue;
        r->sent_ms = 0;
        if (i < after) continue;
        o->n_unacked_samples -= (uint64_t)r->n_samples;
        r->n_samples = 0;
    }
    o->next_new = o->first;
    o->next_due_ms = INT64_MAX;
}
