// The slow, obvious twin of every operation, in float64, and of the whole network. What the
// kernels compute is compared with this; nothing here is shared with them.
#ifndef TESTS_REFERENCE_H
#define TESTS_REFERENCE_H

#include <stdbool.h>
#include <stdint.h>

#include "kernels/kernels.h"

// ------------------------------------------------------------------ random input

// A repeatable stream of numbers (splitmix64).
struct reference_random {
    uint64_t state;
};
uint64_t reference_next(struct reference_random *r);
double reference_uniform(struct reference_random *r); // in [0, 1)
double reference_normal(struct reference_random *r);  // mean 0, variance 1
int reference_below(struct reference_random *r, int n);

// ------------------------------------------------------------------ operations

void reference_rms_norm(int n, const double *x, const double *w, double eps, double *out);
// y[r] = sum over c of w[r * columns + c] * x[c]
void reference_matmul(int rows, int columns, const double *w, const double *x, double *y);
// One head in place; the angle is position * 1 / theta^(2d / head_dim), each rounded to float32 as
// transformers does, the rest in float64.
void reference_rope(int head_dim, float theta, int position, double *x);
// Whole sequence: bcx (n, 3 * hidden) to out (n, hidden). bias NULL: none.
void reference_short_conv(int n, int hidden, int width, const double *bcx, const double *taps,
                          const double *bias, double *out);
// Whole sequence, causal: q (n, heads, dim), k and v (n, kv_heads, dim) to out (n, heads, dim).
void reference_attention(int n, int heads, int kv_heads, int dim, const double *q, const double *k,
                         const double *v, double *out);
double reference_silu(double x);
// Chosen experts in falling order of score and their weights; returns the smallest gap between
// scores that decided the choice or its order.
double reference_router(const struct model_shape *s, const double *logits, const double *bias,
                        int *experts, double *weights);
void reference_log_softmax(int n, const double *x, double *out);

// ------------------------------------------------------------------ the network

// A model in float64, tensors by index of weights_list, row-major.
struct reference_model {
    struct model_shape shape;
    struct weight *list;
    double **values; // (n) tensors
    int n;
};

// Random weights that keep activations near 1, rounded to dtypes[i] so that both sides hold the
// same numbers. Freed with reference_model_free.
struct reference_model *reference_model_random(const struct model_shape *shape,
                                               const enum dtype *dtypes, uint64_t seed);
void reference_model_free(struct reference_model **m);
const double *reference_weight(const struct reference_model *m, enum weight_kind kind, int layer,
                               int expert);

// Full forward of one sequence without any cache: logits (n, vocab). routes (n, MoE layers,
// n_experts_used) and gaps (n, MoE layers: how near the closest decision of the router was) may
// be NULL.
void reference_forward(const struct reference_model *m, int n, const int32_t *ids, double *logits,
                       uint16_t *routes, double *gaps);

// The same for a backend that rounds the operands of its products to bf16, all but the router's,
// and an expert's output; following its routes, since rounding decides near choices otherwise:
// *stray becomes the largest distance of a chosen expert's score to a better one that was left.
void reference_follow(const struct reference_model *m, int n, const int32_t *ids, double *logits,
                      const uint16_t *routes, double *stray);

// ------------------------------------------------------------------ draws

// The distribution that a draw is taken from: log-probabilities (vocab), -INFINITY for ids that do
// not survive; exists (vocab) or NULL. Only for temperature > 0. Sets *edge to the smallest
// relative distance of a cut (top-k, top-p, min-p) to the value it was compared with: below about
// 1e-5 float32 may decide otherwise.
void reference_draw(int vocab, const double *logits, const struct draw *d, const uint8_t *exists,
                    double *log_p, double *edge);

#endif
