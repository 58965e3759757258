// The other sides of an equation in which a box stands: "6 + 7 = \boxed{12}", "\boxed{12} = 13".
#include "verifiers/math/base/ascii.h"
#include "verifiers/math/select/answer_scan.h"

enum { MAX_SIDE = 200 }; // bytes

// "5 apples + 7 apples": a word is within what stands at `at`, no command and no letter.
static bool is_word_at(struct slice text, size_t at) {
    const size_t next = at + 1;
    if ((unsigned char)text.ptr[at] >= 0x80) return !answer_starts(text, at, "×");
    return ascii_is_alpha(text.ptr[at]) && next < text.len && ascii_is_alpha(text.ptr[next]);
}

static bool is_mark(char c) {
    return answer_is_one_of("\n=&,;:<>", c);
}

// 61,328 and 61,\!328
static bool is_thousands(struct slice text, size_t comma) {
    return comma > 0 && ascii_is_digit(text.ptr[comma - 1]) &&
           (answer_starts(text, comma, ",\\!") ||
            (comma + 1 < text.len && ascii_is_digit(text.ptr[comma + 1])));
}

// Whether nothing goes on over the line feed at `at`: a sentence ends in front of it.
static bool starts_line(struct slice text, size_t at) {
    while (at > 0 && answer_is_one_of(" \t\r", text.ptr[at - 1])) at--;
    return at == 0 || answer_is_one_of("\n.:!?$)]", text.ptr[at - 1]);
}

// Whether the part of a line between two places has a '$' in it, which may be money as well.
static bool has_dollar(struct slice text, size_t from, size_t to) {
    return memchr(text.ptr + from, '$', to - from) != NULL;
}

// Whether the formula that starts at `at` goes on behind `end`; a '$' may be money.
static bool is_open(struct slice text, size_t at, size_t end) {
    const size_t close = answer_formula_end(text, at);
    return close != SIZE_MAX && close > end;
}

// Where the side that ends at `end`, in front of a '=', starts. SIZE_MAX where it does not begin
// with a formula or the line, or has words in it.
static size_t side_start(struct slice text, size_t end) {
    size_t at = end;
    for (; at > 0 && end - at < MAX_SIDE; at--) {
        const char c = text.ptr[at - 1];
        if (c == '\n') return starts_line(text, at - 1) ? at : SIZE_MAX;
        if (c == ',' && is_thousands(text, at - 1)) continue;
        if (is_mark(c)) return at;
        if (c == '$') return is_open(text, at - 1, end) ? at : SIZE_MAX;
        if (c == '\\' && answer_is_one_of("([", text.ptr[at])) return at + 1;
        if (answer_ends_sentence(text, at - 1)) return SIZE_MAX;
        if (!is_word_at(text, at - 1)) continue;
        size_t word = at - 1;
        while (word > 0 && ascii_is_alpha(text.ptr[word - 1])) word--;
        if (word == 0 || text.ptr[word - 1] != '\\') return SIZE_MAX;
        if (answer_starts(text, word, "text") || answer_starts(text, word, "mathrm"))
            return SIZE_MAX; // words and units
        at = word;           // and the backslash is next
    }
    return at == 0 ? 0 : SIZE_MAX;
}

// Where the side that starts at `start`, behind a sign, ends; SIZE_MAX where words go on.
static size_t side_end(struct slice text, size_t start) {
    size_t at = start;
    for (; at < text.len && at - start < MAX_SIDE; at++) {
        if (text.ptr[at] == ',' && is_thousands(text, at)) continue;
        if (is_mark(text.ptr[at]) || text.ptr[at] == '$') return at;
        if (text.ptr[at] == '\\' && at + 1 < text.len) {
            if (answer_is_one_of(")]\\", text.ptr[at + 1])) return at;
            if (answer_starts(text, at, "\\text") || answer_starts(text, at, "\\mathrm") ||
                answer_starts(text, at, "\\pmod") || answer_starts(text, at, "\\bmod"))
                return SIZE_MAX;
            for (at++; at + 1 < text.len && ascii_is_alpha(text.ptr[at + 1]);) at++;
        } else if (answer_ends_sentence(text, at)) {
            return at;
        } else if (is_word_at(text, at)) {
            return SIZE_MAX;
        }
    }
    return at == text.len ? at : SIZE_MAX;
}

// Past "= " or "\ne " at `at`, or `at`.
static size_t skip_sign(struct slice text, size_t at, bool *unequal) {
    static const char *const UNEQUAL[] = {"\\neq", "\\ne", "≠", "!=", "\\not="};
    *unequal = false;
    for (size_t i = 0; i < sizeof UNEQUAL / sizeof *UNEQUAL; i++)
        if (answer_starts(text, at, UNEQUAL[i])) {
            *unequal = true;
            return at + strlen(UNEQUAL[i]);
        }
    return at < text.len && text.ptr[at] == '=' ? at + 1 : at;
}

// Whether the box is a whole side: no operator joins it to what is in front of `start` or behind
// `end`, and no unit follows.
static bool is_whole(struct slice text, size_t start, size_t end) {
    while (start > 0 && answer_is_one_of(" $", text.ptr[start - 1])) start--;
    if (start > 0) {
        const char c = text.ptr[start - 1];
        size_t word = start;
        while (word > 0 && ascii_is_alpha(text.ptr[word - 1])) word--;
        const bool command = word < start && word > 0 && text.ptr[word - 1] == '\\';
        const bool letter = word < start && start - word == 1;
        if (command || letter || (word == start && !answer_is_one_of("\n=&,;:.!?*[(", c)))
            return false;
        if (c == '*' && start > 1 && text.ptr[start - 2] != '*') return false; // not bold
    }
    while (end < text.len && answer_is_one_of(" $", text.ptr[end])) end++;
    if (end == text.len || answer_is_one_of("\n.,;=)]*!&", text.ptr[end])) return true;
    return answer_starts(text, end, "\\ne") || answer_starts(text, end, "\\)") ||
           answer_starts(text, end, "\\]") || answer_starts(text, end, "≠");
}

static bool has_modulus(struct slice text, size_t at) {
    for (size_t i = answer_line_start(text, at), end = answer_line_end(text, at); i < end; i++)
        if (answer_starts(text, i, "mod")) return true;
    return false;
}

void answer_sides(struct slice text, size_t start, size_t end, struct answer *out) {
    out->before.len = out->behind.len = 0;
    if (has_modulus(text, start) || !is_whole(text, start, end)) return;
    size_t at = start;
    while (at > 0 && answer_is_one_of(" $", text.ptr[at - 1])) at--;
    const bool crossed = has_dollar(text, at, start);
    const bool equals =
        at > 1 && text.ptr[at - 1] == '=' && !answer_is_one_of("!:<>", text.ptr[at - 2]);
    const size_t line = answer_line_start(text, at);
    if (equals && !(crossed && has_dollar(text, line, at))) {
        const size_t from = side_start(text, at - 1);
        if (from != SIZE_MAX && from < at)
            out->before = answer_trim(answer_cut(text, from, at - 1));
    }
    at = end;
    while (at < text.len && answer_is_one_of(" $", text.ptr[at])) at++;
    const size_t from = skip_sign(text, at, &out->unequal);
    if (from == at) return;
    const size_t to = side_end(text, from);
    if (to != SIZE_MAX) out->behind = answer_trim(answer_cut(text, from, to));
}
