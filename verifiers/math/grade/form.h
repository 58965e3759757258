// Answers as people write them, brought into a form that the reader of formulas knows.
#ifndef VERIFIERS_MATH_GRADE_FORM_H
#define VERIFIERS_MATH_GRADE_FORM_H

#include <stdbool.h>

#include "protocol/base/memory.h"
#include "protocol/base/slice.h"

// The same answer without what says nothing beside it: quotes and upright text around it, a
// quantifier or "Q.E.D." behind it, a "\therefore" in front; "D.N.E." and ]1,2] as they are read
// elsewhere. Part of `text`, or in `arena`.
struct slice form_plain(struct slice text, struct arena *arena);

// "]1,2]", "x \in [1,2[ \cup ]3,4[" with round brackets where they turn away. Else `s` itself.
struct slice form_interval(struct slice s, struct arena *arena);

// The same of a sentence's value: without what is struck out and without a share of confidence; a
// number in words as digits ("twelve apples", "12 and a half"). Where there is none of that, `text`
// itself.
struct slice form_prose(struct slice text, struct arena *arena);

// "all real numbers except 2", "x is at least 3" as a relation. False where it is none in words.
bool form_condition(struct slice text, struct arena *arena, struct slice *out);

// "half past five", "the cube root of 4", "8 choose 3", "two and a third", "(1,-2,3)^T": a whole
// answer as a formula. False where it is none of these.
bool form_words(struct slice text, struct arena *arena, struct slice *out);

// "n\pi \text{ for any integer } n" as "n\pi, n \in \mathbb{Z}". False where it is nothing of
// the kind.
bool form_integer(struct slice text, struct arena *arena, struct slice *out);

// "12 (twelve)", "12, i.e. a dozen": a value and what it is said again to be. False where nothing
// is said again. `*same`: it says that it is the same.
bool form_restated(struct slice text, struct slice *value, struct slice *again, bool *same);
// "1,200 (one thousand three hundred)": a number, and another one in words behind it.
bool form_contradicts(struct slice text);

// "60 + 180 = **240** downloads" without the marks of bold around a number.
struct slice form_without_bold(struct slice s, struct arena *arena);

// "\dim V = 3", "P(A|B) = 1/2", "(f \circ g)(1) = 5": the value behind what has none of its own.
// Where there is none of that, `s` itself.
struct slice form_valued(struct slice s);

// Whether both give a value to a name, and another one: "\min = 12" for "\max = 12".
bool form_is_of_another(struct slice text, struct slice gold);

// "\text{increasing?}": what is asked is not stated.
bool form_is_question(struct slice text);

#endif
