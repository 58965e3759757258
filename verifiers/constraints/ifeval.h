// Shared by the families of IFEval's constraints, and open to the others.
#ifndef VERIFIERS_CONSTRAINTS_IFEVAL_H
#define VERIFIERS_CONSTRAINTS_IFEVAL_H

#include "verifiers/constraints/constraints.h"

// Whether `count` is at least, or less than, `threshold`.
static inline bool relation_holds(const struct constraint_value *relation, int64_t threshold,
                                  size_t count) {
    return relation->at_least == ((int64_t)count >= threshold);
}

// For `prepare`: puts every string of the arguments into lower case without outer white space.
int prepare_lower_stripped(struct constraint_args *args, struct arena *arena, struct error *err);
// For `prepare`: puts every string of the arguments into lower case.
int prepare_lower(struct constraint_args *args, struct arena *arena, struct error *err);
// For `prepare`: takes outer white space off every string of the arguments.
int prepare_stripped(struct constraint_args *args, struct arena *arena, struct error *err);

#endif
