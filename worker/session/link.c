#include "worker/session/link.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "protocol/base/clock.h"
#include "worker/session/link_state.h"

enum {
    TICK_MS = 50,       // the longest sleep: timers are looked at this often
    HELLO_MS = 1000,    // between HELLOs that nobody answers
    CONNECT_MS = 10000, // then the connection is made anew
    LEAVE_MS = 5000,    // what is left of a drain waits for ACKs this long
    MAX_OUTGOING = 256, // answers that a trainer may leave unread
};

static void stamp(struct link *l, struct message *m) {
    m->minor = MESSAGE_MINOR;
    m->run = slice_of(l->run);
    m->epoch = l->epoch;
}

// Returns as socket_send: 1 when the message could not be sent now.
static int try_send(struct link *l, struct message *m, struct error *err) {
    stamp(l, m);
    return socket_send_message(l->socket, m, err);
}

int link_send(struct link *l, struct message *m, struct error *err) {
    return try_send(l, m, err) < 0 ? -1 : 0;
}

// ---- messages that must arrive, whatever room a queue has

struct outgoing {
    struct message_frames frames;
    struct outgoing *next;
};

void link_say(struct link *l, struct message *m) {
    struct outgoing *o = memory_new(1, sizeof *o);
    struct error err = {0};
    stamp(l, m);
    int failed = message_encode(m, &o->frames, &err);
    assert(!failed); // they are our own, and small
    link_note_update(l, m);
    *l->last_outgoing = o;
    l->last_outgoing = &o->next;
    if (++l->n_outgoing > MAX_OUTGOING)
        link_join_again(l, "the trainer does not read what it asks");
}

static void drop_first(struct link *l) {
    struct outgoing *o = l->outgoing;
    l->outgoing = o->next;
    if (!l->outgoing) l->last_outgoing = &l->outgoing;
    l->n_outgoing--;
    message_frames_free(&o->frames);
    free(o);
}

int link_send_outgoing(struct link *l, struct error *err) {
    while (l->outgoing) {
        int full = socket_send(l->socket, &l->outgoing->frames, err);
        if (full) return full < 0 ? -1 : 0;
        drop_first(l);
    }
    return 0;
}

void link_drop_outgoing(struct link *l) {
    while (l->outgoing) drop_first(l);
}

void link_finish(struct link *l, enum link_end end, const char *why) {
    if (l->done) return;
    log_say(l->options.log, end ? LOG_WARN : LOG_INFO, "leaving: %s", why);
    l->done = true;
    l->end = end;
}

// ---- timers

// Resident types: one for most tensors, and the tensors that differ by name.
struct exceptions {
    struct column_texts names;
    struct buffer dtypes;
};

static uint8_t wire_dtype(enum dtype t) {
    return (uint8_t)column_dtype_find(slice_of(dtype_name(t)));
}

static enum dtype list_exceptions(const struct link_options *o, struct exceptions *x) {
    enum dtype common = o->dtypes[0]; // of the embedding
    for (int i = 0; i < o->names->n; i++) {
        if (o->dtypes[i] == common) continue;
        char name[NAMES_MAX_BYTES];
        names_write(&o->names->weights[i], name);
        column_texts_add(&x->names, slice_of(name));
        uint8_t dtype = wire_dtype(o->dtypes[i]);
        buffer_add(&x->dtypes, &dtype, 1);
    }
    return common;
}

static int send_hello(struct link *l, int64_t now, struct error *err) {
    const struct link_options *o = &l->options;
    struct status state = status_read(l->options.board);
    struct exceptions x = {0};
    struct message m = {.type = MESSAGE_HELLO};
    uint64_t slots = (uint64_t)o->slots, unacked = l->outbox.n_unacked_samples;
    l->hello_ms = now;
    l->hurried = false;
    l->hello_slots = slots > unacked ? slots - unacked : 0; // the rest comes with ACKs
    l->hello_result = l->outbox.next;
    m.hello = (struct message_hello){.uid = slice_of(o->uid),
                                     .incarnation = l->incarnation,
                                     .build = slice_of(o->build),
                                     .numerics = slice_of(o->numerics),
                                     .fingerprint = o->fingerprint,
                                     .slots = l->hello_slots,
                                     .max_context = (uint32_t)o->requests->max_context,
                                     .vocab = (uint32_t)o->requests->vocab,
                                     .tied_head = o->names->shape.tied_head,
                                     .version = state.version,
                                     .digest = state.digest,
                                     .dtype = wire_dtype(list_exceptions(o, &x)),
                                     .bulk_url =
                                         slice_of(o->socket.bind ? socket_bulk_url(l->socket) : ""),
                                     .bulk_id = slice_of(socket_bulk_id(l->socket)),
                                     .directory = slice_of(l->directory)};
    if (x.dtypes.len) {
        m.hello.exception_names = column_texts_bytes(&x.names);
        m.hello.exception_offsets = column_texts_offsets(&x.names);
        m.hello.exception_dtypes = column_of(COLUMN_U8, x.dtypes.ptr, x.dtypes.len);
    }
    int failed = link_send(l, &m, err);
    column_texts_free(&x.names);
    buffer_free(&x.dtypes);
    return failed;
}

// Serials of tasks that go on in the engine, when it has looked, and of results that wait here.
static bool take_moved(struct link *l, struct buffer *moved) {
    pthread_mutex_lock(&l->lock);
    bool has_looked = l->has_looked;
    if (has_looked) buffer_add_slice(moved, buffer_slice(&l->moved));
    l->has_looked = false;
    pthread_mutex_unlock(&l->lock);
    if (has_looked) outbox_serials(&l->outbox, moved);
    return has_looked;
}

static int send_heartbeat(struct link *l, int64_t now, struct error *err) {
    struct status s = status_read(l->options.board);
    struct buffer moved = {0};
    int64_t age = s.n_samples && s.counters.last_step_ms ? now - s.counters.last_step_ms : 0;
    struct message m = {.type = MESSAGE_HEARTBEAT};
    m.heartbeat = (struct message_heartbeat){
        .n_rows = (uint32_t)s.n_rows,
        .n_waiting = (uint32_t)(s.n_samples - s.n_rows),
        .n_unacked = (uint32_t)l->outbox.n_unacked,
        .n_tokens = s.counters.n_output_tokens,
        .n_steps = s.counters.n_steps,
        .step_age_ms = (uint64_t)(age > 0 ? age : 0),
        .version = s.version,
        .draining = l->draining,
        .n_guessed = s.counters.n_guessed,
        .n_accepted = s.counters.n_accepted,
    };
    if (take_moved(l, &moved))
        m.heartbeat.moved = column_of(COLUMN_U64, moved.ptr, moved.len / sizeof(uint64_t));
    if (l->heard_ms < l->beat_ms) l->seen.n_missed_beats++;
    l->beat_ms = now;
    int failed = link_send(l, &m, err);
    buffer_free(&moved);
    return failed;
}

// Where KV pages are short, samples wait for them and not for tasks: then there is credit for twice
// the rows that fit, and what is beyond that better goes to another worker.
void link_grant(struct link *l, int n) {
    int64_t most = l->options.slots, n_fitting = status_read(l->options.board).n_fitting;
    if (n_fitting > 0 && 2 * n_fitting < most) most = 2 * n_fitting;
    l->n_left += n;
    if (l->n_left + most > (int64_t)l->credit) l->credit = (uint64_t)(l->n_left + most);
}

static int send_credit(struct link *l, struct error *err) {
    link_grant(l, 0); // pages may not be short any more
    struct message m = {.type = MESSAGE_CREDIT, .credit = {.slots = l->credit}};
    if (l->draining || l->credit == l->sent_credit) return 0;
    int sent = try_send(l, &m, err);
    if (sent == 0) l->sent_credit = l->credit;
    return sent < 0 ? -1 : 0;
}

void link_join_again(struct link *l, const char *why) {
    const struct event forget = {.kind = EVENT_FORGET};
    log_say(l->options.log, LOG_WARN, "%s; joining again", why);
    l->joined = false;
    l->hello_ms = 0;
    link_drop_outgoing(l);
    link_weights_drop(l);
    inbox_put(&l->inbox, &forget);
}

static void lose_session(struct link *l) {
    char why[64];
    snprintf(why, sizeof why, "the trainer was not heard for %d ms", l->lost_ms);
    link_join_again(l, why);
    l->connect_ms = 0;
}

// Keys are exchanged while workers run, so it goes on trying.
static void say_refused_key(struct link *l) {
    bool refused = socket_key_is_refused(l->socket);
    if (refused && !l->key_refused)
        log_say(l->options.log, LOG_WARN, "the trainer does not allow this worker's key");
    l->key_refused = refused;
}

static int run_timers(struct link *l, int64_t now, struct error *err) {
    if (l->joined && now - l->heard_ms > l->lost_ms) lose_session(l);
    if (l->joined) {
        l->trainer_ms = l->connect_ms = now;
        if (now - l->beat_ms >= l->heartbeat_ms && send_heartbeat(l, now, err)) return -1;
        if (link_weights_pump(l, now, err) || link_send_outgoing(l, err)) return -1;
        if (send_credit(l, err)) return -1;
        return outbox_send(&l->outbox, l->socket, now, err);
    }
    say_refused_key(l);
    if (now - l->trainer_ms > 1000 * (int64_t)l->options.trainer_deadline_s) {
        bool refused = socket_key_is_refused(l->socket);
        link_finish(l, refused ? LINK_REFUSED : LINK_NO_TRAINER,
                    refused ? "the trainer does not allow this worker's key"
                            : "no trainer within --trainer-deadline");
    }
    if (now - l->connect_ms >= CONNECT_MS) {
        l->connect_ms = now;
        if (socket_reconnect(l->socket, err)) return -1;
    }
    // HELLO says what is served: not while that changes.
    bool is_due = !l->draining && !link_is_applying(l) && now - l->hello_ms >= HELLO_MS;
    if (is_due && link_directory_is_known(l, now)) return send_hello(l, now, err);
    return 0;
}

// ---- draining

static void start_drain(struct link *l, int64_t now) {
    const struct event drain = {.kind = EVENT_DRAIN};
    struct message m = {.type = MESSAGE_DRAIN, .drain = {.reason = slice_of("asked to stop")}};
    log_say(l->options.log, LOG_INFO, "draining: rows in flight have %d s",
            l->options.drain_timeout_s);
    l->draining = true;
    l->drain_ms = now;
    inbox_put(&l->inbox, &drain);
    if (l->joined) link_say(l, &m);
}

// Each sample that was handed to the engine comes back exactly once.
static bool nothing_left(const struct link *l) {
    return l->n_put == l->n_back && !l->outbox.n_unacked;
}

static int say_bye(struct link *l, const char *why, struct error *err) {
    struct message m = {.type = MESSAGE_BYE, .bye = {.code = BYE_LEAVING, .reason = slice_of(why)}};
    return l->joined ? link_send(l, &m, err) : 0;
}

static int run_drain(struct link *l, int64_t now, struct error *err) {
    const struct event preempt = {.kind = EVENT_PREEMPT};
    bool asked = l->asked_to_drain || atomic_load(&l->n_signals);
    if (!l->draining && asked) start_drain(l, now);
    if (!l->draining) return 0;
    int64_t end = l->drain_ms + 1000 * (int64_t)l->options.drain_timeout_s;
    if (!l->preempted && (now >= end || !l->joined)) {
        l->preempted = true;
        inbox_put(&l->inbox, &preempt);
    }
    if (nothing_left(l) || !l->joined || now >= end + LEAVE_MS) {
        if (say_bye(l, "drained", err)) return -1;
        uint64_t n_tokens = status_read(l->options.board).counters.n_output_tokens;
        log_say(l->options.log, LOG_INFO, "drew %llu tokens since the start",
                (unsigned long long)n_tokens);
        link_finish(l, LINK_DRAINED, "drained");
    }
    return 0;
}

// ---- the thread

// Nobody waits for what an older session began and did not finish. What it finished counts in the
// same run and epoch; in another, the serial means another sample.
static bool is_wanted(const struct link *l, const struct sample *s) {
    bool unfinished = s->finish == FINISH_PREEMPTED || s->finish == FINISH_CANCELLED;
    bool is_over = s->task->session != l->session;
    return s->task->session >= l->first_session && !(is_over && unfinished);
}

static void take_given(struct link *l) {
    struct sample *lists[2] = {NULL}, **ends[2] = {&lists[0], &lists[1]}; // of this session; older
    pthread_mutex_lock(&l->lock);
    struct sample *given = l->given;
    l->given = NULL;
    l->last_given = &l->given;
    pthread_mutex_unlock(&l->lock);
    for (struct sample *s = given, *next; s; s = next) {
        next = s->next;
        s->next = NULL;
        l->n_back++;
        bool is_over = s->task->session != l->session;
        if (!is_wanted(l, s)) {
            sample_free(&s);
            continue;
        }
        *ends[is_over] = s;
        ends[is_over] = &s->next;
    }
    for (int i = 0; i < 2; i++) {
        const struct outbox_session session = {slice_of(l->run), l->epoch, i == 1};
        outbox_add(&l->outbox, &session, lists[i]);
    }
}

static int turn(struct link *l, struct error *err) {
    struct message *m = NULL;
    int got = socket_receive(l->socket, &m, TICK_MS, err);
    if (got < 0) return -1;
    int failed = got ? link_handle(l, &m, err) : 0;
    message_free(&m);
    if (failed) return -1;
    link_say_refusals(l, false);
    int64_t now = clock_ms();
    take_given(l);
    if (run_timers(l, now, err)) return -1;
    link_publish(l);
    return run_drain(l, now, err);
}

static bool is_over(struct link *l) {
    pthread_mutex_lock(&l->lock);
    bool over = l->is_over || l->damage.tensor[0];
    pthread_mutex_unlock(&l->lock);
    return over || l->done || atomic_load(&l->n_signals) > 1;
}

// The engine's side has failed: what was finished before leaves still, and BYE tells the trainer at
// once to give the rest to others.
static void hand_back(struct link *l) {
    struct error err = {0};
    int64_t end = clock_ms() + LEAVE_MS;
    int failed = 0;
    do failed = turn(l, &err);
    while (!failed && l->joined && l->outbox.n_unacked && clock_ms() < end);
    if (!failed) say_bye(l, "the device failed", &err);
}

// The weights were found damaged: what this worker drew since they were whole is suspect, and what
// it still has is worth nothing. Exit status and log say it besides, where there is no session.
static void tell_damage(struct link *l, const struct scrub_damage *damage) {
    struct error err = {0};
    struct message m = {.type = MESSAGE_BYE};
    m.bye = (struct message_bye){.code = BYE_LEAVING,
                                 .reason = slice_of("its resident weights are damaged"),
                                 .suspect_ms = (uint64_t)(clock_ms() - damage->good_ms) + 1,
                                 .tensor = slice_of(damage->tensor)};
    if (l->joined && link_send(l, &m, &err)) log_say(l->options.log, LOG_ERROR, "%s", err.text);
}

static void *run(void *arg) {
    struct link *l = arg;
    struct error err = {0};
    pthread_setname_np(pthread_self(), "link");
    while (!is_over(l))
        if (turn(l, &err)) {
            log_say(l->options.log, LOG_ERROR, "%s", err.text);
            link_finish(l, LINK_IO, "the sockets failed");
        }
    if (!l->done) l->end = atomic_load(&l->n_signals) > 1 ? LINK_DRAINED : LINK_IO;
    pthread_mutex_lock(&l->lock);
    const struct scrub_damage damage = l->damage;
    pthread_mutex_unlock(&l->lock);
    if (damage.tensor[0])
        tell_damage(l, &damage);
    else if (!l->done && l->end == LINK_IO)
        hand_back(l);
    link_say_refusals(l, true);
    const struct event stop = {.kind = EVENT_STOP};
    inbox_put(&l->inbox, &stop);
    return NULL;
}

struct link *link_open(const struct link_options *options, struct error *err) {
    struct link *l = memory_new(1, sizeof *l);
    l->options = *options;
    l->last_given = &l->given;
    l->last_outgoing = &l->outgoing;
    l->heartbeat_ms = MESSAGE_HEARTBEAT_MS;
    l->lost_ms = MESSAGE_LOST_MS;
    l->end = LINK_IO;
    pthread_mutex_init(&l->lock, NULL);
    int failed = inbox_open(&l->inbox, err);
    outbox_open(&l->outbox, &options->shape);
    if (getrandom(&l->incarnation, sizeof l->incarnation, 0) < 0)
        l->incarnation = (uint64_t)clock_us();
    l->connect_ms = l->trainer_ms = clock_ms();
    l->hello_ms = l->trainer_ms - HELLO_MS;
    if (!failed) l->socket = socket_open(&options->socket, err);
    if (!l->socket) link_close(&l);
    return l;
}

static void wake(void *link) {
    socket_wake(((struct link *)link)->socket);
}

void link_start(struct link *l) {
    struct error err = {0};
    l->stager = stager_open(l->options.engine->model.backend, wake, l, &err);
    l->started = l->stager && pthread_create(&l->thread, NULL, run, l) == 0;
    if (!l->started) {
        const struct event stop = {.kind = EVENT_STOP};
        log_say(l->options.log, LOG_ERROR, "The I/O thread could not be started. %s", err.text);
        inbox_put(&l->inbox, &stop);
    }
}

const char *link_url(const struct link *l) {
    return socket_url(l->socket);
}

void link_signal(struct link *l) {
    atomic_fetch_add(&l->n_signals, 1);
    socket_wake(l->socket);
}

int link_close(struct link **link) {
    struct link *l = *link;
    if (!l) return 0;
    if (l->started) {
        pthread_mutex_lock(&l->lock);
        l->is_over = true;
        pthread_mutex_unlock(&l->lock);
        socket_wake(l->socket);
        pthread_join(l->thread, NULL);
    }
    int end = (int)l->end;
    sample_free_list(l->given);
    update_release(&l->held);
    scrub_free(&l->scrub);
    buffer_free(&l->moved);
    look_drop(&l->look);
    stager_close(&l->stager);
    link_weights_drop(l);
    link_drop_outgoing(l);
    outbox_close(&l->outbox);
    inbox_close(&l->inbox);
    socket_close(&l->socket);
    pthread_mutex_destroy(&l->lock);
    free(l);
    *link = NULL;
    return end;
}
