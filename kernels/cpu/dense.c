// The dense feed-forward block: h += w2(silu(w1 n) * (w3 n)), n = norm(h).
#include "kernels/cpu/backend.h"
#include "kernels/cpu/feed_forward.h"

enum { PIECE = 96 }; // tokens that pass a chunk of weights at a time

struct dense_run {
    struct cpu *c;
    const struct expert *e;
    size_t wide;
    int step;
};

size_t cpu_dense_work(const struct model_shape *s, int n) {
    return s->n_dense_layers > 0 ? (size_t)n * (size_t)matmul_stride(s->ff_dense) : 0;
}

static void gate_chunk(void *arg, int chunk, int thread) {
    (void)thread;
    const struct dense_run *r = arg;
    struct cpu *c = r->c;
    size_t stride = (size_t)matmul_stride(c->shape.hidden);
    int block = chunk * r->step, left = matmul_blocks(&r->e->w1) - block;
    for (int first = 0; first < c->step.n_tokens; first += PIECE) {
        const float *x[PIECE];
        float *out[PIECE];
        int n = c->step.n_tokens - first < PIECE ? c->step.n_tokens - first : PIECE;
        for (int i = 0; i < n; i++) {
            x[i] = c->n + (size_t)(first + i) * stride;
            out[i] = c->work + (size_t)(first + i) * r->wide;
        }
        struct feed_forward_gate g = {&r->e->w1, &r->e->w3, block, 0, n, x, out};
        g.n_blocks = left < r->step ? left : r->step;
        feed_forward_gate(c->isa, &g);
    }
}

void cpu_dense(struct backend *b, int layer) {
    struct cpu *c = (struct cpu *)b;
    const struct layer *l = &c->weights.layers[layer];
    int n = c->step.n_tokens;
    cpu_norm(c, l->ffn_norm);
    struct dense_run r = {c, l->experts, (size_t)matmul_stride(c->shape.ff_dense), 0};
    const struct matrix *w1 = &r.e->w1;
    r.step = matmul_share_blocks(w1, pool_n_threads(c->pool));
    int n_chunks = (matmul_blocks(w1) + r.step - 1) / r.step;
    bool is_small = matmul_is_small(2.0 * w1->rows * w1->columns * n);
    pool_run(c->pool, n_chunks, is_small, gate_chunk, &r);

    struct matmul down = {.m = &r.e->w2, .x = c->work, .y = c->h, .x_stride = r.wide};
    down.y_stride = (size_t)matmul_stride(c->shape.hidden);
    down.add = true;
    matmul(c->isa, c->pool, &down, 1, n);
}
