// The pre-tokenizer of the LFM2 family: where a text is cut before BPE.
#ifndef WORKER_LOAD_PRETOKENIZE_H
#define WORKER_LOAD_PRETOKENIZE_H

#include "protocol/base/slice.h"

// The only pattern that is known, as tokenizer.json writes it. It is the one of Llama 3.
#define PRETOKENIZE_PATTERN                                                                        \
    "(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|\\p{N}{1,3}|"                      \
    " ?[^\\s\\p{L}\\p{N}]+[\\r\\n]*|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+"

// The length in bytes of the piece that starts `text`, which must be UTF-8 and not empty: what the
// first alternative of the pattern that matches there takes. Every text is cut without a gap.
// Where the text ends matters (the look-ahead), so `text` must reach to the end of the run that is
// tokenized, not to the end of a buffer.
size_t pretokenize_next(struct slice text);

#endif
