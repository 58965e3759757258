#include "verifiers/constraints/ifbench.h"

#include <stdlib.h>

#include "verifiers/constraints/chars.h"

static bool is_mark(uint32_t code) {
    return code == ' ' || char_classes(code) & CHAR_PUNCT;
}

struct slice strip_marks_left(struct slice s) {
    uint32_t code;
    for (struct slice rest = s; chars_next(&rest, &code) && is_mark(code);) s = rest;
    return s;
}

struct slice strip_marks_right(struct slice s) {
    uint32_t code;
    for (struct slice rest = s; chars_last(&rest, &code) && is_mark(code);) s = rest;
    return s;
}

struct slice strip_marks(struct slice s) {
    return strip_marks_right(strip_marks_left(s));
}

struct slices plain_words(struct constraint_text *text, struct slice s) {
    return text_fields_of(text, text_without_punctuation_of(text, s));
}

size_t count_plain_words(struct constraint_text *text, struct slice s) {
    struct slice rest = text_without_punctuation_of(text, s), word;
    size_t n = 0;
    while (slice_next_field(&rest, &word)) n++;
    return n;
}

uint32_t first_code(struct slice s) {
    uint32_t code = 0;
    chars_next(&s, &code);
    return code;
}

uint32_t first_lower(struct slice s) {
    const uint32_t code = first_code(s);
    return code == 0x130 ? 'i' : char_lower(code);
}

bool is_palindrome(struct slice s) {
    uint32_t first, last;
    while (chars_next(&s, &first) && chars_last(&s, &last))
        if (first != last) return false;
    return true;
}

static int compare_word(const void *key, const void *word) {
    const struct slice s = *(const struct slice *)key;
    const char *w = *(const char *const *)word;
    const size_t len = strlen(w), shorter = s.len < len ? s.len : len;
    const int order = shorter ? memcmp(s.ptr, w, shorter) : 0;
    return order ? order : (s.len > len) - (s.len < len);
}

bool is_listed(struct slice s, const char *const *words, size_t n) {
    return bsearch(&s, words, n, sizeof *words, compare_word) != NULL;
}
