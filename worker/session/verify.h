// Finished samples to rewards: between the engine and the verifiers' child processes.
#ifndef WORKER_SESSION_VERIFY_H
#define WORKER_SESSION_VERIFY_H

#include "worker/task.h"

struct verify {
    struct verifier_pool *pool; // NULL: nothing is graded (--no-verify)
    struct sample *ready, **last_ready;
    struct sample **pending; // (n_pending) being graded
    int n_pending, capacity;
};

// `options` NULL: samples pass ungraded. Used by the thread that opened it.
int verify_open(struct verify *v, const struct verifier_pool_options *options, struct error *err);
void verify_close(struct verify *v); // ends the processes and frees all samples it holds

// Takes over a list of samples. Those that ended by themselves and have a reward spec are graded;
// the others (cancelled, preempted, failed) have no reward.
void verify_take(struct verify *v, struct sample *list);

// The samples that are ready to leave, as a list; now the caller's. Never waits; deadlines of
// verifiers pass only while it is called.
struct sample *verify_collect(struct verify *v);

int verify_n_pending(const struct verify *v);
int verify_fd(const struct verify *v); // to wait on beside others, -1: none

#endif
