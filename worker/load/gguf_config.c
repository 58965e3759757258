#include "worker/load/gguf_config.h"

#include <stdio.h>
#include <string.h>

struct reader {
    const struct gguf *g;
    const char *arch;
    struct error *err;
};

// Keys but the general ones begin with the architecture.
static const struct gguf_key *find(const struct reader *r, const char *name, char full[96]) {
    snprintf(full, 96, "%s.%s", r->arch, name);
    return gguf_find(r->g, full);
}

static int refuse(const struct reader *r, const char *key, const char *expected) {
    return error_set(r->err, ERROR_CONFIG, "Key \"%s\" is %s; %s was expected.", key,
                     gguf_find(r->g, key) ? "not usable" : "missing", expected);
}

// 1: it is there, 0: it is not, -1: it is wrong.
static int read_int(const struct reader *r, const char *name, int low, int high, int *out) {
    char key[96], expected[64];
    const struct gguf_key *k = find(r, name, key);
    int64_t v = 0;
    if (!k) return 0;
    if (k->kind != GGUF_ARRAY && !gguf_int(k, 0, &v) && v >= low && v <= high) {
        *out = (int)v;
        return 1;
    }
    snprintf(expected, sizeof expected, "a whole number from %d to %d", low, high);
    return refuse(r, key, expected);
}

static int need_int(const struct reader *r, const char *name, int low, int high, int *out) {
    char key[96], expected[64];
    int found = read_int(r, name, low, high, out);
    if (found) return found < 0 ? -1 : 0;
    find(r, name, key);
    snprintf(expected, sizeof expected, "a whole number from %d to %d", low, high);
    return refuse(r, key, expected);
}

static int read_number(const struct reader *r, const char *name, double low, double high,
                       float *out) {
    char key[96], expected[64];
    const struct gguf_key *k = find(r, name, key);
    double v;
    if (k && !gguf_float(k, &v) && v >= low && v <= high) {
        *out = (float)v;
        return 0;
    }
    snprintf(expected, sizeof expected, "a number from %g to %g", low, high);
    return refuse(r, key, expected);
}

// Every layer's number of heads of keys and values: 0 for convolutions, else the same.
static int read_layers(const struct reader *r, struct model_shape *s) {
    char key[96];
    const struct gguf_key *k = find(r, "attention.head_count_kv", key);
    if (!k || k->kind != GGUF_ARRAY || k->n != (uint64_t)s->n_layers)
        return refuse(r, key, "an array with a number for each layer");
    for (int i = 0; i < s->n_layers; i++) {
        int64_t n = -1;
        bool is_wrong = gguf_int(k, (uint64_t)i, &n) || n < 0 || n > CONFIG_MAX_HEADS ||
                        (n && s->n_kv_heads && n != s->n_kv_heads);
        if (is_wrong) return refuse(r, key, "0 for convolutions and one other number");
        if (!n) continue;
        s->is_attention[i] = true;
        s->n_kv_heads = (int)n;
    }
    if (!s->n_kv_heads) return refuse(r, key, "at least one layer of attention");
    return 0;
}

static int read_heads(const struct reader *r, struct model_shape *s) {
    if (need_int(r, "attention.head_count", 1, CONFIG_MAX_HEADS, &s->n_heads)) return -1;
    s->head_dim = s->hidden / s->n_heads;
    int found = read_int(r, "attention.key_length", 1, CONFIG_MAX_HEAD_DIM, &s->head_dim);
    if (found < 0) return -1;
    bool is_whole = found || s->hidden % s->n_heads == 0;
    if (is_whole && s->n_heads % s->n_kv_heads == 0 && s->head_dim % 2 == 0 && s->head_dim > 0)
        return 0;
    return error_set(r->err, ERROR_CONFIG,
                     "%d heads, %d of keys and values, of %d hidden values are not possible; equal "
                     "heads of an even size were expected.",
                     s->n_heads, s->n_kv_heads, s->hidden);
}

// A dimension of a tensor of the first layer that has it.
static int read_dim(const struct reader *r, int layer, const char *kind, int dim, int high,
                    int *out) {
    char name[GGUF_NAME_BYTES];
    if (layer < 0)
        snprintf(name, sizeof name, "%s", kind);
    else
        snprintf(name, sizeof name, "blk.%d.%s", layer, kind);
    const struct gguf_tensor *t = gguf_find_tensor(r->g, name);
    if (!t || dim >= t->n_dims)
        return error_set(r->err, ERROR_CONFIG,
                         "Tensor \"%s\" is missing or has too few dimensions; it was expected.",
                         name);
    if (t->dims[dim] > high)
        return error_set(r->err, ERROR_CONFIG,
                         "Tensor \"%s\" has a dimension of %lld; at most %d was expected.", name,
                         (long long)t->dims[dim], high);
    *out = (int)t->dims[dim];
    return 0;
}

static int read_experts(const struct reader *r, struct model_shape *s) {
    int gating = 2;
    char key[96];
    s->norm_topk = true;
    s->routed_scale = 1;
    if (need_int(r, "leading_dense_block_count", 0, s->n_layers, &s->n_dense_layers) ||
        need_int(r, "expert_count", 1, MODEL_MAX_EXPERTS, &s->n_experts) ||
        need_int(r, "expert_used_count", 1, MODEL_MAX_EXPERTS_USED, &s->n_experts_used) ||
        read_int(r, "expert_gating_func", 0, 255, &gating) < 0)
        return -1;
    if (gating != 2)
        return error_set(r->err, ERROR_CONFIG,
                         "Key \"%s.expert_gating_func\" is %d; 2, the sigmoid, was "
                         "expected.",
                         r->arch, gating);
    if (find(r, "expert_weights_scale", key) &&
        read_number(r, "expert_weights_scale", 1e-6, 1e6, &s->routed_scale))
        return -1;
    if (s->n_experts_used > s->n_experts)
        return error_set(r->err, ERROR_CONFIG,
                         "Of %d experts a token uses %d; at most as many were expected.",
                         s->n_experts, s->n_experts_used);
    if (s->n_dense_layers == s->n_layers) {
        s->n_experts = s->n_experts_used = 0;
        return 0;
    }
    char bias[GGUF_NAME_BYTES];
    snprintf(bias, sizeof bias, "blk.%d.exp_probs_b.bias", s->n_dense_layers);
    s->use_expert_bias = gguf_find_tensor(r->g, bias);
    return read_dim(r, s->n_dense_layers, "ffn_gate_exps.weight", 1, CONFIG_MAX_WIDTH,
                    &s->ff_expert);
}

static int read_shape(const struct reader *r, struct model_shape *s, bool moe) {
    if (need_int(r, "block_count", 1, MODEL_MAX_LAYERS, &s->n_layers) ||
        need_int(r, "embedding_length", 1, CONFIG_MAX_HIDDEN, &s->hidden) ||
        need_int(r, "context_length", 1, CONFIG_MAX_POSITIONS, &s->max_positions) ||
        need_int(r, "shortconv.l_cache", 2, MODEL_MAX_CONV_WIDTH, &s->conv_width) ||
        read_number(r, "attention.layer_norm_rms_epsilon", 1e-12, 0.1, &s->norm_eps) ||
        read_number(r, "rope.freq_base", 1, 1e12, &s->rope_theta) || read_layers(r, s) ||
        read_heads(r, s) || read_dim(r, -1, "token_embd.weight", 1, CONFIG_MAX_VOCAB, &s->vocab))
        return -1;
    s->tied_head = !gguf_find_tensor(r->g, "output.weight");
    char bias[GGUF_NAME_BYTES]; // of convolutions; llama.cpp has none
    for (int i = 0; i < s->n_layers; i++) {
        if (s->is_attention[i]) continue;
        snprintf(bias, sizeof bias, "blk.%d.shortconv.conv.bias", i);
        s->conv_bias = gguf_find_tensor(r->g, bias);
        break;
    }
    s->n_dense_layers = s->n_layers;
    if (moe && read_experts(r, s)) return -1;
    if (s->n_dense_layers == 0) return 0;
    return read_dim(r, 0, "ffn_gate.weight", 1, CONFIG_MAX_WIDTH, &s->ff_dense);
}

static int read_id(const struct reader *r, const char *key, int vocab, int32_t *out) {
    const struct gguf_key *k = gguf_find(r->g, key);
    int64_t id;
    *out = -1;
    if (!k) return 0;
    if (gguf_int(k, 0, &id) || id < 0 || id >= vocab) return refuse(r, key, "an id of a token");
    *out = (int32_t)id;
    return 0;
}

int gguf_config(const struct gguf *g, struct model_config *out, struct error *err) {
    const struct gguf_key *arch = gguf_find(g, "general.architecture");
    struct slice name = arch && arch->kind == GGUF_STRING ? arch->bytes : slice_of("nothing");
    bool moe = slice_is(name, "lfm2moe");
    if (!moe && !slice_is(name, "lfm2"))
        return error_set(err, ERROR_CONFIG,
                         "Key \"general.architecture\" is \"%.*s\"; \"lfm2\" or \"lfm2moe\" was "
                         "expected.",
                         SLICE_ARG(name));
    struct reader r = {g, moe ? "lfm2moe" : "lfm2", err};
    struct model_config c = {.family = moe ? "lfm2_moe" : "lfm2", .dtype = DTYPE_BF16};
    int32_t eos;
    if (read_shape(&r, &c.shape, moe) ||
        read_id(&r, "tokenizer.ggml.bos_token_id", c.shape.vocab, &c.bos_id) ||
        read_id(&r, "tokenizer.ggml.padding_token_id", c.shape.vocab, &c.pad_id) ||
        read_id(&r, "tokenizer.ggml.eos_token_id", c.shape.vocab, &eos))
        return -1;
    if (eos >= 0) c.end_ids[c.n_end_ids++] = eos;
    *out = c;
    return 0;
}
