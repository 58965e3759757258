#ifndef VERIFIERS_CONSTRAINTS_SYLLABLES_H
#define VERIFIERS_CONSTRAINTS_SYLLABLES_H

#include "protocol/base/slice.h"

// The number of syllables of an English word (letters in lower case), 0 when it has none.
int syllables_count(struct slice word);

#endif
