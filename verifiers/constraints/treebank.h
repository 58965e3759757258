#ifndef VERIFIERS_CONSTRAINTS_TREEBANK_H
#define VERIFIERS_CONSTRAINTS_TREEBANK_H

#include "verifiers/constraints/text.h"

// Where the reader of a sentence stands, and what it knows of what is in front.
struct treebank_state {
    const char *at, *start; // in the sentence; the word that is being read
    char before;
    bool after_apostrophe;
    size_t n_words; // that were read
};

// Those that were met on the way, some kilobytes apart.
struct treebank_states {
    struct treebank_state *items; // (n), room for one each TREEBANK_STRIDE bytes of the text
    size_t n;
};
enum { TREEBANK_STRIDE = 4096 };

// Words of sentences by the Penn Treebank rules of NLTK's word_tokenize: "don't" is do, n't; double
// quotes become `` and ''.
struct slices treebank_words(struct constraint_text *text, const struct slices *sentences);

// Appends the words of a sentence, and states to `states`.
void treebank_read(struct constraint_text *text, struct slices *out, struct slice sentence,
                   struct treebank_states *states);

// Appends the words of a sentence that are not read in such a state.
void treebank_resume(struct constraint_text *text, struct slices *out, struct slice sentence,
                     const struct treebank_state *state);

// Appends words of a sentence until the reader is in one of `n` states, which are those of a
// sentence that starts earlier, at or in front of `to`, and returns that; NULL if it never is.
const struct treebank_state *treebank_meet(struct constraint_text *text, struct slices *out,
                                           struct slice sentence, const char *to,
                                           const struct treebank_state *states, size_t n);

// Appends the words of one sentence that stand from `from` to before `to` in it (NULL: from its
// start, to its end), both of them places that treebank_start and treebank_end find.
void treebank_add(struct constraint_text *text, struct slices *out, struct slice sentence,
                  const char *from, const char *to);

// The same of a whole sentence, until `out` has `max` words, or some more. Gives up, and returns
// false, when `max_bytes` of it are not enough.
bool treebank_add_first(struct constraint_text *text, struct slices *out, struct slice sentence,
                        size_t max, size_t max_bytes);

// The byte of a sentence from which on its words are the same when it starts earlier; its length
// where there is none that is near.
size_t treebank_start(struct slice sentence);

// The byte of a sentence in front of which its words are the same when it is `longer`. `*state`
// gets the byte up to which a reader's states are the same.
size_t treebank_end(struct slice sentence, struct slice longer, size_t *state);

#endif
