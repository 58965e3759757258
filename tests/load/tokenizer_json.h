// A small tokenizer.json, made for tests that need a valid one to break.
#ifndef TESTS_LOAD_TOKENIZER_JSON_H
#define TESTS_LOAD_TOKENIZER_JSON_H

#include "protocol/base/buffer.h"

// Ids: 0 <|startoftext|>, 1 <|im_end|> and 2 <|endoftext|> (special, in the vocabulary), 3 + b the
// byte b, 259.. the pieces of `merges` in order, and behind them the added tokens "<tool>" (not
// special) and "norm" (normalized). `merges` is NULL-terminated, pairs of plain ASCII letters:
// {"h", "e", "he", "l", NULL}. The post-processor puts <|startoftext|> in front.
void tokenizer_json_write(struct buffer *out, const char *const *merges);

#endif
