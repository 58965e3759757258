#ifndef VERIFIERS_CONSTRAINTS_EMOJI_H
#define VERIFIERS_CONSTRAINTS_EMOJI_H

#include <stdbool.h>
#include <stdint.h>

#include "protocol/base/slice.h"

// Whether `s` starts with an emoji of Unicode's emoji-test, and its length in bytes (0: it does
// not). Sequences (flags, skin tones, joined ones) count as one.
size_t emoji_prefix(struct slice s);
// Whether one code point is an emoji by itself.
bool emoji_is(uint32_t code);

#endif
