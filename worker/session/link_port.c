// The engine's side of a link: events become calls of the engine, samples go to the I/O thread.
#include <assert.h>

#include "protocol/base/clock.h"
#include "worker/session/link_state.h"

// At once, and not behind the next step: the trainer waits for it.
static void publish(struct link *link, const struct engine *e) {
    status_publish(link->options.board, engine_status(e));
    socket_wake(link->socket);
}

static int exchange(struct link *link, struct engine *e, struct update *u, bool is_undo,
                    struct error *err) {
    if (!is_undo) engine_end_stale(e, update_version(u));
    int failed = is_undo ? update_undo(u, link->resident, e->model.backend, err)
                         : update_apply(u, link->resident, e->model.backend, err);
    if (failed) return -1;
    if (link->scrub) scrub_restart(link->scrub);
    uint64_t version = is_undo ? update_base(u) : update_version(u);
    if (is_undo)
        engine_take_back(e, version, link->resident->digest);
    else
        engine_set_version(e, version, link->resident->digest);
    status_paused(link->options.board, update_pause_us(u));
    log_say(link->options.log, LOG_INFO, "policy version %llu is served%s; decoding paused %.1f ms",
            (unsigned long long)version, is_undo ? " again" : "",
            (double)update_pause_us(u) / 1000);
    publish(link, e);
    return 0;
}

// ---- an update that rows in flight may end before

static void hold(struct link *link, struct engine *e, struct event *event) {
    assert(!link->held);
    link->held = event->update;
    event->update = NULL;
    link->held_until_ms = event->until_ms;
    engine_hold(e, true);
    log_say(link->options.log, LOG_INFO,
            "policy version %llu waits for %d samples in flight, at most %.1f s",
            (unsigned long long)update_version(link->held), engine_n_begun(e),
            (double)(event->until_ms - clock_ms()) / 1000);
}

// What waits is taken back before it was applied: nothing changes, and rows go on.
static void forgo(struct link *link, struct engine *e) {
    engine_hold(e, false);
    update_forgo(link->held);
    engine_forgo(e);
    log_say(link->options.log, LOG_INFO, "policy version %llu is not waited for any more",
            (unsigned long long)update_version(link->held));
    update_release(&link->held);
    publish(link, e);
}

// Applies what waits, once no row is in flight or the time is over.
static int end_hold(struct link *link, struct engine *e, struct error *err) {
    if (!link->held) return 0;
    if (engine_n_begun(e) > 0 && clock_ms() < link->held_until_ms) return 0;
    engine_hold(e, false);
    int failed = exchange(link, e, link->held, false, err);
    update_release(&link->held);
    return failed;
}

static int handle(struct link *link, struct engine *e, struct event *event, enum port_state *state,
                  struct error *err) {
    switch (event->kind) {
    case EVENT_TASK:
        event->task->port = &link->port;
        progress_add(&link->progress, event->task);
        engine_add(e, event->task);
        event->task = NULL;
        break;
    case EVENT_CANCEL:
        engine_cancel(e, event->serial, event->first, event->n, FINISH_CANCELLED);
        break;
    case EVENT_APPLY:
        if (!event->until_ms) return exchange(link, e, event->update, false, err);
        hold(link, e, event);
        break;
    case EVENT_UNDO:
        if (!link->held) return exchange(link, e, event->update, true, err);
        forgo(link, e);
        break;
    case EVENT_FORGET:
        engine_forget(e);
        break;
    case EVENT_DRAIN:
        engine_drain(e);
        break;
    case EVENT_PREEMPT:
        engine_preempt(e);
        break;
    case EVENT_STOP:
        *state = PORT_STOP;
        break;
    }
    return 0;
}

// Damaged weights end the loop: nothing that was drawn and has not left yet leaves any more.
static int scrub(struct link *link, struct error *err) {
    struct scrub_damage damage;
    if (!link->scrub) return 0;
    int failed = scrub_turn(link->scrub, clock_ms(), &damage, err);
    status_scrubbed(link->options.board, scrub_n_passes(link->scrub));
    if (!damage.tensor[0]) return failed;
    pthread_mutex_lock(&link->lock);
    link->damage = damage;
    pthread_mutex_unlock(&link->lock);
    socket_wake(link->socket);
    return failed;
}

// With which tasks the engine goes on, for the next HEARTBEAT.
static void look(struct link *link, const struct engine *e) {
    int64_t now = clock_ms();
    if (now - link->looked_ms < MESSAGE_PROGRESS_MS) return;
    link->looked_ms = now;
    pthread_mutex_lock(&link->lock);
    buffer_clear(&link->moved);
    progress_look(&link->progress, e->model.version, &link->moved);
    link->has_looked = true;
    pthread_mutex_unlock(&link->lock);
}

static int receive(const struct port *port, struct engine *e, enum port_state *state,
                   struct error *err) {
    struct link *link = port->self;
    int failed = 0;
    for (struct event *event = inbox_take(&link->inbox); event; event = event_free(event))
        if (!failed) failed = handle(link, e, event, state, err);
    if (!failed) failed = end_hold(link, e, err);
    look(link, e);
    return failed ? failed : scrub(link, err);
}

static int deliver(const struct port *port, struct sample *list, struct error *err) {
    struct link *link = port->self;
    (void)err;
    progress_deliver(&link->progress, list);
    pthread_mutex_lock(&link->lock);
    *link->last_given = list;
    for (struct sample *s = list; s; s = s->next) link->last_given = &s->next;
    pthread_mutex_unlock(&link->lock);
    socket_wake(link->socket);
    return 0;
}

const struct port *link_port(struct link *link, struct resident *resident) {
    const struct link_options *o = &link->options;
    link->resident = resident;
    if (o->scrub_interval_s)
        link->scrub =
            scrub_open(resident, o->engine->model.backend, o->scrub_interval_s, clock_ms());
    link->port =
        (struct port){.self = link, .fd = link->inbox.fd, .receive = receive, .deliver = deliver};
    return &link->port;
}
