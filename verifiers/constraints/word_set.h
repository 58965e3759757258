// Sets of short words of ASCII letters, which are looked up for every word of a text.
#ifndef VERIFIERS_CONSTRAINTS_WORD_SET_H
#define VERIFIERS_CONSTRAINTS_WORD_SET_H

#include <stdbool.h>
#include <stdint.h>

#include "protocol/base/slice.h"

enum { WORD_SET_SLOTS = 1024, WORD_SET_MAX_BYTES = 10 }; // slots: a power of two

// A word in lower case and its length: bytes 0 to 7, the first one lowest, and the rest.
struct packed_word {
    uint64_t head;
    uint32_t tail; // 0: a free slot
};

struct word_set {
    uint64_t firsts; // their first letters, a bit each from 'a' on
    struct packed_word slots[WORD_SET_SLOTS];
};

// Adds `n` words in lower case, each of at most WORD_SET_MAX_BYTES bytes; all are fewer than half
// of the slots.
void word_set_fill(struct word_set *set, const char *const *words, size_t n);
#define WORD_SET_FILL(set, words) word_set_fill((set), (words), sizeof(words) / sizeof *(words))

// Whether the lower case of a word is in the set. Of the letters that are not ASCII only the Kelvin
// sign becomes one that is; no word with a k may be in a set that is asked for raw text.
bool word_set_has(const struct word_set *set, struct slice word);

#endif
