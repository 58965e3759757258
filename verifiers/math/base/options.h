// How answers are compared.
#ifndef VERIFIERS_MATH_BASE_OPTIONS_H
#define VERIFIERS_MATH_BASE_OPTIONS_H

#include <stdbool.h>

enum math_policy {
    MATH_VALUE,      // equal values are equal: 3*4 is 12
    MATH_LITERAL,    // an integer gold takes an integer literal, a fraction gold a literal number
    MATH_SIMPLIFIED, // no operation between numbers may be left to do: not 3*4, not 6/4
};

// All zero is policy `value` with its defaults.
struct math_options {
    bool long_decimals; // a longer decimal that rounds to a decimal gold is right
    enum math_policy policy;
    bool ordered_lists;  // 1,2 is not 2,1 (sets in braces stay without order)
    bool strict_percent; // 50% is 0.5 only, never 50
    bool strict_units;   // a unit on one side only makes a difference
    bool no_rounding;    // a decimal is only its exact value
    bool no_points;      // agreement at sample points without a proof is `unknown`
};

#endif
