// Generated tables of the language pieces; tests/tools/constraint_tables.py writes them.
#ifndef VERIFIERS_CONSTRAINTS_TABLES_H
#define VERIFIERS_CONSTRAINTS_TABLES_H

#include <stdint.h>

// Punkt's English parameters, each sorted by bytes (punkt_tables.c).
extern const char *const punkt_abbreviations[]; // in lower case, without the last full stop
extern const int punkt_n_abbreviations;
extern const char *const punkt_starters[]; // words that often start a sentence
extern const int punkt_n_starters;
extern const char *const punkt_collocations[]; // "first\tsecond"
extern const int punkt_n_collocations;

// langdetect's profiles (language_tables.c). Languages are in the order of their codes.
enum { LANGUAGE_N = 55, LANGUAGE_N_BUCKETS = 16384, LANGUAGE_CODE_BASE = 92, LANGUAGE_SCALE = 512 };
extern const char *const language_codes[LANGUAGE_N];
// The n-grams whose hash is b are the records of language_records from language_buckets[b] up to
// language_buckets[b + 1]. A record: how many bytes the n-gram has, the n-gram in UTF-8, how many
// languages know it, and for each its number and two digits of base LANGUAGE_CODE_BASE, high
// first: log(1 + p / w) * LANGUAGE_SCALE with p its frequency in the language and w = 0.5 / 10000.
// Numbers are characters from '#' on.
extern const uint32_t language_buckets[LANGUAGE_N_BUCKETS + 1];
extern const char language_records[];

// What langdetect makes of letters before it looks for n-grams (letter_tables.c).
// Han characters of equal use count as one of them; sorted by code.
struct letter_han {
    uint16_t code, stands_for;
};
extern const struct letter_han letter_han[];
extern const int letter_n_han;
// Vietnamese letters written as a letter and a combining mark.
struct letter_vi {
    uint16_t base, mark, composed;
};
extern const struct letter_vi letter_vi[];
extern const int letter_n_vi;

// Ranges of code points that are an emoji by themselves (emoji_tables.c).
struct emoji_range {
    uint32_t first, last;
};
extern const struct emoji_range emoji_ranges[];
extern const int emoji_n_ranges;

#endif
