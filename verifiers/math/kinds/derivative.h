// Derivatives by the rules, and how fast a product of powers grows.
#ifndef VERIFIERS_MATH_KINDS_DERIVATIVE_H
#define VERIFIERS_MATH_KINDS_DERIVATIVE_H

#include "verifiers/math/kinds/kind.h"

// The derivative of an elementary expression of one symbol; NULL where it has another symbol, which
// might depend on the first, or a function that is not known.
const struct math_node *derivative_of(struct comparison *c, const struct math_node *body,
                                      const struct math_node *variable);

// What a product of powers is multiplied by when the variable goes up by one: 1/2 for 3/2^{n+1}.
// NULL where that is no constant.
const struct math_node *derivative_growth(struct comparison *c, const struct math_node *body,
                                          const struct math_node *variable);

#endif
