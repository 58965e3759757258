// The mixture-of-experts block: h += sum of g_e * expert_e(n), n = norm(h).
//
// Tokens are grouped by expert, so that an expert's weights are read once for all of its tokens.
// A token's outputs are kept apart and summed in the order of its selection: whoever shares an
// expert with it does not matter.
#include <stdlib.h>

#include "kernels/cpu/backend.h"
#include "kernels/cpu/feed_forward.h"
#include "kernels/cpu/router.h"
#include "protocol/base/memory.h"

enum { TOKEN_CHUNK = 16 };

struct experts {
    uint16_t *chosen; // (max_tokens, n_used)
    float *weights;   // (max_tokens, n_used)
    int *start;       // (n_experts + 1): an expert's pairs in the lists below
    int *pair;        // (max_tokens * n_used): token * n_used + place in its selection
    int *active;      // (n_experts): experts with tokens
    const float **x;  // (max_tokens * n_used) rows by pair in expert order: inputs,
    float **act, **y; // products of gate and up, outputs
    int n_active;
};

struct moe_run {
    struct cpu *c;
    const struct layer *layer;
    float *logits, *act, *y;
    size_t stride, wide, logit_stride;
    int step, n_chunks; // blocks a chunk, chunks an expert
    int moe_index;
};

struct experts *cpu_experts_new(const struct model_shape *s, int max_tokens) {
    struct experts *e = memory_new(1, sizeof *e);
    size_t pairs = (size_t)max_tokens * (size_t)s->n_experts_used, n = (size_t)s->n_experts;
    e->chosen = memory_new(pairs, sizeof *e->chosen);
    e->weights = memory_new(pairs, sizeof *e->weights);
    e->start = memory_new(n + 1, sizeof *e->start);
    e->pair = memory_new(pairs, sizeof *e->pair);
    e->active = memory_new(n, sizeof *e->active);
    e->x = memory_new(pairs, sizeof *e->x);
    e->act = memory_new(pairs, sizeof *e->act);
    e->y = memory_new(pairs, sizeof *e->y);
    return e;
}

void cpu_experts_free(struct experts **experts) {
    struct experts *e = *experts;
    *experts = NULL;
    if (!e) return;
    free(e->chosen);
    free(e->weights);
    free(e->start);
    free(e->pair);
    free(e->active);
    free(e->x);
    free(e->act);
    free(e->y);
    free(e);
}

size_t cpu_moe_work(const struct model_shape *s, int n) {
    if (shape_n_moe(s) == 0) return 0;
    size_t pair = (size_t)matmul_stride(s->ff_expert) + (size_t)matmul_stride(s->hidden);
    size_t logits = 2 * (size_t)matmul_stride(s->n_experts);
    return (size_t)n * (pair * (size_t)s->n_experts_used + logits);
}

static void route_chunk(void *arg, int chunk, int thread) {
    (void)thread;
    const struct moe_run *r = arg;
    struct cpu *c = r->c;
    const struct model_shape *s = &c->shape;
    struct router router = {s->n_experts, s->n_experts_used, r->layer->expert_bias, s->norm_topk,
                            s->routed_scale};
    int end =
        (chunk + 1) * TOKEN_CHUNK < c->step.n_tokens ? (chunk + 1) * TOKEN_CHUNK : c->step.n_tokens;
    for (int t = chunk * TOKEN_CHUNK; t < end; t++) {
        float *logits = r->logits + (size_t)t * 2 * r->logit_stride;
        size_t at = (size_t)t * (size_t)s->n_experts_used;
        router_select(&router, logits, logits + r->logit_stride, c->experts->chosen + at,
                      c->experts->weights + at);
    }
}

// Fills the lists from `chosen`: counting sort of the pairs by expert.
static void group(struct moe_run *r) {
    struct cpu *c = r->c;
    struct experts *e = c->experts;
    int used = c->shape.n_experts_used, n = c->step.n_tokens * used;
    for (int i = 0; i <= c->shape.n_experts; i++) e->start[i] = 0;
    for (int i = 0; i < n; i++) e->start[e->chosen[i] + 1]++;
    e->n_active = 0;
    for (int i = 0; i < c->shape.n_experts; i++) {
        if (e->start[i + 1] > 0) e->active[e->n_active++] = i;
        e->start[i + 1] += e->start[i];
    }
    for (int i = 0; i < n; i++) e->pair[e->start[e->chosen[i]]++] = i;
    for (int i = c->shape.n_experts; i > 0; i--) e->start[i] = e->start[i - 1];
    e->start[0] = 0;
    for (int i = 0; i < n; i++) {
        size_t pair = (size_t)e->pair[i];
        e->x[i] = c->n + pair / (size_t)used * r->stride;
        e->act[i] = r->act + pair * r->wide;
        e->y[i] = r->y + pair * r->stride;
    }
}

static void gate_chunk(void *arg, int chunk, int thread) {
    (void)thread;
    const struct moe_run *r = arg;
    struct experts *e = r->c->experts;
    int id = e->active[chunk / r->n_chunks], first = e->start[id];
    const struct expert *w = &r->layer->experts[id];
    int block = chunk % r->n_chunks * r->step, left = matmul_blocks(&w->w1) - block;
    struct feed_forward_gate g = {.w1 = &w->w1, .w3 = &w->w3, .block = block};
    g.n_blocks = left < r->step ? left : r->step;
    g.n = e->start[id + 1] - first;
    g.x = e->x + first;
    g.out = e->act + first;
    feed_forward_gate(r->c->isa, &g);
}

static void down_chunk(void *arg, int chunk, int thread) {
    (void)thread;
    const struct moe_run *r = arg;
    struct experts *e = r->c->experts;
    int id = e->active[chunk / r->n_chunks], first = e->start[id];
    const struct matrix *w2 = &r->layer->experts[id].w2;
    int block = chunk % r->n_chunks * r->step, left = matmul_blocks(w2) - block;
    struct feed_forward_down d = {.w2 = w2, .block = block};
    d.n_blocks = left < r->step ? left : r->step;
    d.n = e->start[id + 1] - first;
    d.x = (const float *const *)(e->act + first);
    d.out = e->y + first;
    feed_forward_down(r->c->isa, &d);
}

static void sum_chunk(void *arg, int chunk, int thread) {
    (void)thread;
    const struct moe_run *r = arg;
    struct cpu *c = r->c;
    int used = c->shape.n_experts_used, hidden = c->shape.hidden;
    int end =
        (chunk + 1) * TOKEN_CHUNK < c->step.n_tokens ? (chunk + 1) * TOKEN_CHUNK : c->step.n_tokens;
    for (int t = chunk * TOKEN_CHUNK; t < end; t++) {
        const float *g = c->experts->weights + (size_t)t * (size_t)used;
        float *sum = c->n + (size_t)t * r->stride, *h = c->h + (size_t)t * r->stride;
        for (int i = 0; i < hidden; i++) sum[i] = 0;
        for (int k = 0; k < used; k++) {
            const float *y = r->y + ((size_t)t * (size_t)used + (size_t)k) * r->stride;
            for (int i = 0; i < hidden; i++) sum[i] += g[k] * y[i];
        }
        for (int i = 0; i < hidden; i++) h[i] += sum[i];
    }
}

static void keep_routes(const struct moe_run *r) {
    struct cpu *c = r->c;
    size_t used = (size_t)c->shape.n_experts_used, layers = (size_t)shape_n_moe(&c->shape);
    for (int t = 0; t < c->step.n_tokens; t++)
        memcpy(c->routes + ((size_t)t * layers + (size_t)r->moe_index) * used,
               c->experts->chosen + (size_t)t * used, used * sizeof(uint16_t));
}

void cpu_moe(struct backend *b, int layer) {
    struct cpu *c = (struct cpu *)b;
    const struct model_shape *s = &c->shape;
    const struct layer *l = &c->weights.layers[layer];
    int n = c->step.n_tokens, n_token_chunks = (n + TOKEN_CHUNK - 1) / TOKEN_CHUNK;
    size_t pairs = (size_t)n * (size_t)s->n_experts_used;
    struct moe_run r = {.c = c, .layer = l, .moe_index = shape_moe_index(s, layer)};
    r.stride = (size_t)matmul_stride(s->hidden);
    r.wide = (size_t)matmul_stride(s->ff_expert);
    r.logit_stride = (size_t)matmul_stride(s->n_experts);
    r.act = c->work;
    r.y = r.act + pairs * r.wide;
    r.logits = r.y + pairs * r.stride;

    cpu_norm(c, l->ffn_norm);
    struct matmul router = {.m = &l->router, .x = c->n, .y = r.logits, .x_stride = r.stride};
    router.y_stride = 2 * r.logit_stride; // behind the logits is room for the scores
    router.exact = true;                  // a rounded score would choose other experts
    matmul(c->isa, c->pool, &router, 1, n);
    bool is_small = matmul_is_small((double)n * s->n_experts * s->n_experts_used);
    pool_run(c->pool, n_token_chunks, is_small, route_chunk, &r);
    if (c->step.want_routes) keep_routes(&r);
    group(&r);

    const struct expert *e = l->experts;
    double work = (double)pairs * s->hidden * s->ff_expert;
    r.step = matmul_chunk_blocks(&e->w1);
    r.n_chunks = (matmul_blocks(&e->w1) + r.step - 1) / r.step;
    pool_run(c->pool, c->experts->n_active * r.n_chunks, matmul_is_small(2 * work), gate_chunk, &r);
    r.step = matmul_chunk_blocks(&e->w2);
    r.n_chunks = (matmul_blocks(&e->w2) + r.step - 1) / r.step;
    pool_run(c->pool, c->experts->n_active * r.n_chunks, matmul_is_small(work), down_chunk, &r);
    is_small = matmul_is_small((double)pairs * s->hidden);
    pool_run(c->pool, n_token_chunks, is_small, sum_chunk, &r);
}
