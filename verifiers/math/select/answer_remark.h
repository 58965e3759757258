// What is said behind a statement: it is taken back, or another value is put in its place.
#ifndef VERIFIERS_MATH_SELECT_ANSWER_REMARK_H
#define VERIFIERS_MATH_SELECT_ANSWER_REMARK_H

#include <stddef.h>

#include "protocol/base/slice.h"

enum answer_fate {
    ANSWER_STANDS,
    ANSWER_REFUTED,   // "that is wrong", "scratch that"
    ANSWER_CORRECTED, // "wait, actually 13", "it is 13"
};

// What a value looks like, for corrections: of mathematics, or a letter of a choice.
struct answer_values {
    // Where the value that begins at `at` ends; `at` where none begins.
    size_t (*end)(const void *context, struct slice text, size_t at);
    const void *context;
};

extern const struct answer_values ANSWER_MATH;

// What the rest of the sentence from `from` on, and the next sentence, say of a statement that
// stands there. `*value` is the corrected value.
enum answer_fate answer_remark_beside(struct slice text, size_t from,
                                      const struct answer_values *values, struct slice *value);
// The same, and what later sentences say of the last statement of a text.
enum answer_fate answer_remark_behind(struct slice text, size_t from,
                                      const struct answer_values *values, struct slice *value);

// answer_hearsay.c: "the book says 13", "some get 13" at `at`.
bool answer_is_said_elsewhere(struct slice text, size_t at, const struct answer_values *values);
// answer_check.c: "Hence there are 13." at `at`, the last sentence of the text, behind the
// statement that ends at `stated` and is another whole number. `again`: without the "hence".
bool answer_ends_otherwise(struct slice text, size_t at, size_t stated, bool again);
// answer_check.c: "Substituting back gives 0 = 1, a contradiction." at `at`.
bool answer_check_fails(struct slice text, size_t at);
// answer_doubt.c: "or is it 13?", "the other root is 13", "if x > 0, 13" at `at`.
// `against`: behind "but" or "however".
bool answer_doubts(struct slice text, size_t at, bool against, const struct answer_values *values);
// Whether nothing but the end of the clause is behind a value. `hard`: a comma ends it too.
bool answer_ends_clause(struct slice text, size_t at, bool hard);

#endif
