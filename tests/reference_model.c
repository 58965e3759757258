#include "tests/reference.h"

#include <assert.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "protocol/base/memory.h"

// Scale of a tensor's random values: matrices keep the size of what they multiply.
static double value_of(const struct weight *w, struct reference_random *r) {
    switch (w->kind) {
    case WEIGHT_FINAL_NORM:
    case WEIGHT_OPERATOR_NORM:
    case WEIGHT_FFN_NORM:
    case WEIGHT_Q_NORM:
    case WEIGHT_K_NORM:
        return 1 + 0.2 * reference_normal(r);
    case WEIGHT_EMBED:
    case WEIGHT_HEAD:
        return 0.3 * reference_normal(r);
    case WEIGHT_ROUTER:
        return 2 * reference_normal(r) / sqrt((double)w->dims[1]);
    case WEIGHT_EXPERT_BIAS:
        return 0.3 * reference_normal(r);
    default:
        break;
    }
    return reference_normal(r) / sqrt(w->n_dims > 1 ? (double)w->dims[w->n_dims - 1] : 4.0);
}

struct reference_model *reference_model_random(const struct model_shape *shape,
                                               const enum dtype *dtypes, uint64_t seed) {
    struct reference_random r = {seed};
    struct reference_model *m = memory_new(1, sizeof *m);
    m->shape = *shape;
    m->n = weights_list(shape, &m->list);
    m->values = memory_new((size_t)m->n, sizeof *m->values);
    for (int i = 0; i < m->n; i++) {
        int64_t n = weight_n(&m->list[i]);
        m->values[i] = memory_new((size_t)n, sizeof **m->values);
        for (int64_t k = 0; k < n; k++) {
            char rounded[4];
            dtype_put(dtypes[i], rounded, 0, (float)value_of(&m->list[i], &r));
            m->values[i][k] = (double)dtype_get(dtypes[i], rounded, 0);
        }
    }
    return m;
}

void reference_model_free(struct reference_model **model) {
    struct reference_model *m = *model;
    *model = NULL;
    if (!m) return;
    for (int i = 0; i < m->n; i++) free(m->values[i]);
    free(m->values);
    free(m->list);
    free(m);
}

const double *reference_weight(const struct reference_model *m, enum weight_kind kind, int layer,
                               int expert) {
    for (int i = 0; i < m->n; i++)
        if (m->list[i].kind == kind && m->list[i].layer == layer && m->list[i].expert == expert)
            return m->values[i];
    return NULL;
}

// One sequence on its way through the layers.
struct pass {
    const struct reference_model *m;
    int n, hidden;
    double *h, *norm; // (n, hidden)
    bool rounds;      // operands to bf16
    const uint16_t *follow;
    double stray;
};

static void round_operand(const struct pass *p, size_t n, double *x) {
    for (size_t i = 0; p->rounds && i < n; i++)
        x[i] = (double)dtype_bf16_to_f32(dtype_f32_to_bf16((float)x[i]));
}

static double *rows(const struct pass *p, int width) {
    return memory_new((size_t)p->n * (size_t)width, sizeof(double));
}

// y (n, out) = w x (+ bias) for every token.
static void project(const struct pass *p, const double *w, const double *bias, int out, int in,
                    const double *x, double *y) {
    for (int t = 0; t < p->n; t++) {
        reference_matmul(out, in, w, x + (size_t)t * (size_t)in, y + (size_t)t * (size_t)out);
        for (int i = 0; bias && i < out; i++) y[(size_t)t * (size_t)out + (size_t)i] += bias[i];
    }
}

static void add(struct pass *p, const double *y) {
    for (size_t i = 0; i < (size_t)p->n * (size_t)p->hidden; i++) p->h[i] += y[i];
}

static void normalise(struct pass *p, const double *w) {
    for (int t = 0; t < p->n; t++)
        reference_rms_norm(p->hidden, p->h + t * p->hidden, w, (double)p->m->shape.norm_eps,
                           p->norm + t * p->hidden);
}

static void round_norm(struct pass *p) {
    round_operand(p, (size_t)p->n * (size_t)p->hidden, p->norm);
}

static void conv(struct pass *p, int layer) {
    const struct reference_model *m = p->m;
    int h = p->hidden;
    double *bcx = rows(p, 3 * h), *mixed = rows(p, h), *y = rows(p, h);
    project(p, reference_weight(m, WEIGHT_CONV_IN, layer, -1),
            reference_weight(m, WEIGHT_CONV_IN_BIAS, layer, -1), 3 * h, h, p->norm, bcx);
    reference_short_conv(p->n, h, m->shape.conv_width, bcx,
                         reference_weight(m, WEIGHT_CONV_TAPS, layer, -1),
                         reference_weight(m, WEIGHT_CONV_TAPS_BIAS, layer, -1), mixed);
    round_operand(p, (size_t)(p->n * h), mixed);
    project(p, reference_weight(m, WEIGHT_CONV_OUT, layer, -1),
            reference_weight(m, WEIGHT_CONV_OUT_BIAS, layer, -1), h, h, mixed, y);
    add(p, y);
    free(bcx);
    free(mixed);
    free(y);
}

static void heads(const struct pass *p, int n_heads, const double *w, double *x) {
    const struct model_shape *s = &p->m->shape;
    for (int t = 0; t < p->n; t++)
        for (int i = 0; i < n_heads; i++) {
            double *head = x + (t * n_heads + i) * s->head_dim;
            reference_rms_norm(s->head_dim, head, w, (double)s->norm_eps, head);
            reference_rope(s->head_dim, s->rope_theta, t, head);
        }
}

static void attend(struct pass *p, int layer) {
    const struct reference_model *m = p->m;
    const struct model_shape *s = &m->shape;
    int h = p->hidden, nq = s->n_heads * s->head_dim, nkv = s->n_kv_heads * s->head_dim;
    double *q = rows(p, nq), *k = rows(p, nkv), *v = rows(p, nkv), *o = rows(p, nq);
    double *y = rows(p, h);
    project(p, reference_weight(m, WEIGHT_Q, layer, -1), NULL, nq, h, p->norm, q);
    project(p, reference_weight(m, WEIGHT_K, layer, -1), NULL, nkv, h, p->norm, k);
    project(p, reference_weight(m, WEIGHT_V, layer, -1), NULL, nkv, h, p->norm, v);
    heads(p, s->n_heads, reference_weight(m, WEIGHT_Q_NORM, layer, -1), q);
    heads(p, s->n_kv_heads, reference_weight(m, WEIGHT_K_NORM, layer, -1), k);
    round_operand(p, (size_t)(p->n * nq), q);
    round_operand(p, (size_t)(p->n * nkv), k);
    round_operand(p, (size_t)(p->n * nkv), v);
    reference_attention(p->n, s->n_heads, s->n_kv_heads, s->head_dim, q, k, v, o);
    round_operand(p, (size_t)(p->n * nq), o);
    project(p, reference_weight(m, WEIGHT_ATTENTION_OUT, layer, -1), NULL, h, nq, o, y);
    add(p, y);
    free(q);
    free(k);
    free(v);
    free(o);
    free(y);
}

// out += scale * w2(silu(w1 x) * (w3 x)) of one token.
static void expert(const struct pass *p, int layer, int id, int width, const double *x,
                   double scale, double *out) {
    double *gate = memory_new((size_t)width, sizeof *gate), *up = memory_new((size_t)width, 8);
    double *y = memory_new((size_t)p->hidden, sizeof *y);
    reference_matmul(width, p->hidden, reference_weight(p->m, WEIGHT_W1, layer, id), x, gate);
    reference_matmul(width, p->hidden, reference_weight(p->m, WEIGHT_W3, layer, id), x, up);
    for (int i = 0; i < width; i++) up[i] *= reference_silu(gate[i]);
    round_operand(p, (size_t)width, up);
    reference_matmul(p->hidden, width, reference_weight(p->m, WEIGHT_W2, layer, id), up, y);
    if (id >= 0) round_operand(p, (size_t)p->hidden, y);
    for (int i = 0; i < p->hidden; i++) out[i] += scale * y[i];
    free(gate);
    free(up);
    free(y);
}

// A bias under which the router chooses what is to be followed; notes how far that strays.
static void bias_to_follow(struct pass *p, const double *logits, const double *bias, int at,
                           double *to) {
    const struct model_shape *s = &p->m->shape;
    double score[MODEL_MAX_EXPERTS];
    for (int e = 0; e < s->n_experts; e++) {
        score[e] = 1 / (1 + exp(-logits[e])) + (bias ? bias[e] : 0);
        to[e] = 0;
    }
    for (int k = 0; k < s->n_experts_used; k++) {
        int chosen = p->follow[at * s->n_experts_used + k];
        for (int e = 0; e < s->n_experts; e++)
            if (to[e] == 0) p->stray = fmax(p->stray, score[e] - score[chosen]);
        to[chosen] = 1000 - 10 * k;
    }
}

static void feed_forward(struct pass *p, int layer, uint16_t *routes, double *gaps) {
    const struct model_shape *s = &p->m->shape;
    double *exact = rows(p, p->hidden), following[MODEL_MAX_EXPERTS];
    memcpy(exact, p->norm, (size_t)(p->n * p->hidden) * sizeof *exact);
    round_norm(p);
    for (int t = 0; t < p->n; t++) {
        const double *x = p->norm + t * p->hidden;
        double *h = p->h + t * p->hidden;
        if (!shape_is_moe(s, layer)) {
            expert(p, layer, -1, s->ff_dense, x, 1, h);
            continue;
        }
        double logits[MODEL_MAX_EXPERTS], weights[MODEL_MAX_EXPERTS_USED];
        int chosen[MODEL_MAX_EXPERTS_USED], at = t * shape_n_moe(s) + shape_moe_index(s, layer);
        reference_matmul(s->n_experts, p->hidden, reference_weight(p->m, WEIGHT_ROUTER, layer, -1),
                         exact + t * p->hidden, logits);
        const double *bias = reference_weight(p->m, WEIGHT_EXPERT_BIAS, layer, -1);
        if (p->follow) bias_to_follow(p, logits, bias, at, following);
        double gap = reference_router(s, logits, p->follow ? following : bias, chosen, weights);
        if (gaps) gaps[at] = gap;
        for (int k = 0; k < s->n_experts_used; k++) {
            expert(p, layer, chosen[k], s->ff_expert, x, weights[k], h);
            if (routes) routes[at * s->n_experts_used + k] = (uint16_t)chosen[k];
        }
    }
    free(exact);
}

static void forward(struct pass *p, const int32_t *ids, double *logits, uint16_t *routes,
                    double *gaps) {
    const struct reference_model *m = p->m;
    const struct model_shape *s = &m->shape;
    p->h = rows(p, s->hidden);
    p->norm = rows(p, s->hidden);
    const double *embed = reference_weight(m, WEIGHT_EMBED, -1, -1);
    for (int t = 0; t < p->n; t++)
        memcpy(p->h + t * s->hidden, embed + (size_t)ids[t] * (size_t)s->hidden,
               (size_t)s->hidden * sizeof(double));
    for (int i = 0; i < s->n_layers; i++) {
        normalise(p, reference_weight(m, WEIGHT_OPERATOR_NORM, i, -1));
        round_norm(p);
        if (s->is_attention[i])
            attend(p, i);
        else
            conv(p, i);
        normalise(p, reference_weight(m, WEIGHT_FFN_NORM, i, -1));
        feed_forward(p, i, routes, gaps);
    }
    normalise(p, reference_weight(m, WEIGHT_FINAL_NORM, -1, -1));
    round_norm(p);
    const double *head = s->tied_head ? embed : reference_weight(m, WEIGHT_HEAD, -1, -1);
    project(p, head, NULL, s->vocab, s->hidden, p->norm, logits);
    free(p->h);
    free(p->norm);
}

void reference_forward(const struct reference_model *m, int n, const int32_t *ids, double *logits,
                       uint16_t *routes, double *gaps) {
    struct pass p = {.m = m, .n = n, .hidden = m->shape.hidden};
    forward(&p, ids, logits, routes, gaps);
}

void reference_follow(const struct reference_model *m, int n, const int32_t *ids, double *logits,
                      const uint16_t *routes, double *stray) {
    struct pass p = {.m = m, .n = n, .hidden = m->shape.hidden, .rounds = true, .follow = routes};
    forward(&p, ids, logits, NULL, NULL);
    *stray = p.stray;
}
