// An update as a trainer would offer it: tensors, dense and sparse, as one stream.
#ifndef TESTS_WEIGHTS_OFFERED_H
#define TESTS_WEIGHTS_OFFERED_H

#include "protocol/messages.h"
#include "worker/weights/resident.h"

enum { OFFERED_MAX = 64 };

struct offered {
    struct message_weights_begin m; // columns point into what follows
    struct column_texts names;
    uint8_t dtypes[OFFERED_MAX], ranks[OFFERED_MAX], modes[OFFERED_MAX], code_bytes[OFFERED_MAX];
    int64_t shapes[4 * OFFERED_MAX];
    uint64_t n_values[OFFERED_MAX], checks[OFFERED_MAX], n_codes[OFFERED_MAX];
    uint64_t begins[OFFERED_MAX]; // of each tensor in the stream
    int weights[OFFERED_MAX];
    int n;
    struct buffer stream;
};

void offered_open(struct offered *o, uint64_t update, uint64_t base, uint64_t version);
void offered_free(struct offered *o);

// A tensor with all of `values` (weight_n), or one that stays as it is.
void offered_add_dense(struct offered *o, const struct resident *r, int weight, const void *values);
void offered_add_skip(struct offered *o, const struct resident *r, int weight);
// A tensor with `values` (n) at `positions` (n), which rise, in codes of 1, 2 or 4 bytes.
void offered_add_sparse(struct offered *o, const struct resident *r, int weight, int code_bytes,
                        const uint32_t *positions, int64_t n, const void *values);

// Points the columns of `m` at what was added.
void offered_finish(struct offered *o);

// The bytes that a pull asks for.
struct message_weights_chunk offered_answer(const struct offered *o,
                                            const struct message_weights_pull *pull);

#endif
