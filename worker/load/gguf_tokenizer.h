// The tokenizer and the chat template that a GGUF file holds.
#ifndef WORKER_LOAD_GGUF_TOKENIZER_H
#define WORKER_LOAD_GGUF_TOKENIZER_H

#include "worker/load/chat.h"
#include "worker/load/gguf.h"
#include "worker/load/tokenizer.h"

// False where the file has no vocabulary: it serves token ids only.
bool gguf_has_tokenizer(const struct gguf *g);

// tokenizer.ggml.*: model gpt2 with the pre-tokenizer lfm2 (Llama 3's), a whole piece of the
// vocabulary taken without merging, as llama.cpp does. Tokens of type CONTROL and USER_DEFINED are
// added tokens; ids of type UNUSED are those that the tokenizer lacks. NULL with ERROR_CONFIG.
struct tokenizer *gguf_tokenizer(const struct gguf *g, struct error *err);

// tokenizer.chat_template, or LFM2's where there is none.
struct chat *gguf_chat(const struct gguf *g, const struct tokenizer *t);

#endif
