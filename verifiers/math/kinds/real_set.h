// Sets of real numbers as pieces with exact ends, and what they amount to.
#ifndef VERIFIERS_MATH_KINDS_REAL_SET_H
#define VERIFIERS_MATH_KINDS_REAL_SET_H

#include "verifiers/math/kinds/kind.h"

enum { REAL_SET_MAX_PIECES = 32 };

struct piece {
    const struct math_node *low, *high; // constants; NULL: no end
    bool low_open, high_open;
};

struct real_set {
    struct piece pieces[REAL_SET_MAX_PIECES];
    int n;
    const struct math_node *variable; // of an inequality
};

// Each is false where a set has too many pieces, or the order of two ends is not known.
bool real_set_add(struct real_set *set, struct piece piece);
bool real_set_normalise(struct comparison *c, struct real_set *set); // sorted, disjoint, not empty
bool real_set_intersect(struct comparison *c, struct real_set *a, const struct real_set *b);
bool real_set_unite(struct comparison *c, struct real_set *a, const struct real_set *b);
bool real_set_complement(struct comparison *c, struct real_set *set);

// Two normalised sets.
enum math_verdict real_set_compare(struct comparison *c, const struct real_set *gold,
                                   const struct real_set *answer);

// solve.c: `left op right` (enum math_relation) as a set: quotients of polynomials and absolute
// values of them in one symbol. False where it is not understood or too much.
bool real_set_solve(struct comparison *c, const struct math_node *left, int op,
                    const struct math_node *right, struct real_set *out);

#endif
