// The insides of the CUDA backend's host side.
//
//   backend.c  open, close, numerics; the table of operations
//   plan.c     sizes and strides, bytes of each use, the parts of the scratch memory
//   weights.c  where each tensor lies; load.c fills them, staging.c writes and reads pieces
//   update.c   weight updates: staged, checked, applied; comm.c receives them by NCCL (nccl.c)
//   state.c    moves of pages and conv slots
//   step.c     a step's description
//   network.c  the blocks as launches
//   gemm.c     cuBLASLt for dense products of many tokens; cublas.c opens it
//   graph.c    launches recorded once and replayed
//   errors.c   sentences
#ifndef KERNELS_CUDA_BACKEND_H
#define KERNELS_CUDA_BACKEND_H

#include <cuda_runtime_api.h>

#include "kernels/cuda/comm.h"
#include "kernels/cuda/gemm.h"
#include "kernels/cuda/graph.h"
#include "kernels/cuda/plan.h"
#include "kernels/cuda/staging.h"
#include "kernels/cuda/timing.h"
#include "kernels/cuda/update.h"
#include "kernels/cuda/weights.h"

enum { BACKEND_COPIES = 4096 }; // moves of state that are listed at a time

struct cuda {
    struct backend base;
    struct model_shape shape;
    struct dimensions d;
    struct weights weights;
    struct scratch scratch;
    struct queue queue;
    cudaStream_t stream;
    int device, max_token_tile;
    float attention_scale; // 1 / sqrt(head_dim)
    char numerics[192];

    char *weight_memory, *pages, *slots, *scratch_memory; // of the device
    char *arena;                                          // pinned, of the host

    uint64_t *hashes; // (weights) of their names
    int n_loaders;
    struct staging staging;
    struct update update;
    struct comm_link comm;

    struct state_copy
        *copies; // (BACKEND_COPIES) pinned; n_copies are in use until the stream was waited for
    int n_copies;
    int *order, *first_cell; // (max_segments) of step.c
    uint32_t *touched; // (all pages and slots) the batch that wrote it or read it, see state.c
    uint32_t batch;

    // The description: built in pinned memory, copied to the device by begin.
    struct step_header *step, *device_step;
    size_t step_bytes; // of both
    int n_tokens, n_outputs;
    bool want_routes;
    struct step_bounds bounds;
    char *results; // pinned: what draw_launch packs, then routes

    bool use_graphs, is_recording, is_replaying;
    struct graphs graphs;
    struct timing timing;
    struct gemm gemm;

    int failed;              // the first cudaError_t of an operation without a result; 0: none
    const char *failed_what; // what was being done
};

// Remembers the first error. what: a literal. Returns whether there is none.
bool backend_note(struct cuda *c, int status, const char *what);

int cuda_load(struct backend *b, const struct weight_source *source, uint64_t *digests,
              struct error *err);
void cuda_weight_write(struct backend *b, int index, int64_t first, int64_t n, const void *values);
int cuda_weight_read(struct backend *b, int index, int64_t first, int64_t n, void *values,
                     struct error *err);
int cuda_weight_digest(struct backend *b, int index, int64_t first, int64_t n, uint64_t *sum,
                       struct error *err);

void cuda_move(struct backend *b, const struct state_move *moves, size_t n);

// Memory for so many bytes of a description, at least.
void backend_room_for_step(struct cuda *c, size_t bytes);

// Builds the description of a step and its bounds.
void step_describe(struct cuda *c, const struct step *step);

void cuda_begin(struct backend *b, const struct step *step);
void cuda_embed(struct backend *b);
void cuda_conv(struct backend *b, int layer);
void cuda_attention(struct backend *b, int layer);
void cuda_dense(struct backend *b, int layer);
void cuda_moe(struct backend *b, int layer);
void cuda_head(struct backend *b);
void cuda_submit(struct backend *b);
int cuda_wait(struct backend *b, struct step_result *r, struct error *err);

#endif
