#include "verifiers/constraints/ifbench.h"

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

int64_t count_plain_words(struct slice s) {
    struct slice word;
    int64_t n = 0;
    while (slice_next_field(&s, &word)) n += !slice_all(word, CHAR_PUNCT);
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

// As memcmp, a word that the other one starts with being less.
static int compare_word(struct slice s, const char *word) {
    size_t i = 0;
    while (i < s.len && word[i] && s.ptr[i] == word[i]) i++;
    if (i == s.len) return word[i] ? -1 : 0;
    return word[i] ? (unsigned char)s.ptr[i] - (unsigned char)word[i] : 1;
}

bool is_listed(struct slice s, const char *const *words, size_t n) {
    size_t low = 0, high = n;
    while (low < high) {
        const size_t middle = (low + high) / 2;
        const int order = compare_word(s, words[middle]);
        if (order == 0) return true;
        if (order < 0)
            high = middle;
        else
            low = middle + 1;
    }
    return false;
}
