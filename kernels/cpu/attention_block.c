// The block of an attention layer: h += out(attention(norm(h))).
#include "kernels/cpu/attention.h"

#include <assert.h>

#include "kernels/cpu/backend.h"
#include "kernels/cpu/rope.h"

enum { TOKEN_CHUNK = 8 };

struct attention_run {
    struct cpu *c;
    const struct layer *layer;
    float *q, *k, *v; // (n_tokens), q_stride and kv_stride apart; q becomes the output's input
    size_t q_stride, kv_stride, layer_at;
    float scale;
};

size_t cpu_attention_work(const struct model_shape *s, int n) {
    size_t q = (size_t)matmul_stride(s->n_heads * s->head_dim);
    return (size_t)n * (2 * q + 2 * (size_t)matmul_stride(s->n_kv_heads * s->head_dim));
}

// Bytes of K, or of V, of one KV head in a page.
static size_t head_bytes(const struct cpu *c) {
    return state_head_bytes(c->kv, c->shape.head_dim, c->page_tokens);
}

// Norm and rope of every head of some tokens; K and V go to their pages.
static void token_chunk(void *arg, int chunk, int thread) {
    (void)thread;
    const struct attention_run *r = arg;
    struct cpu *c = r->c;
    int dim = c->shape.head_dim, end = (chunk + 1) * TOKEN_CHUNK;
    if (end > c->step.n_tokens) end = c->step.n_tokens;
    for (int t = chunk * TOKEN_CHUNK; t < end; t++) {
        const struct step_segment *s = &c->step.segments[c->token_segment[t]];
        int position = s->position + t - s->first_token, slot = position % c->page_tokens;
        const float *cosine = c->cosine + (size_t)t * (size_t)(dim / 2);
        const float *sine = c->sine + (size_t)t * (size_t)(dim / 2);
        for (int i = 0; i < c->shape.n_heads; i++) {
            float *q = r->q + (size_t)t * r->q_stride + (size_t)i * (size_t)dim;
            c->isa->rms_norm(dim, q, r->layer->q_norm, c->shape.norm_eps, q);
            rope_apply(dim, cosine, sine, q);
        }
        char *page = c->pages.data + (size_t)s->pages[position / c->page_tokens] * c->page_bytes;
        for (int i = 0; i < c->shape.n_kv_heads; i++) {
            size_t at = (size_t)t * r->kv_stride + (size_t)i * (size_t)dim;
            c->isa->rms_norm(dim, r->k + at, r->layer->k_norm, c->shape.norm_eps, r->k + at);
            rope_apply(dim, cosine, sine, r->k + at);
            char *keys = page + r->layer_at + (size_t)(2 * i) * head_bytes(c);
            attention_store(c->kv, dim, c->page_tokens, slot, r->k + at, r->v + at, keys,
                            keys + head_bytes(c));
        }
    }
}

// One KV head of one item: its query heads over the item's tokens, a few rows at a time.
static void item_chunk(void *arg, int chunk, int thread) {
    (void)thread;
    const struct attention_run *r = arg;
    struct cpu *c = r->c;
    int n_kv = c->shape.n_kv_heads, group = c->shape.n_heads / n_kv, head = chunk % n_kv;
    const struct attention_item *item = &c->items[chunk / n_kv];
    const struct step_segment *s = &c->step.segments[item->segment];
    struct attention_rows a = {
        .head_dim = c->shape.head_dim,
        .page_tokens = c->page_tokens,
        .scale = r->scale,
        .kv = c->kv,
        .keys = c->pages.data + r->layer_at + (size_t)(2 * head) * head_bytes(c),
        .page_bytes = c->page_bytes,
        .pages = s->pages,
    };
    a.values = a.keys + head_bytes(c);
    for (int i = 0; i < item->n * group; i += ATTENTION_ROWS) {
        a.n_rows = item->n * group - i < ATTENTION_ROWS ? item->n * group - i : ATTENTION_ROWS;
        for (int j = 0; j < a.n_rows; j++) {
            int t = item->first + (i + j) / group, q_head = head * group + (i + j) % group;
            size_t at = (size_t)t * r->q_stride + (size_t)q_head * (size_t)a.head_dim;
            a.q[j] = r->q + at;
            a.out[j] = r->q + (size_t)c->step.n_tokens * r->q_stride + at;
            a.position[j] = s->position + t - s->first_token;
        }
        c->attend(&a);
    }
}

void cpu_attention(struct backend *b, int layer) {
    struct cpu *c = (struct cpu *)b;
    const struct model_shape *s = &c->shape;
    const struct layer *l = &c->weights.layers[layer];
    int n = c->step.n_tokens;
    size_t stride = (size_t)matmul_stride(s->hidden);
    struct attention_run r = {.c = c, .layer = l};
    r.q_stride = (size_t)matmul_stride(s->n_heads * s->head_dim);
    r.kv_stride = (size_t)matmul_stride(s->n_kv_heads * s->head_dim);
    r.q = c->work;
    r.k = r.q + 2 * (size_t)n * r.q_stride; // behind q stands the attention's output
    r.v = r.k + (size_t)n * r.kv_stride;
    r.layer_at =
        (size_t)shape_attention_index(s, layer) * 2 * (size_t)s->n_kv_heads * head_bytes(c);
    r.scale = c->attention_scale;

    cpu_norm(c, l->operator_norm);
    struct matmul in[3] = {
        {.m = &l->q, .x = c->n, .y = r.q, .x_stride = stride, .y_stride = r.q_stride},
        {.m = &l->k, .x = c->n, .y = r.k, .x_stride = stride, .y_stride = r.kv_stride},
        {.m = &l->v, .x = c->n, .y = r.v, .x_stride = stride, .y_stride = r.kv_stride},
    };
    matmul(c->isa, c->pool, in, 3, n);

    double heads = (double)n * (s->n_heads + s->n_kv_heads) * s->head_dim;
    pool_run(c->pool, (n + TOKEN_CHUNK - 1) / TOKEN_CHUNK, matmul_is_small(heads * 16), token_chunk,
             &r);

    double work = 0;
    for (int i = 0; i < c->step.n_segments; i++) {
        const struct step_segment *g = &c->step.segments[i];
        work += (double)g->n_tokens * (g->position + g->n_tokens) * s->n_heads * s->head_dim * 2;
    }
    pool_run(c->pool, c->n_items * s->n_kv_heads, matmul_is_small(work), item_chunk, &r);

    struct matmul out = {.m = &l->attention_out, .x = r.q + (size_t)n * r.q_stride, .y = c->h};
    out.x_stride = r.q_stride;
    out.y_stride = stride;
    out.add = true;
    matmul(c->isa, c->pool, &out, 1, n);
}
