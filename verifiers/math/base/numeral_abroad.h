// Whole numbers in the words of German, Dutch, Spanish, French, Portuguese, Italian and Russian.
#ifndef VERIFIERS_MATH_BASE_NUMERAL_ABROAD_H
#define VERIFIERS_MATH_BASE_NUMERAL_ABROAD_H

#include "protocol/base/slice.h"

// What all of the words count, up to 999; -1: they are none of these, or not alone.
long numeral_abroad(struct slice words);

#endif
