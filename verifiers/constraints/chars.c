#include "verifiers/constraints/chars.h"

#include <stdlib.h>
#include <utf8proc.h>

#include "protocol/base/memory.h"
#include "protocol/base/utf8.h"

enum {
    DIGIT = CHAR_WORD | CHAR_DIGIT,
    UPPER = CHAR_WORD | CHAR_ALPHA | CHAR_UPPER,
    LOWER = CHAR_WORD | CHAR_ALPHA | CHAR_LOWER,
};

const uint8_t char_ascii_classes[128] = {
    ['\t' ... '\r'] = CHAR_SPACE,
    [0x1C ... ' '] = CHAR_SPACE, // the four ASCII separators are white space to Python
    ['!' ... '/'] = CHAR_PUNCT,   ['0' ... '9'] = DIGIT,      [':' ... '@'] = CHAR_PUNCT,
    ['A' ... 'Z'] = UPPER,        ['[' ... '^'] = CHAR_PUNCT, ['_'] = CHAR_PUNCT | CHAR_WORD,
    ['`'] = CHAR_PUNCT,           ['a' ... 'z'] = LOWER,      ['{' ... '~'] = CHAR_PUNCT,
};

struct range {
    uint32_t first, last;
};

// Characters that are upper or lower case (Unicode's Other_Uppercase and Other_Lowercase) without
// the general category Lu or Ll.
static const struct range OTHER_UPPER[] = {
    {0x2160, 0x216F}, {0x24B6, 0x24CF}, {0x1F130, 0x1F149}, {0x1F150, 0x1F169}, {0x1F170, 0x1F189}};
static const struct range OTHER_LOWER[] = {
    {0xAA, 0xAA},       {0xBA, 0xBA},       {0x2B0, 0x2B8},     {0x2C0, 0x2C1},    {0x2E0, 0x2E4},
    {0x345, 0x345},     {0x37A, 0x37A},     {0x1D2C, 0x1D6A},   {0x1D78, 0x1D78},  {0x1D9B, 0x1DBF},
    {0x2071, 0x2071},   {0x207F, 0x207F},   {0x2090, 0x209C},   {0x2170, 0x217F},  {0x24D0, 0x24E9},
    {0x2C7C, 0x2C7D},   {0xA69C, 0xA69D},   {0xA770, 0xA770},   {0xA7F8, 0xA7F9},  {0xAB5C, 0xAB5F},
    {0x10780, 0x10780}, {0x10783, 0x10785}, {0x10787, 0x107B0}, {0x107B2, 0x107BA}};

// Digits that are no decimal ones.
static const struct range OTHER_DIGITS[] = {
    {0xB2, 0xB3},       {0xB9, 0xB9},       {0x1369, 0x1371},   {0x19DA, 0x19DA},
    {0x2070, 0x2070},   {0x2074, 0x2079},   {0x2080, 0x2089},   {0x2460, 0x2468},
    {0x2474, 0x247C},   {0x2488, 0x2490},   {0x24EA, 0x24EA},   {0x24F5, 0x24FD},
    {0x24FF, 0x24FF},   {0x2776, 0x277E},   {0x2780, 0x2788},   {0x278A, 0x2792},
    {0x10A40, 0x10A43}, {0x10E60, 0x10E68}, {0x11052, 0x1105A}, {0x1F100, 0x1F10A}};

// Letters in lower case that re.IGNORECASE takes for another one.
static const struct {
    uint32_t code, stands_for;
} SAME_LETTERS[] = {{0xB5, 0x3BC},    {0x131, 'i'},     {0x17F, 's'},    {0x345, 0x3B9},
                    {0x3C2, 0x3C3},   {0x3D0, 0x3B2},   {0x3D1, 0x3B8},  {0x3D5, 0x3C6},
                    {0x3D6, 0x3C0},   {0x3F0, 0x3BA},   {0x3F1, 0x3C1},  {0x3F5, 0x3B5},
                    {0x1C80, 0x432},  {0x1C81, 0x434},  {0x1C82, 0x43E}, {0x1C83, 0x441},
                    {0x1C84, 0x442},  {0x1C85, 0x442},  {0x1C86, 0x44A}, {0x1C87, 0x463},
                    {0x1C88, 0xA64B}, {0x1E9B, 0x1E61}, {0x1FBE, 0x3B9}, {0x1FD3, 0x390},
                    {0x1FE3, 0x3B0},  {0xFB05, 0xFB06}};

static uint32_t look_up_fold(uint32_t lower) {
    for (size_t i = 0; i < sizeof SAME_LETTERS / sizeof *SAME_LETTERS; i++)
        if (SAME_LETTERS[i].code == lower) return SAME_LETTERS[i].stands_for;
    return lower;
}

static bool within(uint32_t code, const struct range *ranges, size_t n) {
    for (size_t i = 0; i < n; i++)
        if (code >= ranges[i].first && code <= ranges[i].last) return true;
    return false;
}

static unsigned look_up_classes(uint32_t code) {
    unsigned bits = 0;
    switch (utf8proc_category((utf8proc_int32_t)code)) {
    case UTF8PROC_CATEGORY_LU:
        return CHAR_WORD | CHAR_ALPHA | CHAR_UPPER;
    case UTF8PROC_CATEGORY_LL:
        return CHAR_WORD | CHAR_ALPHA | CHAR_LOWER;
    case UTF8PROC_CATEGORY_LT:
        return CHAR_WORD | CHAR_ALPHA | CHAR_TITLE;
    case UTF8PROC_CATEGORY_LM:
    case UTF8PROC_CATEGORY_LO:
        bits = CHAR_WORD | CHAR_ALPHA;
        break;
    case UTF8PROC_CATEGORY_ND:
        return CHAR_WORD | CHAR_DIGIT;
    case UTF8PROC_CATEGORY_NL:
    case UTF8PROC_CATEGORY_NO:
        bits = CHAR_WORD;
        break;
    case UTF8PROC_CATEGORY_MN:
    case UTF8PROC_CATEGORY_SO:
        break;
    case UTF8PROC_CATEGORY_ZS:
    case UTF8PROC_CATEGORY_ZL:
    case UTF8PROC_CATEGORY_ZP:
        return CHAR_SPACE;
    default:
        return code == 0x85 ? CHAR_SPACE : 0;
    }
    if (code >= 0x2E80 && code < 0xA000) return bits; // no cased letter among the ideographs
    if (within(code, OTHER_LOWER, sizeof OTHER_LOWER / sizeof *OTHER_LOWER)) bits |= CHAR_LOWER;
    if (within(code, OTHER_UPPER, sizeof OTHER_UPPER / sizeof *OTHER_UPPER)) bits |= CHAR_UPPER;
    return bits;
}

// Python's rule for the last sigma of a word looks past these: marks, apostrophes, full stops
// within words and the like.
static bool ignores_case(uint32_t code) {
    switch (code) {
    case '\'':
    case '.':
    case ':':
    case '^':
    case '`':
    case 0xA8:
    case 0xAD:
    case 0xAF:
    case 0xB4:
    case 0xB7:
    case 0xB8:
    case 0x2018:
    case 0x2019:
    case 0x2024:
    case 0x2027:
        return true;
    default:
        break;
    }
    const utf8proc_category_t c = utf8proc_category((utf8proc_int32_t)code);
    return c == UTF8PROC_CATEGORY_MN || c == UTF8PROC_CATEGORY_ME || c == UTF8PROC_CATEGORY_CF ||
           c == UTF8PROC_CATEGORY_LM || c == UTF8PROC_CATEGORY_SK;
}

// The ASCII characters of the compatibility decomposition. Canonical order moves marks only, so
// that what is ASCII keeps its order without it.
static void look_up_ascii(uint32_t code, char out[CHAR_MAX_ASCII]) {
    utf8proc_int32_t parts[32];
    int bound = 0, n = 0;
    const utf8proc_ssize_t len = utf8proc_decompose_char(
        (utf8proc_int32_t)code, parts, 32, UTF8PROC_DECOMPOSE | UTF8PROC_COMPAT, &bound);
    for (utf8proc_ssize_t i = 0; i < len && i < 32; i++)
        if (parts[i] < 128 && n < CHAR_MAX_ASCII) out[n++] = (char)parts[i];
}

// ---- Looked up once ----------------------------------------------------------------------------

_Atomic(const struct char_page *) char_pages[CHAR_N_PAGES];

const struct char_page *char_make_page(uint32_t number) {
    struct char_page *page = memory_new(1, sizeof *page);
    const struct char_page *made = NULL;
    for (uint32_t i = 0; i < 256; i++) {
        const uint32_t code = number << 8 | i;
        page->classes[i] =
            (uint16_t)(look_up_classes(code) | (ignores_case(code) ? CHAR_IGNORES_CASE : 0));
        page->lower[i] = (uint32_t)utf8proc_tolower((utf8proc_int32_t)code);
        page->fold[i] = look_up_fold(page->lower[i]);
        look_up_ascii(code, page->ascii[i]);
    }
    if (atomic_compare_exchange_strong(&char_pages[number], &made, page)) return page;
    free(page); // another thread was faster
    return made;
}

// Unicode has them in runs from 0 to 9.
int char_digit_value(uint32_t code) {
    uint32_t n = 0;
    while (n < code && char_classes(code - n - 1) & CHAR_DIGIT) n++;
    return (int)(n % 10);
}

// ---- Slices ------------------------------------------------------------------------------------

static bool goes_on(unsigned char c) {
    return (c & 0xC0) == 0x80;
}

// The common leads by hand; what has more conditions, or is no UTF-8, by the rules.
struct wide_char chars_wide(const char *ptr, size_t n) {
    const unsigned char *p = (const unsigned char *)ptr;
    if (p[0] >= 0xC2 && p[0] < 0xE0 && n >= 2 && goes_on(p[1]))
        return (struct wide_char){(p[0] & 0x1Fu) << 6 | (p[1] & 0x3Fu), 2};
    if (p[0] > 0xE0 && p[0] < 0xED && n >= 3 && goes_on(p[1]) && goes_on(p[2]))
        return (struct wide_char){(p[0] & 0x0Fu) << 12 | (p[1] & 0x3Fu) << 6 | (p[2] & 0x3Fu), 3};
    if (p[0] == 0xF0 && n >= 4 && p[1] >= 0x90 && goes_on(p[1]) && goes_on(p[2]) && goes_on(p[3]))
        return (struct wide_char){(p[1] & 0x3Fu) << 12 | (p[2] & 0x3Fu) << 6 | (p[3] & 0x3Fu), 4};
    uint32_t code;
    const int len = utf8_next((struct slice){ptr, n}, &code);
    if (len == 0) return (struct wide_char){0xFFFD, 1}; // not reached with valid UTF-8
    return (struct wide_char){code, (uint32_t)len};
}

bool chars_last(struct slice *s, uint32_t *code) {
    if (s->len == 0) return false;
    size_t at = s->len - 1;
    while (at > 0 && s->len - at < 4 && ((unsigned char)s->ptr[at] & 0xC0) == 0x80) at--;
    struct slice one = {s->ptr + at, s->len - at};
    s->len = at;
    return chars_next(&one, code);
}

// How many bytes at the start of `s` are white space.
static size_t n_spaces(struct slice s) {
    size_t n = 0;
    for (size_t len; (len = slice_space_at(s, n));) n += len;
    return n;
}

// How many are none.
static size_t n_no_spaces(struct slice s) {
    size_t n = 0;
    while (n < s.len && !slice_space_at(s, n)) n++; // a byte within a character starts no space
    return n;
}

bool slice_next_field(struct slice *rest, struct slice *field) {
    const size_t start = n_spaces(*rest);
    *rest = (struct slice){rest->ptr + start, rest->len - start};
    field->ptr = rest->ptr;
    field->len = n_no_spaces(*rest);
    *rest = (struct slice){rest->ptr + field->len, rest->len - field->len};
    return field->len > 0;
}

bool slice_next_word(struct slice *rest, struct slice *word) {
    uint32_t code;
    struct slice next = *rest;
    *word = (struct slice){rest->ptr, 0};
    while (chars_next(&next, &code)) {
        if (char_classes(code) & CHAR_WORD)
            word->len = (size_t)(next.ptr - word->ptr);
        else if (word->len)
            break;
        else
            word->ptr = next.ptr;
    }
    *rest = next;
    return word->len > 0;
}

bool slice_next_line(struct slice *rest, struct slice *line) {
    if (rest->len == 0) return false;
    const char *newline = memchr(rest->ptr, '\n', rest->len);
    *line = newline ? slice_part(*rest, 0, (size_t)(newline - rest->ptr)) : *rest;
    *rest = slice_from(*rest, line->len + (newline != NULL));
    return true;
}

struct slice slice_last_field(struct slice s) {
    uint32_t code;
    s = slice_strip_right(s, CHAR_SPACE);
    struct slice head = s;
    for (struct slice next = s; chars_last(&next, &code); head = next)
        if (char_classes(code) & CHAR_SPACE) break;
    return slice_from(s, head.len);
}

size_t slice_n_chars(struct slice s) {
    size_t n = 0;
    for (size_t i = 0; i < s.len; i++) n += ((unsigned char)s.ptr[i] & 0xC0) != 0x80;
    return n;
}

struct slice slice_chars(struct slice s, size_t from, size_t to) {
    uint32_t code;
    for (size_t i = 0; i < from; i++)
        if (!chars_next(&s, &code)) return s;
    struct slice rest = s;
    for (size_t i = from; i < to; i++)
        if (!chars_next(&rest, &code)) break;
    return (struct slice){s.ptr, s.len - rest.len};
}

struct slice slice_strip_left(struct slice s, unsigned classes) {
    uint32_t code;
    for (struct slice rest = s; chars_next(&rest, &code); s = rest)
        if (!(char_classes(code) & classes)) break;
    return s;
}

struct slice slice_strip_right(struct slice s, unsigned classes) {
    uint32_t code;
    for (struct slice rest = s; chars_last(&rest, &code); s = rest)
        if (!(char_classes(code) & classes)) break;
    return s;
}

struct slice slice_strip(struct slice s, unsigned classes) {
    return slice_strip_right(slice_strip_left(s, classes), classes);
}

bool slice_starts(struct slice s, struct slice prefix) {
    return s.len >= prefix.len && (prefix.len == 0 || memcmp(s.ptr, prefix.ptr, prefix.len) == 0);
}

bool slice_ends(struct slice s, struct slice suffix) {
    return s.len >= suffix.len &&
           (suffix.len == 0 || memcmp(s.ptr + s.len - suffix.len, suffix.ptr, suffix.len) == 0);
}

struct slice slice_behind(struct slice s, const char *at) {
    return slice_from(s, (size_t)(at - s.ptr));
}

struct slice slice_span(struct slice from, struct slice to) {
    return (struct slice){from.ptr, (size_t)(to.ptr + to.len - from.ptr)};
}

ptrdiff_t slice_find(struct slice s, struct slice needle, size_t from) {
    if (from > s.len) return SLICE_NONE;
    if (needle.len == 0) return (ptrdiff_t)from;
    if (s.len - from < needle.len) return SLICE_NONE;
    const char *at = memmem(s.ptr + from, s.len - from, needle.ptr, needle.len);
    return at ? at - s.ptr : SLICE_NONE;
}

// One byte is searched for too often to be called for each.
static size_t count_byte(struct slice s, char byte) {
    size_t n = 0;
    for (size_t i = 0; i < s.len; i++) n += s.ptr[i] == byte;
    return n;
}

size_t slice_count(struct slice s, struct slice needle) {
    return needle.len == 1 ? count_byte(s, *needle.ptr) : slice_count_to(s, needle, SIZE_MAX);
}

size_t slice_count_to(struct slice s, struct slice needle, size_t most) {
    size_t n = 0;
    if (needle.len == 0) return 0;
    for (ptrdiff_t at = 0; n < most && (at = slice_find(s, needle, (size_t)at)) >= 0; n++)
        at += (ptrdiff_t)needle.len;
    return n;
}

static bool is_word_before(struct slice s, size_t at) {
    struct slice head = slice_part(s, 0, at);
    uint32_t code;
    return chars_last(&head, &code) && char_classes(code) & CHAR_WORD;
}

static bool is_word_at(struct slice s, size_t at) {
    struct slice tail = slice_from(s, at);
    uint32_t code;
    return chars_next(&tail, &code) && char_classes(code) & CHAR_WORD;
}

ptrdiff_t slice_find_word(struct slice s, struct slice needle, size_t from) {
    const bool starts = is_word_at(needle, 0), ends = is_word_before(needle, needle.len);
    ptrdiff_t at = slice_find(s, needle, from);
    for (; at >= 0; at = slice_find(s, needle, (size_t)at + 1)) {
        const size_t start = (size_t)at, end = start + needle.len;
        const bool before = is_word_before(s, start);
        // An empty one stands where a word starts or ends.
        if (needle.len ? before != starts && is_word_at(s, end) != ends
                       : before != is_word_at(s, start))
            return at;
        if (start + 1 > s.len) break;
    }
    return SLICE_NONE;
}

bool slice_is_blank(struct slice s) {
    return slice_strip_left(s, CHAR_SPACE).len == 0;
}

struct slice slice_first(struct slice s, unsigned classes) {
    uint32_t code;
    for (struct slice rest = s; chars_next(&rest, &code); s = rest)
        if (char_classes(code) & classes) return slice_part(s, 0, s.len - rest.len);
    return (struct slice){"", 0};
}

static bool has_case(struct slice s, unsigned wanted, unsigned other) {
    bool found = false;
    uint32_t code;
    while (chars_next(&s, &code)) {
        const unsigned bits = char_classes(code);
        if (bits & other) return false;
        found = found || bits & wanted;
    }
    return found;
}

bool slice_is_upper(struct slice s) {
    return has_case(s, CHAR_UPPER, CHAR_LOWER | CHAR_TITLE);
}

bool slice_is_lower(struct slice s) {
    return has_case(s, CHAR_LOWER, CHAR_UPPER | CHAR_TITLE);
}

bool slice_all(struct slice s, unsigned classes) {
    uint32_t code;
    if (s.len == 0) return false;
    while (chars_next(&s, &code))
        if (!(char_classes(code) & classes)) return false;
    return true;
}

bool slice_is_number(struct slice s) {
    uint32_t code;
    if (s.len == 0) return false;
    while (chars_next(&s, &code))
        if (!(char_classes(code) & CHAR_DIGIT) &&
            !within(code, OTHER_DIGITS, sizeof OTHER_DIGITS / sizeof *OTHER_DIGITS))
            return false;
    return true;
}
