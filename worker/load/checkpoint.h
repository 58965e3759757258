// A Hugging Face checkpoint directory of the LFM2 family: config.json and safetensors, every tensor
// matched to the weights of the shape. Nothing is read but headers until the values are asked for.
//
// Experts may be stored one by one or fused (worker/load/names.h). Where the head is tied,
// lm_head.weight may be there all the same if its bytes equal the embedding's.
// Mapped files that are cut short under our feet raise SIGBUS: see worker/load/safetensors.h.
#ifndef WORKER_LOAD_CHECKPOINT_H
#define WORKER_LOAD_CHECKPOINT_H

#include <stdbool.h>
#include <stdint.h>

#include "kernels/kernels.h"
#include "kernels/tensor.h"
#include "protocol/base/error.h"
#include "worker/load/config.h"
#include "worker/load/names.h"
#include "worker/load/safetensors.h"

// --weights: the type in which values are resident. expert_bias is float32 under all of them.
enum checkpoint_types {
    CHECKPOINT_AS_IS, // each tensor's own
    CHECKPOINT_BF16,
    CHECKPOINT_F16,
    CHECKPOINT_F32,
};

struct checkpoint {
    char *directory; // where the tokenizer's files are too
    struct model_config config;
    struct names *names;     // names->weights is the list of weights, names->n their number
    struct tensor *tensors;  // (names->n) values as stored, in the mapping
    enum dtype *dtypes;      // (names->n) resident type of each: backend_options.weight_dtypes
    struct safetensors *map; // the files
};

// "as-is", "bf16", "f16" or "f32"; else ERROR_USAGE.
int checkpoint_types_parse(const char *text, enum checkpoint_types *out, struct error *err);

// The resident types of a shape without files (bench): float32 for expert_bias, else `t`, as-is
// being bf16. dtypes: (names->n).
void checkpoint_synthetic_dtypes(const struct names *names, enum checkpoint_types t,
                                 enum dtype *dtypes);

// -1 with ERROR_CONFIG: a tensor that is missing, is no part of the shape, comes twice, or has the
// wrong type or shape; the sentence names the tensor, what was expected and what was found.
int checkpoint_open(const char *directory, enum checkpoint_types types, struct checkpoint **out,
                    struct error *err);
void checkpoint_close(struct checkpoint **c);

// The values for a backend to load: rounded to nearest even where the resident type is narrower.
// Refused with ERROR_CONFIG is a value that is not finite, or that float16 cannot hold; the
// sentence names tensor and element.
struct weight_source checkpoint_source(const struct checkpoint *c);

// The digest (kernels/digest.h) that loading would give, without a backend.
int checkpoint_digest(const struct checkpoint *c, uint64_t *digest, struct error *err);

// What a digest's type is called: the resident type of all weights but expert_bias, or the types in
// use joined by "+", such as "bf16+f32". `out`: 16 bytes.
void checkpoint_dtype_name(const struct names *names, const enum dtype *dtypes, char out[16]);

// Random weights without a checkpoint (bench): the same for the same seed. Matrices are uniform
// with a deviation within a factor of 2 of 1 / sqrt(columns), norms 1, expert_bias and conv biases
// 0.
struct checkpoint_random {
    const struct names *names;
    const enum dtype *dtypes; // (names->n)
    uint64_t seed;
};
struct weight_source checkpoint_random_source(const struct checkpoint_random *r);

#endif
