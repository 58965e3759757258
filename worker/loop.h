// The worker's loop: README's picture as code.
#ifndef WORKER_LOOP_H
#define WORKER_LOOP_H

#include "worker/engine/engine.h"
#include "worker/session/verify.h"

struct loop;

// Where tasks come from and where samples go: a prompt file and an output file, or the wire.
struct port {
    void *self;
    // Hands what has arrived to the engine: tasks, cancels, weight updates. Waits a moment when
    // `idle`. Sets loop->done when nothing will come any more. -1 ends the loop.
    int (*receive)(void *self, struct loop *loop, bool idle, struct error *err);
    // Takes over a list of samples that are ready to leave.
    int (*deliver)(void *self, struct sample *list, struct error *err);
};

struct loop {
    struct engine *engine;
    struct verify *verify;
    struct port port;
    bool done; // no more tasks will come: the loop ends when the last sample has left
    bool stop; // the loop ends at once, with whatever is in it
};

// Turns until `done` and everything has left. -1 with the error of a device, a file or the wire.
int loop_run(struct loop *l, struct error *err);

#endif
