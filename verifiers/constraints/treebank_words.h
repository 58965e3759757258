// What becomes of a word of a sentence that treebank.c has cut out.
#ifndef VERIFIERS_CONSTRAINTS_TREEBANK_WORDS_H
#define VERIFIERS_CONSTRAINTS_TREEBANK_WORDS_H

#include "verifiers/constraints/text.h"

// Appends a word without its clitics, and those; of some contractions two words: "can", "not".
// `has_apostrophe`: there may be one in it.
void treebank_add_word(struct constraint_text *text, struct slices *out, struct slice word,
                       bool has_apostrophe);

#endif
