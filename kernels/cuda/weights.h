// The resident weights: matrices in tiles (tile.h), vectors as float32, and where each tensor of
// the checkpoint lies in them.
#ifndef KERNELS_CUDA_WEIGHTS_H
#define KERNELS_CUDA_WEIGHTS_H

#include "kernels/cuda/ops_memory.h"
#include "kernels/kernels.h"

// Tensors that a product computes together are one matrix: q, k, v; w1 and w3. A mixture's experts
// lie one behind the other. What a layer lacks is null.
struct layer {
    const float *operator_norm, *ffn_norm;
    struct matrix conv_in, conv_out;
    const float *conv_in_bias, *taps, *taps_bias, *conv_out_bias;
    struct matrix qkv, attention_out;
    const float *q_norm, *k_norm;
    struct matrix gate, down;       // of expert 0 or the dense network
    int64_t gate_bytes, down_bytes; // of one expert
    const void *router;
    const float *expert_bias;
    bool router_is_bf16;
};

struct weights {
    int n;
    struct weight_move *places; // (n) by index of weights_list; plain, first, n are the caller's
    int64_t *sizes;             // (n) elements
    struct layer *layers;
    struct matrix embed, head; // the same data when tied
    const float *final_norm;
    size_t bytes;
};

// Rows of a head in the matrices of attention: 32 or 64. 0: head_dim is too large for the kernels.
int weights_head_rows(const struct model_shape *s);

// -1 with a sentence: matrices are bf16 here, a router's bf16 or float32.
int weights_check(const struct model_shape *s, const enum dtype *dtypes, struct error *err);

// Lays the weights out from `base` on, which must be zeros; NULL: only counts bytes.
void weights_lay(struct weights *w, const struct model_shape *s, const enum dtype *dtypes,
                 char *base);
void weights_free(struct weights *w);

#endif
