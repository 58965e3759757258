// Drafts (D15): what may come next in the rows of a step, guessed before the step and judged by it.
//
// A row's segment is the token that was drawn last and guesses behind it, with a draw at each. The
// longest run in which drawn equals guessed stands, with the draw behind it (engine.c); whatever is
// guessed, every bit of a sample is as without. So this part decides about speed alone: what to
// guess is a source's matter, how much the policy's (draft_policy.h).
#ifndef WORKER_ENGINE_DRAFT_H
#define WORKER_ENGINE_DRAFT_H

#include "worker/engine/draft_policy.h"
#include "worker/engine/rows.h"
#include "worker/engine/scheduler.h"

struct draft_wish {
    int n;                // guesses at most
    const float *chances; // (DRAFT_KINDS) of a guess of this kind to be right
    float least;
};

// Where guesses come from. The history (history.h) is one; a draft model would be another.
struct draft_source {
    void *self;
    // Guesses up to n tokens behind what the row in this slot has: ids[i], of a kind of evidence
    // kinds[i] (0 to DRAFT_KINDS - 1) that the policy learns to trust or not. Returns how many; it
    // may stop where the kinds' chances, multiplied, fall below `wish->least`.
    int (*guess)(void *self, const struct row *row, int slot, const struct draft_wish *wish,
                 int32_t *ids, uint8_t *kinds);
    // This slot will be asked for soon; or NULL. A place to fetch from memory what that takes.
    void (*expect)(void *self, int slot);
};

struct draft_options {
    int max_draft; // guesses of a row in one step; 0: none are made
    bool is_auto;  // how many is the policy's to say, else max_draft wherever there are as many
    size_t memory_bytes; // of the history
};

struct drafts;

// All memory is taken here. NULL where max_draft is 0; all functions here take that. `vocabulary`
// is borrowed; `max_tokens`: of a step.
struct drafts *drafts_open(const struct draft_options *options, int max_rows, int max_tokens,
                           const struct vocabulary *vocabulary);
void drafts_free(struct drafts **drafts);

// From now on guesses come from `source`; NULL: from the history again.
void drafts_set_source(struct drafts *d, const struct draft_source *source);

// Guesses for the rows of a plan, which have started, as far as the scheduler has room. Returns the
// ids: those of row segment i from i * max_draft on, as many as its n_tokens - 1. Valid until the
// next call.
const int32_t *drafts_plan(struct drafts *d, struct scheduler *s, const struct plan *plan,
                           const struct row *rows);

// The step is under way: files what was drawn before it.
void drafts_settle(struct drafts *d);

// What came of row segment i, whose row has taken what it drew.
void drafts_learn(struct drafts *d, int i, const struct segment *segment, struct outcome outcome,
                  const struct row *row);

// How long the device took for the step, of `plan`.
void drafts_learn_time(struct drafts *d, const struct plan *plan, int64_t step_us);

#endif
