// One output of a row of logits: a score, or a draw with both log-probabilities (D4, D5).
#ifndef KERNELS_CPU_DRAW_H
#define KERNELS_CPU_DRAW_H

#include <stddef.h>
#include <stdint.h>

#include "kernels/cpu/isa.h"
#include "kernels/kernels.h"

// What the draws of one vocabulary share; an id that does not survive stands as -infinity.
struct draw_vocab {
    int n;                  // rows of the head
    const int32_t *missing; // (n_missing) ids that the tokenizer lacks
    int n_missing;
};

// Room for one draw; of a thread.
struct draw_scratch {
    float *x;          // (vocab) processed logits
    uint32_t *keys[2]; // (vocab) for sorting
    int32_t *ids[2];   // (vocab)
};

struct draw_result {
    int32_t id;
    float lp_full, lp_behav;
    bool bad;
};

struct draw_result draw_output(const struct isa *isa, const struct draw_vocab *v,
                               const struct step_output *o, const float *logits,
                               struct draw_scratch *s);

// argmax of x + noise over ids with x > -infinity, ties to the lowest id.
int draw_gumbel_portable(int n, const float *x, uint64_t seed, uint32_t position, uint32_t sample);
int draw_gumbel_avx2(int n, const float *x, uint64_t seed, uint32_t position, uint32_t sample);

// No noise is larger than this, so an id further below the best so far is not worth a Philox.
#define DRAW_MAX_NOISE 16.7f

// Sets every x outside of the set to -infinity. top_k: x below the k-th largest (ties stay).
// top_p: the smallest set of the largest that reaches p of the mass, lower id first.
// min_p: e^(x - max) < min_p.
void draw_top_k(int n, float *x, int k);
void draw_top_p(const struct isa *isa, int n, float *x, float p, struct draw_scratch *s);
void draw_min_p(const struct isa *isa, int n, float *x, float p);

#endif
