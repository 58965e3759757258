// Lists and dictionaries that were written as text: JSON within a string, or Python's repr.
#ifndef VERIFIERS_SCORE_SCORE_LITERAL_H
#define VERIFIERS_SCORE_SCORE_LITERAL_H

#include <stdbool.h>

#include "protocol/base/buffer.h"

enum { SCORE_LITERAL_MAX_DEPTH = 32 };

// Appends as JSON what `text` says: a list, a tuple (as a list) or a dictionary with strings for
// keys, by the rules of JSON or of Python, whichever fits each part. `latex`: a backslash in front
// of letters that are no escape, or that would make a control character in front of a letter, is
// one of LaTeX, which was not escaped (\frac, \neq). Returns -1, and appends nothing, when it is
// none of these.
int score_literal_json(struct slice text, bool latex, struct buffer *out);

#endif
