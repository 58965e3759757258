#include "verifiers/constraints/text.h"

#include <stdlib.h>

#include "protocol/base/utf8.h"
#include "verifiers/constraints/chars.h"

enum { MANY_SLICES = 16 << 10 };

struct text_cache {
    bool has_stripped, has_lower, has_fold, has_lines, has_fields, has_words;
    struct slice stripped, lower, fold;
    struct slices lines, fields, words;
};

void text_open(struct constraint_text *text, struct slice response, struct arena *arena) {
    *text = (struct constraint_text){.raw = response, .arena = arena};
    text->cache = arena_take(arena, 1, sizeof *text->cache);
    text_refill(text);
    if (response.len > TEXT_MAX_BYTES) {
        text->over = true;
        text->steps_left = 0;
        text->raw = (struct slice){"", 0};
    } else if (utf8_valid_prefix(response) < response.len) {
        struct buffer mended = {0};
        utf8_add_lossy(&mended, response);
        text->raw = (struct slice){arena_copy(arena, mended.ptr, mended.len), mended.len};
        buffer_free(&mended);
    } else if (!response.ptr) {
        text->raw = (struct slice){"", 0};
    }
}

void text_open_part(struct constraint_text *text, struct slice part, struct constraint_text *whole,
                    struct arena *arena) {
    *text = (struct constraint_text){.raw = part, .arena = arena, .within = whole};
    text->cache = arena_take(arena, 1, sizeof *text->cache);
    text_refill(text);
}

static bool is_ascii_space(char c) {
    return (unsigned char)c < 128 && char_ascii_classes[(unsigned char)c] & CHAR_SPACE;
}

// Whether `s` lies in `whole` with ASCII white space on either side, as a part of a text does.
static bool may_be_part(struct slice s, struct slice whole) {
    const char *end = s.ptr + s.len, *whole_end = whole.ptr + whole.len;
    if (s.ptr < whole.ptr || end > whole_end) return false;
    return (s.ptr == whole.ptr || is_ascii_space(s.ptr[-1])) &&
           (end == whole_end || is_ascii_space(*end));
}

struct constraint_text *text_inner(struct constraint_text *text, struct slice s) {
    struct constraint_text *owner = text->within ? text->within : text;
    struct constraint_text *whole = text->within ? owner->inner : NULL;
    if (whole && may_be_part(s, whole->raw)) {
        struct constraint_text *part = arena_take(text->arena, 1, sizeof *part);
        text_open_part(part, s, whole, text->arena);
        return part;
    }
    owner->inner = arena_take(owner->arena, 1, sizeof *owner->inner);
    text_open_part(owner->inner, s, NULL, owner->arena);
    return owner->inner;
}

static struct slice space_out(struct constraint_text *text, struct slice s, char mark) {
    if (s.len == 0 || !memchr(s.ptr, mark, s.len)) return s;
    char *out = arena_take_unset(text->arena, s.len, 1);
    for (size_t i = 0; i < s.len; i++) out[i] = s.ptr[i] == mark ? ' ' : s.ptr[i];
    return (struct slice){out, s.len};
}

struct constraint_text *text_spaced(struct constraint_text *text, bool lower, char mark) {
    struct constraint_text *own = arena_take(text->arena, 1, sizeof *own), *whole = text->kept;
    const struct slice s = lower ? text_lower(text) : text->raw;
    if (text->within && whole) {
        const struct slice all = lower ? text_lower(text->within) : text->within->raw;
        const size_t at = (size_t)(s.ptr - all.ptr);
        text_open_part(own, slice_part(whole->raw, at, at + s.len), whole, text->arena);
        own->kept = whole->kept;
    } else {
        text_open_part(own, space_out(text, s, mark), NULL, text->arena);
        if (!text->within) text->kept = own;
    }
    return own;
}

bool text_no_part(struct constraint_text *text) {
    text->no_part = true;
    return false;
}

bool text_blame(struct constraint_text *text, struct slice bytes) {
    text->blamed = bytes;
    return false;
}

bool text_lacks(struct constraint_text *text, struct slice bytes) {
    const ptrdiff_t at = slice_find(text->raw, bytes, 0);
    return at < 0 || text_blame(text, slice_part(text->raw, (size_t)at, (size_t)at + bytes.len));
}

void text_refill(struct constraint_text *text) {
    text->no_part = false;
    text->blamed = (struct slice){0};
    if (!text->over)
        text->steps_left = TEXT_BASE_STEPS + TEXT_STEPS_PER_BYTE * (uint64_t)text->raw.len;
}

static void grow(struct constraint_text *text, struct slices *list, size_t capacity) {
    struct slice *items = arena_take_unset(text->arena, capacity, sizeof *items);
    if (list->n) memcpy(items, list->items, list->n * sizeof *items);
    list->items = items;
    list->capacity = capacity;
}

void slices_expect(struct constraint_text *text, struct slices *list, size_t max) {
    if (max >= MANY_SLICES) grow(text, list, max);
}

bool slices_grow(struct constraint_text *text, struct slices *list) {
    const size_t capacity = list->capacity ? 2 * list->capacity : 8;
    if (!text_spend(text, capacity)) return false;
    grow(text, list, capacity);
    return true;
}

static size_t n_before(const struct slices *list, const char *at, bool start) {
    size_t low = 0, high = list->n;
    while (low < high) {
        const size_t middle = low + (high - low) / 2;
        const struct slice s = list->items[middle];
        if (start ? s.ptr < at : s.ptr + s.len <= at)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

size_t slices_n_starting(const struct slices *list, const char *at) {
    return n_before(list, at, true);
}

size_t slices_n_ending(const struct slices *list, const char *at) {
    return n_before(list, at, false);
}

// ---- Made anew ---------------------------------------------------------------------------------

// Python's rule for the last sigma of a word: a cased letter before it and none behind, looking
// past characters that case ignores.
enum { CASED = CHAR_UPPER | CHAR_LOWER | CHAR_TITLE, SIGMA = 0x3A3, FINAL_SIGMA = 0x3C2 };

static bool ignores_case(uint32_t code) {
    return char_page(code)->classes[code & 0xFF] & CHAR_IGNORES_CASE;
}

static bool is_final_sigma(struct slice before, struct slice behind) {
    uint32_t code;
    bool found = false;
    for (int i = 0; i < TEXT_SIGMA_CHARS && chars_last(&before, &code); i++) {
        if (ignores_case(code)) continue;
        found = char_classes(code) & CASED;
        break;
    }
    if (!found) return false;
    for (int i = 0; i < TEXT_SIGMA_CHARS && chars_next(&behind, &code); i++)
        if (!ignores_case(code)) return !(char_classes(code) & CASED);
    return true;
}

// Writes the lower case of the character at byte `at` of `s`, and returns the bytes written.
static size_t lower_wide(struct slice s, size_t at, struct wide_char c, char *out) {
    uint32_t code = c.code;
    if (code == 0x130) return (size_t)((char *)mempcpy(out, "i\xCC\x87", 3) - out);
    if (code == SIGMA) {
        const struct slice before = {s.ptr, at}, behind = slice_from(s, at + c.len);
        code = is_final_sigma(before, behind) ? FINAL_SIGMA : SIGMA + 32;
    } else {
        code = char_lower(code);
    }
    return (size_t)utf8_write(code, out);
}

typedef size_t map_wide(struct slice s, size_t at, struct wide_char c, char *out);

static size_t fold_wide(struct slice s, size_t at, struct wide_char c, char *out) {
    (void)s;
    (void)at;
    return (size_t)utf8_write(char_fold(c.code), out);
}

static struct slice lower_by(struct constraint_text *text, struct slice s, map_wide *map) {
    // A lower case letter may need one byte more than its capital (U+0130 two more).
    if (!text_spend(text, s.len)) return (struct slice){"", 0};
    char *out = arena_take_unset(text->arena, 2 * s.len + 1, 1);
    size_t n = 0;
    for (size_t at = 0; at < s.len;) {
        const unsigned char lead = (unsigned char)s.ptr[at];
        if (lead < 128) {
            out[n++] = (char)(lead + (lead >= 'A' && lead <= 'Z' ? 32 : 0));
            at++;
        } else if (chars_have_no_case(lead)) {
            memcpy(out + n, s.ptr + at, 3);
            n += 3;
            at += 3;
        } else {
            const struct wide_char c = chars_wide(s.ptr + at, s.len - at);
            n += map(s, at, c, out + n);
            at += c.len;
        }
    }
    return (struct slice){out, n};
}

struct slice text_lower_of(struct constraint_text *text, struct slice s) {
    return lower_by(text, s, lower_wide);
}

struct slice text_fold_of(struct constraint_text *text, struct slice s) {
    return lower_by(text, s, fold_wide);
}

// A character loses at most two bytes in lower case (U+212A).
bool text_lower_is(struct constraint_text *text, struct slice s, struct slice lower) {
    return s.len <= 3 * lower.len && slice_equal(text_lower_of(text, s), lower);
}

// Reads a slice in lower case byte by byte.
struct lower_reader {
    struct slice s;
    size_t at, n, used; // of the bytes
    char bytes[4];
};

static int next_lower(struct lower_reader *r) {
    if (r->used < r->n) return (unsigned char)r->bytes[r->used++];
    if (r->at == r->s.len) return -1;
    const unsigned char lead = (unsigned char)r->s.ptr[r->at];
    if (lead < 128) {
        r->at++;
        return lead + (lead >= 'A' && lead <= 'Z' ? 32 : 0);
    }
    const struct wide_char c = chars_wide(r->s.ptr + r->at, r->s.len - r->at);
    r->n = lower_wide(r->s, r->at, c, r->bytes);
    r->at += c.len;
    r->used = 1;
    return (unsigned char)r->bytes[0];
}

bool text_lower_same(struct constraint_text *text, struct slice a, struct slice b) {
    struct lower_reader x = {.s = a}, y = {.s = b};
    if (slice_equal(a, b)) return true;
    for (int c; (c = next_lower(&x)) == next_lower(&y);)
        if (c < 0) return text_spend(text, x.at);
    return text_spend(text, x.at) && false;
}

struct slices text_split_of(struct constraint_text *text, struct slice s, struct slice separator) {
    struct slices out = {0};
    size_t from = 0;
    if (!text_spend(text, s.len)) return out;
    if (separator.len) slices_expect(text, &out, s.len / separator.len + 1);
    for (ptrdiff_t at; (at = slice_find(s, separator, from)) >= 0 && separator.len;
         from = (size_t)at + separator.len)
        slices_add(text, &out, slice_part(s, from, (size_t)at));
    slices_add(text, &out, slice_from(s, from));
    return out;
}

struct slices text_words_of(struct constraint_text *text, struct slice s) {
    struct slices out = {0};
    const char *start = NULL;
    uint32_t code;
    if (!text_spend(text, s.len)) return out;
    slices_expect(text, &out, s.len / 2 + 1);
    for (struct slice rest = s; rest.len;) {
        const char *at = rest.ptr;
        chars_next(&rest, &code);
        const bool in = char_classes(code) & CHAR_WORD;
        if (in && !start) start = at;
        if (!in && start) {
            slices_add(text, &out, (struct slice){start, (size_t)(at - start)});
            start = NULL;
        }
    }
    if (start) slices_add(text, &out, (struct slice){start, (size_t)(s.ptr + s.len - start)});
    return out;
}

struct slices text_fields_of(struct constraint_text *text, struct slice s) {
    struct slices out = {0};
    struct slice field;
    if (!text_spend(text, s.len)) return out;
    slices_expect(text, &out, s.len / 2 + 1);
    while (slice_next_field(&s, &field)) slices_add(text, &out, field);
    return out;
}

struct slice text_without_punctuation_of(struct constraint_text *text, struct slice s) {
    if (!text_spend(text, s.len)) return (struct slice){"", 0};
    char *out = arena_take_unset(text->arena, s.len + 1, 1);
    size_t n = 0;
    for (size_t i = 0; i < s.len; i++) {
        const unsigned char c = (unsigned char)s.ptr[i];
        if (c >= 128 || !(char_ascii_classes[c] & CHAR_PUNCT)) out[n++] = s.ptr[i];
    }
    return (struct slice){out, n};
}

struct slice text_replace_of(struct constraint_text *text, struct slice s, struct slice from,
                             struct slice to) {
    const size_t count = slice_count(s, from);
    const size_t grown = to.len > from.len ? count * (to.len - from.len) : 0;
    if (count == 0) return s;
    if (!text_spend(text, 2 * s.len + grown)) return (struct slice){"", 0};
    char *out = arena_take_unset(text->arena, s.len + grown + 1, 1), *end = out;
    size_t last = 0;
    for (ptrdiff_t at; (at = slice_find(s, from, last)) >= 0; last = (size_t)at + from.len) {
        end = mempcpy(end, s.ptr + last, (size_t)at - last);
        if (to.len) end = mempcpy(end, to.ptr, to.len);
    }
    end = mempcpy(end, s.ptr + last, s.len - last);
    return (struct slice){out, (size_t)(end - out)};
}

struct slice text_ascii_of(struct constraint_text *text, struct slice s) {
    if (!text_spend(text, 8 * s.len)) return (struct slice){"", 0};
    // A character of two bytes or more has at most CHAR_MAX_ASCII letters.
    char *out = arena_take_unset(text->arena, CHAR_MAX_ASCII / 2 * s.len + 1, 1);
    size_t n = 0;
    for (uint32_t code; chars_next(&s, &code);) {
        if (code < 128) {
            out[n++] = (char)code;
            continue;
        }
        const char *ascii = char_page(code)->ascii[code & 0xFF];
        for (int i = 0; i < CHAR_MAX_ASCII && ascii[i]; i++) out[n++] = ascii[i];
    }
    return (struct slice){out, n};
}

const uint32_t *text_codes_of(struct constraint_text *text, struct slice s, size_t *n) {
    *n = 0;
    if (!text_spend(text, s.len)) s.len = 0;
    uint32_t *codes = arena_take(text->arena, s.len + 1, sizeof *codes);
    while (chars_next(&s, &codes[*n])) ++*n;
    return codes;
}

// ---- Of a part, from what is kept of the whole -------------------------------------------------

// The text that this one is a part of, ready to make something that is kept; NULL: none.
static struct constraint_text *whole_of(struct constraint_text *text) {
    if (text->within) text_refill(text->within);
    return text->within;
}

// Items without newlines: those within the part.
static struct slices items_within(struct constraint_text *text, const struct slices *all) {
    const size_t from = slices_n_ending(all, text->raw.ptr);
    const size_t to = slices_n_ending(all, text->raw.ptr + text->raw.len);
    if (text->within->over) text->over = true;
    return slices_part(all, from, to);
}

// In lower case white space is what it was, and newlines are as many: between the first or last
// newline and an end of a part there is only white space. To the last sigma of a word white space
// is what the end of a text is.
static struct slice lower_within(struct constraint_text *text, struct slice all) {
    const struct slice raw = text->within->raw, part = text->raw;
    const char *first = memchr(raw.ptr, '\n', (size_t)(part.ptr - raw.ptr));
    const char *behind = part.ptr + part.len;
    const char *last = memrchr(behind, '\n', (size_t)(raw.ptr + raw.len - behind));
    if (text->within->over) {
        text->over = true;
        return (struct slice){"", 0};
    }
    const char *from = all.ptr, *to = all.ptr + all.len;
    if (first) {
        from = memchr(all.ptr, '\n', all.len);
        from += part.ptr - first;
    } else {
        from += part.ptr - raw.ptr;
    }
    if (last) {
        to = memrchr(all.ptr, '\n', all.len);
        to -= last - behind;
    } else {
        to -= raw.ptr + raw.len - behind;
    }
    return (struct slice){from, (size_t)(to - from)};
}

// ---- Kept --------------------------------------------------------------------------------------

#define KEPT(field, make)                                                                          \
    if (!text->cache->has_##field) {                                                               \
        text->cache->field = make;                                                                 \
        text->cache->has_##field = true;                                                           \
    }

struct slice text_stripped(struct constraint_text *text) {
    KEPT(stripped, slice_strip(text->raw, CHAR_SPACE));
    return text->cache->stripped;
}

struct slice text_lower(struct constraint_text *text) {
    struct constraint_text *whole = whole_of(text);
    KEPT(lower, whole ? lower_within(text, text_lower(whole)) : text_lower_of(text, text->raw));
    return text->cache->lower;
}

static bool is_ascii(struct slice s) {
    unsigned char bits = 0;
    for (size_t i = 0; i < s.len; i++) bits |= (unsigned char)s.ptr[i];
    return bits < 128;
}

static struct slice make_fold(struct constraint_text *text) {
    struct constraint_text *whole = whole_of(text);
    if (whole) return lower_within(text, text_fold(whole));
    return is_ascii(text->raw) ? text_lower(text) : text_fold_of(text, text->raw);
}

struct slice text_fold(struct constraint_text *text) {
    KEPT(fold, make_fold(text));
    return text->cache->fold;
}

const struct slices *text_lines(struct constraint_text *text) {
    KEPT(lines, text_split_of(text, text->raw, slice_of("\n")));
    return &text->cache->lines;
}

const struct slices *text_fields(struct constraint_text *text) {
    struct constraint_text *whole = whole_of(text);
    KEPT(fields, whole ? items_within(text, text_fields(whole)) : text_fields_of(text, text->raw));
    return &text->cache->fields;
}

const struct slices *text_words(struct constraint_text *text) {
    struct constraint_text *whole = whole_of(text);
    KEPT(words, whole ? items_within(text, text_words(whole)) : text_words_of(text, text->raw));
    return &text->cache->words;
}
