// Inside relations: what relation.c and relation_chain.c ask of one another.
#ifndef VERIFIERS_MATH_KINDS_RELATION_H
#define VERIFIERS_MATH_KINDS_RELATION_H

#include "verifiers/math/kinds/kind.h"

bool relation_is_equation(const struct math_node *node); // with "=" and approximations alone
bool relation_is_geometry(const struct math_node *node); // AB, \angle ABC
bool relation_has_symbol(const struct math_node *node, const struct math_node *symbol);
// What a gold `x = value` says when the answer is a value, or NULL: 2x + z = 1 is no value.
const struct math_node *relation_value(const struct math_node *gold);
// A gold that is no relation against an answer that is one.
enum math_verdict relation_chain(struct comparison *c, const struct math_node *gold,
                                 const struct math_node *answer);

#endif
