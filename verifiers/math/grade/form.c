#include "verifiers/math/grade/form.h"

#include <limits.h>
#include <stdio.h>
#include <string.h>

#include "verifiers/math/base/ascii.h"
#include "verifiers/math/grade/form_cut.h"
#include "verifiers/math/kinds/numeral.h"

#define N(list) (sizeof(list) / sizeof *(list))

enum { MAX_SHORT = 200 }; // bytes of what is looked at word by word

static bool ends(struct slice s, const char *word) {
    const size_t len = strlen(word);
    return s.len >= len && memcmp(s.ptr + s.len - len, word, len) == 0;
}

// "\text{42 apples}" is read like "42 apples", \text{'12'} like 12.
static struct slice bare(struct slice part) {
    static const char OPEN[] = "\\text{";
    const size_t len = sizeof OPEN - 1;
    if (!starts(part, OPEN) || part.len <= len + 1 || part.ptr[part.len - 1] != '}') return part;
    struct slice inside = cut(part, len, part.len - 1);
    if (memchr(inside.ptr, '{', inside.len) || memchr(inside.ptr, '}', inside.len)) return part;
    const char quote = inside.ptr[0];
    if (inside.len > 2 && (quote == '\'' || quote == '"') && ends(inside, (char[]){quote, 0}))
        return cut(inside, 1, inside.len - 1);
    return ascii_is_digit(inside.ptr[0]) ? inside : part;
}

// "f(x) = x \text{ for all } x \in \mathbb{R}" without the words about x.
static struct slice unquantified(struct slice part) {
    static const char *const WORDS[] = {"\\text{ for all", "\\text{for all",    "\\forall",
                                        "for all",         "\\text{ for every", "for every"};
    if (!memchr(part.ptr, '=', part.len)) return part;
    for (size_t i = 0; i < N(WORDS); i++) {
        const char *at = memmem(part.ptr, part.len, WORDS[i], strlen(WORDS[i]));
        if (!at || !memchr(part.ptr, '=', (size_t)(at - part.ptr))) continue;
        const char *behind = at + strlen(WORDS[i]);
        const struct slice rest = {behind, (size_t)(part.ptr + part.len - behind)};
        for (size_t k = 0; k < rest.len; k++) // "for all x > 0" says more
            if (strchr("<>=0123456789", rest.ptr[k]) || (unsigned char)rest.ptr[k] >= 0x80)
                return part;
        if (memmem(rest.ptr, rest.len, "\\l", 2) || memmem(rest.ptr, rest.len, "\\g", 2))
            return part;
        size_t n = (size_t)(at - part.ptr);
        while (n && strchr(" ,$~", part.ptr[n - 1])) n--;
        return n ? (struct slice){part.ptr, n} : part;
    }
    return part;
}

// Without words and marks around a value that say nothing of it.
static struct slice undressed(struct slice s) {
    static const char *const ENDS[] = {
        "\\text{Q.E.D.}",    "\\text{QED}", "\\blacksquare",    "\\text{ (exactly)}",
        "\\text{(exactly)}", "(exactly)",   "\\text{ exactly}", "\\qed",
        "\\square",          "\\Box",       " in total",        " altogether",
        "\\text{ in total}", "/-"}; // ₹1,200/-
    static const char *const STARTS[] = {
        "\\therefore", "\\text{the year }", "\\text{The year }", "\\text{year }",    "the year ",
        "exactly ",    "Exactly ",          "\\text{exactly }",  "none other than ", "the number ",
        "the digit ",  "the value ",        "the integer ",      "the fraction ",    "written as "};
    static const char *const NAMES[] = {"\\max",       "\\min",           "\\text{max}",
                                        "\\text{min}", "\\text{maximum}", "\\text{minimum}"};
    for (size_t i = 0; i < N(STARTS); i++)
        if (starts(s, STARTS[i])) return trimmed(cut(s, strlen(STARTS[i]), s.len));
    for (size_t i = 0; i < N(NAMES); i++) { // \max = 12
        if (!starts(s, NAMES[i])) continue;
        const struct slice rest = trimmed(cut(s, strlen(NAMES[i]), s.len));
        if (starts(rest, "=")) return trimmed(cut(rest, 1, rest.len));
    }
    s = form_valued(s);
    for (size_t i = 0; i < N(ENDS); i++) {
        if (!ends(s, ENDS[i]) || s.len == strlen(ENDS[i])) continue;
        s = trimmed(cut(s, 0, s.len - strlen(ENDS[i])));
        while (ends(s, "\\quad") || ends(s, "\\qquad") || ends(s, ","))
            s = trimmed(cut(s, 0, s.len - (ends(s, ",") ? 1 : ends(s, "\\quad") ? 5 : 6)));
        return s;
    }
    return s;
}

// The word in front of "=", as "max" or "area" in "\max = 12" and "\text{Area} = 12"; empty where
// something else stands there, or a word that is no name.
static struct slice name_of(struct slice text) {
    static const char *const MARKS[] = {"\\text{", "\\mathrm{", "\\textbf{"};
    static const char *const NO_NAMES[] = {"answer", "ans", "result", "value", "total", "solution"};
    struct slice s = trimmed(text);
    const char *equals = memchr(s.ptr, '=', s.len);
    if (!equals) return slice_of("");
    s = trimmed(cut(s, 0, (size_t)(equals - s.ptr)));
    for (size_t i = 0; i < N(MARKS); i++)
        if (starts(s, MARKS[i])) {
            s = cut(s, strlen(MARKS[i]), s.len - ends(s, "}"));
            break;
        }
    if (slice_is(s, "\\max") || slice_is(s, "\\min")) s = cut(s, 1, s.len);
    s = trimmed(s);
    for (size_t i = 0; i < s.len; i++)
        if (!ascii_is_alpha(s.ptr[i])) return slice_of("");
    for (size_t i = 0; i < N(NO_NAMES); i++)
        if (s.len == strlen(NO_NAMES[i]) && ascii_same(s.ptr, NO_NAMES[i], s.len))
            return slice_of("");
    return s.len > 1 ? s : slice_of("");
}

bool form_is_of_another(struct slice text, struct slice gold) {
    const struct slice a = name_of(text), b = name_of(gold);
    if ((a.len == 2) != (b.len == 2)) return false;
    if (a.len == 2 && a.ptr[0] == b.ptr[1] && a.ptr[1] == b.ptr[0]) return false; // DE may be ED
    const size_t len = a.len < b.len ? a.len : b.len;
    return len && !ascii_same(a.ptr, b.ptr, len); // "max" is "maximum"
}

// One name of what is not there: "D.N.E.", \nexists.
static bool is_not_there(struct slice s) {
    static const char *const NAMES[] = {
        "\\text{D.N.E.}", "\\text{D.N.E}", "D.N.E.", "D.N.E", "\\nexists", "\\not\\exists", "∄",
        "\\text{d.n.e.}", "d.n.e."};
    for (size_t i = 0; i < N(NAMES); i++)
        if (slice_is(s, NAMES[i])) return true;
    return false;
}

// An element's symbol at `at`, "H" or "Na": where it ends, or `at`.
static size_t element_end(struct slice s, size_t at) {
    if (at >= s.len || s.ptr[at] < 'A' || s.ptr[at] > 'Z') return at;
    return at + 1 < s.len && s.ptr[at + 1] >= 'a' && s.ptr[at + 1] <= 'z' ? at + 2 : at + 1;
}

// \text{H}_2\text{O}, \ce{H2O} and H2O as H_2O; false where the text is no chemical formula.
static bool chemical(struct slice s, struct arena *arena, struct slice *out) {
    static const char *const OPEN[] = {"\\text{", "\\mathrm{", "\\ce{"};
    char *to = arena_take(arena, 4 * s.len + 1, 1); // "1" becomes "_{1}"
    size_t n = 0, at = 0;
    int depth = 0, n_fonts = 0, n_digits = 0, n_bare = 0; // elements without a font
    while (at < s.len) {
        const size_t end = element_end(s, at), start = at;
        for (size_t i = 0; i < N(OPEN) && depth == 0; i++)
            if (starts(cut(s, at, s.len), OPEN[i])) at += strlen(OPEN[i]), depth = 1, n_fonts++;
        if (at > start) continue;
        if (end > at) {
            n_bare += depth == 0;
            while (at < end) to[n++] = s.ptr[at++];
        } else if (s.ptr[at] == '}' && depth > 0) {
            at++;
            depth = 0;
        } else if (s.ptr[at] == '_' || ascii_is_digit(s.ptr[at])) {
            if (n == 0 || !ascii_is_alpha(to[n - 1])) return false; // \text{13}
            at += s.ptr[at] == '_';
            const bool brace = at < s.len && s.ptr[at] == '{';
            at += brace;
            const size_t digits = at;
            to[n++] = '_';
            to[n++] = '{';
            while (at < s.len && ascii_is_digit(s.ptr[at])) to[n++] = s.ptr[at++];
            to[n++] = '}';
            if (at == digits || (brace && (at == s.len || s.ptr[at++] != '}'))) return false;
            n_digits++;
        } else {
            return false;
        }
    }
    *out = (struct slice){to, n};
    return (n_fonts > 0 || n_bare > 1) && n_digits > 0 && depth == 0;
}

// <b>7</b>, and <b>7 of which the end was taken for a mark of the text's.
static struct slice without_tag(struct slice s) {
    static const char *const TAGS[][2] = {{"<b>", "</b>"},           {"<i>", "</i>"},
                                          {"<u>", "</u>"},           {"<em>", "</em>"},
                                          {"<code>", "</code>"},     {"<strong>", "</strong>"},
                                          {"<center>", "</center>"}, {"<p>", "</p>"}};
    static const char *const BLOCKS[] = {"<div", "<span", "<p ", "<b ", "<strong "};
    for (size_t i = 0; s.len > 3 && s.ptr[0] == '<' && i < N(BLOCKS); i++) {
        const char *close = starts(s, BLOCKS[i]) ? memchr(s.ptr, '>', s.len) : NULL;
        const struct slice inside = close ? cut(s, (size_t)(close - s.ptr) + 1, s.len) : s;
        if (close && !memmem(s.ptr, (size_t)(close - s.ptr), "hidden", 6) &&
            !memmem(s.ptr, (size_t)(close - s.ptr), "none", 4) &&
            !memchr(inside.ptr, '<', inside.len))
            return trimmed(inside);
    }
    for (size_t i = 0; s.len > 3 && s.ptr[0] == '<' && i < N(TAGS); i++) {
        if (!starts(s, TAGS[i][0])) continue;
        struct slice inside = cut(s, strlen(TAGS[i][0]), s.len);
        if (ends(inside, TAGS[i][1])) inside.len -= strlen(TAGS[i][1]);
        return memchr(inside.ptr, '<', inside.len) || memchr(inside.ptr, '>', inside.len)
                   ? s
                   : trimmed(inside);
    }
    return s;
}

// Most answers: a few digits, with marks between them.
static bool is_short_number(struct slice s) {
    for (size_t i = 0; i < s.len; i++)
        if (ascii_is_alpha(s.ptr[i])) return false;
    return s.len < 16 && ascii_is_digit(s.ptr[0]) && ascii_is_digit(s.ptr[s.len - 1]);
}

struct slice form_plain(struct slice text, struct arena *arena) {
    struct slice s = without_tag(trimmed(text));
    if (s.len == 0 || s.len > MAX_SHORT) return unquantified(bare(text));
    if (is_short_number(s)) return s;
    s = undressed(s);
    if (s.len == 0) return text;
    struct slice condition;
    if (form_condition(s, arena, &condition)) return condition;
    if (form_words(s, arena, &condition)) return condition;
    if (form_integer(s, arena, &condition)) return condition;
    if (is_not_there(s)) return slice_of("DNE");
    struct slice formula;
    if ((s.ptr[0] == '\\' || ascii_is_upper(s.ptr[0])) && chemical(s, arena, &formula))
        return formula;
    const char *euro = memmem(s.ptr, s.len, "\\text{€}", strlen("\\text{€}"));
    if (euro && ends(s, "\\text{€}")) {
        const size_t n = (size_t)(euro - s.ptr), len = strlen("€");
        char *out = arena_take(arena, n + len + 1, 1);
        memcpy(out, s.ptr, n);
        memcpy(out + n, "€", len);
        return (struct slice){out, n + len};
    }
    s = form_interval(s, arena);
    return unquantified(bare(s));
}

// Without "~~12~~", which is struck out; false where there is none.
static bool without_struck(struct slice *s, struct arena *arena) {
    const char *open = memmem(s->ptr, s->len, "~~", 2);
    if (!open || (open > s->ptr && open[-1] != ' ')) return false;
    const size_t from = (size_t)(open - s->ptr) + 2;
    const char *close = memmem(s->ptr + from, s->len - from, "~~", 2);
    if (!close) return false;
    const size_t to = (size_t)(close - s->ptr) + 2;
    if (to < s->len && !strchr(" .,", s->ptr[to])) return false;
    char *out = arena_take(arena, s->len + 1, 1);
    memcpy(out, s->ptr, from - 2);
    memcpy(out + from - 2, s->ptr + to, s->len - to);
    *s = trimmed((struct slice){out, s->len - (to - from + 2)});
    return true;
}

// "12 and a half apples": the fraction of the words behind a number, and how long they are.
static size_t fraction_words(struct slice s, const char **fraction) {
    static const char *const ROWS[][2] = {
        {" and a half", "\\frac12"},      {" and one half", "\\frac12"},
        {" and one-half", "\\frac12"},    {" and a quarter", "\\frac14"},
        {" and one quarter", "\\frac14"}, {" and three quarters", "\\frac34"},
        {" and a third", "\\frac13"},     {" and one third", "\\frac13"},
        {" and two thirds", "\\frac23"}};
    for (size_t i = 0; i < N(ROWS); i++) {
        const size_t len = strlen(ROWS[i][0]);
        if (s.len < len || !ascii_same(s.ptr, ROWS[i][0], len)) continue;
        if (s.len > len && ascii_is_alnum(s.ptr[len])) continue;
        if (s.len > len + 1 && starts(cut(s, len, s.len), " of")) continue; // "a half of it"
        *fraction = ROWS[i][1];
        return len;
    }
    return 0;
}

// The share of confidence behind a value: "12 (confidence: 90%)".
static struct slice without_confidence(struct slice s) {
    const char *at = memmem(s.ptr, s.len, " (confidence", strlen(" (confidence"));
    if (!at || !ends(s, "%)")) return s;
    return cut(s, 0, (size_t)(at - s.ptr));
}

// "three quarters", "two fifths": the word behind a number makes a fraction of it.
static bool counts_parts(struct slice rest) {
    static const char *const ENDS[] = {"half",     "halves", "third", "thirds", "quarter",
                                       "quarters", "th",     "ths",   "rd",     "nd"};
    size_t from = 0;
    while (from < rest.len && strchr(" -", rest.ptr[from])) from++;
    size_t to = from;
    while (to < rest.len && ascii_is_alpha(rest.ptr[to])) to++;
    for (size_t i = 0; i < N(ENDS); i++)
        if (ends(cut(rest, from, to), ENDS[i])) return true;
    return false;
}

struct slice form_without_bold(struct slice s, struct arena *arena) {
    if (s.len < 3 || !memmem(s.ptr, s.len, "**", 2)) return s;
    char *out = arena_take(arena, s.len + 1, 1);
    size_t n = 0;
    for (size_t i = 0; i < s.len; i++) {
        const char before = i > 0 ? s.ptr[i - 1] : ' ';
        const char next = i + 2 < s.len ? s.ptr[i + 2] : ' ';
        const bool opens = strchr(" =", before) && (ascii_is_digit(next) || strchr("$-", next));
        const bool closes = ascii_is_digit(before) && strchr(" .,;", next);
        if (i + 1 < s.len && s.ptr[i] == '*' && s.ptr[i + 1] == '*' && (opens || closes))
            i++;
        else
            out[n++] = s.ptr[i];
    }
    return (struct slice){out, n};
}

// "1 in 6", "3 out of 4" as 1/6; false where the text is something else.
static bool chance(struct slice s, struct arena *arena, struct slice *out) {
    static const char *const WORDS[] = {" in ", " out of "};
    size_t from = 0, to = s.len;
    while (from < s.len && ascii_is_digit(s.ptr[from])) from++;
    while (to > from && ascii_is_digit(s.ptr[to - 1])) to--;
    for (size_t i = 0; from > 0 && to < s.len && i < N(WORDS); i++) {
        if (!slice_is(cut(s, from, to), WORDS[i])) continue;
        char *text = arena_take(arena, s.len + 1, 1);
        const int n = snprintf(text, s.len + 1, "%.*s/%.*s", SLICE_ARG(cut(s, 0, from)),
                               SLICE_ARG(cut(s, to, s.len)));
        *out = (struct slice){text, (size_t)n};
        return true;
    }
    return false;
}

struct slice form_prose(struct slice text, struct arena *arena) {
    struct slice s = trimmed(text);
    if (s.len == 0 || s.len > MAX_SHORT) return text;
    struct slice quotient;
    if (chance(s, arena, &quotient)) return quotient;
    s = without_confidence(s);
    while (without_struck(&s, arena)) {
    }
    if (s.len == 0) return s;
    long value = 0;
    size_t digits = 0;
    while (digits < s.len && ascii_is_digit(s.ptr[digits])) digits++;
    const size_t words = digits ? 0 : numeral_prefix(s, &value);
    const size_t end = digits ? digits : words;
    const char *fraction = "";
    const size_t more = end ? fraction_words(cut(s, end, s.len), &fraction) : 0;
    const struct slice behind = trimmed(cut(s, end, s.len));
    long next;
    if (words && numeral_prefix(behind, &next)) return s; // "twelve thirteen" is no 12
    if (!more && (!words || words == s.len || counts_parts(behind))) return s;
    enum { MAX_NUMBER = 24 };
    const size_t room = MAX_NUMBER + s.len + strlen(fraction) + 1;
    const struct slice rest = cut(s, end + more, s.len);
    char *out = arena_take(arena, room, 1);
    const int n = words ? snprintf(out, room, "%ld%s%.*s", value, fraction, SLICE_ARG(rest))
                        : snprintf(out, room, "%.*s%s%.*s", SLICE_ARG(cut(s, 0, digits)), fraction,
                                   SLICE_ARG(rest));
    return (struct slice){out, (size_t)n};
}

// "i.e.", "that is,": behind them the value is said again.
static size_t lead_end(struct slice s) {
    static const char *const LEADS[] = {"i.e.",   "that is to say", "that is",        "or rather",
                                        "namely", "meaning",        "in other words", "= "};
    for (size_t i = 0; i < N(LEADS); i++) {
        size_t at = strlen(LEADS[i]);
        if (!starts(s, LEADS[i])) continue;
        while (at < s.len && strchr(", ", s.ptr[at])) at++;
        return at;
    }
    return 0;
}

bool form_restated(struct slice text, struct slice *value, struct slice *again, bool *same) {
    const struct slice s = trimmed(text);
    *same = false;
    if (s.len < 4 || s.len > MAX_SHORT) return false;
    const char *open = memmem(s.ptr, s.len, " (", 2);
    if (open && s.ptr[s.len - 1] == ')') {
        *value = trimmed(cut(s, 0, (size_t)(open - s.ptr)));
        *again = trimmed(cut(s, (size_t)(open - s.ptr) + 2, s.len - 1));
    } else {
        size_t at = 1;
        while (at < s.len &&
               (s.ptr[at] == '=' || !strchr(", ", s.ptr[at - 1]) || !lead_end(cut(s, at, s.len))))
            at++;
        if (at >= s.len) return false;
        *value = trimmed(cut(s, 0, at));
        while (value->len && strchr(", ", value->ptr[value->len - 1])) value->len--;
        *again = cut(s, at, s.len);
    }
    const size_t lead = lead_end(*again);
    *same = lead > 0;
    *again = trimmed(cut(*again, lead, again->len));
    return value->len > 0 && again->len > 0;
}

bool form_contradicts(struct slice text) {
    struct slice value, again;
    long said = 0, written = 0;
    bool same;
    if (!form_restated(text, &value, &again, &same) || again.len == 0 ||
        numeral_prefix(again, &said) != again.len)
        return false;
    size_t at = 0;
    while (at < value.len && strchr("$\\ ", value.ptr[at])) at++;
    if (at == value.len || !ascii_is_digit(value.ptr[at])) return false;
    for (; at < value.len && (ascii_is_digit(value.ptr[at]) || value.ptr[at] == ','); at++) {
        if (value.ptr[at] == ',') continue;
        if (written > LONG_MAX / 100) return false;
        written = written * 10 + (value.ptr[at] - '0');
    }
    return written != said;
}

bool form_is_question(struct slice text) {
    while (text.len && strchr(" .$)}*\\", text.ptr[text.len - 1]) && text.ptr[text.len - 1])
        text.len--;
    return text.len > 0 && text.ptr[text.len - 1] == '?';
}
