#ifndef VERIFIERS_CONSTRAINTS_EMOJI_H
#define VERIFIERS_CONSTRAINTS_EMOJI_H

#include <stdbool.h>
#include <stdint.h>

// Whether one code point is an emoji by itself.
bool emoji_is(uint32_t code);

#endif
