#ifndef VERIFIERS_CONSTRAINTS_TREEBANK_H
#define VERIFIERS_CONSTRAINTS_TREEBANK_H

#include "verifiers/constraints/text.h"

// Words of sentences by the Penn Treebank rules of NLTK's word_tokenize: "don't" is do, n't; double
// quotes become `` and ''.
//
// `starts`, unless NULL, gets where the tokens of each sentence start, and where the last ones end:
// (sentences->n + 1).
struct slices treebank_words(struct constraint_text *text, const struct slices *sentences,
                             size_t *starts);

#endif
