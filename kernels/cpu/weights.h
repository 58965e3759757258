// The resident weights: matrices packed for matmul.h, vectors as float32.
#ifndef KERNELS_CPU_WEIGHTS_H
#define KERNELS_CPU_WEIGHTS_H

#include "kernels/cpu/matmul.h"
#include "kernels/cpu/region.h"
#include "kernels/kernels.h"

struct expert {
    struct matrix w1, w3, w2;
};

// One layer; what it lacks is NULL. Vectors are padded with zeros to matmul_pad().
struct layer {
    const float *operator_norm, *ffn_norm;
    struct matrix conv_in, conv_out; // conv layers
    const float *conv_in_bias, *conv_taps, *conv_taps_bias, *conv_out_bias;
    struct matrix q, k, v, attention_out; // attention layers
    const float *q_norm, *k_norm;
    struct matrix router; // MoE layers
    const float *expert_bias;
    struct expert *experts; // (n_experts), or one: the dense network
};

// How a tensor lies. Vectors are float32 whatever their type; the taps of the convolution
// (hidden, 1, width) lie as (width, hidden), each tap padded.
enum weight_layout {
    WEIGHT_PACKED, // a matrix, for matmul.h
    WEIGHT_VECTOR,
    WEIGHT_PLAIN, // of a master (master.h): in row-major order, in its type
};

// Where a tensor lies. Vectors have rows = values and columns = 1.
struct weight_slot {
    enum dtype dtype; // what read and write speak, and what values are exact in
    enum weight_layout layout;
    int rows, columns;
    void *data;
};

struct weights {
    int n;
    struct weight *list; // (n) weights_list
    enum type_path path;
    struct weight_slot *slots; // (n) by index of weights_list
    struct layer *layers;
    bool is_tied;
    struct matrix embed, head; // the same data when tied
    const float *final_norm;
    struct region region;
    size_t bytes; // of the region, the weights lie in
};

// Bytes of all weights. `dtypes`: resident type of each, by index.
size_t weights_bytes(const struct model_shape *shape, const enum dtype *dtypes);

// The values are zeros. `path`: of products with block types.
int weights_open(struct weights *w, const struct model_shape *shape, const enum dtype *dtypes,
                 enum type_path path, struct error *err);
void weights_close(struct weights *w, const struct model_shape *shape);

// The slot of a weight of this type, without a place; the bytes that it takes where it is packed or
// a vector.
struct weight_slot weights_slot(const struct weight *w, enum dtype dtype);
size_t weights_slot_bytes(const struct weight_slot *s);

// Exchanges where weight `index` lies in two of the same shape and types.
void weights_exchange(struct weights *a, struct weights *b, int index);

// Elements first .. first + n - 1 in row-major order, in the resident type; whole blocks.
void weights_write(struct weights *w, int index, int64_t first, int64_t n, const void *values);
void weights_read(const struct weights *w, int index, int64_t first, int64_t n, void *values);

// Element i of a vector or of the taps, as it is resident.
float weights_vector_value(const struct weights *w, int index, int64_t i);

#endif
