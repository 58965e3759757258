// Products of bf16 pairs, for the *bf16.c files: the including file has LANES_INLINE from avx512.h
// or neon.h. PANEL columns of the activations are rounded at a time; sums wait in memory from one
// panel to the next.
#ifndef KERNELS_CPU_MATMUL_PANEL_H
#define KERNELS_CPU_MATMUL_PANEL_H

#include <string.h>

#include "kernels/cpu/matmul.h"

// Words of a token: an odd number of cache lines, so that tokens do not fall into one set.
enum { PANEL = 2048, PANEL_STEP = 32, PANEL_BLOCKS = 64, PANEL_WORDS = PANEL / 2 + 16 };

struct panel {
    int first, n_pairs; // columns first .. first + 2 * n_pairs - 1
    bool is_first, is_last;
    uint32_t x[MATMUL_TOKENS][PANEL_WORDS]; // pairs of bf16
    float sums[PANEL_BLOCKS][MATMUL_TOKENS][MATMUL_ROWS];
};

// Rounds PANEL_STEP values, to nearest and even; `out` has half as many words.
typedef void panel_round(const float *x, uint32_t *out);
// All products of a tile with one panel.
typedef void panel_products(const struct matmul_tile *t, struct panel *p);

// An odd last column is paired with a zero.
static LANES_INLINE void panel_fill(const struct matmul_tile *t, struct panel *p,
                                    panel_round *round) {
    int n = t->m->columns - p->first < PANEL ? t->m->columns - p->first : PANEL;
    p->n_pairs = (n + 1) / 2;
    for (int k = 0; k < t->n; k++) {
        const float *x = t->x[k] + p->first;
        int c = 0;
        for (; c + PANEL_STEP <= n; c += PANEL_STEP) round(x + c, &p->x[k][c / 2]);
        if (c == n) continue;
        float tail[PANEL_STEP] = {0};
        memcpy(tail, x + c, (size_t)(n - c) * sizeof *x);
        round(tail, &p->x[k][c / 2]);
    }
}

static LANES_INLINE void panel_tile(const struct matmul_tile *t, panel_round *round,
                                    panel_products *products) {
    struct panel p;
    for (p.first = 0; p.first < t->m->columns; p.first += PANEL) {
        p.is_first = p.first == 0;
        p.is_last = p.first + PANEL >= t->m->columns;
        panel_fill(t, &p, round);
        products(t, &p);
    }
}

#endif
