// Numbers as people write them, read into exact rationals, and compared.
//
// Forms: integers, thousands separators, decimals, repeating decimals, scientific notation,
// fractions (\frac, a/b, one-character), mixed numbers, percent, a currency sign in front, a known
// unit behind. A span is read as a whole or not at all: no number is ever taken out of a text
// that was not understood (the commonest way to be fooled).
#ifndef VERIFIERS_MATH_NUMBER_H
#define VERIFIERS_MATH_NUMBER_H

#include <stdbool.h>

#include "verifiers/math/big.h"
#include "verifiers/math/lex.h"

enum {
    NUMBER_MAX_DIGITS = 600, // of one literal; 10^600 < 2^2048
    NUMBER_MAX_EXPONENT = 600,
    NUMBER_MAX_LIST = 16,
    NUMBER_MAX_DEPTH = 16, // of braces and parentheses
};

enum number_form {
    NUMBER_INTEGER,
    NUMBER_DECIMAL,  // written with a point or a negative power of ten
    NUMBER_FRACTION, // also mixed numbers and repeating decimals
};

struct number {
    struct big num, den; // value = num / den, den > 0, not reduced; both are operands
    bool negative;
    bool percent; // a percent sign was written; the value is that of the bare number
    enum number_form form;
    int n_decimals;    // NUMBER_DECIMAL: digits after the point
    int n_significant; // digits without leading zeros
    char unit[64];     // canonical, e.g. "cm^2", "mile/hour", "dollar"; "" is none
};

struct number_list {
    int n; // 1 to NUMBER_MAX_LIST
    struct number items[NUMBER_MAX_LIST];
};

enum number_result { NUMBER_READ, NUMBER_NONE, NUMBER_LIMIT };

// Reads a whole answer: one number, `x = number`, or several joined by commas, "and", "or".
// `prose` lets words without a meaning for numbers follow ("12 apples a day"), as a sentence has
// them. NUMBER_NONE: it is something else.
enum number_result number_read(struct slice text, bool prose, struct number_list *out);

enum number_order { NUMBER_EQUAL, NUMBER_EQUAL_ROUNDED, NUMBER_DIFFERENT, NUMBER_UNDECIDED };

// Compares under policy `value` (README, "math"): exact; an answer as a decimal may stand for a
// gold that no decimal is equal to, with 6 digits at least; a decimal gold takes an exact answer
// that rounds to it, and a longer decimal only where `long_decimals` and it has 3 digits itself.
// Units that both have and that differ are NUMBER_UNDECIDED.
enum number_order number_compare(const struct number *gold, const struct number *answer,
                                 bool long_decimals);

// The same for lists, in any order.
enum number_order number_compare_lists(const struct number_list *gold,
                                       const struct number_list *answer, bool long_decimals);

#endif
