// Launches of the head and of draws; the same rules as in ops.h.
#ifndef KERNELS_CUDA_OPS_HEAD_H
#define KERNELS_CUDA_OPS_HEAD_H

#include "kernels/cuda/ops.h"

#ifdef __cplusplus
extern "C" {
#endif

// ------------------------------------------------------------------ head.cu, draw.cu

// What 128 rows of the head add to one want: maximum and sum of e^(x - maximum) of all ids and of
// those that exist, with x = logit / temperature; the best id by x + noise, and its logit.
struct head_sums {
    float max, sum, max_known, sum_known;
    float best, best_logit;
    int32_t best_id;
    int32_t is_bad; // a logit is not finite
};
struct head {
    const struct step_header *step;
    struct matrix w;
    const void *n;
    int n_stride, vocab;
    const uint32_t *missing; // (vocab bits) ids that the tokenizer lacks
    struct head_sums *sums;  // (max_outputs, n_tiles of HEAD_TILE rows)
    uint32_t *reached;       // (max_outputs) a value that a draw reaches, as a key; 0 between steps
    float *targets;          // (max_outputs) logits of the ids that are scored
    float *logits;           // (max rows, logits_stride) of wants that need them
    int64_t logits_stride;
};
int head_launch(const struct queue *q, const struct head *a, int token_tile);

// Results, packed by the number of wants n: ids (n), lp_full (n), lp_behav (n), bad (n) bytes.
struct draw_args {
    struct head head;
    int32_t *ids;
};
int draw_launch(const struct queue *q, const struct draw_args *a, int max_outputs);

#ifdef __cplusplus
}
#endif
#endif
