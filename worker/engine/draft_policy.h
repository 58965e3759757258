// How far to guess: what a guess is worth, and what it costs.
//
// Worth. A guess helps where it and all before it in its row are right. The chance of one is learnt
// by kind of evidence, and scaled by how the row's guesses have done against what was expected of
// them; a row begins with the scale of its prompt. The chances of a run multiply.
//
// Cost. What steps of so many rows and tokens took (draft_cost.h).
//
// Choice. Guesses are taken from the most likely one down, over all rows, up to where the tokens
// that are expected of the step, over its cost, are most: a few rows of a long tail guess far, full
// batches on a busy device little or not at all. All lengths are compared, since the first token
// more may cost more than the next ones.
//
// Now and then a step guesses otherwise, to see what that costs and whether it is right. What that
// is expected to lose is paid from a budget, of a small share of the time.
#ifndef WORKER_ENGINE_DRAFT_POLICY_H
#define WORKER_ENGINE_DRAFT_POLICY_H

#include <stdbool.h>
#include <stdint.h>

#include "worker/engine/draft_cost.h"

enum { DRAFT_KINDS = 32, DRAFT_BINS = 64, DRAFT_PROMPTS = 4096 };

// How guesses have done against what was expected of them, old ones fading.
struct draft_record {
    float expected, right;
};

struct draft_policy {
    float chances[DRAFT_KINDS];
    uint32_t n_judged[DRAFT_KINDS];
    struct draft_record *rows;    // (max_rows)
    struct draft_record *prompts; // (DRAFT_PROMPTS) by a hash of the prompt; two may share one
    struct draft_costs costs;
    double budget_us; // for exploring
    // Of the step that is planned: guesses by their chance, the likeliest in the last bin.
    int n_bins[DRAFT_BINS];
    float chance_bins[DRAFT_BINS];
    uint32_t n_steps, n_idle; // steps; those in a row in which no guess was worth its cost
    int idle_rows;            // rows when that began
    bool explores, doubts;    // this step
};

void draft_policy_open(struct draft_policy *p, int max_rows);
void draft_policy_close(struct draft_policy *p);

// A row begins in `slot`, or has ended there.
void draft_policy_begin_row(struct draft_policy *p, int slot, uint64_t prompt_key);
void draft_policy_end_row(struct draft_policy *p, int slot, uint64_t prompt_key);

// Begins the choice for a step of n_rows rows. False: look for no guesses this time; many rows for
// which none was worth its cost are asked now and then only, since looking costs the host.
bool draft_policy_begin(struct draft_policy *p, int n_rows);

// Guesses whose chance, that of all before them included, is under this are not worth looking for.
float draft_policy_least(const struct draft_policy *p);

// Offers guesses of one row, as chances of whole runs: chances[i] that guess i and those before it
// are right. Returns how many of the n are worth considering.
int draft_policy_offer(struct draft_policy *p, int slot, int n, const uint8_t *kinds,
                       float *chances);

// The least chance that a guess of this step must have, once all have been offered.
float draft_policy_choose(struct draft_policy *p, int n_rows);

// A guess of this kind was judged.
void draft_policy_judge(struct draft_policy *p, int slot, uint8_t kind, bool right);

// A step without prompts took so long.
void draft_policy_time(struct draft_policy *p, int n_rows, int n_tokens, int64_t step_us);

#endif
