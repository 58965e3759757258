// All kinds of answers: reading a span as one of them, and comparing two.
#ifndef VERIFIERS_MATH_KINDS_KINDS_H
#define VERIFIERS_MATH_KINDS_KINDS_H

#include "verifiers/math/kinds/kind.h"

// As math_parse of ../math.h.
enum math_read kinds_read(struct slice text, bool prose, struct arena *arena,
                          struct math_budget *budget, struct math_node **out, size_t *stopped);

// The same by another reading of the commas between digits, on either side; DIFFERENT where there
// is none. (commas.c)
enum math_verdict commas_compare(struct comparison *c, const struct math_node *gold,
                                 const struct math_node *answer);

#endif
