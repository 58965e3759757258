// The sentences and tokens of a prepared response.
#ifndef VERIFIERS_CONSTRAINTS_TEXT_SENTENCES_H
#define VERIFIERS_CONSTRAINTS_TEXT_SENTENCES_H

#include "verifiers/constraints/text.h"

// Of the whole text, made on first use and then kept. Of a part of a text that has its own they are
// those, but for what stands at the ends of the part.
const struct runs *text_sentences(struct constraint_text *text); // Punkt's
const struct runs *text_tokens(struct constraint_text *text);    // NLTK's word_tokenize

// Of how many tokens `is` is true. It must be the same function at each call for one text.
size_t text_count_tokens(struct constraint_text *text, bool (*is)(struct slice token));

// The first `n` tokens, or some more; or all of them, text_tokens.
const struct runs *text_first_tokens(struct constraint_text *text, size_t n);
// The same of the last ones.
const struct runs *text_last_tokens(struct constraint_text *text, size_t n);

// Of any slice, made anew at each call.
struct slices text_tokens_of(struct constraint_text *text, struct slice s);

#endif
