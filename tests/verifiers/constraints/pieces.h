// A prepared text for the tests of one piece of it.
#ifndef TESTS_VERIFIERS_CONSTRAINTS_PIECES_H
#define TESTS_VERIFIERS_CONSTRAINTS_PIECES_H

#include "protocol/base/buffer.h"
#include "verifiers/constraints/text.h"

// The items with `between` between them; freed with free().
char *pieces_join(const struct slices *list, const char *between);

// The same of runs.
char *pieces_join_runs(const struct runs *list, const char *between);

#endif
