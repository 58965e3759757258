// An open engine for tests: on a backend that computes nothing, or on the device that is tested.
#ifndef TESTS_ENGINE_RIG_H
#define TESTS_ENGINE_RIG_H

#include "tests/engine/fake_backend.h"
#include "worker/engine/engine.h"

struct rig_options {
    int max_rows, max_prefixes, max_context, prefill_chunk; // 0: 8, 4, 128, 16
    int n_pages, suspend_pages, suspend_slots; // of 16 positions; 0 pages: as many as fit all rows
    bool is_real;                              // the device that is tested, with random weights
    enum dtype kv;                             // of that device
    bool has_moe;                              // 3 MoE layers of 2 experts a token
    const struct tokenizer *tokenizer;         // of texts, borrowed
    const int32_t *end_ids;                    // (n_end_ids), borrowed
    int n_end_ids;
    int vocab;                  // 0: 97
    struct draft_options draft; // memory_bytes 0: 64 KiB
};

struct rig {
    struct engine engine;
    struct fake *fake; // NULL on a real device
};

void rig_open(struct rig *rig, const struct rig_options *options);
void rig_close(struct rig *rig);

// A task of n samples with a prompt of n_prompt ids, to be changed before it is added.
struct task *rig_task(const struct rig *rig, uint64_t serial, int n_prompt, int n, int max_new);

// One turn. Returns as engine_finish.
int rig_step(struct rig *rig);

// Steps until nothing is left that could run.
void rig_run(struct rig *rig);

// Serves new weights, of a real device: those of before, one of them scaled.
void rig_update(struct rig *rig, uint64_t version);

// The samples that ended since the last call, in order, at most `max`; freed with rig_free.
int rig_take(struct rig *rig, struct sample **out, int max);
void rig_free(struct sample **samples, int n);

#endif
