// How often each of many slices occurs: a hash table in a text's arena.
#ifndef VERIFIERS_CONSTRAINTS_TALLY_H
#define VERIFIERS_CONSTRAINTS_TALLY_H

#include "verifiers/constraints/text.h"

struct tally_slot {
    struct slice item;    // borrowed
    uint32_t hash, times; // times 0: free
};

struct tally {
    struct tally_slot *slots; // (mask + 1)
    size_t mask, n;           // n: different items
};

// A table with places for `max` items.
struct tally tally_open(struct constraint_text *text, size_t max);

// Counts `item` and returns how often it was counted. Each slot that is looked at is a step. A
// table that is half full grows.
int64_t tally_add(struct constraint_text *text, struct tally *tally, struct slice item);

// Counts one of at most `max` items, and returns the place of its slot, which is its alone until
// the table grows.
size_t tally_place(struct constraint_text *text, struct tally *tally, struct slice item);

// How often it was counted.
int64_t tally_count(struct constraint_text *text, const struct tally *tally, struct slice item);

#endif
