// Shared by the families of IFEval's constraints, and open to the others.
#ifndef VERIFIERS_CONSTRAINTS_IFEVAL_H
#define VERIFIERS_CONSTRAINTS_IFEVAL_H

#include "verifiers/constraints/constraints.h"

enum { MAX_COUNT = 1000 * 1000 * 1000 }; // of what an argument counts

// Whether `count` is at least, or less than, `threshold`.
static inline bool relation_holds(const struct constraint_value *relation, int64_t threshold,
                                  size_t count) {
    return relation->at_least == ((int64_t)count >= threshold);
}

// The same as the answer for a text, where no part of it has more of what is counted than it has.
static inline bool relation_follows(struct constraint_text *text,
                                    const struct constraint_value *relation, int64_t threshold,
                                    size_t count) {
    if (relation_holds(relation, threshold, count)) return true;
    return relation->at_least ? text_no_part(text) : text_blame(text, text->raw);
}

// Whether `count` is within [least, most], likewise.
static inline bool range_follows(struct constraint_text *text, int64_t least, int64_t most,
                                 size_t count) {
    if ((int64_t)count < least) return text_no_part(text);
    return (int64_t)count <= most || text_blame(text, text->raw);
}

// For `prepare`: puts every string of the arguments into lower case without outer white space.
int prepare_lower_stripped(struct constraint_args *args, struct arena *arena, struct error *err);
// For `prepare`: puts every string of the arguments into lower case.
int prepare_lower(struct constraint_args *args, struct arena *arena, struct error *err);
// For `prepare`: the same two by char_fold.
int prepare_fold_stripped(struct constraint_args *args, struct arena *arena, struct error *err);
int prepare_fold(struct constraint_args *args, struct arena *arena, struct error *err);
// For `prepare`: takes outer white space off every string of the arguments.
int prepare_stripped(struct constraint_args *args, struct arena *arena, struct error *err);

#endif
