// Exact decisions about values, with FLINT, Arb and Calcium behind them. Only this folder names
// these libraries.
//
// Everything is bounded before it is computed: integers to 2^16 bits, factorials, polynomial terms,
// ball precision to 4096 bits; every step is counted in the budget.
#ifndef VERIFIERS_MATH_EXACT_EXACT_H
#define VERIFIERS_MATH_EXACT_EXACT_H

#include "verifiers/math/base/budget.h"
#include "verifiers/math/base/tree.h"

enum exact {
    EXACT_YES,   // proved
    EXACT_NO,    // refuted
    EXACT_AGREE, // the same at sample points, without a proof
    EXACT_UNKNOWN,
    EXACT_LIMIT,
};

// Are two constants (no symbols) the same number? `*rule`: "rational", "arb" or "calcium".
enum exact exact_equal(const struct math_node *a, const struct math_node *b,
                       struct math_budget *budget, const char **rule);

// Which of two real constants is greater: *order = -1, 0, 1 on EXACT_YES; else UNKNOWN or LIMIT.
enum exact exact_order(const struct math_node *a, const struct math_node *b,
                       struct math_budget *budget, int *order);

// Are two expressions with symbols the same function? `*rule`: "polynomial",
// "primes" or "points".
enum exact exact_identity(const struct math_node *a, const struct math_node *b,
                          struct math_budget *budget, const char **rule);

// Do a = 0 and b = 0 say the same, one side a constant multiple of the other once denominators are
// cleared? On YES and AGREE `*sign` is the constant's sign where a / b has one, else 0.
enum exact exact_proportional(const struct math_node *a, const struct math_node *b,
                              struct math_budget *budget, const char **rule, int *sign);

// The constant as an integer or a fraction in lowest terms; NULL where it is no rational number.
const struct math_node *exact_literal(const struct math_node *node, struct math_budget *budget,
                                      struct arena *arena);

// The integral of a polynomial in `variable` alone between two rational constants; NULL where it is
// something else.
const struct math_node *exact_integral(const struct math_node *body,
                                       const struct math_node *variable,
                                       const struct math_node *low, const struct math_node *high,
                                       struct math_budget *budget, struct arena *arena);

// Square matrices of (n * n) rational constants, row by row. The determinant: NULL where a cell is
// no rational number. The inverse in `out`: false there too, and where there is none.
const struct math_node *exact_determinant(const struct math_node *const *cells, int n,
                                          struct math_budget *budget, struct arena *arena);
bool exact_inverse(const struct math_node *const *cells, int n, struct math_budget *budget,
                   struct arena *arena, const struct math_node **out);

// The sign of a quotient of polynomials in one symbol, on the real line.
enum { EXACT_MAX_POINTS = 24 };
struct exact_signs {
    int n; // points at which it is zero or has no value, in ascending order
    const struct math_node *points[EXACT_MAX_POINTS]; // (n) constants
    bool poles[EXACT_MAX_POINTS];                     // (n) it has no value there
    int signs[EXACT_MAX_POINTS + 1];                  // (n + 1) between them: -1, 0, 1
};
// YES, or UNKNOWN where the expression is something else. Nodes are made in `arena`.
enum exact exact_signs(const struct math_node *expression, struct math_budget *budget,
                       struct arena *arena, struct exact_signs *out);

// Is the literal `decimal` (or minus it) the value rounded at its last digit, or with `cut` also
// the value cut there? A half is rounded away from zero.
enum exact exact_rounds(const struct math_node *value, const struct math_node *decimal, bool cut,
                        struct math_budget *budget);

// Is the constant a rational number, and one that a finite decimal is equal to? UNKNOWN where it
// is not known to be rational.
enum exact exact_is_terminating(const struct math_node *value, struct math_budget *budget);

// A small rational number without any of these libraries: false when it is none or too large.
struct ratio {
    int64_t num, den; // den > 0, lowest terms
};
bool ratio_of(const struct math_node *node, struct ratio *out);

#endif
