// Byte-pair merging: the ids of one piece of text that the pre-tokenizer cut.
#ifndef WORKER_LOAD_BPE_H
#define WORKER_LOAD_BPE_H

#include <stdbool.h>
#include <stdint.h>

#include "protocol/base/slice.h"
#include "worker/load/tokenizer.h"
#include "worker/load/vocab.h"

struct bpe_merge {
    int32_t left, right; // ids of the two parts; left is -1 in an empty place
    int32_t rank;        // the place in the list of merges: lower goes first
    int32_t id;          // what they become
};

struct bpe {
    struct bpe_merge *merges; // (n_slots) open addressing by (left, right)
    size_t n_slots;           // a power of two
    int32_t byte_ids[256];    // the piece of each byte, -1 for one that UTF-8 never has
    bool ignore_merges;       // a whole piece of the vocabulary is taken without merging
};

// Memory of one run of tokenizer_encode, kept from piece to piece. Zero-initialised is empty.
struct bpe_scratch {
    struct bpe_symbol *symbols;
    struct bpe_candidate *heap;
    size_t capacity; // symbols; the heap has room for three times as many
};

void bpe_init(struct bpe *b, size_t n_merges);
void bpe_free(struct bpe *b);
void bpe_scratch_free(struct bpe_scratch *s);

// Sets the rule for (left, right). A later rule for the same pair takes the place of an earlier.
void bpe_add_merge(struct bpe *b, struct bpe_merge merge);

// The id of the piece of the vocabulary that consists of these bytes, or -1. It may have been made
// an added token since.
int32_t bpe_whole_piece(const struct vocab *v, struct slice bytes);

// Appends the ids of `piece` (not empty, shorter than 2^30 bytes, all of whose bytes have an id).
// O(n log n).
void bpe_encode(const struct bpe *b, const struct vocab *v, struct slice piece,
                struct bpe_scratch *scratch, struct token_list *out);

#endif
