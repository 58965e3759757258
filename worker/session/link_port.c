// The engine's side of a link: events become calls of the engine, samples go to the I/O thread.
#include <stdlib.h>

#include "protocol/base/clock.h"
#include "worker/session/link_state.h"

enum { IDLE_WAIT_MS = 50 };

struct side {
    struct link *link;
    struct resident *resident;
    uint64_t n_applied;
};

static void apply(struct side *side, struct engine *e, struct update *update) {
    int64_t started_us = clock_us();
    update_apply(update, side->resident, e->model.backend);
    engine_set_version(e, update_version(update));
    side->n_applied++;
    log_say(side->link->options.log, LOG_INFO,
            "policy version %llu is served; decoding paused "
            "%.1f ms",
            (unsigned long long)update_version(update), (double)(clock_us() - started_us) / 1000);
}

static void handle(struct side *side, struct loop *l, struct event *event) {
    struct engine *e = l->engine;
    switch (event->kind) {
    case EVENT_TASK:
        engine_add(e, event->task);
        event->task = NULL;
        break;
    case EVENT_CANCEL:
        engine_cancel(e, event->serial, event->first, event->n, FINISH_CANCELLED);
        break;
    case EVENT_UPDATE:
        apply(side, e, event->update);
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
        l->stop = true;
        break;
    }
}

// What HEARTBEAT and HELLO say, and whether the engine holds nothing any more.
static void publish(struct side *side, struct loop *l) {
    struct link *link = side->link;
    const struct engine *e = l->engine;
    int n_rows = 0;
    for (int i = 0; i < e->options.max_rows; i++) n_rows += e->rows[i].task != NULL;
    pthread_mutex_lock(&link->lock);
    link->state = (struct link_state){.version = e->model.version,
                                      .digest = side->resident->digest,
                                      .n_applied = side->n_applied,
                                      .counters = e->counters,
                                      .n_rows = n_rows,
                                      .n_samples = engine_n_samples(e)};
    link->engine_empty =
        !e->tasks && !e->finished && !verify_n_pending(l->verify) && !inbox_has(&link->inbox);
    pthread_mutex_unlock(&link->lock);
}

static int receive(void *self, struct loop *l, bool idle, struct error *err) {
    struct side *side = self;
    (void)err;
    struct event *event = inbox_take(&side->link->inbox, idle ? IDLE_WAIT_MS : 0);
    bool applied = false;
    while (event) {
        applied |= event->kind == EVENT_UPDATE;
        handle(side, l, event);
        event = event_free(event);
    }
    engine_expire(l->engine, clock_ms());
    publish(side, l);
    if (applied) socket_wake(side->link->socket);
    return 0;
}

static int deliver(void *self, struct sample *list, struct error *err) {
    struct side *side = self;
    struct link *link = side->link;
    (void)err;
    if (!list) return 0;
    pthread_mutex_lock(&link->lock);
    *link->last_given = list;
    for (struct sample *s = list; s; s = s->next) {
        s->digest = side->resident->digest;
        link->last_given = &s->next;
    }
    pthread_mutex_unlock(&link->lock);
    socket_wake(link->socket);
    return 0;
}

struct port link_port(struct link *link, struct resident *resident) {
    struct side *side = memory_new(1, sizeof *side);
    link->side = side;
    side->link = link;
    side->resident = resident;
    return (struct port){.self = side, .receive = receive, .deliver = deliver};
}
