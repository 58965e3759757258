// config.json of a checkpoint of the LFM2 family, read into the shape that the backends take.
//
// Old and new spellings are understood: rope_theta flat or in rope_parameters, tie_embedding or
// tie_word_embeddings, full_attn_idxs or layer_types, num_local_experts or num_experts, torch_dtype
// or dtype, block_norm_eps or norm_eps, block_ff_dim or intermediate_size. A key that is given
// twice with different meanings is refused, save block_ff_dim, which wins as in transformers.
//
// transformers' class defaults are not the values of any released model, so dimensions are never
// guessed: a key that is missing is refused. Only switches whose default is the same in every
// release have one: tied head (true), conv_bias (false), use_expert_bias (true), norm_topk_prob
// (true), routed_scaling_factor (1), head_dim (hidden_size / num_attention_heads),
// block_auto_adjust_ff_dim (true), block_ffn_dim_multiplier (1), block_multiple_of (256).
#ifndef WORKER_LOAD_CONFIG_H
#define WORKER_LOAD_CONFIG_H

#include <stdbool.h>
#include <stdint.h>

#include "kernels/kernels.h"
#include "kernels/tensor.h"
#include "protocol/base/error.h"
#include "protocol/base/slice.h"

enum { CONFIG_MAX_END_IDS = 64, CONFIG_MAX_FILE_BYTES = 16 << 20 };

// Bounds of every dimension, so that no product of a few of them overflows an int64.
enum {
    CONFIG_MAX_VOCAB = 1 << 21,
    CONFIG_MAX_HIDDEN = 1 << 16,
    CONFIG_MAX_HEADS = 1024,
    CONFIG_MAX_HEAD_DIM = 1024,
    CONFIG_MAX_WIDTH = 1 << 20,
    CONFIG_MAX_POSITIONS = 1 << 24,
};

struct model_config {
    struct model_shape shape;
    const char *family;                  // "lfm2" or "lfm2_moe", static
    enum dtype dtype;                    // what the file says, bf16 where it is silent; tensors
                                         // have types of their own
    int32_t end_ids[CONFIG_MAX_END_IDS]; // (n_end_ids) eos_token_id of config.json, then of
    int n_end_ids;                       // generation_config.json, each once
    int32_t bos_id, pad_id;              // -1 where the file has none
};

// Reads `directory`/config.json and, where there is one, generation_config.json. -1 with
// ERROR_CONFIG: the sentence names the file, the key, the value found and what was expected.
int config_load(const char *directory, struct model_config *out, struct error *err);

// The same from bytes; `generation_json` may be empty. Neither is needed after the call.
int config_parse(struct slice config_json, struct slice generation_json, struct model_config *out,
                 struct error *err);

// The shapes that `--synthetic` knows, without files: "24b" (LFM2-24B-A2B), "8b" (LFM2-8B-A1B),
// "2.6b", "1.2b", "700m", "350m" (the dense LFM2 of these sizes), "tiny" (a mixture of experts of
// about a million parameters). Types are bf16.
// An unknown name is ERROR_USAGE.
int config_synthetic(const char *name, struct model_config *out, struct error *err);

// Parameters of the shape: all tensors once, a tied head once.
int64_t config_n_parameters(const struct model_shape *s);
// Parameters that one token passes through: n_experts_used experts a MoE layer, all else whole,
// the embedding counted once.
int64_t config_n_active(const struct model_shape *s);

#endif
