#include "kernels/cpu/backend.h"

// The embedding lies packed for the head: a row is every 16th element, or pair, of its block.
void cpu_embed(struct backend *b) {
    struct cpu *c = (struct cpu *)b;
    const struct matrix *m = &c->weights.embed;
    int stride = matmul_stride(c->shape.hidden);
    for (int t = 0; t < c->step.n_tokens; t++) {
        float *h = c->h + (size_t)t * (size_t)stride;
        int64_t at = (int64_t)matmul_at(m, c->step.ids[t], 0);
        for (int k = 0; k < m->columns; k++)
            h[k] = dtype_get(m->dtype, m->data, at + (int64_t)matmul_column(m->dtype, k));
    }
}
