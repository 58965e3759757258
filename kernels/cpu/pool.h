// The threads of the backend. A pool of n threads is n - 1 threads and the caller's own.
#ifndef KERNELS_CPU_POOL_H
#define KERNELS_CPU_POOL_H

#include <stdbool.h>

#include "protocol/base/error.h"

struct pool;

// Calls of one chunk of a job, with the number of the thread that runs it (0: the caller's).
typedef void pool_job(void *arg, int chunk, int thread);

// Starts `n_threads` - 1 threads. They, and the caller of pool_run, wait spinning for some
// 120 microseconds and then asleep; where others want their processors, hardly spinning.
struct pool *pool_start(int n_threads, struct error *err); // NULL on failure
void pool_stop(struct pool **p);
int pool_n_threads(const struct pool *p);

// Runs job(arg, 0 .. n_chunks - 1, thread), each once, in no fixed order, and returns when all are
// done. A thread that does not get a processor delays nothing but the chunk it holds. With
// `is_small` the caller runs all of them itself. Chunks must not run jobs of the same pool.
void pool_run(struct pool *p, int n_chunks, bool is_small, pool_job *job, void *arg);

#endif
