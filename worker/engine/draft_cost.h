// What a step costs with guesses and without, learnt from the steps themselves.
//
// For each number of rows (from 16 on each eighth of a doubling) there is a curve: the step of one
// token a row, and what so many tokens more add to it. Each length of which steps were
// seen has its mean, in which a line through all of them, j + b * tokens more, counts like a few
// steps: so a length that was never seen costs what the line says, and one that was seen a few
// times is not chosen for having been lucky. The line begins above the step without guesses, since
// the first tokens of another position go to experts that nobody else has called, and later ones
// find them called.
//
// The machine does other things too, for seconds or minutes. So times are compared over that:
// `speed` follows how the last steps did against what was expected of them, and what is learnt is
// the time over the speed. Only ratios matter to the choice.
#ifndef WORKER_ENGINE_DRAFT_COST_H
#define WORKER_ENGINE_DRAFT_COST_H

#include <stdbool.h>
#include <stdint.h>

enum { DRAFT_CURVES = 96, DRAFT_LENGTHS = 112 };

// Steps of about so many tokens more than rows.
struct draft_length {
    float more, us; // means; us over the speed
    uint32_t n;     // steps, counted no further than to some
};

struct draft_curve {
    struct draft_length lengths[DRAFT_LENGTHS]; // the first: no token more
    float rows;                                 // mean
    float jump, slope;                          // us: of the first token more; of each
};

struct draft_costs {
    struct draft_curve *curves; // (DRAFT_CURVES) by rows
    double base_us, slope_us;   // of the curve that was seen last; 0: none was yet
    double speed;               // how much longer steps take now than what is learnt
    uint32_t n;                 // steps
};

void draft_costs_open(struct draft_costs *c);
void draft_costs_close(struct draft_costs *c);

// A step without prompts took so long.
void draft_costs_note(struct draft_costs *c, int n_rows, int n_tokens, double us);

// Whether a step of so many rows without guesses was seen.
bool draft_costs_knows(const struct draft_costs *c, int n_rows);

// What a step of n_rows rows and n_tokens tokens is expected to cost, over the speed.
double draft_costs_of(const struct draft_costs *c, int n_rows, int n_tokens);

#endif
