#ifndef VERIFIERS_CONSTRAINTS_PUNKT_H
#define VERIFIERS_CONSTRAINTS_PUNKT_H

#include "verifiers/constraints/text.h"

// Sentences by Punkt (Kiss and Strunk 2006) with NLTK's English parameters, as NLTK 3.9 splits
// them: closing quotes and brackets belong to the sentence before them; white space between
// sentences belongs to none, white space in front of the text to the first. Returns how many there
// are, and appends them to `out` unless it is NULL.
size_t punkt_sentences(struct constraint_text *text, struct slice s, struct slices *out);

// The first `max` of them, or all; returns whether it is all.
bool punkt_first(struct constraint_text *text, struct slice s, size_t max, struct slices *out);

// For the last sentence of `s`, which starts at byte `start`, where it goes on behind white space
// in the text from which `s` was cut: its sentences where it ends with `s`, two at most, are
// appended to `out`.
void punkt_cut_sentence(struct constraint_text *text, struct slice s, size_t start,
                        struct slices *out);

// The mark that ended a sentence, one that others follow: in front of what closes it.
const char *punkt_mark(struct slice sentence);

// Whether what is decided about the marks of a part, which is not empty, is what is decided about
// them in the whole.
bool punkt_may_cut(struct slice whole, struct slice part);

#endif
