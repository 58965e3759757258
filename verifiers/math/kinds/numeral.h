// Numbers in words, and in Chinese numerals.
#ifndef VERIFIERS_MATH_KINDS_NUMERAL_H
#define VERIFIERS_MATH_KINDS_NUMERAL_H

#include <stdbool.h>
#include <stddef.h>

#include "protocol/base/slice.h"

// The next word of a text, which it takes off; words are joined by blanks and hyphens.
struct slice numeral_next_word(struct slice *text);

// "twenty-one", "one hundred and five", in lower case: -1 where the words are none of a number.
long numeral_value(struct slice text);

// The number in words, in any case, with which a text begins: its bytes, 0 where there is none.
size_t numeral_prefix(struct slice text, long *value);

// "十二", "一百零五": -1 where the characters are none, or leave it open.
long numeral_chinese(struct slice text);

#endif
