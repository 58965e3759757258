#include "verifiers/math/select/answer_scan.h"

#include "protocol/base/utf8.h"
#include "verifiers/math/base/ascii.h"

struct slice answer_trim(struct slice s) {
    while (s.len && answer_is_space(s.ptr[0])) s = (struct slice){s.ptr + 1, s.len - 1};
    while (s.len && answer_is_space(s.ptr[s.len - 1])) s.len--;
    return s;
}

size_t answer_find_last(struct slice text, const char *word) {
    const size_t len = strlen(word);
    size_t left = text.len >= len ? text.len - len + 1 : 0; // places where it may begin
    for (const char *at; left && (at = memrchr(text.ptr, word[0], left));
         left = (size_t)(at - text.ptr))
        if (memcmp(at, word, len) == 0) return (size_t)(at - text.ptr);
    return SIZE_MAX;
}

size_t answer_line_start(struct slice text, size_t at) {
    const char *line = at > 0 ? memrchr(text.ptr, '\n', at) : NULL;
    return line ? (size_t)(line - text.ptr) + 1 : 0;
}

size_t answer_line_end(struct slice text, size_t at) {
    const char *line = at < text.len ? memchr(text.ptr + at, '\n', text.len - at) : NULL;
    return line ? (size_t)(line - text.ptr) : text.len;
}

// Whether a byte may be the end of a sentence, or the first of a mark that is: nearly always not.
static inline bool may_end(char c) {
    return (unsigned char)c >= 0x80 || !(c >= '@' || (c > '!' && c < '.') || c == ' ');
}

// "15 oz. of sugar", "3 ft. long": the point at `at` is that of a unit, and the sentence goes on.
static bool is_unit_in_short(struct slice text, size_t at) {
    static const char *const UNITS[] = {
        "oz",  "lb", "lbs", "ft", "in",  "yd", "mi", "gal", "pt",   "qt",  "hr", "hrs", "min",
        "sec", "sq", "cm",  "kg", "mph", "km", "mm", "tsp", "tbsp", "yrs", "wk", "mo",  "approx"};
    if (at + 2 >= text.len || text.ptr[at + 1] != ' ' || !ascii_is_lower(text.ptr[at + 2]))
        return false;
    size_t start = at;
    while (start > 0 && at - start < 6 && ascii_is_alpha(text.ptr[start - 1])) start--;
    return start > 0 && answer_is_space(text.ptr[start - 1]) &&
           answer_is_in(answer_cut(text, start, at), UNITS, sizeof UNITS / sizeof *UNITS);
}

bool answer_ends_sentence(struct slice text, size_t at) {
    const char c = text.ptr[at];
    if (!may_end(c)) return false;
    if (c != '.' && c != '!' && c != '?')
        return (c == '\xE3' || c == '\xEF' || c == '\xE0') &&
               (answer_starts(text, at, "。") || answer_starts(text, at, "？") ||
                answer_starts(text, at, "！") || answer_starts(text, at, "।"));
    if (at > 0 && text.ptr[at - 1] == '\\') return false; // \! is a space
    if (c == '.' && at > 1 && text.ptr[at - 1] == '.' && at + 2 < text.len &&
        text.ptr[at + 1] == ' ' && ascii_is_digit(text.ptr[at + 2]))
        return false; // "1, 2, ... 9"
    // "i.e. 5", "e.g. 5", "4 p.m. or 5"
    const bool abbreviation = c == '.' && at >= 3 && text.ptr[at - 2] == '.' &&
                              ascii_is_alpha(text.ptr[at - 1]) && ascii_is_alpha(text.ptr[at - 3]);
    if (abbreviation && at + 1 < text.len && text.ptr[at + 1] == ' ' &&
        !(at + 2 < text.len && ascii_is_upper(text.ptr[at + 2])))
        return false;
    if (c == '.' && is_unit_in_short(text, at)) return false;
    size_t i = at + 1;
    while (i < text.len && answer_is_one_of("*\"')$_`", text.ptr[i])) i++;
    if (i + 1 < text.len && text.ptr[i] == '\\' && answer_is_one_of(")]", text.ptr[i + 1])) i += 2;
    return i == text.len || answer_is_space(text.ptr[i]) || answer_starts(text, i, "”");
}

size_t answer_sentence_end(struct slice text, size_t at) {
    const size_t limit = text.len - at < ANSWER_MAX_SENTENCE ? text.len : at + ANSWER_MAX_SENTENCE;
    while (at < limit && text.ptr[at] != '\n' && !answer_is_tag(text, at) &&
           !(may_end(text.ptr[at]) && answer_ends_sentence(text, at)))
        at++;
    return at;
}

size_t answer_sentence_start(struct slice text, size_t at) {
    const size_t floor = at > ANSWER_MAX_CONTEXT ? at - ANSWER_MAX_CONTEXT : 0;
    while (at > floor && text.ptr[at - 1] != '\n' &&
           !(may_end(text.ptr[at - 1]) && answer_ends_sentence(text, at - 1)))
        at--;
    return at;
}

size_t answer_formula_end(struct slice text, size_t at) {
    static const struct {
        const char *open, *close;
        bool display;
    } KINDS[] = {
        {"$$", "$$", true}, {"$", "$", false}, {"\\(", "\\)", false}, {"\\[", "\\]", true}};
    for (size_t k = 0; k < sizeof KINDS / sizeof *KINDS; k++) {
        if (!answer_starts(text, at, KINDS[k].open)) continue;
        const size_t from = at + strlen(KINDS[k].open);
        const size_t limit =
            text.len - from < ANSWER_MAX_SENTENCE ? text.len : from + ANSWER_MAX_SENTENCE;
        for (size_t i = from; i < limit; i++) {
            if (answer_starts(text, i, KINDS[k].close)) {
                const size_t end = i + strlen(KINDS[k].close);
                // "$90, which is $240": sums of money.
                const bool money = k == 1 && text.ptr[i - 1] == ' ' && end < text.len &&
                                   ascii_is_digit(text.ptr[end]);
                return i == from || money ? SIZE_MAX : end;
            }
            if (!KINDS[k].display && answer_starts(text, i, "\n\n")) return SIZE_MAX;
            if (text.ptr[i] == '\\') i++;
        }
        return SIZE_MAX;
    }
    return SIZE_MAX;
}

bool answer_is_digit(struct slice text, size_t at) {
    // Of Arabic, Devanagari, Bengali, Thai, full width, mathematical digits the zero.
    static const uint32_t ZEROS[] = {0x30,  0x660,  0x6F0,   0x966,   0x9E6,
                                     0xE50, 0xFF10, 0x1D7CE, 0x1D7D8, 0x1D7E2};
    uint32_t code = 0;
    if (utf8_next((struct slice){text.ptr + at, text.len - at}, &code) == 0) return false;
    for (size_t i = 0; i < sizeof ZEROS / sizeof *ZEROS; i++)
        if (code - ZEROS[i] < 10) return true;
    return false;
}

bool answer_is_tag(struct slice text, size_t at) {
    if (text.ptr[at] != '<') return false;
    return answer_starts(text, at, "</") || answer_starts(text, at, "<br") ||
           answer_starts(text, at, "<|") || answer_starts(text, at, "<｜") ||
           answer_starts(text, at, "<p>") || answer_starts(text, at, "<end_of");
}

static bool is_symbol(uint32_t code) {
    if (code == 0x2716 || code == 0x2717 || code == 0x2718 || code == 0x274C || code == 0x274E ||
        code == 0x1F44E)
        return false; // crosses: what they stand beside is wrong
    return (code >= 0x1F000 && code < 0x1FB00 && code != 0x1F6AB) ||
           (code >= 0x2600 && code < 0x27C0) || (code >= 0x2B00 && code < 0x2C00) ||
           code == 0xFE0F || code == 0x200D || code == 0x2192 || code == 0x21D2 || code == 0x25B6;
}

size_t answer_skip_symbols(struct slice text, size_t at) {
    for (uint32_t code; at < text.len;) {
        const size_t start = at;
        while (at < text.len && text.ptr[at] == ' ') at++;
        if (at == text.len || (unsigned char)text.ptr[at] < 0xE2) return start;
        const int size = utf8_next((struct slice){text.ptr + at, text.len - at}, &code);
        if (size == 0 || !is_symbol(code)) return start;
        at += (size_t)size;
    }
    return at;
}

bool answer_looks_like_value(struct slice s) {
    return s.len && (ascii_is_digit(s.ptr[0]) || answer_is_one_of("+-$\\.([{|", s.ptr[0]) ||
                     ((unsigned char)s.ptr[0] >= 0x80 && !answer_starts(s, 0, "“")));
}
