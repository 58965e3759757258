// The worker's end of a session with the trainer: one thread that owns the sockets.
//
// It turns messages into events for the engine's thread (inbox), and samples of the engine into
// RESULTs that are sent until they are acknowledged (outbox). It drives weight updates up to the
// point where the engine applies them. Everything it shares with the engine's thread goes through
// the inbox, the samples it is given, and the status board.
#ifndef WORKER_SESSION_LINK_H
#define WORKER_SESSION_LINK_H

#include <pthread.h>
#include <stdatomic.h>

#include "protocol/socket.h"
#include "worker/log.h"
#include "worker/port.h"
#include "worker/session/inbox.h"
#include "worker/session/outbox.h"
#include "worker/session/request.h"
#include "worker/status.h"
#include "worker/weights/resident.h"

struct link_options {
    struct socket_options socket;
    const struct request_context *requests;
    const struct engine *engine; // for engine_check alone
    struct status_board *board;  // what the engine's thread publishes
    struct output_shape shape;
    const struct log *log;
    const struct names *names;
    const enum dtype *dtypes; // (names->n) that updates come in
    const char *uid, *numerics;
    const char *build;       // version and commit, and the device
    const char *weights_dir; // where trainers lay updates; NULL: nowhere
    uint64_t fingerprint, staging_bytes, min_version;
    int slots;
    int trainer_deadline_s, drain_timeout_s;
    int scrub_interval_s; // seconds of a look at all resident weights (weights/scrub.h), 0: none
};

struct link;

// Why the link ended: an exit status (README.md, Commands).
enum link_end {
    LINK_RUN_COMPLETE = 0,
    LINK_NO_TRAINER = 69,
    LINK_IO = 74,
    LINK_DRAINED = 75,
    LINK_REFUSED = 78
};

// Opens the sockets; link_start starts the thread.
struct link *link_open(const struct link_options *options, struct error *err);
void link_start(struct link *l);
const char *link_url(const struct link *l); // of the control socket

// The engine's side, a port of the loop. Updates are applied to `resident`, which is borrowed.
const struct port *link_port(struct link *l, struct resident *resident);

// A signal to drain came (async-signal safe and from any thread); the second one ends at once.
void link_signal(struct link *l);

// Waits for the thread and frees everything. Returns enum link_end.
int link_close(struct link **l);

#endif
