#include "worker/load/gguf_write.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "kernels/types/types.h"
#include "worker/load/gguf_config.h"

enum { VERSION = 3, ALIGNMENT = 32, QUANTIZATION_VERSION = 2 };

static void add_u32(struct buffer *b, uint32_t v) {
    buffer_add(b, &v, sizeof v);
}

static void add_u64(struct buffer *b, uint64_t v) {
    buffer_add(b, &v, sizeof v);
}

void gguf_add_string(struct buffer *b, struct slice s) {
    add_u64(b, s.len);
    buffer_add_slice(b, s);
}

void gguf_add_key(struct buffer *b, const char *name, enum gguf_kind kind) {
    gguf_add_string(b, slice_of(name));
    add_u32(b, kind);
}

void gguf_add_u32(struct buffer *b, const char *name, uint32_t v) {
    gguf_add_key(b, name, GGUF_UINT32);
    add_u32(b, v);
}

static void add_float(struct buffer *b, const char *name, float v) {
    gguf_add_key(b, name, GGUF_FLOAT32);
    buffer_add(b, &v, sizeof v);
}

void gguf_add_text(struct buffer *b, const char *name, struct slice text) {
    gguf_add_key(b, name, GGUF_STRING);
    gguf_add_string(b, text);
}

void gguf_add_flag(struct buffer *b, const char *name, bool v) {
    uint8_t byte = v;
    gguf_add_key(b, name, GGUF_BOOL);
    buffer_add(b, &byte, 1);
}

void gguf_add_array(struct buffer *b, const char *name, enum gguf_kind element, uint64_t n) {
    gguf_add_key(b, name, GGUF_ARRAY);
    add_u32(b, element);
    add_u64(b, n);
}

// ------------------------------------------------------------------ the shape

struct keys {
    struct buffer *b;
    const char *arch;
    uint64_t n;
};

static void key_name(const struct keys *k, const char *name, char full[96]) {
    snprintf(full, 96, "%s.%s", k->arch, name);
}

static void number(struct keys *k, const char *name, int v) {
    char full[96];
    key_name(k, name, full);
    gguf_add_u32(k->b, full, (uint32_t)v);
    k->n++;
}

static void real(struct keys *k, const char *name, float v) {
    char full[96];
    key_name(k, name, full);
    add_float(k->b, full, v);
    k->n++;
}

static void heads_of_layers(struct keys *k, const struct model_shape *s) {
    char full[96];
    key_name(k, "attention.head_count_kv", full);
    gguf_add_array(k->b, full, GGUF_INT32, (uint64_t)s->n_layers);
    for (int i = 0; i < s->n_layers; i++)
        add_u32(k->b, s->is_attention[i] ? (uint32_t)s->n_kv_heads : 0);
    k->n++;
}

static void experts(struct keys *k, const struct model_shape *s) {
    number(k, "expert_count", s->n_experts);
    number(k, "expert_used_count", s->n_experts_used);
    number(k, "expert_feed_forward_length", s->ff_expert);
    number(k, "leading_dense_block_count", s->n_dense_layers);
    number(k, "expert_gating_func", 2); // the sigmoid
    if (s->routed_scale < 1 || s->routed_scale > 1)
        real(k, "expert_weights_scale", s->routed_scale);
}

static void shape(struct keys *k, const struct model_shape *s) {
    number(k, "block_count", s->n_layers);
    number(k, "context_length", s->max_positions);
    number(k, "embedding_length", s->hidden);
    number(k, "feed_forward_length", s->n_dense_layers ? s->ff_dense : s->ff_expert);
    number(k, "attention.head_count", s->n_heads);
    heads_of_layers(k, s);
    real(k, "attention.layer_norm_rms_epsilon", s->norm_eps);
    real(k, "rope.freq_base", s->rope_theta);
    number(k, "vocab_size", s->vocab);
    number(k, "shortconv.l_cache", s->conv_width);
    if (s->head_dim * s->n_heads != s->hidden) {
        number(k, "attention.key_length", s->head_dim);
        number(k, "attention.value_length", s->head_dim);
        number(k, "rope.dimension_count", s->head_dim);
    }
    if (shape_n_moe(s)) experts(k, s);
}

static int check_shape(const struct model_shape *s, struct error *err) {
    if (shape_n_moe(s) && !s->norm_topk)
        return error_set(err, ERROR_CONFIG,
                         "\"norm_topk_prob\" is false; true was expected, as GGUF files of this "
                         "family have no word for it.");
    return 0;
}

// ------------------------------------------------------------------ tensors

// A stack of experts' matrices is one tensor, described where expert 0's stands.
static bool is_described(const struct weight *w) {
    return w->expert <= 0;
}

static uint64_t weight_bytes(const struct checkpoint *c, int i) {
    return type_size(c->dtypes[i], weight_n(&c->names->weights[i]));
}

uint64_t gguf_write_places(const struct checkpoint *c, uint64_t *offsets) {
    const struct names *n = c->names;
    uint64_t at = 0;
    for (int i = 0; i < n->n; i++) {
        const struct weight *w = &n->weights[i];
        if (!is_described(w)) continue;
        int copies = w->expert < 0 ? 1 : n->shape.n_experts;
        for (int e = 0; e < copies; e++) {
            offsets[i + 3 * e] = at;
            at += weight_bytes(c, i);
        }
        at = (at + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT;
    }
    return at;
}

static void describe(const struct checkpoint *c, int i, uint64_t offset, struct buffer *out) {
    const struct weight *w = &c->names->weights[i];
    char name[GGUF_NAME_BYTES];
    int64_t dims[GGUF_MAX_DIMS];
    int n_dims = gguf_names_dims(&c->names->shape, w, w->expert == 0, dims);
    gguf_names_write(w, name);
    gguf_add_string(out, slice_of(name));
    add_u32(out, (uint32_t)n_dims);
    for (int d = 0; d < n_dims; d++) add_u64(out, (uint64_t)dims[d]);
    add_u32(out, gguf_type_number(c->dtypes[i]));
    add_u64(out, offset);
}

int gguf_write_head(const struct checkpoint *c, uint32_t file_type, const struct tokenizer *t,
                    struct slice chat_template, struct buffer *out, struct error *err) {
    const struct names *n = c->names;
    struct buffer values = {0};
    struct keys k = {&values, strcmp(c->config.family, "lfm2") == 0 ? "lfm2" : "lfm2moe", 0};
    uint64_t n_tensors = 0, n_keys = 4;
    if (check_shape(&n->shape, err)) return -1;
    gguf_add_text(&values, "general.architecture", slice_of(k.arch));
    gguf_add_text(&values, "general.type", slice_of("model"));
    gguf_add_u32(&values, "general.file_type", file_type);
    gguf_add_u32(&values, "general.quantization_version", QUANTIZATION_VERSION);
    shape(&k, &n->shape);
    n_keys += k.n;
    if (t) n_keys += gguf_write_tokenizer(t, n->shape.vocab, chat_template, &values);
    for (int i = 0; i < n->n; i++) n_tensors += is_described(&n->weights[i]);

    buffer_add_text(out, "GGUF");
    add_u32(out, VERSION);
    add_u64(out, n_tensors);
    add_u64(out, n_keys);
    buffer_add_slice(out, buffer_slice(&values));
    buffer_free(&values);
    uint64_t *offsets = memory_new((size_t)n->n, sizeof *offsets);
    gguf_write_places(c, offsets);
    for (int i = 0; i < n->n; i++)
        if (is_described(&n->weights[i])) describe(c, i, offsets[i], out);
    free(offsets);
    while (out->len % ALIGNMENT) buffer_add(out, "", 1);
    return 0;
}
