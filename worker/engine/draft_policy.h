// How far to guess: what a guess is worth, and what it costs.
//
// Worth. A guess helps where it and all before it in its row are right. The chance of one is learnt
// by kind of evidence, and scaled by how the row's guesses have done against what was expected of
// them; a row begins with the scale of its prompt. The chances of a run multiply.
//
// Cost. A step of T tokens is taken to last a + b T: fitted to what steps took of late, by tokens,
// apart for each doubling of rows, so that a device that is bound by memory shows a small b and one
// that is bound by arithmetic a small a. Where too little is known the last b that was fitted
// stands in.
//
// Choice. With R rows, and guesses that are expected to give Q tokens, a step makes R + Q tokens in
// a + b (R + n). One more guess of chance q makes that faster where q / b > (R + Q) / (a + b (R +
// n)). So guesses are taken from the most likely one down, over all rows, for as long as this
// holds: a few rows of a long tail guess far, full batches on a busy device little or not at all.
// Now and then a step guesses more than that, to see what it costs.
#ifndef WORKER_ENGINE_DRAFT_POLICY_H
#define WORKER_ENGINE_DRAFT_POLICY_H

#include <stdbool.h>
#include <stdint.h>

enum { DRAFT_KINDS = 16, DRAFT_BINS = 64, DRAFT_PROMPTS = 4096 };
enum { DRAFT_FITS = 16, DRAFT_COSTS = 112 };

// How guesses have done against what was expected of them, old ones fading.
struct draft_record {
    float expected, right;
};

// What steps of about so many tokens took of late; of n of them, counted no further than to some.
struct draft_cost {
    float tokens, us;
    uint32_t n, last; // of n_timed
};

// Of about so many rows.
struct draft_fit {
    struct draft_cost costs[DRAFT_COSTS];
};

struct draft_policy {
    float chances[DRAFT_KINDS];
    uint32_t n_judged[DRAFT_KINDS];
    struct draft_record *rows;    // (max_rows)
    struct draft_record *prompts; // (DRAFT_PROMPTS) by a hash of the prompt; two may share one
    struct draft_fit fits[DRAFT_FITS];
    double a, b;      // microseconds of the load that was seen last; before that only their ratio
    uint32_t n_timed; // steps
    // Of the step that is planned: guesses by their chance, the likeliest in the last bin.
    int n_bins[DRAFT_BINS];
    float chance_bins[DRAFT_BINS];
    uint32_t n_steps, n_idle; // steps; those in a row in which no guess was worth its cost
    int idle_rows;            // rows when that began
    bool explores;            // this step
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
