// The tokenizer of a checkpoint: byte-level BPE as Hugging Face's tokenizer.json describes it.
//
// Supported is what the LFM2 family uses, with nothing guessed: model BPE without dropout, unknown
// token, sub-word prefixes or byte fallback; no normalizer; the pre-tokenizer Split with LFM2's
// (Llama 3's) pattern followed by ByteLevel without a pattern of its own; added tokens, special or
// not, that are neither normalized nor stripped. A file that asks for anything else is refused
// with a sentence that names the field. Ids are the same as the `tokenizers` library gives.
//
// A tokenizer is read-only once loaded and may be used by many threads at once.
#ifndef WORKER_LOAD_TOKENIZER_H
#define WORKER_LOAD_TOKENIZER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "protocol/base/buffer.h"
#include "protocol/base/error.h"
#include "protocol/base/slice.h"

// An id is below this in every file that is accepted.
enum { TOKENIZER_MAX_IDS = 1 << 21 };

// A growable list of token ids. Zero-initialised is empty.
struct token_list {
    int32_t *ids; // (n), owned
    size_t n, capacity;
};

void token_list_add(struct token_list *list, int32_t id);
void token_list_free(struct token_list *list); // empties and frees

struct tokenizer;

// True when `directory` holds a tokenizer.json. A checkpoint without one serves token ids only.
bool tokenizer_is_present(const char *directory);

// Reads tokenizer.json of a checkpoint directory and, where there is one, tokenizer_config.json
// (bos_token, eos_token). Returns NULL with ERROR_IO when a file cannot be read and ERROR_CONFIG
// when it is absent, malformed or asks for what is not supported; the sentence names the file.
struct tokenizer *tokenizer_load(const char *directory, struct error *err);

// The same from bytes. `config_json` may be empty: then bos is <|startoftext|> and eos <|im_end|>,
// where the vocabulary has them. Neither slice is needed after the call.
struct tokenizer *tokenizer_parse(struct slice tokenizer_json, struct slice config_json,
                                  struct error *err);
void tokenizer_free(struct tokenizer **t);

// Appends the ids of `text` (UTF-8) to `out`. Text of added tokens inside `text` becomes these
// tokens, leftmost and longest first, special ones too. With `add_special` the ids that the file
// wants around a text are added: BOS in front, for LFM2. tokenizer.json's post_processor says
// which; add_bos_token of tokenizer_config.json counts for nothing, as in transformers 5. Time is
// O(n log n) in the length, whatever the text. Bytes that are no UTF-8 are refused (ERROR_INPUT)
// with the offset of the first; `out` is then unchanged.
int tokenizer_encode(const struct tokenizer *t, struct slice text, bool add_special,
                     struct token_list *out, struct error *err);

// One more than the highest id of the vocabulary; may be less than the rows of the model's head.
int32_t tokenizer_n_ids(const struct tokenizer *t);

// Whether the vocabulary has the id: any int32 may be asked. There may be holes below n_ids. Ids
// that the tokenizer lacks are excluded from sampling (D4).
bool tokenizer_has_id(const struct tokenizer *t, int32_t id);

// The bytes that the id stands for in decoded text, in O(1): of an added token its text as it is
// written, else the bytes of its BPE piece, which may be a part of a character. Empty for an id
// that the tokenizer lacks. Points into the tokenizer.
struct slice tokenizer_token_bytes(const struct tokenizer *t, int32_t id);

// Whether the id is an added token with `special` true, such as <|im_end|>.
bool tokenizer_is_special(const struct tokenizer *t, int32_t id);

// The id of an added token by its text, else of the piece that consists of just these bytes; -1
// when there is none. O(1).
int32_t tokenizer_find(const struct tokenizer *t, struct slice text);

// bos_token, or -1 when there is none.
int32_t tokenizer_bos(const struct tokenizer *t);

// Whether tokenizer_encode puts BOS in front of a text when asked for `add_special`.
bool tokenizer_adds_bos(const struct tokenizer *t);

// The ids that end a text, as far as tokenizer files say it: eos_token, and <|endoftext|> where the
// vocabulary has it. `eos_token_id` of config.json and generation_config.json comes on top and is
// not read here. Stores a pointer into the tokenizer in `*ids` (n) and returns n (0 to 2).
int tokenizer_end_ids(const struct tokenizer *t, const int32_t **ids);

// Appends the bytes of `n` ids to `out`. They need not be UTF-8: the caller replaces what is not
// (utf8_add_lossy), or holds back utf8_incomplete_tail bytes while it streams.
void tokenizer_decode(const struct tokenizer *t, const int32_t *ids, size_t n, struct buffer *out);

#endif
