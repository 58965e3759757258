// What the launches of time.cu read and how, by the counts of the emulator, against what each
// kernel may: weights that are read once, whole sectors, few bank conflicts, few barriers. Ordinary
// loads and stores, and so all shares, are seen in the race build alone.
#include <stdlib.h>

#include "tests/cudasim/kernels/check.h"

#ifdef CUDASIM
#include "tests/cudasim/cudasim.h"

// The least share of the bytes of sectors that was asked for, in percent, but for the step's
// description, whose single words outweigh the small matrices here; the most passes of shared
// memory, in percent of those without bank conflicts; the most arrivals of a block's threads at
// barriers.
struct limits {
    const char *op;
    int sectors, passes, barriers;
};
static const struct limits LIMITS[] = {
    {"expert_gate", 90, 110, 5000},  {"expert_down", 90, 150, 5000}, // 8 values a thread
    {"out", 90, 115, 5000},          {"down", 90, 115, 5000},
    {"gate", 90, 110, 5000},         {"conv_in", 90, 115, 5000},
    {"qkv", 90, 110, 5000},          {"decode", 90, 110, 1000},
    {"decode/chunk", 90, 110, 1000}, {"prefill", 75, 110, 3000}, // few positions: the ends of pages
    {"head", 90, 110, 3000},         {"head/stored", 90, 110, 3000},
    {"draw", 20, 110, 45000}, // of 4 tiles: single words of its results outweigh them
    {"draw/top-p", 75, 120, 100000}, {"router", 90, 170, 1600},
    {"combine", 90, 110, 300},       {"rms_norm", 90, 110, 300},
};

static const struct limits *limits_of(const char *op) {
    for (const struct limits &l : LIMITS)
        if (strcmp(l.op, op) == 0) return &l;
    return nullptr;
}

static double percent(uint64_t part, uint64_t whole) {
    return whole ? 100.0 * (double)part / (double)whole : 100;
}

void count_launch(checker &c, const counted &what, const std::function<int(int)> &launch) {
    struct cudasim_counts all, of_weights = {}, of_step = {};
    c.done(launch(0), what.op); // outside of the count: sets attributes
    cudasim_count_requests(1);
    cudasim_clear_counts();
    c.done(launch(0), what.op);
    cudasim_counts(nullptr, &all);
    if (what.weights) cudasim_buffer_counts(nullptr, what.weights, &of_weights);
    if (c.step) cudasim_buffer_counts(nullptr, c.step, &of_step);
    double sectors = percent(all.sector_bytes_used - of_step.sector_bytes_used,
                             32 * (all.sectors - of_step.sectors));
    double passes = percent(all.shared_passes, all.shared_passes_ideal);
    double barriers = (double)all.barriers / (double)all.blocks;
    const struct limits *l = limits_of(what.op);
    bool is_good = l && sectors >= l->sectors && passes <= l->passes && barriers <= l->barriers;
    is_good &= !what.weight_bytes || (double)of_weights.bytes_read == what.weight_bytes;
    is_good &= all.float_atomics == 0;
    c.n_run++;
    c.n_failed += !is_good;
    printf("%-4s %-12s %-6s %3d tokens tile %4d: weights %.0f of %.0f bytes, sectors %.0f%%, "
           "shared %.0f%%, %.0f barriers a block\n",
           is_good ? "pass" : "FAIL", what.op, c.family(), what.n_tokens, what.tile,
           (double)of_weights.bytes_read, what.weight_bytes, sectors, passes, barriers);
    fflush(stdout);
}

#else // on a GPU nothing is counted

void count_launch(checker &, const counted &, const std::function<int(int)> &) {
    printf("--count is for the emulator.\n");
    exit(2);
}

#endif
