// Units that are written as letters of a formula: 5 m, 9.8 m/s^2.
#ifndef VERIFIERS_MATH_KINDS_UNIT_LETTER_H
#define VERIFIERS_MATH_KINDS_UNIT_LETTER_H

#include "verifiers/math/kinds/kind.h"
#include "verifiers/math/kinds/unit.h"

// 5 m with a space: metres where the gold is a number, though m is a variable as it is written. The
// number and its unit, or NULL.
const struct math_node *unit_letter(const struct math_node *answer, struct math_unit *unit);
// 72 N m, 72 W/(m K): the number of such an answer, of whose letters each is a unit, or NULL.
const struct math_node *unit_letters(const struct math_node *answer);
// The answer as a quantity, where the gold has the unit `gold`: letters that make a unit of its
// dimension are that, for it has no variables. NULL: they do not.
const struct math_node *unit_letter_quantity(struct comparison *c, const struct math_unit *gold,
                                             const struct math_node *answer);

#endif
