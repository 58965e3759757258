// The launches of the CUDA backend, one function each, for its host side in C. Every function puts
// a kernel (or two) on the queue's stream and returns a cudaError_t as int. Pointers are of device
// memory; the arguments are frozen when a graph is recorded, so what changes from step to step is
// read from the step's description (step.h).
//
// Activations are rows of bf16, `stride` elements apart: the operand of the next product, rounded
// once, padded with zeros to whole tiles of columns. The residual stream h is float32. Launches
// of the head stand in ops_head.h, those that move weights and state in ops_memory.h.
#ifndef KERNELS_CUDA_OPS_H
#define KERNELS_CUDA_OPS_H

#include <stdint.h>

#include "kernels/cuda/step.h"
#include "kernels/cuda/tile.h"

#ifdef __cplusplus
extern "C" {
#endif

// The instructions of matrix products. A device has one family for products of all sizes, so that
// bits do not depend on the size of a batch.
enum family { FAMILY_MMA, FAMILY_WGMMA };

struct queue {
    void *stream; // cudaStream_t
    enum family family;
    int n_sms, max_shared_bytes;
    int is_programmatic; // kernels may begin before the one ahead has ended
};

struct matrix {
    const void *data; // tiles
    int n_rows;       // padded
    int n_tile_columns;
};

// Products take the least power of 2 that is not below the number of tokens, from 8 on, as
// max_tokens: their tiles are chosen by it. They are right for any number.
enum { LARGEST_TILE_SHARED = 120 * 1024 }; // of a block's memory, for tiles of 128 tokens

// ------------------------------------------------------------------ embed.cu

// h = embedding of each id; n = norm(h); sine and cosine of each position; the conv state of
// segments that are cut into several tiles is kept aside; counters are cleared.
struct embed {
    const struct step_header *step;
    struct matrix embedding;
    int hidden, stride; // of h and n
    const float *norm;
    float eps;
    float *h;
    void *n;
    const float *frequencies; // (n_rope)
    int n_rope;               // half of a head
    float *cosine, *sine;     // (max_tokens, n_rope)
    const void *slots;        // conv slots
    void *snapshots;          // (max_snapshots, conv layers, conv_width - 1, hidden)
    int64_t slot_bytes;
    int is_bf16; // conv state
    int n_conv_layers, n_ring, n_past;
    uint32_t *tickets; // (n_tickets)
    int n_tickets;
};
int embed_launch(const struct queue *q, const struct embed *a, int max_tokens);

// ------------------------------------------------------------------ rms_norm.cu

// n = x / sqrt(mean(x^2) + eps) * w of every token.
struct rms_norm {
    const struct step_header *step;
    const float *h, *w;
    void *n;
    int hidden, stride;
    float eps;
};
int rms_norm_launch(const struct queue *q, const struct rms_norm *a, int max_tokens);

// ------------------------------------------------------------------ matmul.cu

// h += W x (+ bias): the products that end a block. Behind its copies the matrix `ahead` of a later
// kernel goes to the L2 cache (data null: none), for steps of few tokens: in the kernels that
// follow tokens wait for each other, and the memory would rest. The family wgmma does it.
struct residual {
    const struct step_header *step;
    struct matrix w;
    const void *x;
    float *h;
    const float *bias; // (n_out) or null
    int x_stride, h_stride, n_out;
    struct matrix ahead;
};
int residual_launch(const struct queue *q, const struct residual *a, int max_tokens);

// ------------------------------------------------------------------ conv_block.cu

// (B, C, x) = W n (+ bias); u = B * x goes to the conv slots; y = C * (taps on u (+ bias)).
struct conv_in {
    const struct step_header *step;
    struct matrix w;
    const void *n;
    void *y;
    int stride, hidden, width, n_ring;
    const float *bias;      // (3 * hidden) or null
    const float *taps;      // (width, hidden)
    const float *taps_bias; // (hidden) or null
    void *slots;            // of this layer in slot 0
    const void *snapshots;  // of this layer in snapshot 0
    int64_t slot_bytes, snapshot_bytes;
    int is_bf16;
};
// The tile of tokens that the rows of the description are cut into.
int conv_in_tile(const struct queue *q, int max_tokens);
int conv_in_launch(const struct queue *q, const struct conv_in *a, int max_tokens);

// ------------------------------------------------------------------ feed_forward.cu

// act = silu(w1 n) * (w3 n), of the dense network.
struct gate {
    const struct step_header *step;
    struct matrix w; // w1 and w3 in turns
    const void *n;
    void *act;
    int n_stride, act_stride;
};
int gate_launch(const struct queue *q, const struct gate *a, int max_tokens);

// ------------------------------------------------------------------ router.cu

// An expert's rows first .. first + n - 1 of the sorted pairs, at most a tile of tokens.
struct expert_tile {
    int32_t expert, first, n;
};
// Pairs are (token, place in its selection), numbered token * n_used + place.
struct routes {
    uint16_t *chosen;          // (max_tokens, MoE layers, n_used), for the host
    float *weights;            // (max_tokens * n_used) by pair
    int32_t *experts;          // likewise
    int32_t *sorted;           // pairs by expert, in order of the pair
    struct expert_tile *tiles; // (n_tiles)
    int32_t *n_tiles;
    float *logits;      // (max_tokens, n_experts)
    uint32_t *counters; // (1 + max_tokens) blocks that are done; 0 between launches
};
// n = norm(h); the experts of every token; then, by the block that ends last, the lists.
struct router {
    const struct step_header *step;
    const float *h, *norm;
    void *n;
    int hidden, stride;
    float eps;
    const void *w; // (n_experts, stride), bf16 or float32
    int is_bf16;
    const float *bias; // (n_experts) or null
    int n_experts, n_used, norm_topk;
    float scale;
    struct routes routes;
    int moe_index, n_moe;
    int token_tile; // of the lists
};
int router_launch(const struct queue *q, const struct router *a, int max_tokens);

// ------------------------------------------------------------------ experts.cu

// act[i] = silu(w1 n) * (w3 n) for sorted pair i, rows of n gathered by token.
struct expert_gate {
    struct matrix w; // of expert 0
    int64_t expert_bytes;
    const void *n;
    void *act;
    int n_stride, act_stride, n_used;
    struct routes routes;
};
// The largest token_tile of the lists that both launches take: 64, 128 or 256.
int expert_most_tokens(const struct queue *q, const struct matrix *gate, const struct matrix *down);
int expert_gate_launch(const struct queue *q, const struct expert_gate *a, int token_tile);

// y[pair] = w2 act[i] for sorted pair i, as bf16.
struct expert_down {
    struct matrix w;
    int64_t expert_bytes;
    const void *act;
    void *y;
    int act_stride, y_stride, n_out;
    struct routes routes;
};
int expert_down_launch(const struct queue *q, const struct expert_down *a, int token_tile);

// h += sum over k in order of g[k] * y[token, k]; n = norm(h) with the next block's weight.
struct combine {
    const struct step_header *step;
    const void *y;
    const float *weights; // (pairs)
    float *h;
    const float *norm;
    void *n;
    int hidden, stride, y_stride, n_used;
    float eps;
};
int combine_launch(const struct queue *q, const struct combine *a, int max_tokens);

// ------------------------------------------------------------------ attention_block.cu

// q, k, v = W n; q and k through their norm and the rotation; q to memory, k and v to their pages.
struct qkv {
    const struct step_header *step;
    struct matrix w;
    const void *n;
    void *q; // (max_tokens, q_stride), head_rows a head
    int n_stride, q_stride;
    int n_heads, n_kv_heads, head_dim, head_rows;
    const float *q_norm, *k_norm; // (head_dim)
    float eps;
    const float *cosine, *sine; // (max_tokens, head_dim / 2)
    void *pages;                // this layer's part of page 0
    int64_t page_bytes;
    int page_tokens, is_bf16;
};
int qkv_launch(const struct queue *q, const struct qkv *a, int max_tokens);

// ------------------------------------------------------------------ attention.cu

struct attention {
    const struct step_header *step;
    const void *q;
    void *out; // (max_tokens, q_stride) bf16
    int q_stride;
    int n_heads, n_kv_heads, head_dim, head_rows;
    float scale;
    const void *pages; // this layer's part of page 0
    int64_t page_bytes;
    int page_tokens, is_bf16;
    float *cells;       // (n_cells, 16 * head_rows + 32): sums of a chunk, then maxima and weights
    uint32_t *counters; // (n_cells) chunks that are done, at the first cell; 0 between launches
    uint32_t *ticket;   // this layer's; cleared by embed
};
int attention_launch(const struct queue *q, const struct attention *a);

#ifdef __cplusplus
}
#endif
#endif
