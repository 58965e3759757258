// The sentences and tokens of a prepared response.
#ifndef VERIFIERS_CONSTRAINTS_TEXT_SENTENCES_H
#define VERIFIERS_CONSTRAINTS_TEXT_SENTENCES_H

#include "verifiers/constraints/text.h"

// Of the whole text, made on first use and then kept.
const struct slices *text_sentences(struct constraint_text *text); // Punkt's
const struct slices *text_tokens(struct constraint_text *text);    // NLTK's word_tokenize

// Of any slice, made anew at each call.
struct slices text_sentences_of(struct constraint_text *text, struct slice s);
struct slices text_tokens_of(struct constraint_text *text, struct slice s);
size_t text_n_sentences_of(struct constraint_text *text, struct slice s);

#endif
