// Receiving weight updates by NCCL (D9): the part of a backend that joins a communicator whose rank
// 0 is the trainer, and takes its broadcasts into the staging memory.
#ifndef KERNELS_COMM_H
#define KERNELS_COMM_H

#include <stdint.h>

#include "protocol/base/error.h"

enum { COMM_ID_BYTES = 128, COMM_RECEIVES = 4 };

struct comm {
    char id[COMM_ID_BYTES]; // ncclUniqueId
    int rank, n_ranks;      // rank: from 1
    int version;            // of the trainer's NCCL, as ncclGetVersion has it
};

struct backend;

// All on the thread of stage(); none waits for another rank.
struct comm_ops {
    // Leaves the communicator that is there and begins to join this one. -1 where NCCL cannot be
    // opened, or is another than the trainer's.
    int (*join)(struct backend *b, const struct comm *comm, struct error *err);
    // The next broadcast of rank 0, of n_bytes > 0, goes to `offset` of the staging memory. At most
    // COMM_RECEIVES are on their way.
    void (*receive)(struct backend *b, uint64_t offset, uint64_t n_bytes);
    // Gets on. *n_arrived: broadcasts that are here since the join; -1: not all ranks have joined.
    // -1 where a rank or the device failed: then only leave() is left.
    int (*poll)(struct backend *b, int64_t *n_arrived, struct error *err);
    // Aborts what is under way; the staging memory then holds anything there. Also without a join.
    void (*leave)(struct backend *b);
};

#endif
