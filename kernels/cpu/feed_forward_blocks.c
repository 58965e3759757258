// The feed-forward network where its matrices are of block types.
#include <assert.h>

#include "kernels/cpu/feed_forward.h"
#include "kernels/cpu/matmul_blocks.h"

enum { GATE_BLOCKS = 4, GATE_ROWS = GATE_BLOCKS * MATMUL_ROWS };

static_assert((int)GATE_ROWS % (int)TYPE_RUN == 0, "whole runs of activations");

// Gates and ups of a few rows and tokens, and what becomes of them.
static void gate_rows(const struct isa *isa, const struct feed_forward_gate *g, int block,
                      int n_blocks, int first, int n) {
    _Alignas(64) float gates[TYPE_TOKENS][GATE_ROWS], ups[TYPE_TOKENS][GATE_ROWS];
    float *gate[TYPE_TOKENS], *up[TYPE_TOKENS];
    for (int k = 0; k < n; k++) {
        gate[k] = gates[k];
        up[k] = ups[k];
    }
    struct matmul_blocks_tile t = {.m = g->w1, .block = block, .n_blocks = n_blocks, .n = n};
    t.x = g->x + first;
    t.y = gate;
    matmul_blocks_tile(&t);
    t.m = g->w3;
    t.y = up;
    matmul_blocks_tile(&t);
    int rows = n_blocks * MATMUL_ROWS, at = block * MATMUL_ROWS;
    for (int k = 0; k < n; k++) {
        float *out = g->out[first + k];
        isa->swiglu(rows, gate[k], up[k], g->activate ? gate[k] : out + at);
        if (g->activate)
            type_activate(g->w1->path, gate[k], rows,
                          (struct activation *)(void *)out + at / TYPE_RUN);
    }
}

void feed_forward_gate_blocks(const struct isa *isa, const struct feed_forward_gate *g) {
    int most = type_tokens(g->w1->path), n_tiles = (g->n + most - 1) / most;
    for (int b = 0; b < g->n_blocks; b += GATE_BLOCKS) {
        int n_blocks = g->n_blocks - b < GATE_BLOCKS ? g->n_blocks - b : GATE_BLOCKS;
        for (int i = 0, first = 0, n; i < n_tiles; i++, first += n) {
            n = (g->n - first + n_tiles - i - 1) / (n_tiles - i);
            gate_rows(isa, g, g->block + b, n_blocks, first, n);
        }
    }
}

void feed_forward_down_blocks(const struct feed_forward_down *d) {
    enum { MOST = 64 };
    float *y[MOST];
    struct matmul_blocks_tile t = {.m = d->w2, .block = d->block, .n_blocks = d->n_blocks};
    t.add = d->add;
    t.y = y;
    for (int first = 0; first < d->n; first += t.n) {
        t.n = d->n - first < MOST ? d->n - first : MOST;
        t.x = d->x + first;
        for (int k = 0; k < t.n; k++) y[k] = d->out[first + k] + (size_t)d->block * MATMUL_ROWS;
        matmul_blocks_tile(&t);
    }
}
