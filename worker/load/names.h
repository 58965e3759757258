// The weights of a shape and their names on the hub (transformers' state_dict):
//
//   model.embed_tokens.weight, model.embedding_norm.weight (the final norm), lm_head.weight
//   model.layers.I.{operator_norm,ffn_norm}.weight
//   model.layers.I.conv.{in_proj,conv,out_proj}.{weight,bias}
//   model.layers.I.self_attn.{q_proj,k_proj,v_proj,out_proj,q_layernorm,k_layernorm}.weight
//   model.layers.I.feed_forward.{w1,w3,w2}.weight
//   model.layers.I.feed_forward.gate.weight, model.layers.I.feed_forward.expert_bias
//   model.layers.I.feed_forward.experts.E.{w1,w3,w2}.weight
//
// and the two tensors into which transformers 5 fuses the experts of a layer in memory:
//
//   model.layers.I.feed_forward.experts.gate_up_proj (n_experts, 2 * ff_expert, hidden): w1's rows,
//     then w3's, of each expert
//   model.layers.I.feed_forward.experts.down_proj (n_experts, hidden, ff_expert): w2 of each
#ifndef WORKER_LOAD_NAMES_H
#define WORKER_LOAD_NAMES_H

#include <stdbool.h>
#include <stdint.h>

#include "kernels/kernels.h"
#include "protocol/base/slice.h"

enum { NAMES_MAX_BYTES = 96 };

// The weights of one shape, by index and by name. Read-only once made.
struct names {
    int n;
    struct weight *weights; // (n) weights_list of the shape
    uint64_t *hashes;       // (n) xxh3-64 of each name, for digests
    int *layer_first; // (n_layers + 1) index of each layer's first weight; then the final norm
    struct model_shape shape;
};

struct names *names_new(const struct model_shape *shape);
void names_free(struct names **n);

enum name_form {
    NAME_UNKNOWN,       // not a tensor of this shape
    NAME_WEIGHT,        // weight `index`
    NAME_FUSED_GATE_UP, // `index` is w1 of expert 0; w1 of expert e is index + 3 * e, w3 next to it
    NAME_FUSED_DOWN,    // `index` is w2 of expert 0; w2 of expert e is index + 3 * e
};

struct name_match {
    enum name_form form;
    int index;
};

// What a hub name stands for in this shape. In O(weights of a layer that are no experts').
struct name_match names_find(const struct names *n, struct slice name);

// Takes off the front of a name a prefix, or a decimal number below `limit`, without leading zeros,
// and the full stop behind it. False, and nothing taken, where it does not begin so.
bool names_skip(struct slice *name, const char *prefix);
bool names_skip_number(struct slice *name, int limit, int *out);

// Writes the hub name of a weight, 0-terminated. Returns its length. lm_head.weight is the name of
// WEIGHT_HEAD only; a tied head has the embedding's.
int names_write(const struct weight *w, char out[NAMES_MAX_BYTES]);

// A shape as text, such as "[192, 64]"; one that is very long is cut. Returns `out`.
enum { NAMES_MAX_DIMS_BYTES = 160 };
char *names_write_dims(const int64_t *dims, int n_dims, char out[NAMES_MAX_DIMS_BYTES]);

// The names of the fused tensors of a layer, and their shapes (3 dims).
int names_write_fused(const struct names *n, int layer, enum name_form form,
                      char out[NAMES_MAX_BYTES], int64_t dims[3]);

#endif
