// The pieces of a tokenizer: text to id and id to bytes.
//
// Byte-level BPE writes each byte of a piece as one character (GPT-2's table: printable Latin-1
// bytes as themselves, the other 68 as U+0100 and up), so a piece has a text as it is written in
// the file and the bytes that it stands for.
#ifndef WORKER_LOAD_VOCAB_H
#define WORKER_LOAD_VOCAB_H

#include <stdbool.h>
#include <stdint.h>

#include "protocol/base/error.h"
#include "protocol/base/memory.h"
#include "protocol/base/slice.h"

struct vocab_piece {
    struct slice text;  // as the file writes it; ptr NULL where the id is a hole
    struct slice bytes; // what it decodes to
    bool added, special;
};

struct vocab {
    struct vocab_piece *pieces; // (capacity), by id
    int32_t n_ids, capacity;    // n_ids: one more than the highest id in use
    int32_t *slots;             // (n_slots) open addressing by text: id + 1, or 0
    size_t n_slots;             // a power of two
    struct arena arena;         // texts and bytes
};

// Room for ids below `capacity` and as many pieces.
void vocab_init(struct vocab *v, int32_t capacity);
void vocab_free(struct vocab *v);

// Adds a piece; copies `text`. Refuses an id outside 0 .. capacity - 1, an id that is taken and a
// text that is there already (ERROR_CONFIG). An added piece's bytes are its text.
int vocab_add(struct vocab *v, struct slice text, int64_t id, bool added, struct error *err);

// The id of the piece that is written `text`, or -1.
int32_t vocab_find(const struct vocab *v, struct slice text);

bool vocab_has_id(const struct vocab *v, int64_t id);

// The UTF-8 of the character which stands for `byte`; returns its length, 1 or 2.
int vocab_write_byte(uint8_t byte, char out[4]);

#endif
