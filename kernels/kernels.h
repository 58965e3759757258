// The contract between the engine and a backend (design D2): blocks of the network, weights, and
// the state of sequences. The CPU backend is linked in; others are opened by name.
//
// Rules for every function here
// - Bits (D3): what a position computes depends on the weights and on the ids up to it. Every sum
//   has an order that the weight's shape and the row alone fix: never the batch, the chunking, the
//   thread count. No float atomics, no fast-math, no libm in kernels (kernels/math.h has ours).
// - One thread (the engine's) calls a backend; the backend may use threads of its own inside.
// - Arguments are the programmer's: they are asserted. Errors come from the world: memory, device.
// - Formulas: reference/model.md of the design documents, after Hugging Face transformers
//   (models/lfm2, models/lfm2_moe); where it rounds to bf16, a backend keeps float32.
#ifndef KERNELS_KERNELS_H
#define KERNELS_KERNELS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "kernels/tensor.h"
#include "protocol/base/error.h"

// ------------------------------------------------------------------ the network

enum {
    MODEL_MAX_LAYERS = 256,
    MODEL_MAX_EXPERTS = 1024,
    MODEL_MAX_EXPERTS_USED = 32,
    MODEL_MAX_CONV_WIDTH = 8
};

// Every dimension of one LFM2 checkpoint. Layer i is attention where is_attention[i], else a short
// convolution; its feed-forward is dense for i < n_dense_layers, else a mixture of experts.
struct model_shape {
    int n_layers, hidden, vocab; // vocab: rows of the head, the tokenizer may know fewer ids
    int n_heads, n_kv_heads, head_dim;
    int conv_width;               // taps of the short convolution (conv_L_cache), state = width-1
    int n_dense_layers, ff_dense; // n_dense_layers == n_layers for the dense family
    int n_experts, n_experts_used, ff_expert; // 0, 0, 0 for the dense family
    int max_positions;
    float norm_eps, rope_theta, routed_scale;
    bool norm_topk, use_expert_bias, conv_bias, tied_head;
    bool is_attention[MODEL_MAX_LAYERS];
};

static inline bool shape_is_moe(const struct model_shape *s, int layer) {
    return layer >= s->n_dense_layers;
}
int shape_n_attention(const struct model_shape *s);                // attention layers
int shape_n_moe(const struct model_shape *s);                      // MoE layers
int shape_attention_index(const struct model_shape *s, int layer); // among attention layers
int shape_conv_index(const struct model_shape *s, int layer);      // among conv layers
int shape_moe_index(const struct model_shape *s, int layer);       // among MoE layers

// ------------------------------------------------------------------ weights

enum weight_kind {
    WEIGHT_EMBED,          // (vocab, hidden); the head too when tied
    WEIGHT_HEAD,           // (vocab, hidden), only when not tied
    WEIGHT_FINAL_NORM,     // (hidden)
    WEIGHT_OPERATOR_NORM,  // (hidden)
    WEIGHT_FFN_NORM,       // (hidden)
    WEIGHT_CONV_IN,        // (3 * hidden, hidden): rows B, then C, then x
    WEIGHT_CONV_IN_BIAS,   // (3 * hidden)
    WEIGHT_CONV_TAPS,      // (hidden, 1, conv_width): the last tap multiplies the current token
    WEIGHT_CONV_TAPS_BIAS, // (hidden)
    WEIGHT_CONV_OUT,       // (hidden, hidden)
    WEIGHT_CONV_OUT_BIAS,  // (hidden)
    WEIGHT_Q,              // (n_heads * head_dim, hidden)
    WEIGHT_K,              // (n_kv_heads * head_dim, hidden)
    WEIGHT_V,              // (n_kv_heads * head_dim, hidden)
    WEIGHT_ATTENTION_OUT,  // (hidden, n_heads * head_dim)
    WEIGHT_Q_NORM,         // (head_dim), shared by all heads
    WEIGHT_K_NORM,         // (head_dim)
    WEIGHT_W1,             // gate (ff_dense, hidden); of expert e: (ff_expert, hidden)
    WEIGHT_W3,             // up, as w1
    WEIGHT_W2,             // down (hidden, ff_dense); of expert e: (hidden, ff_expert)
    WEIGHT_ROUTER,         // (n_experts, hidden)
    WEIGHT_EXPERT_BIAS,    // (n_experts), added to the selection scores only
    N_WEIGHT_KINDS,
};

// One tensor of the model as the hub names it: one per expert, a tied head once.
struct weight {
    enum weight_kind kind;
    int layer;  // -1 for the embedding, the head and the final norm
    int expert; // -1 unless an expert's
    int n_dims;
    int64_t dims[3];
};

// All weights of a shape in canonical order: embedding, layers 0.. (norms, operator, feed-forward,
// experts 0.. each w1, w3, w2), final norm, head. A weight's index in this list is its identity in
// loaders, updates and digests. Returns the number; *out is the caller's, to free().
int weights_list(const struct model_shape *shape, struct weight **out);
int64_t weight_n(const struct weight *w); // elements

// ------------------------------------------------------------------ one step

// Tokens first_token .. first_token + n_tokens - 1 of a step belong to one sequence and stand at
// positions position, position + 1, .... K and V of position p live in page
// pages[p / page_tokens]; all pages up to the segment's last position are there, and those which
// the segment writes are held by this sequence alone. The conv slot holds the state before
// `position` and is advanced by the step. No two segments of a step share a conv slot.
struct step_segment {
    int first_token, n_tokens;
    int position;
    int conv_slot;
    const int32_t *pages; // (n_pages)
    int n_pages;
};

// How a token is drawn (design D4, D5), in this order: logits + bias, repetition penalty (ids in
// `seen`: logit / r when positive, logit * r otherwise), / temperature, top-k (ties with the k-th
// survive), top-p (in order of falling probability, lower id first; the id that crosses p is
// kept), min-p (p >= min_p * largest p), renormalise. Ids that the tokenizer lacks never survive:
// they are out before top-k and take no part in any of its sums.
// The draw is argmax over survivors of logit + g, ties to the lowest id; g from Philox4x32-10 with
// key = seed and counter (id, position, sample, 0). At temperature 0: argmax, lp_behav = 0.
struct draw {
    float temperature, top_p, min_p, repetition_penalty; // off: top_p 1, min_p 0, penalty 1
    int top_k;                                           // off: 0
    uint64_t seed;                                       // of the group
    uint32_t position;                                   // of the token to be drawn
    uint32_t sample;
    const int32_t *seen; // (n_seen) distinct ids of prompt and output; read when penalty != 1
    int n_seen;
    const int32_t *bias_ids; // (n_bias) distinct ids
    const float *bias;       // (n_bias)
    int n_bias;
};

// What is wanted of one token's logits. SCORE: lp_full of `target` at `temperature`.
// DRAW: an id, its lp_full and lp_behav. Several outputs may name one token; they are in order of
// their tokens.
struct step_output {
    int token; // index into the step's tokens
    bool is_draw;
    int32_t target;    // SCORE
    float temperature; // SCORE; 0 counts as 1
    struct draw draw;  // DRAW
};

// The description of a step. It is copied by begin(); the arrays inside are read until wait().
struct step {
    int n_tokens, n_segments, n_outputs;
    const int32_t *ids;                  // (n_tokens)
    const struct step_segment *segments; // (n_segments), covering the tokens in order
    const struct step_output *outputs;   // (n_outputs)
    bool want_routes;
};

// Where wait() puts results; the arrays are the caller's.
struct step_result {
    int32_t *ids;     // (n_outputs) drawn id; for SCORE the target
    float *lp_full;   // (n_outputs) log-softmax of logits / temperature over all rows of the head
    float *lp_behav;  // (n_outputs) under the distribution that was drawn from; 0 for SCORE
    uint8_t *bad;     // (n_outputs) 1 when any logit of the row is not finite: nothing else holds
    uint16_t *routes; // (n_tokens, MoE layers, n_experts_used) experts in order of falling
                      // selection score, ties to the lowest expert; filled when want_routes
};

// ------------------------------------------------------------------ a backend

struct backend;

struct backend_options {
    struct model_shape shape;
    const enum dtype *weight_dtypes; // (weights of the shape) resident type of each, by index
    enum dtype kv_dtype;             // of KV pages and conv state: DTYPE_F32 or DTYPE_BF16
    int n_threads;                   // of the CPU backend; 0: one a core
    int page_tokens, n_pages, n_conv_slots; // page_tokens: 1 .. 256
    int max_tokens, max_outputs;            // of one step
    const uint8_t *id_exists; // (vocab) 1 where the tokenizer knows the id; NULL: all; copied
    const char *isa; // of the CPU backend: NULL the fastest that runs here, "portable", "avx2"
};

// Bytes of one KV page (all attention layers, K and V) and of one conv slot (all conv layers): the
// layout is the backend's, the size is this on all of them.
size_t kernels_page_bytes(const struct model_shape *s, enum dtype kv, int page_tokens);
size_t kernels_conv_bytes(const struct model_shape *s, enum dtype kv);

struct backend_ops {
    const char *name; // "cpu", "cuda", ...

    // All memory is taken here. -1 with a sentence when it is not to be had.
    int (*open)(const struct backend_options *o, struct backend **out, struct error *err);
    void (*close)(struct backend **b);
    // What decides bits beside the weights: instruction set path and types, such as
    // "cpu-avx2 kv=f32". Lives as long as the backend.
    const char *(*numerics)(const struct backend *b);
    size_t (*memory_bytes)(const struct backend *b); // weights, pages, slots and scratch
    // The machine's limit beside which a speed is told: floating-point operations a second of
    // multiply-adds with operands in registers, on all threads. Takes some tens of milliseconds.
    double (*peak_flops)(struct backend *b);

    // Weights, by index of weights_list. Values are in the weight's resident dtype, in the
    // checkpoint's element order (row-major), `first` .. `first` + `n` - 1, in any alignment.
    // Never called between begin and wait.
    void (*weight_write)(struct backend *b, int index, int64_t first, int64_t n, const void *v);
    void (*weight_read)(const struct backend *b, int index, int64_t first, int64_t n, void *v);

    // State. Pages are uninitialised; a step writes before it reads. Host copies have
    // kernels_page_bytes and kernels_conv_bytes and are only for the same backend and shape.
    void (*page_copy)(struct backend *b, int from, int to);
    void (*page_out)(struct backend *b, int page, void *host);
    void (*page_in)(struct backend *b, int page, const void *host);
    void (*conv_clear)(struct backend *b, int slot); // zeros: the state at position 0
    void (*conv_copy)(struct backend *b, int from, int to);
    void (*conv_out)(struct backend *b, int slot, void *host);
    void (*conv_in)(struct backend *b, int slot, const void *host);

    // A step: begin, the blocks in the order of the network, submit, wait. The residual stream
    // (n_tokens, hidden) is the backend's. A block may fuse what it likes inside.
    void (*begin)(struct backend *b, const struct step *step);
    void (*embed)(struct backend *b);                // h = embedding row of each id
    void (*conv)(struct backend *b, int layer);      // h += out(C * conv(B * x)) of norm(h)
    void (*attention)(struct backend *b, int layer); // h += out(attention(norm(h)))
    void (*dense)(struct backend *b, int layer);     // h += w2(silu(w1 n) * (w3 n)), n = norm(h)
    void (*moe)(struct backend *b, int layer);       // h += sum of g_e * expert_e(n), n = norm(h)
    void (*head)(struct backend *b);                 // final norm, logits, outputs
    void (*submit)(struct backend *b);
    int (*wait)(struct backend *b, struct step_result *result, struct error *err);
};

struct backend {
    const struct backend_ops *ops; // first member of every backend's own struct
};

// The operations behind a device name: "cpu". An unknown name is ERROR_USAGE.
const struct backend_ops *kernels_find(const char *device, struct error *err);

#endif
