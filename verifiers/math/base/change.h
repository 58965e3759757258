// Words behind a number that make another number, or one of another unit, of it: "12 gross", "12
// squared", "12 pencils at most".
#ifndef VERIFIERS_MATH_BASE_CHANGE_H
#define VERIFIERS_MATH_BASE_CHANGE_H

#include <stdbool.h>

#include "protocol/base/slice.h"

// Whether a word is one of the table at all: where it stands, a number and its words are not
// understood as a whole.
bool change_word(struct slice word);
bool change_words(struct slice rest); // whether one of these is; letters and numbers apart

// Whether the words behind a number that is read alone change it, each by where it stands.
bool change_behind(struct slice rest);

#endif
