// A finished sample as one line of JSON: the output of `generate` (worker/README.md).
#ifndef WORKER_SESSION_OUTPUT_H
#define WORKER_SESSION_OUTPUT_H

#include "protocol/base/buffer.h"
#include "worker/task.h"

// Shape of routed experts, for their nesting: [position][MoE layer][k].
struct output_shape {
    int n_moe_layers, n_experts_used, n_experts;
};

// Appends the line with its newline.
void output_sample(struct buffer *out, const struct sample *s, const struct output_shape *shape);

// A prompt line that was refused: its id, sample null, and the sentence.
void output_refused(struct buffer *out, struct slice id, const char *sentence);

#endif
