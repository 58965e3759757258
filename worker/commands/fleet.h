// One process for each device of a machine, under a parent that does nothing but look after them.
#ifndef WORKER_COMMANDS_FLEET_H
#define WORKER_COMMANDS_FLEET_H

#include "protocol/base/error.h"

enum { FLEET_MAX = 64, FLEET_NAME = 128 };

// The devices that a name stands for: "NAME:all", or "NAME:I,J,..." of distinct indices, each with
// the "/PATH" behind it; any other text is one device, itself.
struct fleet {
    int n;
    char devices[FLEET_MAX][FLEET_NAME];
};

// "all" asks the backend, in a process of its own: a driver that was started here would be of no
// use to the processes to come. ERROR_USAGE for a list that is none.
int fleet_read(const char *device, struct fleet *out, struct error *err);

// Calls run(arg, i) for device i in a child process each, whose exit status is what it returns.
// SIGTERM, SIGINT and SIGHUP go on to all children, once each, also those of a terminal; a parent
// that is killed drains them. Returns when all have ended; *status is the worst of theirs: a device
// that was lost outweighs one that was drained, and an end by a signal (128 + its number) all.
int fleet_run(const struct fleet *f, int (*run)(void *arg, int i), void *arg, int *status,
              struct error *err);

#endif
