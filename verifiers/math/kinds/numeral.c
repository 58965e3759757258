// Numbers in words, and in Chinese numerals.
#include "verifiers/math/kinds/numeral.h"

#include <stdint.h>
#include <string.h>

#include "verifiers/math/base/ascii.h"

struct slice numeral_next_word(struct slice *text) {
    size_t n = 0;
    while (text->len && (text->ptr[0] == ' ' || text->ptr[0] == '-')) text->ptr++, text->len--;
    while (n < text->len && text->ptr[n] != ' ' && text->ptr[n] != '-') n++;
    const struct slice word = {text->ptr, n};
    text->ptr += n;
    text->len -= n;
    return word;
}

long numeral_value(struct slice text) {
    static const char *const ONES[] = {"zero",    "one",     "two",       "three",    "four",
                                       "five",    "six",     "seven",     "eight",    "nine",
                                       "ten",     "eleven",  "twelve",    "thirteen", "fourteen",
                                       "fifteen", "sixteen", "seventeen", "eighteen", "nineteen"};
    static const char *const TENS[] = {"twenty", "thirty",  "forty",  "fifty",
                                       "sixty",  "seventy", "eighty", "ninety"};
    long all = 0, part = 0;
    int n_words = 0;
    bool digit = false; // the last word was below twenty
    for (struct slice word; (word = numeral_next_word(&text)).len > 0; n_words++) {
        long value = -1;
        for (long i = 0; i < 20; i++)
            if (slice_is(word, ONES[i])) value = i;
        for (long i = 0; i < 8; i++)
            if (slice_is(word, TENS[i])) value = 10 * (i + 2);
        if (value >= 0) {
            // "twenty one" is 21, "one two" and "ten five" are nothing.
            if (digit || (part % 100 != 0 && !(value < 10 && part % 100 >= 20 && part % 10 == 0)))
                return -1;
            part += value;
            digit = value < 20;
        } else if (slice_is(word, "dozen") && all == 0 && part < 100) { // "a dozen" has no article
            part = 12 * (n_words ? part : 1);
            digit = true;
        } else if (slice_is(word, "hundred") && part > 0 && part < 10) {
            part *= 100;
            digit = false;
        } else if (slice_is(word, "thousand") && part > 0 && all == 0) {
            all = part * 1000;
            part = 0;
            digit = false;
        } else if (!(slice_is(word, "and") && n_words > 0 && part % 100 == 0)) {
            return -1;
        }
    }
    return n_words ? all + part : -1;
}

size_t numeral_prefix(struct slice text, long *value) {
    enum { MAX_BYTES = 80 };
    char lower[MAX_BYTES];
    size_t found = 0;
    const size_t n = text.len < MAX_BYTES ? text.len : MAX_BYTES;
    for (size_t i = 0; i < n; i++) lower[i] = ascii_lower(text.ptr[i]);
    for (size_t end = 1; end <= n; end++) {
        if (!ascii_is_alpha(lower[end - 1])) {
            if (lower[end - 1] != ' ' && lower[end - 1] != '-') break;
            continue;
        }
        if (end < text.len && ascii_is_alpha(text.ptr[end])) continue; // within a word
        const long number = numeral_value((struct slice){lower, end});
        if (number < 0) continue;
        found = end;
        *value = number;
    }
    return found;
}

// ---- Chinese and Japanese ----------------------------------------------------------------------

enum { MAX_UNIT = 10000 };

// The digit (0 to 9) or the unit (10 to MAX_UNIT) of the character at the start, or -1.
static long character(struct slice *text) {
    static const struct {
        const char *text;
        long value;
    } ROWS[] = {{"零", 0}, {"〇", 0},  {"一", 1},   {"二", 2},    {"两", 2},     {"兩", 2},
                {"三", 3}, {"四", 4},  {"五", 5},   {"六", 6},    {"七", 7},     {"八", 8},
                {"九", 9}, {"十", 10}, {"百", 100}, {"千", 1000}, {"万", 10000}, {"萬", 10000}};
    for (size_t i = 0; i < sizeof ROWS / sizeof *ROWS; i++) {
        const size_t len = strlen(ROWS[i].text);
        if (text->len < len || memcmp(text->ptr, ROWS[i].text, len) != 0) continue;
        text->ptr += len;
        text->len -= len;
        return ROWS[i].value;
    }
    return -1;
}

long numeral_chinese(struct slice text) {
    long all = 0, part = 0, digit = -1, last = MAX_UNIT * 10; // `last`: the unit before
    bool zero = false;                                        // a 零 in front of what is next
    for (bool first = true; text.len > 0; first = false) {
        const long value = character(&text);
        if (value < 0) return -1;
        if (value == 0) {
            if (digit >= 0 || zero || (first && text.len > 0)) return -1;
            zero = true;
        } else if (value < 10) {
            if (digit >= 0) return -1; // "一二": digits one by one
            digit = value;
        } else if (value == MAX_UNIT) {
            if (all || part + (digit > 0 ? digit : 0) == 0) return -1;
            all = (part + (digit > 0 ? digit : 0)) * MAX_UNIT;
            part = 0;
            digit = -1;
            last = MAX_UNIT;
            zero = false;
        } else {
            if (value >= last || (digit < 0 && value != 10)) return -1;
            if (digit < 0 && !first && !zero) return -1; // "一百十" is none
            part += (digit < 0 ? 1 : digit) * value;
            digit = -1;
            last = value;
            zero = false;
        }
    }
    // "一百五" is 150 to some: the last digit stands behind a ten or a zero.
    if (digit > 0 && last > 10 && last <= MAX_UNIT && !zero) return -1;
    return all + part + (digit > 0 ? digit : 0);
}
