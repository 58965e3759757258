// The network: every dimension of an LFM2 checkpoint, and the list of its weights.
#ifndef KERNELS_SHAPE_H
#define KERNELS_SHAPE_H

#include <stdbool.h>
#include <stdint.h>

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
    int conv_width;                           // taps of the short convolution (conv_L_cache)
    int n_dense_layers, ff_dense;             // n_dense_layers == n_layers for the dense family
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

#endif
