// How often each of many slices occurs: a hash table in a text's arena.
#ifndef VERIFIERS_CONSTRAINTS_TALLY_H
#define VERIFIERS_CONSTRAINTS_TALLY_H

#include "verifiers/constraints/text.h"

struct tally_item {
    struct slice item; // borrowed, from where it was counted first
    int64_t times;
};

struct tally {
    struct tally_item *items; // (n) in the order in which they came
    struct tally_slot *slots; // (mask + 1), at most half of them used
    size_t mask, n;           // n: different items
};

// A table with places for `max` items.
struct tally tally_open(struct constraint_text *text, size_t max);

// Counts `item`. Each slot that is looked at is a step. A table that is half full grows, and its
// items move.
const struct tally_item *tally_add(struct constraint_text *text, struct tally *tally,
                                   struct slice item);

// Counts one of at most `max` different items, and returns its place in `items`.
size_t tally_place(struct constraint_text *text, struct tally *tally, struct slice item);

// What tally_place counts, some at a time so that memory is asked for all their slots at once, up
// to an item that was counted before: its index, with *before its place, or `n`.
size_t tally_first_repeat(struct constraint_text *text, struct tally *tally,
                          const struct slice *items, size_t n, size_t *before);

// The place of an item; the number of items where it was not counted.
size_t tally_find(struct constraint_text *text, const struct tally *tally, struct slice item);

// How often it was counted.
int64_t tally_count(struct constraint_text *text, const struct tally *tally, struct slice item);

#endif
