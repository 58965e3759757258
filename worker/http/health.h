// What probes are answered: whether the worker is to be killed, and whether it does what it is for.
#ifndef WORKER_HTTP_HEALTH_H
#define WORKER_HTTP_HEALTH_H

#include "worker/status.h"

enum {
    HEALTH_LINK_MS = 10000,    // the I/O thread turns at least 20 times a second
    HEALTH_ENGINE_MS = 120000, // the longest turn of the engine's thread: a step, an update
};

// NULL while the process is alive, else why it is not: the device failed, or one of its two loops
// stands still. Never the trainer's fault: an outage of the trainer must not kill warm workers.
const char *health_why_dead(const struct status_snapshot *s, int64_t now_ms);

// NULL when the worker has loaded.
const char *health_why_not_loaded(const struct status_snapshot *s);

// NULL when it has loaded, has a session, serves what is asked for, and does not drain.
const char *health_why_not_ready(const struct status_snapshot *s);

#endif
