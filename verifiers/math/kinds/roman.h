// Roman numerals up to XXXIX, of two letters and more: a lone letter is a symbol.
#ifndef VERIFIERS_MATH_KINDS_ROMAN_H
#define VERIFIERS_MATH_KINDS_ROMAN_H

#include "verifiers/math/kinds/kind.h"

// A gold that is one as a whole, IV or \text{IV}, beside an answer that is one or a whole number:
// XI is 11, and not IX, though a product of letters has no order. False where they are something
// else.
bool roman_compare(struct comparison *c, const struct math_node *gold,
                   const struct math_node *answer, enum math_verdict *out);

#endif
