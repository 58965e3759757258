// UTF-8 as RFC 3629 has it: no overlong forms, no surrogates, nothing above U+10FFFF.
#ifndef PROTOCOL_BASE_UTF8_H
#define PROTOCOL_BASE_UTF8_H

#include <stdint.h>

#include "protocol/base/buffer.h"
#include "protocol/base/slice.h"

// Decodes the code point that starts at s.ptr. Returns its length in bytes (1 to 4) and stores it,
// or 0 when the bytes there are no UTF-8, or s is empty.
int utf8_next(struct slice s, uint32_t *code);

// Writes `code` (a scalar value) as UTF-8 and returns the number of bytes, 1 to 4.
int utf8_write(uint32_t code, char out[4]);

// The offset of the first byte that is no UTF-8, or s.len when all of it is.
size_t utf8_valid_prefix(struct slice s);

// How many bytes at the end of `s` are the start of a character that is not complete yet (0 to 3).
// A stream of tokens holds these back until the next token.
size_t utf8_incomplete_tail(struct slice s);

// Appends `s` with each maximal ill-formed part replaced by U+FFFD (the practice of Unicode 3.9,
// which Python's errors="replace" follows too).
void utf8_add_lossy(struct buffer *out, struct slice s);

#endif
