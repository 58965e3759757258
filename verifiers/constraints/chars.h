// Characters and runs of them, with the meanings that Python's str methods and `re` give them.
#ifndef VERIFIERS_CONSTRAINTS_CHARS_H
#define VERIFIERS_CONSTRAINTS_CHARS_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "protocol/base/slice.h"

enum char_class {
    CHAR_SPACE = 1 << 0,        // str.isspace, \s
    CHAR_WORD = 1 << 1,         // \w: str.isalnum or '_'
    CHAR_DIGIT = 1 << 2,        // str.isdecimal, \d
    CHAR_ALPHA = 1 << 3,        // str.isalpha
    CHAR_UPPER = 1 << 4,        // str.isupper of one character
    CHAR_LOWER = 1 << 5,        // str.islower of one character
    CHAR_TITLE = 1 << 6,        // cased, neither of these
    CHAR_PUNCT = 1 << 7,        // one of the 32 ASCII marks in string.punctuation
    CHAR_IGNORES_CASE = 1 << 8, // looked past for the last sigma of a word; not of char_classes
};

enum { CHAR_MAX_ASCII = 8 };

// What is known of 256 code points in a row, looked up when the first of them is met.
struct char_page {
    uint16_t classes[256];           // CHAR_ bits
    uint32_t lower[256];             // simple mapping to lower case
    uint32_t fold[256];              // what re.IGNORECASE takes it for
    char ascii[256][CHAR_MAX_ASCII]; // what NFKD leaves of it in ASCII; shorter ones end in 0
};
enum { CHAR_N_PAGES = 0x110000 >> 8 };
extern _Atomic(const struct char_page *) char_pages[CHAR_N_PAGES]; // NULL: not made yet
const struct char_page *char_make_page(uint32_t number);

// The page that holds `code`. Thread-safe; valid for ever.
static inline const struct char_page *char_page(uint32_t code) {
    const uint32_t number = code >> 8 < CHAR_N_PAGES ? code >> 8 : 0;
    const struct char_page *page = atomic_load_explicit(&char_pages[number], memory_order_acquire);
    return page ? page : char_make_page(number);
}

extern const uint8_t char_ascii_classes[128];

// The CHAR_ bits of a code point, CHAR_IGNORES_CASE apart.
static inline unsigned char_classes(uint32_t code) {
    if (code < 128) return char_ascii_classes[code];
    return char_page(code)->classes[code & 0xFF] & 0xFFu;
}

static inline uint32_t char_lower(uint32_t code) { // simple mapping
    if (code < 128) return code >= 'A' && code <= 'Z' ? code + 32 : code;
    return char_page(code)->lower[code & 0xFF];
}

// Two characters are the same to re.IGNORECASE where this is: lower case, one character for each
// (of U+0130: 'i'), and one letter for those that are as good as another one.
static inline uint32_t char_fold(uint32_t code) {
    if (code < 128) return char_lower(code);
    return char_page(code)->fold[code & 0xFF];
}

// The value of a decimal digit of any script.
int char_digit_value(uint32_t code);

// The first code point of valid UTF-8 that does not start with an ASCII byte, and its bytes.
struct wide_char {
    uint32_t code, len;
};
struct wide_char chars_wide(const char *ptr, size_t n);

// Whether all characters that start with a byte have three bytes and no case: Thai and its
// neighbours, kana, Han and Hangul.
static inline bool chars_have_no_case(unsigned char lead) {
    return lead == 0xE0 || (lead >= 0xE3 && lead <= 0xED && lead != 0xEA);
}

// Removes the first code point of valid UTF-8 and stores it; false when `s` is empty.
static inline bool chars_next(struct slice *s, uint32_t *code) {
    if (s->len == 0) return false;
    struct wide_char c = {(unsigned char)*s->ptr, 1};
    if (c.code >= 128) c = chars_wide(s->ptr, s->len);
    *code = c.code;
    s->ptr += c.len;
    s->len -= c.len;
    return true;
}
// The code point at byte `at`, and its bytes; 0 at the end.
static inline uint32_t slice_code_at(struct slice s, size_t at, size_t *len) {
    struct wide_char c = {0, 0};
    if (at < s.len) c = (struct wide_char){(unsigned char)s.ptr[at], 1};
    if (c.code >= 128) c = chars_wide(s.ptr + at, s.len - at);
    *len = c.len;
    return c.code;
}

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

// s[from:to], in bytes.
static inline struct slice slice_part(struct slice s, size_t from, size_t to) {
    if (to > s.len) to = s.len;
    if (from > to) from = to;
    return (struct slice){s.len ? s.ptr + from : s.ptr, to - from};
}

static inline struct slice slice_from(struct slice s, size_t byte) { // s[byte:]
    return slice_part(s, byte, s.len);
}

struct slice slice_behind(struct slice s, const char *at);   // from the byte at `at` on
struct slice slice_span(struct slice from, struct slice to); // both, and what is between them

enum { SLICE_NONE = -1 };
// The byte offset of `needle` in `s` at or behind `from`, or SLICE_NONE. Linear.
ptrdiff_t slice_find(struct slice s, struct slice needle, size_t from);
// How often it occurs, without overlaps: str.count. An empty needle counts 0.
size_t slice_count(struct slice s, struct slice needle);
size_t slice_count_to(struct slice s, struct slice needle, size_t most); // not more than `most`
// The same for whole words, \bneedle\b: no word character stands on either side of an end that is a
// word character itself (as \b demands a change between word and no word on each end).
ptrdiff_t slice_find_word(struct slice s, struct slice needle, size_t from);
bool slice_is_blank(struct slice s); // only white space, or empty

// Of white space that is not ASCII, which starts at `ptr`: its bytes, or 0 if it is none.
static inline size_t chars_wide_space(const char *ptr, size_t n) {
    const unsigned char *p = (const unsigned char *)ptr;
    if (n < 2) return 0;
    if (*p == 0xC2) return p[1] == 0x85 || p[1] == 0xA0 ? 2 : 0;
    if (n < 3 || *p < 0xE1 || *p > 0xE3) return 0;
    const unsigned code = (*p & 0xFu) << 12 | (p[1] & 0x3Fu) << 6 | (p[2] & 0x3Fu);
    const bool is = code == 0x1680 || (code >= 0x2000 && code <= 0x200A) || code == 0x2028 ||
                    code == 0x2029 || code == 0x202F || code == 0x205F || code == 0x3000;
    return is ? 3 : 0;
}

// The bytes of the white space character at byte `at`, or 0.
static inline size_t slice_space_at(struct slice s, size_t at) {
    if (at >= s.len) return 0;
    const unsigned char c = (unsigned char)s.ptr[at];
    if (c < 128) return char_ascii_classes[c] & CHAR_SPACE ? 1 : 0;
    return chars_wide_space(s.ptr + at, s.len - at);
}

// The next of str.split()'s fields, taken off `rest` with the white space in front of it; false
// when there is none.
bool slice_next_field(struct slice *rest, struct slice *field);
bool slice_next_word(struct slice *rest, struct slice *word); // likewise of the runs of \w
// The next of str.split("\n")'s lines, taken off `rest`; false behind the last one. What is empty
// has none.
bool slice_next_line(struct slice *rest, struct slice *line);
struct slice slice_last_field(struct slice s); // the last of them, empty when there is none

// The first character that has one of the class bits; empty when there is none.
struct slice slice_first(struct slice s, unsigned classes);
bool slice_is_upper(struct slice s); // str.isupper(): a cased character, none lower or title case
bool slice_is_lower(struct slice s); // str.islower()
bool slice_all(struct slice s, unsigned classes); // not empty, and each character has a bit
bool slice_is_number(struct slice s);             // str.isdigit(): superscripts and the like too

#endif
