// A checkpoint of the LFM2 family: a Hugging Face directory (config.json and safetensors), or a
// GGUF file, every tensor matched to the weights of the shape. Nothing is read but headers until
// the values are asked for.
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
#include "worker/load/gguf.h"
#include "worker/load/names.h"
#include "worker/load/safetensors.h"

// --weights: the type in which values are resident, an enum dtype, or each tensor's own.
// expert_bias is float32 under all of them. Under a block type only matrices have it: the router
// and all vectors are float32, the embedding and the head are Q6_K where the type is a smaller one,
// and a matrix whose rows are no whole blocks is Q8_0, or float16 where they are no multiple of 32.
// The three matrices of a feed-forward network are all floats or all of block types; where this
// would not be so, they are float32.
enum { CHECKPOINT_AS_IS = -1 };

struct checkpoint {
    char *path; // directory, where the tokenizer's files are too, or GGUF file
    struct model_config config;
    struct names *names;       // names->weights is the list of weights, names->n their number
    struct tensor *tensors;    // (names->n) values as stored, in the mapping
    enum dtype *dtypes;        // (names->n) resident type of each: backend_options.weight_dtypes
    enum dtype *master_dtypes; // (names->n) backend_options.master_dtypes, or NULL
    struct safetensors *map;   // the files, or NULL
    struct gguf *gguf;         // or NULL
};

// "as-is", or a type's name such as "bf16" or "q4_0"; else ERROR_USAGE. *out: an enum dtype or
// CHECKPOINT_AS_IS, as everywhere here.
int checkpoint_types_parse(const char *text, int *out, struct error *err);

// What a weight becomes under `types`; `own`: as it is stored.
enum dtype checkpoint_resident(const struct weight *w, int types, enum dtype own);

// Resident types of all weights, from their own.
void checkpoint_resident_all(const struct names *names, int types, enum dtype *dtypes);

// The resident types of a shape without files (bench), as-is being bf16. dtypes: (names->n).
void checkpoint_synthetic_dtypes(const struct names *names, int types, enum dtype *dtypes);

// -1 with ERROR_CONFIG: a tensor that is missing, is no part of the shape, comes twice, or has the
// wrong type or shape; the sentence names the tensor, what was expected and what was found.
int checkpoint_open(const char *path, int types, struct checkpoint **out, struct error *err);
void checkpoint_close(struct checkpoint **c);

// Keeps a master (kernels/delta.h): of bf16, expert_bias of float32, as all weights are under bf16.
// Resident values then follow from the master's. ERROR_CONFIG where tensors are stored as block
// types: nothing is left of the values that they were packed from. ERROR_USAGE where all weights
// are resident as floats, which need none.
int checkpoint_keep_master(struct checkpoint *c, struct error *err);

// The values for a backend to load: rounded to nearest even where the resident type is a narrower
// float, packed where it is a block type (kernels/types/types.h), with a master from its values.
// Refused with ERROR_CONFIG is a value that is not finite, or that float16 cannot hold; the
// sentence names tensor and element.
struct weight_source checkpoint_source(const struct checkpoint *c);

// Which files the values come from (file_map's stamp): another number once one is replaced or
// changed. Packed weights that were kept under it (kernels.h) are these values.
uint64_t checkpoint_stamp(const struct checkpoint *c);

// The digest (kernels/digest.h) that loading would give, without a backend.
int checkpoint_digest(const struct checkpoint *c, uint64_t *digest, struct error *err);

// What a digest's type is called: the resident type of all weights but expert_bias, or the types in
// use joined by "+", such as "bf16+f32".
enum { CHECKPOINT_TYPES_BYTES = 48 };
void checkpoint_dtype_name(const struct names *names, const enum dtype *dtypes,
                           char out[CHECKPOINT_TYPES_BYTES]);

// Matches the file's tensors to the weights; of checkpoint_open.
int checkpoint_take_gguf(struct checkpoint *c, struct error *err);

// Gives weight `index` the values at `data`. -1: it has some already; `from` names the tensor.
int checkpoint_set_weight(struct checkpoint *c, int index, enum dtype dtype, const void *data,
                          struct slice from, struct error *err);

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
