#ifndef VERIFIERS_CONSTRAINTS_LANGUAGE_H
#define VERIFIERS_CONSTRAINTS_LANGUAGE_H

#include "verifiers/constraints/text.h"

enum { LANGUAGE_MAX_READ = 40000 }; // characters of a text that are looked at

// The most likely of langdetect's 55 languages ("en", "zh-cn", ...) for the first 10,000
// characters, or NULL when the text has no known n-gram. Where langdetect samples n-grams at
// random, this takes all of them: it is deterministic.
const char *language_detect(struct constraint_text *text, struct slice s);
// Whether `code` is one of these languages.
bool language_is_known(struct slice code);

#endif
