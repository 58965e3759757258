// Loose checks the slow obvious way: eight texts, each prepared anew and checked on its own.
#ifndef TESTS_VERIFIERS_CONSTRAINTS_SLOWLY_H
#define TESTS_VERIFIERS_CONSTRAINTS_SLOWLY_H

#include "verifiers/constraints/constraints.h"

// Whether one text, which is UTF-8, follows instruction i; a blank one does not.
bool slowly_follows_variant(const struct constraint_list *list, int i, struct slice variant);

// Whether one of the eight variants of a response, which is UTF-8, does.
bool slowly_follows(const struct constraint_list *list, int i, struct slice response);

#endif
