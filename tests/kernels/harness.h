// A backend with a model in it, and sequences that run through it: what the kernel tests share.
#ifndef TESTS_KERNELS_HARNESS_H
#define TESTS_KERNELS_HARNESS_H

#include "kernels/kernels.h"
#include "tests/reference.h"

enum { HARNESS_MAX_TOKENS = 128, HARNESS_PAGES = 64, HARNESS_SLOTS = 24, HARNESS_ARENA = 4 };

struct harness_options {
    enum dtype matrices, kv;
    enum dtype blocks; // resident type of matrices, or a float: as `matrices`
    bool has_master;   // beside blocks, of `matrices`
    bool second_copy;  // updates are made there; a master has one anyway
    int n_threads, page_tokens, max_draft;
    int max_tokens;   // 0: HARNESS_MAX_TOKENS
    const char *path; // of harness_path
    const uint8_t *id_exists;
    uint64_t staging_bytes;
};

struct harness {
    struct reference_model *model;
    struct backend *backend;
    bool has_master, keeps_staged; // what is staged stays when it is applied
    enum dtype *dtypes, *resident; // (weights), as the next two; what updates come in, what is
                                   // resident: the same where there is no master
    uint64_t *hashes, *digests;    // of names that are none; as load() gave them
};

// Small networks: index 0 .. HARNESS_N_SHAPES - 1, of both families, with odd sizes.
enum { HARNESS_N_SHAPES = 5 };
struct model_shape harness_shape(int index);

struct harness *harness_open(const struct model_shape *shape, const struct harness_options *o,
                             uint64_t seed);
void harness_close(struct harness **h);

// Elements of a weight as updates see them: resident ones, or the master's.
void harness_read_weight(struct harness *h, int index, int64_t first, int64_t n, void *values);

// Runs one step of any segments through all blocks.
void harness_step(struct harness *h, const struct step *step, struct step_result *result);

// Runs ids of one sequence from `position` on, `chunk` tokens a step, on pages first_page ... and a
// conv slot, whatever that held, and scores at temperature 1: out[t * n_targets + k] is lp_full of
// targets[k] after token t.
struct harness_sequence {
    const int32_t *ids;
    int n, position, chunk, conv_slot, first_page;
    const int32_t *targets;
    int n_targets;
};
void harness_score(struct harness *h, const struct harness_sequence *s, float *out);

// The device that is tested, $STAMPEDE_DEVICE or "cpu", and its paths: index 0 ..
// harness_n_paths() - 1. Those of the CPU are harness_isa's and behind them those that round;
// another device has one, NULL.
const char *harness_device(void);
bool harness_is_cpu(void);
bool harness_is_emulated(void); // by tests/cudasim, which is slow

// The resident type of a weight where `wanted` is asked for: devices other than the CPU hold
// matrices as bf16.
enum dtype harness_dtype(const struct weight *w, enum dtype wanted);
int harness_n_paths(void);

// The types of KV that the device has, 0 .. harness_n_kv() - 1; f32 is the first.
enum dtype harness_kv(int index);
int harness_n_kv(void);
const char *harness_path(int index);

// The CPU's paths alone that this processor has, for tests of its operations: "portable", "neon",
// "avx2", "avx512"; NULL at the end. Those of "neon-dot" are neon's.
const char *harness_isa(int index);

// Whether a path of harness_path rounds the operands of products with bf16 weights, as other
// devices than the CPU do.
bool harness_rounds(const char *path);

#endif
