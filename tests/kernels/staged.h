// A weight update as a backend sees it: staged bytes and changes, beside a model of what the
// weights are before and after.
#ifndef TESTS_KERNELS_STAGED_H
#define TESTS_KERNELS_STAGED_H

#include "tests/kernels/harness.h"

// An update under construction: its changes, and the bytes of the staging memory.
struct staged {
    struct harness *h;
    uint32_t **held; // (weights) (elements): the bits that are resident now (of a master: its), as
                     // the model has them
    struct weight_change *changes; // (n)
    uint32_t **positions;          // (n) (n_values)
    int n;
    char *image; // (staging_bytes)
    uint64_t bytes, staging_bytes;
    struct reference_random random;
};

struct staged *staged_new(const struct model_shape *s, const struct harness_options *o,
                          uint64_t seed);
void staged_clear(struct staged *u); // no changes
void staged_free(struct staged *u);
// What a plan of these weights is asked for: one small step, and updates.
struct backend_options staged_plan_options(const struct staged *u, const struct model_shape *s);

// ---- bits of a value, zero-extended

uint32_t staged_bits_at(enum dtype t, const void *values, int64_t i);
void staged_put_bits(enum dtype t, void *values, int64_t i, uint32_t bits);
uint32_t staged_infinity(enum dtype t);

int64_t staged_n_elements(const struct harness *h, int weight);
void *staged_read(struct harness *h, int weight); // harness_read_weight of all

// ---- building

// Adds a change of `weight` at these positions (the update's from now on) to any new values;
// code_bytes 0: dense. trailing: with skips behind the last value.
void staged_add(struct staged *u, int weight, int code_bytes, uint32_t *positions, int64_t n_values,
                bool trailing);
void staged_put_code(void *codes, int code_bytes, int64_t i, uint32_t code);

// Which elements change.
enum pattern {
    PATTERN_RANDOM,
    PATTERN_CLUSTERED,
    PATTERN_FIRST_AND_LAST,
    PATTERN_ALL,
    PATTERN_EDGES, // of blocks of 32 and of 256
    N_PATTERNS
};
void staged_add_pattern(struct staged *u, int weight, int code_bytes, enum pattern pattern);
void staged_add_dense(struct staged *u, int weight);
// Changes of all weights but some, with codes of every size, patterns of every kind, and dense: by
// `turn` each weight gets another one.
void staged_add_turn(struct staged *u, int turn);

// ---- against the model

void staged_stage(struct staged *u, uint64_t from, uint64_t n, const void *bytes);
// In pieces of any size, whose memory is another's as soon as the call returns.
void staged_stage_all(struct staged *u);
// Remakes as well.
int staged_check(struct staged *u, struct change_sums *sums, int *bad, struct error *err);
struct change_sums staged_sums_of(const struct staged *u, int i); // of change i
void staged_expect_sums(struct staged *u);
void staged_expect_weights(const struct staged *u);
// The blocks that `held` makes of a weight, one by one.
void *staged_pack(const struct staged *u, int weight);
// The same exchange in the model and its image of the staging memory.
void staged_apply(struct staged *u);
// Checked, applied, taken back; and applied again, checked with what was resident now staged, and
// taken back by that.
void staged_exchange_twice(struct staged *u);

#endif
