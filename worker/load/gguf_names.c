// Names of tensors in GGUF files: blk.I.KIND, and three without a layer.
#include <stdio.h>

#include "worker/load/gguf_config.h"

static const char *const layer_names[N_WEIGHT_KINDS] = {
    [WEIGHT_OPERATOR_NORM] = "attn_norm.weight", // of convolution layers too
    [WEIGHT_FFN_NORM] = "ffn_norm.weight",
    [WEIGHT_CONV_IN] = "shortconv.in_proj.weight",
    [WEIGHT_CONV_IN_BIAS] = "shortconv.in_proj.bias",
    [WEIGHT_CONV_TAPS] = "shortconv.conv.weight",
    [WEIGHT_CONV_TAPS_BIAS] = "shortconv.conv.bias",
    [WEIGHT_CONV_OUT] = "shortconv.out_proj.weight",
    [WEIGHT_CONV_OUT_BIAS] = "shortconv.out_proj.bias",
    [WEIGHT_Q] = "attn_q.weight",
    [WEIGHT_K] = "attn_k.weight",
    [WEIGHT_V] = "attn_v.weight",
    [WEIGHT_ATTENTION_OUT] = "attn_output.weight",
    [WEIGHT_Q_NORM] = "attn_q_norm.weight",
    [WEIGHT_K_NORM] = "attn_k_norm.weight",
    [WEIGHT_W1] = "ffn_gate.weight",
    [WEIGHT_W3] = "ffn_up.weight",
    [WEIGHT_W2] = "ffn_down.weight",
    [WEIGHT_ROUTER] = "ffn_gate_inp.weight",
    [WEIGHT_EXPERT_BIAS] = "exp_probs_b.bias",
};

static const char *expert_name(enum weight_kind kind) {
    return kind == WEIGHT_W1   ? "ffn_gate_exps.weight"
           : kind == WEIGHT_W3 ? "ffn_up_exps.weight"
           : kind == WEIGHT_W2 ? "ffn_down_exps.weight"
                               : NULL;
}

void gguf_names_write(const struct weight *w, char out[GGUF_NAME_BYTES]) {
    const char *global = w->kind == WEIGHT_EMBED        ? "token_embd.weight"
                         : w->kind == WEIGHT_HEAD       ? "output.weight"
                         : w->kind == WEIGHT_FINAL_NORM ? "token_embd_norm.weight"
                                                        : NULL;
    if (global)
        snprintf(out, GGUF_NAME_BYTES, "%s", global);
    else
        snprintf(out, GGUF_NAME_BYTES, "blk.%d.%s", w->layer,
                 w->expert < 0 ? layer_names[w->kind] : expert_name(w->kind));
}

struct gguf_match gguf_names_find(const struct names *n, struct slice name) {
    int last = n->n - 1, norm = n->layer_first[n->shape.n_layers], layer;
    const struct gguf_match unknown = {-1, false};
    if (slice_is(name, "token_embd.weight")) return (struct gguf_match){0, false};
    // The final norm; files of other converters have its usual name.
    if (slice_is(name, "token_embd_norm.weight") || slice_is(name, "output_norm.weight"))
        return (struct gguf_match){norm, false};
    if (slice_is(name, "output.weight") && n->weights[last].kind == WEIGHT_HEAD)
        return (struct gguf_match){last, false};
    if (!names_skip(&name, "blk.") || !names_skip_number(&name, n->shape.n_layers, &layer))
        return unknown;
    for (int i = n->layer_first[layer]; i < n->layer_first[layer + 1]; i++) {
        const struct weight *w = &n->weights[i];
        const char *text = w->expert < 0 ? layer_names[w->kind] : expert_name(w->kind);
        if (slice_is(name, text)) return (struct gguf_match){i, w->expert >= 0};
        if (w->expert > 0) break;
    }
    return unknown;
}

int gguf_names_dims(const struct model_shape *s, const struct weight *w, bool is_stack,
                    int64_t dims[GGUF_MAX_DIMS]) {
    int n = 0;
    for (int i = w->n_dims - 1; i >= 0; i--)
        if (w->kind != WEIGHT_CONV_TAPS || i != 1) dims[n++] = w->dims[i];
    if (is_stack) dims[n++] = s->n_experts;
    return n;
}
