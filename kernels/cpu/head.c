// The head: final norm and logits of the tokens that outputs name, each token once, in tiles;
// then the outputs.
#include <assert.h>

#include "kernels/cpu/backend.h"

struct head_run {
    struct cpu *c;
    struct draw_vocab vocab;
    size_t stride; // of logits
    int first, n;  // outputs of the tile
    int *row;      // (n) of the tile, by output
};

static void output_chunk(void *arg, int chunk, int thread) {
    const struct head_run *r = arg;
    struct cpu *c = r->c;
    int i = r->first + chunk;
    const float *logits = (const float *)c->logits.data + (size_t)r->row[chunk] * r->stride;
    struct draw_result d =
        draw_output(c->isa, &r->vocab, &c->step.outputs[i], logits, &c->draw[thread]);
    c->ids[i] = d.id;
    c->lp_full[i] = d.lp_full;
    c->lp_behav[i] = d.lp_behav;
    c->bad[i] = d.bad;
}

// Outputs from `first` on: as many as name at most HEAD_TILE tokens.
static int tile(struct cpu *c, struct head_run *r, int first) {
    size_t stride = (size_t)matmul_stride(c->shape.hidden);
    int n_rows = 0, last = -1, i = first;
    for (; i < c->step.n_outputs && i - first < HEAD_TILE * 4; i++) {
        int token = c->step.outputs[i].token;
        assert(token >= last && token < c->step.n_tokens);
        if (token != last) {
            if (n_rows == HEAD_TILE) break;
            const float *h = c->h + (size_t)token * stride;
            float *n = c->n + (size_t)n_rows++ * stride;
            c->isa->rms_norm(c->shape.hidden, h, c->weights.final_norm, c->shape.norm_eps, n);
            last = token;
        }
        r->row[i - first] = n_rows - 1;
    }
    struct matmul head = {.m = &c->weights.head, .x = c->n, .x_stride = stride};
    head.y = (float *)c->logits.data;
    head.y_stride = r->stride;
    matmul(c->isa, c->pool, &head, 1, n_rows);
    r->first = first;
    r->n = i - first;
    pool_run(c->pool, r->n, matmul_is_small((double)r->n * c->shape.vocab * 16), output_chunk, r);
    return i;
}

void cpu_head(struct backend *b) {
    struct cpu *c = (struct cpu *)b;
    int row[HEAD_TILE * 4];
    struct head_run r = {.c = c, .row = row};
    r.vocab = (struct draw_vocab){c->shape.vocab, c->missing, c->n_missing};
    r.stride = (size_t)matmul_stride(c->shape.vocab);
    for (int i = 0; i < c->step.n_outputs;) i = tile(c, &r, i);
}
