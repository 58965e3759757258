// The words of Punkt's model as sets.
#ifndef VERIFIERS_CONSTRAINTS_PUNKT_WORDS_H
#define VERIFIERS_CONSTRAINTS_PUNKT_WORDS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define PUNKT_NUMBER "##number##" // the type of every number

enum { PUNKT_WORDS_SLOTS = 1024 }; // a power of two, four times the words of the longest table

struct punkt_words {
    const char *slots[PUNKT_WORDS_SLOTS];
    uint64_t lens[256]; // by the first byte: a bit for each length
};

// Filled by punkt_words_make. A collocation is two words with a tab between them.
extern struct punkt_words punkt_abbreviations_set, punkt_starters_set, punkt_collocations_set;
extern uint64_t punkt_first_lens[256]; // of the first words of collocations, as punkt_words.lens
extern bool punkt_behind_number[256];  // the first letters of words that it has behind numbers

void punkt_words_make(void); // once; thread-safe

bool punkt_words_have(const struct punkt_words *set, const char *word, size_t len);

#endif
