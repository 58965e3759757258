#include "worker/port.h"

#include <assert.h>
#include <poll.h>

enum { WAIT_MS = 50 }; // deadlines of tasks and verifiers are looked at this often

void ports_add(struct ports *ports, const struct port *port) {
    assert(ports->n < PORTS_MAX);
    ports->states[ports->n] = PORT_OPEN;
    ports->items[ports->n++] = port;
}

int ports_receive(struct ports *ports, struct engine *e, struct error *err) {
    for (int i = 0; i < ports->n; i++)
        if (ports->items[i]->receive(ports->items[i], e, &ports->states[i], err)) return -1;
    return 0;
}

// Takes the samples of one port out of the list.
static struct sample *take_own(const struct port *port, struct sample **list) {
    struct sample *own = NULL, **last = &own;
    for (struct sample **link = list, *s; (s = *link);) {
        if (s->task->port != port) {
            link = &s->next;
            continue;
        }
        *link = s->next;
        s->next = NULL;
        *last = s;
        last = &s->next;
    }
    return own;
}

int ports_deliver(const struct ports *ports, struct sample *list, struct error *err) {
    int failed = 0;
    for (int i = 0; i < ports->n && list && !failed; i++) {
        struct sample *own = take_own(ports->items[i], &list);
        if (own) failed = ports->items[i]->deliver(ports->items[i], own, err);
    }
    assert(!list || failed);
    sample_free_list(list);
    return failed;
}

bool ports_are_done(const struct ports *ports) {
    for (int i = 0; i < ports->n; i++)
        if (ports->states[i] != PORT_DONE) return false;
    return true;
}

bool ports_are_stopped(const struct ports *ports) {
    for (int i = 0; i < ports->n; i++)
        if (ports->states[i] == PORT_STOP) return true;
    return false;
}

void ports_wait(const struct ports *ports, int fd, bool is_pending) {
    struct pollfd fds[PORTS_MAX + 1] = {{.fd = fd, .events = POLLIN}};
    int n = fd >= 0, wait_ms = WAIT_MS;
    for (int i = 0; i < ports->n; i++) {
        if (ports->items[i]->fd >= 0)
            fds[n++] = (struct pollfd){.fd = ports->items[i]->fd, .events = POLLIN};
        else if (ports->states[i] == PORT_OPEN && !is_pending)
            wait_ms = 0;
    }
    poll(fds, (nfds_t)n, wait_ms);
}
