// The pieces of natural language processing behind the constraints.
#ifndef VERIFIERS_CONSTRAINTS_NLP_H
#define VERIFIERS_CONSTRAINTS_NLP_H

#include <stdbool.h>

#include "verifiers/constraints/text.h"

// Sentences by Punkt (Kiss and Strunk 2006) with NLTK's English parameters, as NLTK 3.9 splits
// them: closing quotes and brackets belong to the sentence before them; white space between
// sentences belongs to none, white space in front of the text to the first.
void punkt_sentences(struct constraint_text *text, struct slice s, struct slices *out);

// Words by the Penn Treebank rules of NLTK's word_tokenize, on one sentence: "don't" is do, n't;
// double quotes become `` and ''. text_tokens_of splits into sentences first.
void treebank_words(struct constraint_text *text, struct slice sentence, struct slices *out);

// The most likely of langdetect's 55 languages ("en", "zh-cn", ...) for the first 10,000
// characters, or NULL when the text has no known n-gram. Where langdetect samples n-grams at
// random, this takes all of them: it is deterministic.
const char *language_detect(struct constraint_text *text, struct slice s);
// Whether `code` is one of these languages.
bool language_is_known(struct slice code);

// The number of syllables of an English word (letters in lower case), 0 when it has none.
int syllables_count(struct slice word);

// Whether `s` starts with an emoji of Unicode's emoji-test, and its length in bytes (0: it does
// not). Sequences (flags, skin tones, joined ones) count as one.
size_t emoji_prefix(struct slice s);
// Whether one code point is an emoji by itself.
bool emoji_is(uint32_t code);

#endif
