// The roofline: what a step of the network costs a device at least, from the bytes that its kernels
// must move and the operations that they must do. Arithmetic on a shape, a device and a load;
// nothing is measured and nothing is read here.
//
// What is counted
// - Weights: every matrix once a step, of the experts those that some token is sent to.
// - K and V: each row's own, `context` positions a token, those that it writes among them; a
//   prompt's are written once.
// - Conv state: read and written once a row. Logits: float32, written and read once.
// - Operations: two for each weight that a token meets, and attention's products. Prompts compute
//   no logits.
// What is not: norms and biases, embedding rows, activations between kernels (a cache holds them at
// these sizes), K and V that rows share. Together that is well under 1% of a step of a large model.
//
// Experts: tokens choose independently and evenly, so E experts of which each token takes U have
// E (1 - (1 - U / E)^tokens) that are hit. Real routing is uneven, so that is an upper bound.
//
// Drafts: a row brings K guesses, each of which is right with chance A if all before it were. It
// keeps them up to the first wrong one and draws one token behind, in all (1 - A^(K+1)) / (1 - A).
#ifndef WORKER_COMMANDS_ROOFLINE_ROOFLINE_H
#define WORKER_COMMANDS_ROOFLINE_ROOFLINE_H

#include <stdbool.h>

#include "kernels/kernels.h"
#include "worker/commands/roofline/device.h"

// The kernels of a step, seven a layer at most; what is not named here is fused into its neighbour.
enum roofline_kernel {
    ROOFLINE_CONV_IN,  // in_proj, gates, taps, conv state
    ROOFLINE_CONV_OUT, // out_proj, residual
    ROOFLINE_QKV,      // projections, q/k norm, RoPE
    ROOFLINE_ATTENTION,
    ROOFLINE_ATTENTION_OUT, // out_proj, residual
    ROOFLINE_DENSE_W13,     // gate and up of a dense layer
    ROOFLINE_DENSE_W2,      // down, residual
    ROOFLINE_ROUTER,
    ROOFLINE_EXPERTS_W13, // gate and up of the experts that were hit
    ROOFLINE_EXPERTS_W2,  // down
    ROOFLINE_COMBINE,     // sum over a token's experts, residual, the next norm: activations only
    ROOFLINE_HEAD,        // logits, written
    ROOFLINE_DRAW,        // logits, read
    N_ROOFLINE_KERNELS,
};
const char *roofline_kernel_name(enum roofline_kernel k); // "experts_w13"

// A shape with what its weights and state weigh.
struct roofline_model {
    struct model_shape shape;
    double elements[N_ROOFLINE_KERNELS]; // of the matrices of each kernel, all layers and experts
    double bytes[N_ROOFLINE_KERNELS];    // of the same
    double weight_bytes;                 // of all weights, norms too
    double kv_token_bytes;               // K and V of one position, all attention layers
    double conv_entry_bytes;             // one entry of a row's ring, all conv layers
};

// Starts a model without weights. kv, conv: bytes of an element of K and V, and of conv state.
void roofline_model_start(struct roofline_model *m, const struct model_shape *shape, double kv,
                          double conv);
// Adds one weight of weights_list, `bytes` in all. Each must be added once.
void roofline_model_add(struct roofline_model *m, const struct weight *w, double bytes);

// A step: rows that decode, and prompt tokens beside them.
struct roofline_load {
    double rows;
    double context;    // positions that a row's token looks at, itself among them: the mean
    int n_draft;       // guesses that each row brings
    double acceptance; // chance that a guess is right when those before it were: 0 to 1
    double prefill_tokens, prefill_context; // of prompts; positions that one looks at: the mean
};

// Tokens that a row gains in one step: 1 to n_draft + 1.
double roofline_tokens_a_row(int n_draft, double acceptance);

// The steady state of `concurrent` requests of `in` prompt tokens and `out` new ones each: all of
// them decode, at places spread evenly over their output, and beside them each step prefills as
// many prompts as requests end in it.
struct roofline_load roofline_mix(double concurrent, double in, double out, int n_draft,
                                  double acceptance);

struct roofline_cost {
    double launches;
    double bytes, flops;
    double memory_ms, flops_ms; // at what the device achieves of its limits
    double ms;                  // of a kernel the longer of the two; of the step see below
    bool is_flops_bound;        // more of ms is arithmetic's
};

// The step's time: all bytes move while all operations are done. Where a device's kv_overlaps is
// false, nothing computes while K and V are read; gaps between launches come on top.
//   step.ms = longer(memory_ms, flops_ms) + gaps, or
//   step.ms = kv + longer(memory_ms - kv, flops_ms) + gaps, kv being attention's memory_ms
struct roofline {
    struct roofline_cost kernels[N_ROOFLINE_KERNELS], step;
    enum roofline_kernel largest; // of the kernels, in ms
    double overlapped_ms;         // a bound: everything overlaps, no gaps
    double one_by_one_ms;         // no kernel overlaps another, K and V nothing at all, and gaps
    double output_tokens, prompt_tokens;   // that the step makes; their sum over time is the speed
    double weight_bytes, kv_bytes;         // parts of step.bytes
    double experts_hit, tokens_per_expert; // of a MoE layer; 0 without
};

void roofline_step(const struct roofline_model *m, const struct device *d,
                   const struct roofline_load *l, struct roofline *out);

// What a device's memory must hold, and what it holds.
struct roofline_memory {
    double weights, kv, conv, workspace; // bytes
    double need, have;                   // their sum; the share of the device's that may be used
    bool fits;                           // true where the device's memory is not known
    double kv_tokens;                    // positions whose K and V fit beside weights and workspace
    double max_rows; // rows of the load's context that fit, with their conv state
};

void roofline_fit(const struct roofline_model *m, const struct device *d,
                  const struct roofline_load *l, struct roofline_memory *out);

#endif
