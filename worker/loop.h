// The worker's loop: README's picture as code.
#ifndef WORKER_LOOP_H
#define WORKER_LOOP_H

#include "worker/engine/engine.h"
#include "worker/meter.h"
#include "worker/port.h"
#include "worker/session/verify.h"
#include "worker/status.h"

struct loop {
    struct engine *engine;
    struct verify *verify;
    struct ports ports;
    struct status_board *board; // what each turn publishes; NULL: nobody reads it
    struct meter *meter;        // what it measures; NULL: nothing
};

// Turns until a port stops the loop, or all are done and everything has left. -1 with the error of
// a device, a file or the wire.
int loop_run(struct loop *l, struct error *err);

#endif
