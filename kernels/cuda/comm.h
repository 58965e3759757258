// The communicator of weights (NCCL): broadcasts of the trainer straight into the staging memory.
//
// NCCL's calls do not block: one that is in progress is polled to its end before the next is made.
// So receives are listed, and poll() makes their calls and sees how far they are.
#ifndef KERNELS_CUDA_COMM_H
#define KERNELS_CUDA_COMM_H

#include <cuda_runtime_api.h>

#include "kernels/cuda/nccl.h"
#include "kernels/kernels.h"

enum comm_state { COMM_NONE, COMM_JOINING, COMM_READY, COMM_CALLING };

struct comm_receive {
    uint64_t offset, n_bytes;
    cudaEvent_t arrived; // recorded behind it
};

struct comm_link {
    const struct nccl *nccl;
    ncclComm_t comm;
    enum comm_state state;
    cudaStream_t stream;                         // of this communicator alone
    struct comm_receive receives[COMM_RECEIVES]; // number i is at i % COMM_RECEIVES
    int64_t n_listed, n_called, n_arrived;       // since the join
};

extern const struct comm_ops comm_ops;

#endif
