#include "kernels/cpu/feed_forward.h"

#include "kernels/math.h"

enum { GATE_BLOCKS = 8 }; // of rows at a time: their gates and ups stay in the first cache

void feed_forward_swiglu_portable(int n, const float *gate, const float *up, float *out) {
    for (int i = 0; i < n; i++) out[i] = gate[i] / (1.0f + math_exp(-gate[i])) * up[i];
}

void feed_forward_gate(const struct isa *isa, const struct feed_forward_gate *g) {
    float gate[MATMUL_TOKENS][GATE_BLOCKS * MATMUL_ROWS];
    float up[MATMUL_TOKENS][GATE_BLOCKS * MATMUL_ROWS];
    for (int i = 0; i < matmul_n_tiles(g->n); i++) {
        struct matmul_tile t = {0};
        int first;
        matmul_split(g->n, i, &first, &t.n);
        for (int k = 0; k < t.n; k++) t.x[k] = g->x[first + k];
        for (int b = 0; b < g->n_blocks; b += GATE_BLOCKS) {
            t.block = g->block + b;
            t.n_blocks = g->n_blocks - b < GATE_BLOCKS ? g->n_blocks - b : GATE_BLOCKS;
            t.m = g->w1;
            for (int k = 0; k < t.n; k++) t.y[k] = gate[k];
            isa->matmul_tile(&t);
            t.m = g->w3;
            for (int k = 0; k < t.n; k++) t.y[k] = up[k];
            isa->matmul_tile(&t);
            for (int k = 0; k < t.n; k++)
                isa->swiglu(t.n_blocks * MATMUL_ROWS, gate[k], up[k],
                            g->out[first + k] + (size_t)t.block * MATMUL_ROWS);
        }
    }
}

void feed_forward_down(const struct isa *isa, const struct feed_forward_down *d) {
    for (int i = 0; i < matmul_n_tiles(d->n); i++) {
        struct matmul_tile t = {.m = d->w2, .block = d->block, .n_blocks = d->n_blocks};
        t.add = d->add;
        int first;
        matmul_split(d->n, i, &first, &t.n);
        for (int k = 0; k < t.n; k++) {
            t.x[k] = d->x[first + k];
            t.y[k] = d->out[first + k] + (size_t)t.block * MATMUL_ROWS;
        }
        isa->matmul_tile(&t);
    }
}
