#include "kernels/cpu/router.h"

#include "kernels/math.h"

void router_select(const struct router *r, const float *logits, float *scores, uint16_t *experts,
                   float *weights) {
    for (int e = 0; e < r->n_experts; e++) {
        float s = math_sigmoid(logits[e]);
        scores[e] = r->bias ? s + r->bias[e] : s;
    }
    for (int k = 0; k < r->n_used; k++) {
        // NaN scores compare as lowest, so that bad logits still choose n_used distinct experts.
        int best = -1;
        for (int e = 0; e < r->n_experts; e++) {
            bool taken = false;
            for (int j = 0; j < k; j++) taken |= experts[j] == e;
            if (!taken && (best < 0 || scores[e] > scores[best])) best = e;
        }
        experts[k] = (uint16_t)best;
        weights[k] = math_sigmoid(logits[best]);
    }
    float sum = 0;
    for (int k = 0; k < r->n_used; k++) sum += weights[k];
    for (int k = 0; k < r->n_used; k++) {
        if (r->norm_topk) weights[k] /= sum + 1e-6f;
        weights[k] *= r->scale;
    }
}
