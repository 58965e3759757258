// Where tasks come from and where their samples go: a prompt file and an output file, or the wire.
// A loop can have several.
#ifndef WORKER_PORT_H
#define WORKER_PORT_H

#include "protocol/base/error.h"
#include "worker/engine/engine.h"
#include "worker/task.h"

enum port_state {
    PORT_OPEN, // more may come
    PORT_DONE, // nothing will come any more: the loop ends when the last sample has left
    PORT_STOP, // the loop ends at once, with whatever is in it
};

struct port {
    void *self;
    // A descriptor that is readable while receive() has something to take, -1: it always may have.
    int fd;
    // Hands what has arrived to the engine: tasks (with task->port set to this port), cancels,
    // weight updates. Never waits. Called between steps. -1 ends the loop.
    int (*receive)(const struct port *port, struct engine *e, enum port_state *state,
                   struct error *err);
    // Takes over a list of this port's samples that are ready to leave. -1 ends the loop.
    int (*deliver)(const struct port *port, struct sample *list, struct error *err);
};

// The ports of a loop.
enum { PORTS_MAX = 8 };
struct ports {
    const struct port *items[PORTS_MAX]; // (n), borrowed
    enum port_state states[PORTS_MAX];
    int n;
};

void ports_add(struct ports *ports, const struct port *port);

// Every port's receive; every port's deliver with its own samples of the list, in their order.
int ports_receive(struct ports *ports, struct engine *e, struct error *err);
int ports_deliver(const struct ports *ports, struct sample *list, struct error *err);

bool ports_are_done(const struct ports *ports);    // all of them
bool ports_are_stopped(const struct ports *ports); // one of them

// Waits a moment, until a port has something or `fd` (-1: none) is readable. Where nothing is
// pending elsewhere, a port without a descriptor is not waited for.
void ports_wait(const struct ports *ports, int fd, bool is_pending);

#endif
