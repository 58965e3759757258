// The engine's side of a link: events become calls of the engine, samples go to the I/O thread.
#include "protocol/base/clock.h"
#include "worker/session/link_state.h"

static void apply(struct link *link, struct engine *e, struct update *update) {
    int64_t started_us = clock_us();
    update_apply(update, link->resident, e->model.backend);
    engine_set_version(e, update_version(update), link->resident->digest);
    status_paused(link->options.board, clock_us() - started_us);
    log_say(link->options.log, LOG_INFO, "policy version %llu is served; decoding paused %.1f ms",
            (unsigned long long)update_version(update), (double)(clock_us() - started_us) / 1000);
    // At once, and not behind the next step: the trainer waits for it.
    status_publish(link->options.board, engine_status(e));
    socket_wake(link->socket);
}

static void handle(struct link *link, struct engine *e, struct event *event,
                   enum port_state *state) {
    switch (event->kind) {
    case EVENT_TASK:
        event->task->port = &link->port;
        engine_add(e, event->task);
        event->task = NULL;
        break;
    case EVENT_CANCEL:
        engine_cancel(e, event->serial, event->first, event->n, FINISH_CANCELLED);
        break;
    case EVENT_UPDATE:
        apply(link, e, event->update);
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
}

static int receive(const struct port *port, struct engine *e, enum port_state *state,
                   struct error *err) {
    struct link *link = port->self;
    (void)err;
    for (struct event *event = inbox_take(&link->inbox); event; event = event_free(event))
        handle(link, e, event, state);
    return 0;
}

static int deliver(const struct port *port, struct sample *list, struct error *err) {
    struct link *link = port->self;
    (void)err;
    pthread_mutex_lock(&link->lock);
    *link->last_given = list;
    for (struct sample *s = list; s; s = s->next) link->last_given = &s->next;
    pthread_mutex_unlock(&link->lock);
    socket_wake(link->socket);
    return 0;
}

const struct port *link_port(struct link *link, struct resident *resident) {
    link->resident = resident;
    link->port =
        (struct port){.self = link, .fd = link->inbox.fd, .receive = receive, .deliver = deliver};
    return &link->port;
}
