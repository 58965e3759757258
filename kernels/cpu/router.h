// The choice of experts of one token.
#ifndef KERNELS_CPU_ROUTER_H
#define KERNELS_CPU_ROUTER_H

#include <stdbool.h>
#include <stdint.h>

struct router {
    int n_experts, n_used;
    const float *bias; // (n_experts) or NULL: added to selection scores only
    bool norm_topk;
    float scale;
};

// From router logits (n_experts): scores s = sigmoid(logit); the n_used experts with the largest
// s + bias in falling order, ties to the lowest expert; weights s, / (their sum + 1e-6) with
// norm_topk, * scale. `scores` is room for n_experts floats.
void router_select(const struct router *r, const float *logits, float *scores, uint16_t *experts,
                   float *weights);

#endif
