// What reading a span and comparing two answers say.
#ifndef VERIFIERS_MATH_BASE_VERDICT_H
#define VERIFIERS_MATH_BASE_VERDICT_H

#include <stdint.h>

enum math_verdict {
    MATH_EQUAL,
    MATH_EQUAL_NUM, // equal as far as a decimal can be, or at sample points without a proof
    MATH_DIFFERENT,
    MATH_UNKNOWN, // not understood, or not decided
    MATH_NO_ANSWER,
    MATH_LIMIT, // a budget was used up
};

enum math_read {
    MATH_READ,
    MATH_EMPTY,      // nothing but space
    MATH_UNREADABLE, // no form that is understood
    MATH_OVER,       // over the bytes, tokens, nodes or depth of budget.h
};

struct math_result {
    enum math_verdict verdict;
    const char *rule; // what decided, a constant: "same", "rational", "decimal", "polynomial", ...
    int64_t steps;
};

#endif
