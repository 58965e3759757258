// Whole answers in words, or half in words, as formulas: "half past five", "5 times the square root
// of 2", "8 choose 3", "two and a third", and a column that is written as a row, "(1,-2,3)^T".
#include <stdio.h>
#include <string.h>

#include "verifiers/math/base/ascii.h"
#include "verifiers/math/grade/form.h"
#include "verifiers/math/grade/form_cut.h"
#include "verifiers/math/kinds/numeral.h"

#define N(list) (sizeof(list) / sizeof *(list))

enum { MAX_WORDS = 100 }; // bytes

// Takes the word or words off the start of a text, with the blank behind them.
static bool take(struct slice *s, const char *words) {
    const size_t len = strlen(words);
    if (s->len < len || !ascii_same(s->ptr, words, len)) return false;
    if (s->len > len && s->ptr[len] != ' ' && s->ptr[len] != '-') return false;
    size_t at = len;
    while (at < s->len && s->ptr[at] == ' ') at++;
    *s = cut(*s, at, s->len);
    return true;
}

// Takes a natural number in digits or words off the start of a text.
static bool take_number(struct slice *s, long *value) {
    enum { MAX_DIGITS = 6 };
    size_t n = 0;
    *value = 0;
    while (n < s->len && n < MAX_DIGITS && ascii_is_digit(s->ptr[n]))
        *value = 10 * *value + (s->ptr[n++] - '0');
    if (n == 0) n = numeral_prefix(*s, value);
    if (n == 0 || (n < s->len && s->ptr[n] != ' ' && s->ptr[n] != '-')) return false;
    while (n < s->len && s->ptr[n] == ' ') n++;
    *s = cut(*s, n, s->len);
    return true;
}

static struct slice printed(char *out, int n) {
    return (struct slice){out, (size_t)n};
}

// "half past five", "quarter to 6 pm", "ten past two", "5 o'clock": the time with its digits.
static bool clock_of(struct slice s, char *room, struct slice *out) {
    static const char *const QUARTERS[] = {"a quarter", "quarter", "half", "a half"};
    static const char *const OCLOCK[] = {"o'clock", "o’clock", "oclock"};
    long minutes = -1, hours;
    bool sharp = false;
    for (size_t i = 0; i < N(QUARTERS) && minutes < 0; i++)
        if (take(&s, QUARTERS[i])) minutes = i < 2 ? 15 : 30;
    const bool part = minutes >= 0;
    if (!part && !take_number(&s, &minutes)) return false;
    const bool said = part || take(&s, "minutes") || take(&s, "minute");
    const bool past = take(&s, "past") || (part && take(&s, "after"));
    // "5 to 6" is a ratio or a range.
    const bool to = !past && said && (take(&s, "to") || (part && take(&s, "before")));
    for (size_t i = 0; i < N(OCLOCK) && !past && !to && !part; i++) sharp |= take(&s, OCLOCK[i]);
    if (sharp) {
        hours = minutes;
        minutes = 0;
    } else if ((!past && !to) || !take_number(&s, &hours) || minutes < 1 || minutes > 59 ||
               (to && part && minutes == 30)) {
        return false;
    }
    if (hours < 1 || hours > 12 || s.len > 24 || (s.len && !ascii_is_alpha(s.ptr[0]))) return false;
    if (to) {
        hours = hours == 1 ? 12 : hours - 1;
        minutes = 60 - minutes;
    }
    *out = printed(room, snprintf(room, MAX_WORDS, "%ld:%02ld%s%.*s", hours, minutes,
                                  s.len ? " " : "", SLICE_ARG(s)));
    return true;
}

// "the cube root of 4", "5 times the square root of 2", "5 root 2"
static bool root_of(struct slice s, char *room, struct slice *out) {
    long factor = 1, radicand, index = 2, below = 1;
    const bool minus = take(&s, "negative") || take(&s, "minus");
    const bool scaled = take_number(&s, &factor);
    if (scaled)
        (void)take(&s, "times");
    else
        factor = 1;
    (void)take(&s, "the");
    if (take(&s, "cube"))
        index = 3;
    else if (take(&s, "fourth"))
        index = 4;
    else
        (void)take(&s, "square");
    if (!take(&s, "root") && !take(&s, "sqrt")) return false;
    (void)take(&s, "of");
    if (!take_number(&s, &radicand)) return false;
    if ((take(&s, "over") || take(&s, "divided by")) && !take_number(&s, &below)) return false;
    if (s.len || below == 0) return false;
    *out = printed(room, snprintf(room, MAX_WORDS, "%s\\frac{%ld\\sqrt[%ld]{%ld}}{%ld}",
                                  minus ? "-" : "", factor, index, radicand, below));
    return true;
}

// Up to four digits.
static bool take_digits(struct slice *s, struct slice *out) {
    enum { MOST = 4 };
    size_t n = 0;
    while (n < s->len && ascii_is_digit(s->ptr[n])) n++;
    *out = cut(*s, 0, n);
    *s = cut(*s, n, s->len);
    return n > 0 && n <= MOST;
}

static bool take_char(struct slice *s, char c) {
    if (s->len == 0 || s->ptr[0] != c) return false;
    *s = cut(*s, 1, s->len);
    return true;
}

static void skip_spaces(struct slice *s) {
    while (take_char(s, ' ')) {
    }
}

// "8 choose 3", "8C3", "C(8, 3)", and "8P3" in order: what is taken off `s`.
static bool take_choices(struct slice *s, struct slice *top, struct slice *below, bool *ordered) {
    if (s->len > 2 && s->ptr[0] == 'C' && s->ptr[1] == '(') {
        *s = cut(*s, 2, s->len);
        if (!take_digits(s, top) || !take_char(s, ',')) return false;
        skip_spaces(s);
        return take_digits(s, below) && take_char(s, ')');
    }
    if (!take_digits(s, top)) return false;
    *ordered = take_char(s, 'P');
    if (*ordered || take_char(s, 'C')) return take_digits(s, below);
    skip_spaces(s);
    if (!take(s, "choose")) return false;
    skip_spaces(s);
    return take_digits(s, below);
}

// Choices alone, or with what they come to: "8C3 = 56".
static bool choices_of(struct slice s, char *room, struct slice *out) {
    struct slice top, below;
    bool ordered = false;
    if (!take_choices(&s, &top, &below, &ordered)) return false;
    skip_spaces(&s);
    if (s.len > MAX_WORDS / 2 || (s.len && s.ptr[0] != '=')) return false;
    const struct slice orders = ordered ? below : slice_of("");
    *out = printed(room,
                   snprintf(room, MAX_WORDS, "\\binom{%.*s}{%.*s}%.*s%s%.*s", SLICE_ARG(top),
                            SLICE_ARG(below), SLICE_ARG(orders), ordered ? "!" : "", SLICE_ARG(s)));
    return true;
}

// "5 over 6", "five divided by six", "a thousand"
static bool quotient_of(struct slice s, char *room, struct slice *out) {
    static const struct {
        const char *words, *digits;
    } ROUND[] = {{"a hundred", "100"}, {"a thousand", "1000"}, {"a million", "1000000"}};
    long top, below;
    for (size_t i = 0; i < N(ROUND); i++)
        if (s.len == strlen(ROUND[i].words) && ascii_same(s.ptr, ROUND[i].words, s.len)) {
            *out = slice_of(ROUND[i].digits);
            return true;
        }
    if (!take_number(&s, &top) || !(take(&s, "over") || take(&s, "divided by")) ||
        !take_number(&s, &below) || s.len)
        return false;
    *out = printed(room, snprintf(room, MAX_WORDS, "\\frac{%ld}{%ld}", top, below));
    return true;
}

// "3 to 4", "2 to 3 to 5": as written with colons.
static bool ratio_of(struct slice s, char *room, struct slice *out) {
    size_t n = 0;
    bool joined = false;
    while (s.len) {
        size_t digits = 0;
        while (digits < s.len && ascii_is_digit(s.ptr[digits])) digits++;
        if (digits == 0) return false;
        memcpy(room + n, s.ptr, digits);
        n += digits;
        s = cut(s, digits, s.len);
        if (s.len == 0) break;
        if (s.ptr[0] != ' ') return false;
        s = cut(s, 1, s.len);
        if (!take(&s, "to")) return false;
        room[n++] = ':';
        joined = true;
    }
    *out = (struct slice){room, n};
    return joined && room[n - 1] != ':';
}

// "a third", "two thirds", "three-quarters", "half"
static bool part_of(struct slice s, long *top, int *below) {
    static const struct {
        const char *one, *many;
        int below;
    } PARTS[] = {{"half", "halves", 2},           {"third", "thirds", 3},
                 {"quarter", "quarters", 4},      {"fourth", "fourths", 4},
                 {"fifth", "fifths", 5},          {"sixth", "sixths", 6},
                 {"eighth", "eighths", 8},        {"tenth", "tenths", 10},
                 {"seventh", "sevenths", 7},      {"ninth", "ninths", 9},
                 {"twelfth", "twelfths", 12},     {"twentieth", "twentieths", 20},
                 {"sixteenth", "sixteenths", 16}, {"hundredth", "hundredths", 100}};
    *top = 1;
    if (!take(&s, "a") && !slice_is(s, "half") && (!take_number(&s, top) || *top < 1)) return false;
    if (s.len && s.ptr[0] == '-') s = cut(s, 1, s.len);
    for (size_t i = 0; i < N(PARTS); i++) {
        const char *name = *top == 1 ? PARTS[i].one : PARTS[i].many;
        if (s.len != strlen(name) || !ascii_same(s.ptr, name, s.len)) continue;
        *below = PARTS[i].below;
        return true;
    }
    return false;
}

// "two and a third", "negative two and three-quarters", "a quarter"
static bool mixed_of(struct slice s, char *room, struct slice *out) {
    const bool minus = take(&s, "negative") || take(&s, "minus");
    const char *sign = minus ? "-" : "", *at = memmem(s.ptr, s.len, " and ", 5);
    long whole, top;
    int below;
    const bool coins = s.len && ascii_is_digit(s.ptr[0]); // "15 quarters"
    if (!coins && part_of(s, &top, &below)) {
        *out = printed(room, snprintf(room, MAX_WORDS, "%s\\frac{%ld}{%d}", sign, top, below));
        return true;
    }
    if (!at) return false;
    struct slice head = cut(s, 0, (size_t)(at - s.ptr)), tail = cut(s, head.len + 5, s.len);
    if (!take_number(&head, &whole) || head.len || !part_of(tail, &top, &below) || top >= below)
        return false;
    *out =
        printed(room, snprintf(room, MAX_WORDS, "%s%ld\\frac{%ld}{%d}", sign, whole, top, below));
    return true;
}

// "(1,-2,3)^T" as a column.
static bool column_of(struct slice s, struct arena *arena, struct slice *out) {
    static const char *const ENDS[] = {
        "^T",          "^{T}",          "^\\top",       "^{\\top}",      "^t", "^{\\mathrm{T}}",
        "^\\intercal", "^{\\intercal}", "^{\\text{T}}", "^{\\mathsf{T}}"};
    static const char OPEN[] = "\\begin{pmatrix}", CLOSE[] = "\\end{pmatrix}";
    size_t len = 0;
    for (size_t i = 0; i < N(ENDS) && len == 0; i++) {
        const size_t n = strlen(ENDS[i]);
        if (s.len > n && memcmp(s.ptr + s.len - n, ENDS[i], n) == 0) len = s.len - n;
    }
    while (len && s.ptr[len - 1] == ' ') len--;
    const bool left = len > 5 && memcmp(s.ptr, "\\left", 5) == 0;
    struct slice row = cut(s, left ? 5 : 0, len);
    const size_t right = strlen("\\right");
    if (row.len < 5 || !strchr("([", row.ptr[0]) || !strchr(")]", row.ptr[row.len - 1]))
        return false;
    row = cut(row, 1, row.len - 1);
    if (left) {
        if (row.len < right || memcmp(row.ptr + row.len - right, "\\right", right)) return false;
        row.len -= right;
    }
    char *made = arena_take(arena, 2 * s.len + sizeof OPEN + sizeof CLOSE, 1);
    size_t n = sizeof OPEN - 1;
    int depth = 0, n_commas = 0;
    memcpy(made, OPEN, n);
    for (size_t i = 0; i < row.len; i++) {
        const char c = row.ptr[i];
        depth += (c != 0 && strchr("([{", c) != NULL) - (c != 0 && strchr(")]}", c) != NULL);
        if (depth < 0 || c == '&' || c == ';') return false;
        if (c == ',' && depth == 0) {
            made[n++] = '\\';
            made[n++] = '\\';
            n_commas++;
        } else {
            made[n++] = c;
        }
    }
    memcpy(made + n, CLOSE, sizeof CLOSE - 1);
    *out = (struct slice){made, n + sizeof CLOSE - 1};
    return n_commas > 0 && depth == 0;
}

static bool may_be_choices(struct slice s) {
    return (s.ptr[0] == 'C' || ascii_is_digit(s.ptr[0])) &&
           (memchr(s.ptr, 'C', s.len) || memchr(s.ptr, 'P', s.len) ||
            memmem(s.ptr, s.len, "choose", 6));
}

// Most answers are formulas: without a word of two letters behind or in front of a blank there is
// nothing to read.
static bool may_be_words(struct slice s) {
    bool blank = false, word = false;
    for (size_t i = 0; i < s.len; i++) {
        blank |= s.ptr[i] == ' ';
        word |= i > 0 && ascii_is_alpha(s.ptr[i]) && ascii_is_alpha(s.ptr[i - 1]);
        if (strchr("=+<>^$", s.ptr[i]) && s.ptr[i]) return false;
    }
    return word && (blank || slice_is(s, "half") || memchr(s.ptr, '-', s.len));
}

// Digits and one of two spellings of a unit off the start of a text.
static bool take_part(struct slice *s, const char *unit, const char *other, struct slice *digits) {
    size_t n = 0;
    while (n < s->len && n < 4 && ascii_is_digit(s->ptr[n])) n++;
    *digits = cut(*s, 0, n);
    while (n > 0 && n < s->len && s->ptr[n] == ' ') n++;
    const struct slice rest = cut(*s, n, s->len);
    const size_t len = starts(rest, other) ? strlen(other) : starts(rest, unit) ? strlen(unit) : 0;
    if (!digits->len || !len || (len < rest.len && ascii_is_alpha(rest.ptr[len]))) return false;
    *s = trimmed(cut(rest, len, rest.len));
    return true;
}

// "3h 20m", "2m30s": m is a minute beside an hour or a second.
static bool duration_of(struct slice s, char *room, struct slice *out) {
    static const char *const UNITS[][2] = {{"h", "hr"}, {"m", "min"}, {"s", "sec"}};
    static const char *const NAMES[] = {"hours", "minutes", "seconds"};
    struct slice parts[2];
    for (int first = 0; first < 2; first++) {
        struct slice rest = s;
        if (!take_part(&rest, UNITS[first][0], UNITS[first][1], &parts[0]) ||
            !take_part(&rest, UNITS[first + 1][0], UNITS[first + 1][1], &parts[1]) || rest.len)
            continue;
        *out = printed(room, snprintf(room, MAX_WORDS, "%.*s %s %.*s %s", SLICE_ARG(parts[0]),
                                      NAMES[first], SLICE_ARG(parts[1]), NAMES[first + 1]));
        return true;
    }
    return false;
}

bool form_words(struct slice text, struct arena *arena, struct slice *out) {
    if (text.len == 0 || text.len > MAX_WORDS - 40) return false;
    const char last = text.ptr[text.len - 1];
    if (text.ptr[0] == '(' || text.ptr[0] == '[' || text.ptr[0] == '\\')
        return strchr("Tt}pl", last) && last && column_of(text, arena, out);
    if (may_be_choices(text)) {
        char *room = arena_take(arena, MAX_WORDS, 1);
        if (choices_of(text, room, out)) return true;
    }
    if (!ascii_is_alnum(text.ptr[0])) return false;
    if (ascii_is_digit(text.ptr[0]) && strchr("mnsc", last) && last) {
        char *room = arena_take(arena, MAX_WORDS, 1);
        if (duration_of(text, room, out)) return true;
    }
    if (!may_be_words(text)) return false;
    char *room = arena_take(arena, MAX_WORDS, 1);
    return clock_of(text, room, out) || root_of(text, room, out) || mixed_of(text, room, out) ||
           ratio_of(text, room, out) || quotient_of(text, room, out);
}
