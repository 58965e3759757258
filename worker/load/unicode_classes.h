// The Unicode classes of pre-tokenizer patterns, as the regex engine of the `tokenizers` library
// has them: the table is generated from it (tests/tools/unicode_classes.py). `code` may be any
// number; what is no scalar value is in no class.
#ifndef WORKER_LOAD_UNICODE_CLASSES_H
#define WORKER_LOAD_UNICODE_CLASSES_H

#include <stdbool.h>
#include <stdint.h>

bool unicode_is_letter(uint32_t code); // \p{L}
bool unicode_is_number(uint32_t code); // \p{N}
bool unicode_is_space(uint32_t code);  // \s

#endif
