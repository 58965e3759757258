// The description of a step in device memory. The host builds it in pinned memory (step.c) and
// copies it at once; kernels find everything that changes from step to step here, so that a graph
// of them can be replayed. Behind the header lie the arrays, packed; `at` are their offsets.
#ifndef KERNELS_CUDA_STEP_H
#define KERNELS_CUDA_STEP_H

#include <stdint.h>

#include "kernels/tensor.h"

enum {
    ATTENTION_CHUNK = 512, // positions whose softmax is summed before it is merged
    ATTENTION_TILE = 32,   // positions of one turn of it
    ATTENTION_ROWS = 16,   // rows of a warp: (token, query head) pairs that share a KV head
    ATTENTION_WARPS = 4,
    HEAD_TILE = 128, // rows of the head whose sums are kept together
};

struct step_token {
    int32_t id, position;
    int32_t page; // that its K and V go to
    int32_t segment;
};

struct step_run {
    int32_t first_token, n_tokens, position, conv_slot;
    int32_t snapshot;   // where the conv state before the step is kept, -1: in the slot
    int32_t first_page; // in `pages`
};

// A row of the product of a convolution: a token, with CONV_HALO one that is computed only for what
// the tokens behind it in the tile need; -1: none.
enum { CONV_HALO = 1 << 30 };

// Work of a block of attention. Own: its warps take one KV head each, kv_head + warp, and the same
// tokens; at most 16 rows. Shared: one KV head, 16 rows of the tokens a warp.
struct step_item {
    int32_t segment, first, n_tokens; // tokens of the segment
    int32_t kv_head, is_shared;
    int32_t chunk, n_chunks; // chunk -1: all of them, one after the other
    int32_t cell;            // of the segment's first chunk and KV head, when chunk >= 0
};

// A token whose logits are wanted, and what of them: wants first .. first + n - 1.
struct step_row {
    int32_t token, first, n, stored; // stored: row of the stored logits, -1: none
};
struct step_want {
    int32_t row, target; // target: of a score
    int32_t is_draw;
    int32_t needs_logits; // the draw looks at stored logits
    float temperature, top_p, min_p, penalty;
    int32_t top_k;
    uint32_t position, sample, seed_low, seed_high;
    int32_t seen;               // number of a bitmap of ids, -1: none
    int32_t first_bias, n_bias; // in bias_ids and biases
};

struct step_header {
    int32_t n_tokens, n_segments, n_conv_rows, n_snapshots, n_items, n_rows, n_wants, n_stored;
    // Bytes from the header's start.
    uint32_t tokens_at, runs_at, pages_at, conv_rows_at, snapshots_at, items_at, rows_at, wants_at;
    uint32_t seen_at, bias_ids_at, biases_at;
    uint32_t n_bytes;
};

#define STEP_ARRAY(type, name)                                                                     \
    ON_DEVICE const type *step_##name(const struct step_header *s) {                               \
        return (const type *)((const char *)s + s->name##_at);                                     \
    }
STEP_ARRAY(struct step_token, tokens) // (n_tokens)
STEP_ARRAY(struct step_run, runs)     // (n_segments)
STEP_ARRAY(int32_t, pages)            // of all segments
STEP_ARRAY(int32_t, conv_rows)        // (n_conv_rows), whole tiles
STEP_ARRAY(int32_t, snapshots)        // (n_snapshots) segments
STEP_ARRAY(struct step_item, items)   // (n_items)
STEP_ARRAY(struct step_row, rows)     // (n_rows)
STEP_ARRAY(struct step_want, wants)   // (n_wants)
STEP_ARRAY(uint32_t, seen)            // bitmaps of vocab bits, in whole words
STEP_ARRAY(int32_t, bias_ids)
STEP_ARRAY(float, biases)

#endif
