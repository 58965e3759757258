// Is an answer, which equals the gold, written as the policy wants it?
#ifndef VERIFIERS_MATH_GRADE_POLICY_H
#define VERIFIERS_MATH_GRADE_POLICY_H

#include "verifiers/math/kinds/kinds.h"

bool policy_allows(const struct math_options *options, const struct math_node *gold,
                   const struct math_node *answer);

#endif
