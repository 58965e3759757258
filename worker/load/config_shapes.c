// Shapes that need no file, and what a shape adds up to.
#include <stdlib.h>

#include "worker/load/config.h"

static void set_attention(struct model_shape *s, const int *layers, int n) {
    for (int i = 0; i < n; i++) s->is_attention[layers[i]] = true;
}

// LFM2-24B-A2B and LFM2-8B-A1B share all but the number of layers and the widths.
static void set_mixture(struct model_shape *s, int n_layers, int ff_dense, int n_experts,
                        int ff_expert) {
    s->n_layers = n_layers;
    s->hidden = 2048;
    s->n_heads = 32;
    s->n_kv_heads = 8;
    s->n_dense_layers = 2;
    s->ff_dense = ff_dense;
    s->n_experts = n_experts;
    s->n_experts_used = 4;
    s->ff_expert = ff_expert;
}

// The dense models are alike but for their size.
static void set_dense(struct model_shape *s, int n_layers, int hidden, int ff_dense) {
    s->n_layers = s->n_dense_layers = n_layers;
    s->hidden = hidden;
    s->n_heads = hidden / 64;
    s->n_kv_heads = 8;
    s->ff_dense = ff_dense;
}

static void set_tiny(struct model_shape *s) {
    static const int attention[] = {1, 3};
    set_mixture(s, 4, 256, 8, 64);
    s->hidden = 128;
    s->n_heads = 4;
    s->n_kv_heads = 2;
    s->head_dim = 32;
    s->vocab = 1024;
    s->n_dense_layers = 1;
    s->n_experts_used = 2;
    set_attention(s, attention, 2);
}

static const int attention_24b[] = {2, 6, 10, 14, 18, 22, 26, 30, 34, 38};
static const int attention_8b[] = {2, 6, 10, 14, 18, 21};
static const int attention_2_6b[] = {2, 5, 9, 13, 17, 21, 24, 27};
static const int attention_16_layers[] = {2, 5, 8, 10, 12, 14}; // of 350m, 700m and 1.2b

// -1: no such name.
static int set_named(struct slice name, struct model_shape *s) {
    if (slice_is(name, "24b")) {
        set_mixture(s, 40, 11776, 64, 1536);
        set_attention(s, attention_24b, 10);
    } else if (slice_is(name, "8b")) {
        set_mixture(s, 24, 7168, 32, 1792);
        set_attention(s, attention_8b, 6);
    } else if (slice_is(name, "2.6b")) {
        set_dense(s, 30, 2048, 10752);
        set_attention(s, attention_2_6b, 8);
    } else if (slice_is(name, "1.2b")) {
        set_dense(s, 16, 2048, 8192);
        set_attention(s, attention_16_layers, 6);
    } else if (slice_is(name, "700m")) {
        set_dense(s, 16, 1536, 6912);
        set_attention(s, attention_16_layers, 6);
    } else if (slice_is(name, "350m")) {
        set_dense(s, 16, 1024, 4608);
        set_attention(s, attention_16_layers, 6);
    } else if (slice_is(name, "tiny")) {
        set_tiny(s);
    } else {
        return -1;
    }
    return 0;
}

int config_synthetic(const char *name, struct model_config *out, struct error *err) {
    struct model_config c = {.family = "lfm2", .dtype = DTYPE_BF16, .bos_id = 1};
    struct model_shape *s = &c.shape;
    s->vocab = 65536;
    s->head_dim = 64;
    s->conv_width = 3;
    s->max_positions = 128000;
    s->norm_eps = 1e-5f;
    s->rope_theta = 1e6f;
    s->tied_head = true;
    struct slice n = slice_of(name);
    if (set_named(n, s))
        return error_set(err, ERROR_USAGE,
                         "\"%.*s\" is no synthetic model; 24b, 8b, 2.6b, 1.2b, 700m, 350m or tiny "
                         "was expected.",
                         SLICE_ARG(n));
    if (s->n_experts) {
        c.family = "lfm2_moe";
        s->norm_topk = s->use_expert_bias = true;
        s->routed_scale = 1;
    }
    c.end_ids[c.n_end_ids++] = 7;
    *out = c;
    return 0;
}

int64_t config_n_parameters(const struct model_shape *s) {
    struct weight *list;
    int n = weights_list(s, &list);
    int64_t total = 0;
    for (int i = 0; i < n; i++) total += weight_n(&list[i]);
    free(list);
    return total;
}

int64_t config_n_active(const struct model_shape *s) {
    int64_t idle = s->n_experts - s->n_experts_used;
    int64_t expert = 3 * (int64_t)s->hidden * s->ff_expert;
    return config_n_parameters(s) - idle * expert * shape_n_moe(s);
}
