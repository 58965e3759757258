// The bytes of an update by NCCL: broadcasts of the trainer into the staging memory, on the thread
// of weights. What arrives is proved while the next buckets are on their way.
#ifndef WORKER_WEIGHTS_RECEIVER_H
#define WORKER_WEIGHTS_RECEIVER_H

#include <stdatomic.h>

#include "worker/weights/update.h"

// A communicator as NCCL_JOIN announced it.
struct receiver_join {
    struct comm comm;
    int64_t deadline_ms; // without progress, then it is left
};

struct receiver {
    struct backend *backend;
    atomic_bool *is_closing;   // set by another thread: leave off
    struct receiver_join join; // of the communicator that was joined last
    bool has_comm;
    atomic_ulong n_aborts; // communicators that were left before an update was received to its end
    void (*wake)(void *self); // after each step forward
    void *self;
};

// Whether a backend can receive at all.
bool receiver_can(const struct backend *b);

// Joins what `join` says (NULL: as before), and receives the whole update; fails it where a rank
// fails, nothing goes on for deadline_ms, or no communicator is there. Where it was not received to
// its end the communicator is left, so that no other rank waits for this one for ever.
void receiver_run(struct receiver *r, struct update *u, const struct receiver_join *join);

// Leaves the communicator, if there is one.
void receiver_close(struct receiver *r);

#endif
