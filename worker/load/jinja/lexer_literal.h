// The values of strings and numbers in a tag.
#ifndef WORKER_LOAD_JINJA_LEXER_LITERAL_H
#define WORKER_LOAD_JINJA_LEXER_LITERAL_H

#include "worker/load/jinja/value.h"

// What Python's unicode-escape makes of what stands between quotes. -1 for escapes that are wrong
// or not supported.
int lexer_unescape(struct slice written, struct arena *arena, struct slice *out);

// Reads the number at the start of `s`, which begins with a digit: an integer in base 2, 8, 10 or
// 16, or a float unless a '.' stands before it. Returns its length, 0 when it is too large.
size_t lexer_number(struct slice s, bool behind_dot, struct value *out);

#endif
