#ifndef VERIFIERS_CONSTRAINTS_PUNKT_H
#define VERIFIERS_CONSTRAINTS_PUNKT_H

#include "verifiers/constraints/text.h"

// Sentences by Punkt (Kiss and Strunk 2006) with NLTK's English parameters, as NLTK 3.9 splits
// them: closing quotes and brackets belong to the sentence before them; white space between
// sentences belongs to none, white space in front of the text to the first. Returns how many there
// are, and appends them to `out` unless it is NULL.
size_t punkt_sentences(struct constraint_text *text, struct slice s, struct slices *out);

#endif
