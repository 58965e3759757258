#include "kernels/kernels.h"

#include <assert.h>
#include <stdlib.h>

#include "protocol/base/memory.h"

static int n_before(const struct model_shape *s, int layer, bool attention) {
    int n = 0;
    for (int i = 0; i < layer; i++) n += s->is_attention[i] == attention;
    return n;
}

int shape_n_attention(const struct model_shape *s) {
    return n_before(s, s->n_layers, true);
}

int shape_n_moe(const struct model_shape *s) {
    return s->n_layers - s->n_dense_layers;
}

int shape_attention_index(const struct model_shape *s, int layer) {
    assert(s->is_attention[layer]);
    return n_before(s, layer, true);
}

int shape_conv_index(const struct model_shape *s, int layer) {
    assert(!s->is_attention[layer]);
    return n_before(s, layer, false);
}

int shape_moe_index(const struct model_shape *s, int layer) {
    assert(shape_is_moe(s, layer));
    return layer - s->n_dense_layers;
}

struct list {
    struct weight *items;
    int n, capacity;
};

static void add(struct list *l, enum weight_kind kind, int layer, int expert, int64_t rows,
                int64_t columns) {
    if (l->n == l->capacity) {
        l->capacity = l->capacity ? 2 * l->capacity : 256;
        l->items = memory_resize(l->items, (size_t)l->capacity, sizeof *l->items);
    }
    struct weight w = {kind, layer, expert, columns ? 2 : 1, {rows, columns, 0}};
    if (kind == WEIGHT_CONV_TAPS) w = (struct weight){kind, layer, -1, 3, {rows, 1, columns}};
    l->items[l->n++] = w;
}

static void add_operator(struct list *l, const struct model_shape *s, int i) {
    int64_t h = s->hidden, q = (int64_t)s->n_heads * s->head_dim;
    int64_t kv = (int64_t)s->n_kv_heads * s->head_dim;
    if (s->is_attention[i]) {
        add(l, WEIGHT_Q, i, -1, q, h);
        add(l, WEIGHT_K, i, -1, kv, h);
        add(l, WEIGHT_V, i, -1, kv, h);
        add(l, WEIGHT_ATTENTION_OUT, i, -1, h, q);
        add(l, WEIGHT_Q_NORM, i, -1, s->head_dim, 0);
        add(l, WEIGHT_K_NORM, i, -1, s->head_dim, 0);
        return;
    }
    add(l, WEIGHT_CONV_IN, i, -1, 3 * h, h);
    add(l, WEIGHT_CONV_TAPS, i, -1, h, s->conv_width);
    add(l, WEIGHT_CONV_OUT, i, -1, h, h);
    if (!s->conv_bias) return;
    add(l, WEIGHT_CONV_IN_BIAS, i, -1, 3 * h, 0);
    add(l, WEIGHT_CONV_TAPS_BIAS, i, -1, h, 0);
    add(l, WEIGHT_CONV_OUT_BIAS, i, -1, h, 0);
}

static void add_feed_forward(struct list *l, const struct model_shape *s, int i) {
    bool moe = shape_is_moe(s, i);
    int64_t h = s->hidden, f = moe ? s->ff_expert : s->ff_dense;
    if (moe) {
        add(l, WEIGHT_ROUTER, i, -1, s->n_experts, h);
        if (s->use_expert_bias) add(l, WEIGHT_EXPERT_BIAS, i, -1, s->n_experts, 0);
    }
    for (int e = moe ? 0 : -1; e < (moe ? s->n_experts : 0); e++) {
        add(l, WEIGHT_W1, i, e, f, h);
        add(l, WEIGHT_W3, i, e, f, h);
        add(l, WEIGHT_W2, i, e, h, f);
    }
}

int weights_list(const struct model_shape *s, struct weight **out) {
    struct list l = {0};
    add(&l, WEIGHT_EMBED, -1, -1, s->vocab, s->hidden);
    for (int i = 0; i < s->n_layers; i++) {
        add(&l, WEIGHT_OPERATOR_NORM, i, -1, s->hidden, 0);
        add_operator(&l, s, i);
        add(&l, WEIGHT_FFN_NORM, i, -1, s->hidden, 0);
        add_feed_forward(&l, s, i);
    }
    add(&l, WEIGHT_FINAL_NORM, -1, -1, s->hidden, 0);
    if (!s->tied_head) add(&l, WEIGHT_HEAD, -1, -1, s->vocab, s->hidden);
    *out = l.items;
    return l.n;
}

int64_t weight_n(const struct weight *w) {
    int64_t n = 1;
    for (int i = 0; i < w->n_dims; i++) n *= w->dims[i];
    return n;
}

size_t kernels_page_bytes(const struct model_shape *s, enum dtype kv, int page_tokens) {
    return (size_t)shape_n_attention(s) * 2 * (size_t)s->n_kv_heads *
           state_head_bytes(kv, s->head_dim, page_tokens);
}

size_t kernels_conv_bytes(const struct model_shape *s, enum dtype kv, int max_draft) {
    return (size_t)(s->n_layers - shape_n_attention(s)) * (size_t)(s->conv_width - 1 + max_draft) *
           (size_t)s->hidden * dtype_bytes(state_conv_dtype(kv));
}
