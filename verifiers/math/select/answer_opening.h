// Inside the remarks: how one begins, and how one comes to a value.
#ifndef VERIFIERS_MATH_SELECT_ANSWER_OPENING_H
#define VERIFIERS_MATH_SELECT_ANSWER_OPENING_H

#include <stdbool.h>
#include <stddef.h>

#include "protocol/base/slice.h"

struct answer_values; // answer_remark.h

// With what a remark begins.
struct answer_opening {
    bool soft;    // "but", "in fact": it goes on
    bool against; // "but", "however"
    bool hard;    // "wait", "actually", "correction": something was wrong
    bool retract; // "scratch that", "I was wrong": what was said is taken back
    bool no;      // "no", with a mark behind it
    bool unsure;  // "I'm not sure"
    bool again;   // what was said is worked out anew: the value may be of anything
};

// Past "but", "wait, actually" and the like at `at`.
size_t answer_skip_openings(struct slice text, size_t at, struct answer_opening *out);

// answer_copula.c: "it is", "the correct one is", "I get": where they end, or `at`. `*plain`: it
// may as well explain what was said before ("that is 3 + 4"). `strong`: behind "wait" and its kin.
size_t answer_skip_copula(struct slice text, size_t at, bool strong, bool *plain);

// answer_conclude.c: "Wait, I forgot n = 0, so the count is 13.": the value in the clause of the
// sentence at `at` that draws the conclusion.
bool answer_concludes(struct slice text, size_t at, const struct answer_opening *opening,
                      const struct answer_values *values, struct slice *value);
// "Let me recompute." at `at`.
bool answer_begins_again(struct slice text, size_t at);
// "So 23." at the end of a text, the sentence at `at`. `again`: it was worked out anew, so that
// "23." and "The total is 23." are enough.
bool answer_results(struct slice text, size_t at, bool again, const struct answer_values *values,
                    struct slice *value);

#endif
