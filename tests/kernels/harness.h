// A backend with a model in it, and sequences that run through it: what the kernel tests share.
#ifndef TESTS_KERNELS_HARNESS_H
#define TESTS_KERNELS_HARNESS_H

#include "kernels/kernels.h"
#include "tests/reference.h"

enum { HARNESS_MAX_TOKENS = 128, HARNESS_PAGES = 64, HARNESS_SLOTS = 24 };

struct harness_options {
    enum dtype matrices, kv;
    int n_threads, page_tokens;
    const char *isa;
    const uint8_t *id_exists;
};

struct harness {
    struct reference_model *model;
    struct backend *backend;
    enum dtype *dtypes;
};

// Small networks: index 0 .. HARNESS_N_SHAPES - 1, of both families, with odd sizes.
enum { HARNESS_N_SHAPES = 5 };
struct model_shape harness_shape(int index);

struct harness *harness_open(const struct model_shape *shape, const struct harness_options *o,
                             uint64_t seed);
void harness_close(struct harness **h);

// Runs one step of any segments through all blocks.
void harness_step(struct harness *h, const struct step *step, struct step_result *result);

// Runs ids of one sequence from `position` on, `chunk` tokens a step, on pages first_page ... and a
// conv slot, and scores at temperature 1: out[t * n_targets + k] is lp_full of targets[k] after
// token t.
struct harness_sequence {
    const int32_t *ids;
    int n, position, chunk, conv_slot, first_page;
    const int32_t *targets;
    int n_targets;
};
void harness_score(struct harness *h, const struct harness_sequence *s, float *out);

// The paths that this processor has: "portable", "avx2" or NULL at the end.
const char *harness_isa(int index);

#endif
