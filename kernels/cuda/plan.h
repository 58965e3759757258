// Sizes of the CUDA backend: strides, bytes, and the parts of its scratch memory.
#ifndef KERNELS_CUDA_PLAN_H
#define KERNELS_CUDA_PLAN_H

#include "kernels/cuda/ops_head.h"
#include "kernels/kernels.h"

enum {
    SNAPSHOT_TILE = 9, // tokens of a tile of a convolution that are none of a halo, at least
    ATTENTION_CELLS = 4096,
    LOAD_BYTES = 1 << 20, // of a piece of a weight on its way
    RESULT_BYTES = 13,    // of an output: its id, two log-probabilities, whether it is bad
};

struct dimensions {
    int hidden_stride, q_stride, head_rows, dense_stride, expert_stride, vocab_rows;
    int n_attention, n_conv, n_moe, n_ring, n_past;
    bool kv_is_bf16;
    int page_tokens, n_pages, n_conv_slots, arena_pages, arena_slots;
    int max_segments, max_tokens, max_outputs, max_snapshots;
    int64_t page_bytes, slot_bytes; // from one to the next: multiples of 16
    int64_t layer_page_bytes, layer_slot_bytes, layer_snapshot_bytes;
};

// Parts of the scratch memory; what a network lacks has no bytes.
struct scratch {
    float *h;     // (max_tokens, hidden_stride)
    void *n;      // likewise, bf16
    void *y;      // likewise: of a convolution
    void *q;      // (max_tokens, q_stride)
    void *out;    // likewise: of attention
    void *act;    // (max_tokens, dense_stride) or (max_tokens * n_experts_used, expert_stride)
    void *slot_y; // (max_tokens * n_experts_used, hidden_stride): of experts
    float *frequencies, *cosine, *sine;
    void *snapshots;
    float *cells;
    uint32_t *cell_counters, *tickets;
    struct routes routes;
    uint32_t *missing;
    struct head_sums *sums;
    uint32_t *reached;
    float *targets, *logits;
    int32_t *results;  // ids, log-probabilities, marks
    uint64_t *digests; // (weights)
    size_t bytes;
};

void plan_dimensions(struct dimensions *d, const struct backend_options *o);

// Lays the parts out from `base` on; NULL: only counts bytes.
void plan_scratch(struct scratch *s, const struct dimensions *d, const struct model_shape *shape,
                  int n_weights, char *base);

// What a step's description takes but for rare ones, for which it grows: then it is taken anew in
// mid-run, which waits for all that the device does.
size_t plan_step_bytes(const struct dimensions *d);

// Threads of load(), each with two pieces under way.
int plan_n_loaders(void);

// Bytes on the device and of the arena; with_cublas: those of gemm.h too.
void plan_bytes(const struct backend_options *o, bool with_cublas, struct backend_plan *out);

// -1 with a sentence for shapes and types that the kernels do not take.
int plan_check(const struct backend_options *o, struct error *err);

#endif
