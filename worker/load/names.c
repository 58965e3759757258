#include "worker/load/names.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "protocol/base/hash.h"
#include "protocol/base/memory.h"

// What stands behind "model.layers.I." of a weight; an expert's and those without a layer apart.
static const char *const layer_names[N_WEIGHT_KINDS] = {
    [WEIGHT_OPERATOR_NORM] = "operator_norm.weight",
    [WEIGHT_FFN_NORM] = "ffn_norm.weight",
    [WEIGHT_CONV_IN] = "conv.in_proj.weight",
    [WEIGHT_CONV_IN_BIAS] = "conv.in_proj.bias",
    [WEIGHT_CONV_TAPS] = "conv.conv.weight",
    [WEIGHT_CONV_TAPS_BIAS] = "conv.conv.bias",
    [WEIGHT_CONV_OUT] = "conv.out_proj.weight",
    [WEIGHT_CONV_OUT_BIAS] = "conv.out_proj.bias",
    [WEIGHT_Q] = "self_attn.q_proj.weight",
    [WEIGHT_K] = "self_attn.k_proj.weight",
    [WEIGHT_V] = "self_attn.v_proj.weight",
    [WEIGHT_ATTENTION_OUT] = "self_attn.out_proj.weight",
    [WEIGHT_Q_NORM] = "self_attn.q_layernorm.weight",
    [WEIGHT_K_NORM] = "self_attn.k_layernorm.weight",
    [WEIGHT_W1] = "feed_forward.w1.weight",
    [WEIGHT_W3] = "feed_forward.w3.weight",
    [WEIGHT_W2] = "feed_forward.w2.weight",
    [WEIGHT_ROUTER] = "feed_forward.gate.weight",
    [WEIGHT_EXPERT_BIAS] = "feed_forward.expert_bias",
};

static const char *global_name(enum weight_kind kind) {
    switch (kind) {
    case WEIGHT_EMBED:
        return "model.embed_tokens.weight";
    case WEIGHT_FINAL_NORM:
        return "model.embedding_norm.weight";
    case WEIGHT_HEAD:
        return "lm_head.weight";
    default:
        return NULL;
    }
}

static const char *const expert_names[3] = {"w1.weight", "w3.weight", "w2.weight"};
static const char experts_prefix[] = "feed_forward.experts.";
static const char gate_up[] = "feed_forward.experts.gate_up_proj";
static const char down[] = "feed_forward.experts.down_proj";

int names_write(const struct weight *w, char out[NAMES_MAX_BYTES]) {
    const char *global = global_name(w->kind);
    if (global) return snprintf(out, NAMES_MAX_BYTES, "%s", global);
    if (w->expert < 0)
        return snprintf(out, NAMES_MAX_BYTES, "model.layers.%d.%s", w->layer, layer_names[w->kind]);
    int part = w->kind == WEIGHT_W1 ? 0 : w->kind == WEIGHT_W3 ? 1 : 2;
    return snprintf(out, NAMES_MAX_BYTES, "model.layers.%d.%s%d.%s", w->layer, experts_prefix,
                    w->expert, expert_names[part]);
}

char *names_write_dims(const int64_t *dims, int n, char out[NAMES_MAX_DIMS_BYTES]) {
    size_t len = (size_t)snprintf(out, NAMES_MAX_DIMS_BYTES, "[");
    for (int i = 0; i < n && len < NAMES_MAX_DIMS_BYTES - 30; i++)
        len += (size_t)snprintf(out + len, NAMES_MAX_DIMS_BYTES - len, "%s%lld", i ? ", " : "",
                                (long long)dims[i]);
    snprintf(out + len, NAMES_MAX_DIMS_BYTES - len, "]");
    return out;
}

int names_write_fused(const struct names *n, int layer, enum name_form form,
                      char out[NAMES_MAX_BYTES], int64_t dims[3]) {
    assert(form == NAME_FUSED_GATE_UP || form == NAME_FUSED_DOWN);
    bool is_down = form == NAME_FUSED_DOWN;
    const struct model_shape *s = &n->shape;
    dims[0] = s->n_experts;
    dims[1] = is_down ? s->hidden : 2 * (int64_t)s->ff_expert;
    dims[2] = is_down ? s->ff_expert : s->hidden;
    return snprintf(out, NAMES_MAX_BYTES, "model.layers.%d.%s", layer, is_down ? down : gate_up);
}

struct names *names_new(const struct model_shape *shape) {
    struct names *n = memory_new(1, sizeof *n);
    n->shape = *shape;
    n->n = weights_list(shape, &n->weights);
    n->hashes = memory_new((size_t)n->n, sizeof *n->hashes);
    n->layer_first = memory_new((size_t)shape->n_layers + 1, sizeof *n->layer_first);
    for (int i = 0; i < n->n; i++) {
        char name[NAMES_MAX_BYTES];
        n->hashes[i] = hash_bytes(name, (size_t)names_write(&n->weights[i], name));
        int layer = n->weights[i].layer;
        if (layer >= 0 && n->weights[i - 1].layer != layer) n->layer_first[layer] = i;
        if (n->weights[i].kind == WEIGHT_FINAL_NORM) n->layer_first[shape->n_layers] = i;
    }
    return n;
}

void names_free(struct names **n) {
    if (!*n) return;
    free((*n)->weights);
    free((*n)->hashes);
    free((*n)->layer_first);
    free(*n);
    *n = NULL;
}

bool names_skip(struct slice *s, const char *prefix) {
    size_t len = strlen(prefix);
    if (s->len < len || memcmp(s->ptr, prefix, len) != 0) return false;
    s->ptr += len;
    s->len -= len;
    return true;
}

bool names_skip_number(struct slice *s, int limit, int *out) {
    size_t i = 0;
    int v = 0;
    while (i < s->len && i < 5 && s->ptr[i] >= '0' && s->ptr[i] <= '9')
        v = 10 * v + (s->ptr[i++] - '0');
    if (i == 0 || (i > 1 && s->ptr[0] == '0') || v >= limit) return false;
    if (i == s->len || s->ptr[i] != '.') return false;
    s->ptr += i + 1;
    s->len -= i + 1;
    *out = v;
    return true;
}

// Experts are the last weights of a layer, three each.
static int first_expert(const struct names *n, int layer) {
    return n->layer_first[layer + 1] - 3 * n->shape.n_experts;
}

static struct name_match find_expert(const struct names *n, int layer, struct slice rest) {
    const struct name_match unknown = {NAME_UNKNOWN, -1};
    int first = first_expert(n, layer), expert;
    if (slice_is(rest, gate_up)) return (struct name_match){NAME_FUSED_GATE_UP, first};
    if (slice_is(rest, down)) return (struct name_match){NAME_FUSED_DOWN, first + 2};
    if (!names_skip(&rest, experts_prefix) ||
        !names_skip_number(&rest, n->shape.n_experts, &expert))
        return unknown;
    for (int part = 0; part < 3; part++)
        if (slice_is(rest, expert_names[part]))
            return (struct name_match){NAME_WEIGHT, first + 3 * expert + part};
    return unknown;
}

struct name_match names_find(const struct names *n, struct slice name) {
    int last = n->n - 1, final_norm = n->layer_first[n->shape.n_layers], layer;
    const int globals[] = {0, final_norm, last};
    for (int i = 0; i < 3; i++) {
        const char *text = global_name(n->weights[globals[i]].kind);
        if (slice_is(name, text)) return (struct name_match){NAME_WEIGHT, globals[i]};
    }
    if (!names_skip(&name, "model.layers.") || !names_skip_number(&name, n->shape.n_layers, &layer))
        return (struct name_match){NAME_UNKNOWN, -1};
    for (int i = n->layer_first[layer]; i < n->layer_first[layer + 1]; i++) {
        if (n->weights[i].expert >= 0) break;
        if (slice_is(name, layer_names[n->weights[i].kind]))
            return (struct name_match){NAME_WEIGHT, i};
    }
    if (shape_is_moe(&n->shape, layer)) return find_expert(n, layer, name);
    return (struct name_match){NAME_UNKNOWN, -1};
}
