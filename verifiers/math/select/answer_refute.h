// What is said of a statement behind it: that it is wrong, that another may be right as well.
#ifndef VERIFIERS_MATH_SELECT_ANSWER_REFUTE_H
#define VERIFIERS_MATH_SELECT_ANSWER_REFUTE_H

#include <stddef.h>

#include "protocol/base/slice.h"

// Where the first of the n phrases that stands at `at` as whole words ends, or `at`.
size_t answer_skip_phrase(struct slice text, size_t at, const char *const *list, size_t n);
// Where the first of the n phrases that ends at `at` starts, no earlier than `start`, or `at`. What
// is in front of it does not matter.
size_t answer_back_phrase(struct slice text, size_t start, size_t at, const char *const *list,
                          size_t n);
// Past white space, marks of a sentence, markup, quotes, dashes and emojis.
size_t answer_skip_marks(struct slice text, size_t at);

// "not", "never", "isn't"
bool answer_is_negation(struct slice word);
// "that is wrong", "they are mistaken"; as a predicate, "is the wrong answer" without its subject.
bool answer_refutes(struct slice text, size_t at, bool predicate);
// A clause of nothing but "wrong", "not correct", "clearly false": in brackets, behind a dash.
bool answer_is_bare_denial(struct slice text, size_t at);
// ✗ and the like beside a statement.
bool answer_is_crossed(struct slice text, size_t at);
bool answer_is_crossed_before(struct slice text, size_t at); // in front of it
// "It doesn't.", "Not quite.", "Or is it?": a whole sentence.
bool answer_is_short_denial(struct slice text, size_t at);
// Behind "but", "and", "so": "rejected it", "ruled it out".
bool answer_rejects(struct slice text, size_t at);
// "ignore this answer", "don't use that": where it ends, or `at`.
size_t answer_skip_retraction(struct slice text, size_t at);
// "I made an arithmetic mistake", "there is an error": where it ends, or `at`.
size_t answer_skip_confession(struct slice text, size_t at);
// "is the correct answer": what is said of another value.
bool answer_is_called_right(struct slice text, size_t at);
// "is also possible", "might work too": what is said of another value.
bool answer_admits(struct slice text, size_t at);

#endif
