// A backend that computes nothing: a token is a number made of the row's seed, position and sample,
// and a log-probability another. It holds the engine to its side of the contract: the order of the
// calls, segments that cover the tokens, pages and conv slots in range, no slot twice.
#ifndef TESTS_ENGINE_FAKE_BACKEND_H
#define TESTS_ENGINE_FAKE_BACKEND_H

#include "kernels/kernels.h"

extern const struct backend_ops fake_backend;

// What a draw of (seed, position, sample) gives.
int32_t fake_id(uint64_t seed, uint32_t position, uint32_t sample, int vocab);
float fake_lp(uint64_t seed, uint32_t position, uint32_t sample);

// What a test may look at, and change between steps.
struct fake {
    struct backend base;
    struct backend_options options;
    uint64_t n_steps, n_tokens, n_moves; // so far
    int n_segments;                      // of the last step
    int bad_position;                    // outputs behind this position are not finite; -1: none
    _Atomic bool is_lost;                // the device fails at the next wait
    _Atomic int step_us;                 // that a step takes
    bool is_checked;                     // false: nothing is looked at, for benchmarks
    // Of the step that is under way.
    int next_block; // -1: no step is under way
    struct step step;
    int32_t *ids; // (max_outputs) and so on, as wait() gives them
    float *lp;
    uint8_t *bad;
    uint8_t *slot_used; // (n_conv_slots)
};

#endif
