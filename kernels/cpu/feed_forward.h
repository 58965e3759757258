// The gated feed-forward network: w2(silu(w1 n) * (w3 n)), silu(x) = x / (1 + e^-x).
#ifndef KERNELS_CPU_FEED_FORWARD_H
#define KERNELS_CPU_FEED_FORWARD_H

#include "kernels/cpu/isa.h"
#include "kernels/cpu/matmul.h"

void feed_forward_swiglu_portable(int n, const float *gate, const float *up, float *out);
void feed_forward_swiglu_avx2(int n, const float *gate, const float *up, float *out);
void feed_forward_swiglu_avx512(int n, const float *gate, const float *up, float *out);
void feed_forward_swiglu_neon(int n, const float *gate, const float *up, float *out);

// Rows of both w1 and w3 for any number of tokens, and their product after silu: blocks
// `block` .. `block` + `n_blocks` - 1 of out[t] = silu(w1 x[t]) * (w3 x[t]).
struct feed_forward_gate {
    const struct matrix *w1, *w3;
    int block, n_blocks, n;
    const float *const *x; // (n) rows
    float *const *out;     // (n) rows, written at the blocks' place
};
void feed_forward_gate(const struct isa *isa, const struct feed_forward_gate *g);

// y[t] (+)= w2 x[t], the same blocks and tokens.
struct feed_forward_down {
    const struct matrix *w2;
    int block, n_blocks, n;
    bool add;
    const float *const *x;
    float *const *out;
};
void feed_forward_down(const struct isa *isa, const struct feed_forward_down *d);

#endif
