// Roman numerals up to XXXIX, of two letters and more: a lone letter is a symbol.
#ifndef VERIFIERS_MATH_KINDS_ROMAN_H
#define VERIFIERS_MATH_KINDS_ROMAN_H

#include "verifiers/math/kinds/kind.h"

// What the letters count, in any case, -1: they are no such numeral. `lone`: one letter will do.
long roman_value(struct slice letters, bool lone);
// IV and \text{IV} as 4 where they are the whole of an answer; else the node. Within a formula I
// and V are current and voltage.
const struct math_node *roman_number(struct comparison *c, const struct math_node *node);

#endif
