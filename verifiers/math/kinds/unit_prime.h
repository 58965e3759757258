// Primes behind a number: 12' is 12 feet or minutes of arc, 12'' is 12 inches or seconds of arc. It
// is read as a length; beside degrees it is an angle, beside a number without a unit either.
#ifndef VERIFIERS_MATH_KINDS_UNIT_PRIME_H
#define VERIFIERS_MATH_KINDS_UNIT_PRIME_H

#include "verifiers/math/kinds/kind.h"

bool unit_prime_follows(const struct parser *p, const struct math_node *value);
// The value with the primes at the parser, which are there. NULL when the budget is used up.
struct math_node *unit_prime(struct parser *p, struct math_node *value);
int unit_prime_marks(const struct math_node *node); // 1 or 2; 0: it has none
// A value with primes, in degrees.
const struct math_node *unit_prime_degrees(struct comparison *c, const struct math_node *node);

#endif
