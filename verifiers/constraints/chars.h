// Characters and runs of them, with the meanings that Python's str methods and `re` give them.
#ifndef VERIFIERS_CONSTRAINTS_CHARS_H
#define VERIFIERS_CONSTRAINTS_CHARS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "protocol/base/slice.h"

enum char_class {
    CHAR_SPACE = 1 << 0, // str.isspace, \s
    CHAR_WORD = 1 << 1,  // \w: str.isalnum or '_'
    CHAR_DIGIT = 1 << 2, // str.isdecimal, \d
    CHAR_ALPHA = 1 << 3, // str.isalpha
    CHAR_UPPER = 1 << 4, // str.isupper of one character
    CHAR_LOWER = 1 << 5, // str.islower of one character
    CHAR_TITLE = 1 << 6, // cased, neither of these
    CHAR_PUNCT = 1 << 7, // one of the 32 ASCII marks in string.punctuation
};

extern const uint8_t char_ascii_classes[128];
unsigned char_classes_wide(uint32_t code); // for codes from 128

// The CHAR_ bits of a code point.
static inline unsigned char_classes(uint32_t code) {
    return code < 128 ? char_ascii_classes[code] : char_classes_wide(code);
}

uint32_t char_lower(uint32_t code); // simple mapping

// Removes the first code point of valid UTF-8 and stores it; false when `s` is empty.
bool chars_next(struct slice *s, uint32_t *code);
// Removes the last one.
bool chars_last(struct slice *s, uint32_t *code);

size_t slice_n_chars(struct slice s);
struct slice slice_chars(struct slice s, size_t from, size_t to); // s[from:to] by code points

// Without code points at the ends that have one of the class bits: str.strip() is
// slice_strip(s, CHAR_SPACE), str.strip(string.punctuation) is slice_strip(s, CHAR_PUNCT).
struct slice slice_strip(struct slice s, unsigned classes);
struct slice slice_strip_left(struct slice s, unsigned classes);
struct slice slice_strip_right(struct slice s, unsigned classes);

bool slice_starts(struct slice s, struct slice prefix);
bool slice_ends(struct slice s, struct slice suffix);
struct slice slice_from(struct slice s, size_t byte);            // s[byte:]
struct slice slice_part(struct slice s, size_t from, size_t to); // s[from:to], in bytes

enum { SLICE_NONE = -1 };
// The byte offset of `needle` in `s` at or behind `from`, or SLICE_NONE. Linear.
ptrdiff_t slice_find(struct slice s, struct slice needle, size_t from);
// How often it occurs, without overlaps: str.count. An empty needle counts 0.
size_t slice_count(struct slice s, struct slice needle);
// The same for whole words, \bneedle\b: no word character stands on either side of an end that is a
// word character itself (as \b demands a change between word and no word on each end).
ptrdiff_t slice_find_word(struct slice s, struct slice needle, size_t from);
bool slice_is_blank(struct slice s); // only white space, or empty

bool slice_is_upper(struct slice s); // str.isupper(): a cased character, none lower or title case
bool slice_is_lower(struct slice s); // str.islower()
bool slice_all(struct slice s, unsigned classes); // not empty, and each character has a bit

#endif
