// A look at resident weights between updates: a bit that flips there (a fault of the memory, a
// stray write) makes every token after it wrong, and no update would notice.
//
// Between two steps, on the engine's thread, the digest of a few million elements is summed up
// anew where they lie, tensor after tensor, at a pace at which a pass over all weights takes
// `interval_s`; it is compared with the part of the digest that resident.h keeps. So nothing races
// with an apply or an undo, and no step waits for longer than SCRUB_MOST elements take.
//
// An update in the middle of a tensor begins that tensor anew, at twice the pace: it is gone
// through in time also where updates come faster than it could be.
//
// Beside a master both are looked at, it and the blocks that were made of it. Not looked at are
// copies that a backend makes of weights for its own use, and padding.
#ifndef WORKER_WEIGHTS_SCRUB_H
#define WORKER_WEIGHTS_SCRUB_H

#include "kernels/kernels.h"
#include "worker/weights/resident.h"

enum {
    SCRUB_PIECE = 1 << 20, // elements that are summed up at a time, or fewer of a small model
    SCRUB_MOST = 1 << 24,  // elements in one turn; what a turn leaves undone is not caught up
};

// A tensor that is not what it was.
struct scrub_damage {
    char tensor[NAMES_MAX_BYTES];
    int64_t good_ms; // on clock_ms: when it was last whole
};

struct scrub;

// `now_ms`: the weights were whole then. What is borrowed outlives it. interval_s > 0.
struct scrub *scrub_open(const struct resident *resident, struct backend *backend, int interval_s,
                         int64_t now_ms);
void scrub_free(struct scrub **s);

// Between two steps: sums up what is due. -1 where a tensor is damaged, which is ERROR_INTERNAL
// with a sentence, and *damage tells (else its tensor is empty); or where the device failed.
int scrub_turn(struct scrub *s, int64_t now_ms, struct scrub_damage *damage, struct error *err);

// An update was applied or undone since the last turn.
void scrub_restart(struct scrub *s);

uint64_t scrub_n_passes(const struct scrub *s); // over all weights, since scrub_open

#endif
