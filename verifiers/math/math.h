// The grader of mathematical answers: select, read, compare.
#ifndef VERIFIERS_MATH_MATH_H
#define VERIFIERS_MATH_MATH_H

#include <stdbool.h>

#include "protocol/base/error.h"
#include "protocol/base/slice.h"

enum math_verdict {
    MATH_EQUAL,
    MATH_EQUAL_NUM, // equal as far as a decimal can be
    MATH_DIFFERENT,
    MATH_UNKNOWN, // the answer is of a form that is not understood, or units differ
    MATH_NO_ANSWER,
    MATH_LIMIT,
};

const char *math_verdict_name(enum math_verdict verdict);

// Golds of one group, any of which is right. Immutable.
struct math_gold;

struct math_options {
    bool long_decimals; // a longer decimal that rounds to a decimal gold is right
};

// Parses (n) golds: LaTeX or text, with or without delimiters, a box, `####`, or a whole solution.
// Fails with a sentence when one is no number. Freed with math_gold_free.
struct math_gold *math_gold_parse(const struct slice *golds, int n,
                                  const struct math_options *options, struct error *err);
void math_gold_free(struct math_gold **gold);

// Grades a completion. `*rule` is how its answer was found ("box", ...), or "" .
enum math_verdict math_grade(const struct math_gold *gold, struct slice completion,
                             const char **rule);

#endif
