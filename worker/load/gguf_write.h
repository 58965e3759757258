// Writes a checkpoint as a GGUF file (worker/load/gguf.h), with the metadata that llama.cpp's
// converter gives it.
#ifndef WORKER_LOAD_GGUF_WRITE_H
#define WORKER_LOAD_GGUF_WRITE_H

#include "worker/load/checkpoint.h"
#include "worker/load/tokenizer.h"

// What stands in front of the data. file_type: the number that llama.cpp has for the mix of types.
// `tokenizer` may be NULL, and `chat_template` empty. -1 with ERROR_CONFIG for a shape that the
// format has no words for.
int gguf_write_head(const struct checkpoint *c, uint32_t file_type, const struct tokenizer *t,
                    struct slice chat_template, struct buffer *out, struct error *err);

// Where the values of each weight, in its resident type, go behind the head: offsets (names->n).
// Returns the bytes of all.
uint64_t gguf_write_places(const struct checkpoint *c, uint64_t *offsets);

// Appends keys tokenizer.*; gguf_write_tokenizer.c. Returns their number.
uint64_t gguf_write_tokenizer(const struct tokenizer *t, int vocab, struct slice chat_template,
                              struct buffer *out);

// Keys with values.
void gguf_add_string(struct buffer *b, struct slice s);
void gguf_add_key(struct buffer *b, const char *name, enum gguf_kind kind);
void gguf_add_u32(struct buffer *b, const char *name, uint32_t v);
void gguf_add_text(struct buffer *b, const char *name, struct slice text);
void gguf_add_flag(struct buffer *b, const char *name, bool v);
void gguf_add_array(struct buffer *b, const char *name, enum gguf_kind element, uint64_t n);

#endif
