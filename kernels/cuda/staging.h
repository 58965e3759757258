// Memory through which weights pass between the host and their places: pieces of LOAD_BYTES, two
// for each loader, pinned on the host and as many on the device.
#ifndef KERNELS_CUDA_STAGING_H
#define KERNELS_CUDA_STAGING_H

#include <cuda_runtime_api.h>
#include <stdbool.h>

#include "kernels/cuda/ops_memory.h"

struct staging {
    char *host, *device; // (n_pieces, LOAD_BYTES)
    int n_pieces;
    cudaEvent_t done[2]; // of pieces 0 and 1, which weight_write uses
    bool is_used[2];
    int next;
};

// All return a cudaError_t.
int staging_open(struct staging *s, int n_pieces);
void staging_close(struct staging *s);

// Puts elements first .. first + n - 1 of a weight to their places; what `values` holds was taken
// when it returns.
int staging_write(struct staging *s, const struct queue *q, const struct weight_move *place,
                  int64_t first, int64_t n, const void *values);
// Reads them back, and waits.
int staging_read(struct staging *s, const struct queue *q, const struct weight_move *place,
                 int64_t first, int64_t n, void *values);

#endif
