// Sums whose value has a name: the exponential series, sums of even powers, the binomial theorem.
#ifndef VERIFIERS_MATH_KINDS_SERIES_H
#define VERIFIERS_MATH_KINDS_SERIES_H

#include "verifiers/math/kinds/kind.h"

// The sum of `body` for `variable` from `low` to `high`.
struct series {
    const struct math_node *body, *variable, *high;
    int64_t low;
};

// With a constant c and r from the sum's own factors:
//   sum of c r^k / k!, from any k on to infinity, by e^r (Taylor);
//   sum of c / k^s or c (-1)^k / k^s to infinity, s = 2, 4, 6, 8, by the zeta function (Euler);
//   sum of c r^k binom(n, k) for k = 0 or 1 to n: c (1 + r)^n, but for r = -1.
// NULL where the sum is none of these.
const struct math_node *series_value(struct comparison *c, const struct series *s);

#endif
