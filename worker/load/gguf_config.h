// What a GGUF file says of an LFM2 model: its shape, as config.json would, and its tensors' names.
//
// Architectures are lfm2 and lfm2moe. A layer is attention where attention.head_count_kv, an array,
// is not 0. Widths of feed-forward networks and the vocabulary are those of the tensors: there are
// files whose metadata is wrong there. expert_weights_scale is 1 where it is not given; selected
// weights are normalised, as llama.cpp has it.
#ifndef WORKER_LOAD_GGUF_CONFIG_H
#define WORKER_LOAD_GGUF_CONFIG_H

#include "worker/load/config.h"
#include "worker/load/gguf.h"
#include "worker/load/names.h"

// -1 with ERROR_CONFIG: the sentence names the key or tensor, what was found and what was expected.
int gguf_config(const struct gguf *g, struct model_config *out, struct error *err);

// What a tensor's name stands for in a shape: of a stack of experts' matrices `index` is expert
// 0's, and expert e's is index + 3 * e. index -1: no tensor of this shape.
struct gguf_match {
    int index;
    bool is_stack;
};
struct gguf_match gguf_names_find(const struct names *n, struct slice name);

enum { GGUF_NAME_BYTES = 64 };
// The name of a weight; of an expert's, its stack's.
void gguf_names_write(const struct weight *w, char out[GGUF_NAME_BYTES]);

// Dimensions of a weight's tensor, the fastest first, as files have them: the middle one of the
// convolution's taps is left out, a stack's experts come last. Returns their number.
int gguf_names_dims(const struct model_shape *s, const struct weight *w, bool is_stack,
                    int64_t dims[GGUF_MAX_DIMS]);

#endif
