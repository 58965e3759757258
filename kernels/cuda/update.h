// Weight updates: the staging memory on the device, and the way into it. check() has a stream of
// its own, of lower priority than the engine's, so that steps go on beside it.
#ifndef KERNELS_CUDA_UPDATE_H
#define KERNELS_CUDA_UPDATE_H

#include <cuda_runtime_api.h>

#include "kernels/cuda/ops_memory.h"
#include "kernels/kernels.h"

enum { UPDATE_PIECES = 4 };

struct update {
    uint64_t staging_bytes; // 0: there are no updates, and all that follows is null
    char *staging;          // of the device
    cudaStream_t stream;
    char *pieces; // (UPDATE_PIECES, LOAD_BYTES) pinned, in turn, of stage()
    int next_piece;
    cudaEvent_t piece_done[UPDATE_PIECES];
    cudaEvent_t written;        // what weight_write() did
    char *batch, *device_batch; // targets, first blocks, sums and the fault of one launch; pinned
    size_t batch_bytes;
};

// Bytes of the device that n_weights weights need for updates.
uint64_t update_bytes(uint64_t staging_bytes, int n_weights);

// Both return a cudaError_t; close takes what is half open.
int update_open(struct update *u, uint64_t staging_bytes, int n_weights);
void update_close(struct update *u);

int cuda_stage(struct backend *b, uint64_t offset, uint64_t n_bytes, const void *bytes,
               struct error *err);
int cuda_check(struct backend *b, const struct weight_change *changes, int n,
               struct change_sums *sums, int *bad, struct error *err);
int cuda_apply(struct backend *b, const struct weight_change *changes, int n, struct error *err);

#endif
