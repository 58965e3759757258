#ifndef VERIFIERS_CONSTRAINTS_TREEBANK_H
#define VERIFIERS_CONSTRAINTS_TREEBANK_H

#include "verifiers/constraints/text.h"

// Words of sentences by the Penn Treebank rules of NLTK's word_tokenize: "don't" is do, n't; double
// quotes become `` and ''.
struct slices treebank_words(struct constraint_text *text, const struct slices *sentences);

// Appends the words of one sentence that stand from `from` to before `to` in it (NULL: from its
// start, to its end), both of them places that treebank_start and treebank_end find.
void treebank_add(struct constraint_text *text, struct slices *out, struct slice sentence,
                  const char *from, const char *to);

// The same of a whole sentence, until `out` has `max` words, or some more.
void treebank_add_first(struct constraint_text *text, struct slices *out, struct slice sentence,
                        size_t max);

// The byte of a sentence from which on its words are the same when it starts earlier; its length
// where there is none.
size_t treebank_start(struct slice sentence);

// The byte of a sentence in front of which its words are the same when it is `longer`.
size_t treebank_end(struct slice sentence, struct slice longer);

#endif
