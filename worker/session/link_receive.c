// What each message does.
#include <limits.h>
#include <stdio.h>
#include <string.h>

#include "protocol/base/clock.h"
#include "worker/session/link_state.h"

enum {
    HELLO_HURRY_MS = 500, // the next HELLO comes so much earlier
    MAX_EVENTS = 1 << 16, // cancels that may wait for the engine
    MAX_UNACKED = 1024,   // refusals that may wait for their ACK
};

static bool same_session(const struct link *l, const struct message *m) {
    return slice_is(m->run, l->run) && m->epoch == l->epoch;
}

// A trainer that was left behind by a newer one must not be obeyed: its epoch is older.
static bool is_fenced(const struct link *l, const struct message *m) {
    return slice_is(m->run, l->run) && m->epoch < l->epoch;
}

static int welcome(struct link *l, const struct message *m, struct error *err) {
    const struct message_welcome *w = &m->welcome;
    const struct event forget = {.kind = EVENT_FORGET};
    if (is_fenced(l, m)) {
        log_say(l->options.log, LOG_WARN, "a trainer of epoch %llu was refused: %llu was seen",
                (unsigned long long)m->epoch, (unsigned long long)l->epoch);
        return 0;
    }
    if (!l->first_session || !same_session(l, m)) {
        outbox_clear(&l->outbox); // results are of no use to another run or epoch
        l->first_session = l->session + 1;
    } else {
        outbox_resend_all(&l->outbox, l->hello_result);
    }
    // Not what HELLO said: a WELCOME that answers an earlier HELLO may have cleared the outbox
    // since, and CREDIT that was said then may be on its way.
    uint64_t slots = (uint64_t)l->options.slots, unacked = l->outbox.n_unacked_samples;
    l->credit = slots > unacked ? slots - unacked : 0;
    l->n_left = -(int64_t)unacked;
    snprintf(l->run, sizeof l->run, "%.*s", (int)m->run.len, m->run.ptr ? m->run.ptr : "");
    l->epoch = m->epoch;
    inbox_put(&l->inbox, &forget);
    l->session++;
    l->joined = true;
    l->sent_credit = l->hello_slots;
    l->n_received = 0;
    link_drop_outgoing(l);
    if (w->heartbeat_ms) l->heartbeat_ms = (int)(w->heartbeat_ms < 60000 ? w->heartbeat_ms : 60000);
    if (w->lost_ms) l->lost_ms = (int)(w->lost_ms < 3600000 ? w->lost_ms : 3600000);
    link_weights_drop(l); // what was committed is applied by now, as HELLO said
    l->wanted_version = w->version;
    l->beat_ms = l->heard_ms;
    l->seen.n_sessions++;
    log_say(l->options.log, LOG_INFO, "joined run '%s', epoch %llu", l->run,
            (unsigned long long)l->epoch);
    if (l->options.socket.bind || !w->bulk_url.len) return 0;
    char url[1024];
    snprintf(url, sizeof url, "%.*s", (int)(w->bulk_url.len < 1000 ? w->bulk_url.len : 1000),
             w->bulk_url.ptr);
    struct error why = {0};
    if (socket_connect_bulk(l->socket, url, &why)) {
        // Without the bulk socket an update fails, and says so; generation goes on.
        log_say(l->options.log, LOG_ERROR, "the trainer's bulk address: %s", why.text);
    }
    (void)err;
    return 0;
}

static void refused(struct link *l, const struct message_refuse *m) {
    char why[512];
    snprintf(why, sizeof why, "the trainer refused this worker: %.*s", SLICE_ARG(m->error));
    if (m->code == REFUSAL_NO_SESSION || m->code == REFUSAL_EPOCH) {
        // One who waits for WELCOME only hurries a little, and once for each HELLO: a trainer that
        // refuses each of them must not be asked in a hot loop, and one that has lost the session
        // says so to every message of it.
        if (l->joined)
            link_join_again(l, why);
        else if (!l->hurried)
            l->hello_ms -= HELLO_HURRY_MS;
        l->hurried = true;
        return;
    }
    link_finish(l, LINK_REFUSED, why);
}

static void refuse_task(struct link *l, const struct message_task *m, const struct error *why) {
    const struct outbox_session session = {.run = slice_of(l->run), .epoch = l->epoch};
    log_say(l->options.log, LOG_WARN, "task of group %llu refused: %s",
            (unsigned long long)m->serial, why->text);
    outbox_refuse(&l->outbox, &session, m, why);
    if (l->outbox.n_unacked > MAX_UNACKED + l->options.slots)
        link_join_again(l, "the trainer sends tasks and acknowledges nothing");
}

// Credit is what bounds the inbox, the engine and the outbox.
static int check_credit(struct link *l, const struct message_task *m, struct error *err) {
    l->n_received += m->n;
    if (l->n_received <= l->credit) return 0;
    return error_set(err, ERROR_INPUT,
                     "This task makes %llu samples since WELCOME on a credit of %llu; a trainer "
                     "sends no more than CREDIT allows.",
                     (unsigned long long)l->n_received, (unsigned long long)l->credit);
}

static void take_task(struct link *l, const struct message_task *m) {
    struct error err = {0};
    struct event event = {.kind = EVENT_TASK};
    if (!check_credit(l, m, &err))
        event.task = request_from_message(l->options.requests, m, clock_ms(), &err);
    if (event.task && engine_check(l->options.engine, event.task, &err)) task_free(&event.task);
    if (!event.task) {
        refuse_task(l, m, &err);
        return;
    }
    event.task->session = l->session;
    event.task->arrived_us = clock_us();
    event.task->first_token_us = arena_take(&event.task->arena, (size_t)event.task->n_samples,
                                            sizeof *event.task->first_token_us);
    if (event.task->min_version < l->options.min_version)
        event.task->min_version = l->options.min_version;
    l->n_put += (uint64_t)event.task->n_samples;
    inbox_put(&l->inbox, &event);
}

static void take_cancel(struct link *l, const struct message_cancel *m) {
    struct event event = {.kind = EVENT_CANCEL, .serial = m->serial};
    event.first = m->first > INT_MAX / 2 ? INT_MAX / 2 : (int)m->first;
    event.n = m->n > INT_MAX / 2 ? INT_MAX / 2 : (int)m->n;
    if (inbox_put(&l->inbox, &event) > MAX_EVENTS)
        link_join_again(l, "the trainer cancels more than there is");
}

// The trainer keeps its connection until this has come.
static int say_bye(struct link *l, struct error *err) {
    struct message m = {.type = MESSAGE_BYE,
                        .bye = {.code = BYE_LEAVING, .reason = slice_of("goodbye")}};
    return link_send(l, &m, err);
}

static int handle_joined(struct link *l, struct message **message, struct error *err) {
    const struct message *m = *message;
    link_note_update(l, m);
    switch (m->type) {
    case MESSAGE_TASK:
        take_task(l, &m->task);
        return 0;
    case MESSAGE_CANCEL:
        take_cancel(l, &m->cancel);
        return 0;
    case MESSAGE_ACK:
        link_grant(l, outbox_ack(&l->outbox, m->ack.result));
        return 0;
    case MESSAGE_DRAIN:
        l->asked_to_drain = true;
        return 0;
    case MESSAGE_BYE:
        if (say_bye(l, err)) return -1;
        if (m->bye.code == BYE_RUN_COMPLETE)
            link_finish(l, LINK_RUN_COMPLETE, "the run is complete");
        else
            link_join_again(l, "the trainer left"); // another may come
        return 0;
    case MESSAGE_WEIGHTS_BEGIN:
        link_weights_begin(l, message);
        return 0;
    case MESSAGE_NCCL_JOIN:
        link_weights_join(l, &m->nccl_join);
        return 0;
    case MESSAGE_WEIGHTS_CHUNK:
        link_weights_chunk(l, message);
        return 0;
    case MESSAGE_WEIGHTS_COMMIT:
        link_weights_commit(l, &m->weights_commit);
        return 0;
    case MESSAGE_WEIGHTS_ABORT:
        link_weights_abort(l, m->weights_abort.update);
        return 0;
    default:
        return 0; // HEARTBEAT says only that the trainer is there
    }
}

int link_handle(struct link *l, struct message **message, struct error *err) {
    const struct message *m = *message;
    if (m->type == MESSAGE_WELCOME) {
        l->heard_ms = clock_ms();
        return welcome(l, m, err);
    }
    if (m->type == MESSAGE_REFUSE) return refused(l, &m->refuse), 0;
    if (l->joined && !same_session(l, m)) l->n_foreign++;
    if (!l->joined || !same_session(l, m)) return 0;
    l->heard_ms = clock_ms();
    if (m->lost_before) return link_join_again(l, "messages of the trainer were lost"), 0;
    return handle_joined(l, message, err);
}

void link_say_refusals(struct link *l, bool at_end) {
    struct socket_counters counters;
    uint64_t n = l->n_foreign;
    char reasons[512];
    socket_counters(l->socket, &counters);
    for (int i = 0; i < MESSAGE_N_REASONS; i++) n += counters.refused[i];
    // Who connects is refused itself, and says so elsewhere.
    uint64_t n_keys = l->options.socket.bind ? counters.n_unauthenticated : 0;
    n += n_keys;
    if (n == l->refusals_said || (!at_end && n < 2 * l->refusals_said)) return;
    l->refusals_said = n;
    int len = snprintf(reasons, sizeof reasons, "epoch %llu, key %llu",
                       (unsigned long long)l->n_foreign, (unsigned long long)n_keys);
    for (int i = 0; i < MESSAGE_N_REASONS; i++)
        len += snprintf(reasons + len, sizeof reasons - (size_t)len, ", %s %llu",
                        message_reason_name((enum message_reason)i),
                        (unsigned long long)counters.refused[i]);
    log_say(l->options.log, LOG_WARN, "messages refused so far: %llu (%s); the last one: %s",
            (unsigned long long)n, reasons, socket_last_refusal(l->socket));
}
