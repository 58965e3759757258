// A box that is only a part of what is written: "-\boxed{12}", "\sqrt{\boxed{12}}", "(\boxed{1},
// 2)".
#include "verifiers/math/base/ascii.h"
#include "verifiers/math/select/answer_scan.h"

enum { MAX_BACK = 200 }; // bytes in front of a box

#define N(list) (sizeof(list) / sizeof *(list))

// "5 \cdot \boxed{3} = 15", "15 = \boxed{3} \cdot 5" fill a gap; without the other side the box is
// a part of the answer.
static bool is_equated(struct slice text, size_t start, size_t end) {
    while (start > 0 && answer_is_one_of(" $", text.ptr[start - 1])) start--;
    if (start > 1 && text.ptr[start - 1] == '=') {
        for (start--; start > 0 && text.ptr[start - 1] == ' ';) start--;
        if (start > 0 && ascii_is_digit(text.ptr[start - 1])) return true;
    }
    return memchr(text.ptr + end, '=', answer_line_end(text, end) - end) != NULL;
}

static char char_at(struct slice text, size_t at) {
    return at < text.len ? text.ptr[at] : '\n';
}

static size_t skip_spaces(struct slice text, size_t at) {
    while (at < text.len && text.ptr[at] == ' ') at++;
    return at;
}

// "2\boxed{12}", "\boxed{12}3", "\boxed{12}_{7}": something is written next to the box.
static bool is_joined(struct slice text, size_t start, size_t end) {
    if (start > 0 && ascii_is_digit(text.ptr[start - 1])) return true;
    return ascii_is_digit(char_at(text, end)) ||
           (answer_is_one_of("_{", char_at(text, end)) &&
            (ascii_is_alnum(char_at(text, end + 1)) || char_at(text, end + 1) == '{'));
}

// "\sin\boxed{9}", "log \boxed{9}", "minus \boxed{9}", "half of \boxed{9}", "twice \boxed{9}"
static bool is_behind_function(struct slice before) {
    static const char *const WORDS[] = {"sin",    "cos",       "tan",     "log",     "ln",
                                        "minus",  "negative",  "twice",   "half of", "root of",
                                        "thrice", "square of", "cube of", "sqrt",    "double"};
    for (size_t i = 0; i < N(WORDS); i++) {
        const size_t len = strlen(WORDS[i]);
        if (before.len < len || !answer_starts(before, before.len - len, WORDS[i])) continue;
        if (before.len == len || !ascii_is_alpha(before.ptr[before.len - len - 1])) return true;
    }
    return false;
}

// A number stands in front of the '+' at `at`, in a formula with no '='.
static bool is_summand(struct slice text, size_t at) {
    const size_t line = answer_line_start(text, at);
    while (at > 0 && text.ptr[at - 1] == ' ') at--;
    return at > 0 && ascii_is_digit(text.ptr[at - 1]) && !memchr(text.ptr + line, '=', at - line);
}

// The sign or product in front of the box: "-\boxed{12}", "3\cdot\boxed{12}".
static bool is_behind_operator(struct slice text, size_t start, size_t end) {
    size_t at = start;
    while (at > 0 && text.ptr[at - 1] == ' ') at--;
    const bool adjacent = at == start;
    const struct slice before = answer_cut(text, 0, at);
    for (size_t len = 5; len <= 6; len++) // \cdot, \times
        if (before.len >= len &&
            answer_starts(before, before.len - len, len == 5 ? "\\cdot" : "\\times"))
            return !is_equated(text, start, end);
    if (at == 0) return false;
    if (adjacent && text.ptr[at - 1] == '.' && at > 1 && ascii_is_digit(text.ptr[at - 2]))
        return true;             // "0.\boxed{9}"
    if (text.ptr[at - 1] == '+') // "3 + \\boxed{9}"
        return !adjacent && at > 1 && is_summand(text, at - 1) && !is_equated(text, start, end);
    if (text.ptr[at - 1] != '-') return is_behind_function(before);
    const size_t line = answer_line_start(text, at);
    if (adjacent && at > 1 && (ascii_is_alnum(text.ptr[at - 2]) || text.ptr[at - 2] == '}'))
        return !memchr(text.ptr + line, '=', at - line) && !is_equated(text, start, end);
    for (at--; at > 0 && text.ptr[at - 1] == ' ';) at--;
    const char c = at > 0 ? text.ptr[at - 1] : '\n';
    return c == '=' || (adjacent && (answer_is_one_of("$([{", c) || answer_is_space(c)));
}

// What a number begins with: a digit, a letter by itself, a command of TeX.
static bool begins_operand(struct slice text, size_t at) {
    const char c = char_at(text, at), next = char_at(text, at + 1);
    return ascii_is_digit(c) || (c == '\\' && ascii_is_alpha(next) && !answer_is_box(text, at)) ||
           c == '(' || c == '{' || (ascii_is_alpha(c) && !ascii_is_alpha(next));
}

// What is behind a "-" is taken away: "\boxed{8}-16", "\boxed{9} - 4x$". A dash stands between
// blanks.
static bool is_subtrahend(struct slice text, size_t at, bool adjacent) {
    size_t to = at;
    while (ascii_is_digit(char_at(text, to))) to++;
    if (to > at && adjacent) return true;
    const char c = char_at(text, to), next = char_at(text, to + 1);
    if (to > at && answer_is_one_of("$\\^", c)) return true;
    return to > at && ascii_is_alpha(c) && !ascii_is_alpha(next);
}

// "\boxed{8} + 1", "\boxed{8}/3", "\boxed{8}-16", "\boxed{8}\times 2", "\boxed{24} \to 25".
static bool is_before_operator(struct slice text, size_t end) {
    static const char *const SIGNS[] = {"\\times", "\\cdot", "\\div", "×", "÷", "·"};
    static const char *const ARROWS[] = {
        "\\to", "\\rightarrow", "\\Rightarrow", "\\implies", "→", "⇒", "=>", "->"};
    const size_t at = skip_spaces(text, end), next = skip_spaces(text, at + 1);
    const char c = char_at(text, at), behind = char_at(text, next);
    if (c == '+' && at == end && answer_is_one_of("\n .$", char_at(text, at + 1))) return true;
    if (c == '+') return (ascii_is_alnum(behind) || behind == '\\') && !answer_is_box(text, next);
    if (c == '/') return begins_operand(text, next);
    if (c == ':') return at == end && ascii_is_digit(char_at(text, at + 1));
    if (c == '*') return ascii_is_digit(char_at(text, at + 1));
    if (c == '-') return is_subtrahend(text, next, at == end && next == at + 1);
    for (size_t i = 0; i < N(SIGNS); i++)
        if (answer_starts(text, at, SIGNS[i]))
            return begins_operand(text, skip_spaces(text, at + strlen(SIGNS[i])));
    for (size_t i = 0; i < N(ARROWS); i++)
        if (answer_starts(text, at, ARROWS[i]))
            return ascii_is_digit(char_at(text, skip_spaces(text, at + strlen(ARROWS[i]))));
    return false;
}

// "\boxed{8}\pi", "\boxed{8}i", "\boxed{8}.5", "\boxed{8},000", "$\boxed{8}!$". In front of other
// letters,
// "\boxed{8}x^3", a coefficient is boxed.
static bool goes_on(struct slice text, size_t end) {
    static const char *const FACTORS[] = {"\\pi",  "\\sqrt", "\\sin", "\\cos",
                                          "\\tan", "\\ln",   "\\log", "\\left("};
    const char c = char_at(text, end), next = char_at(text, end + 1);
    for (size_t i = 0; i < N(FACTORS); i++)
        if (answer_is_word(text, end, FACTORS[i])) return true;
    if (c == '.') return ascii_is_digit(next);
    if (c == ',')
        return ascii_is_digit(next) && ascii_is_digit(char_at(text, end + 2)) &&
               ascii_is_digit(char_at(text, end + 3));
    if (c == '!')
        return answer_is_one_of("$+-/^", next) ||
               (next == '\\' && answer_is_one_of(")]", char_at(text, end + 2)));
    return answer_is_one_of("iekKM", c) && !ascii_is_alpha(next);
}

// "\boxed{8}\% of 50"
static bool is_share(struct slice text, size_t end) {
    size_t at = skip_spaces(text, end);
    if (char_at(text, at) == '\\') at++;
    if (char_at(text, at) != '%') return false;
    at = skip_spaces(text, at + 1);
    while (answer_is_one_of("$ ", char_at(text, at))) at++;
    if (answer_starts(text, at, "\\text{")) at = skip_spaces(text, at + strlen("\\text{"));
    if (!answer_is_word(text, at, "of")) return false;
    for (at += 2; answer_is_one_of(" }$", char_at(text, at));) at++;
    return ascii_is_digit(char_at(text, at));
}

// The '{' at `open` is that of an argument which is computed with: "\sqrt{", "\frac{1}{", "2^{".
static bool is_argument(struct slice text, size_t open) {
    static const char *const COMMANDS[] = {"\\sqrt",  "\\frac", "\\dfrac", "\\tfrac",    "\\cfrac",
                                           "\\log",   "\\ln",   "\\sin",   "\\cos",      "\\tan",
                                           "\\binom", "\\exp",  "\\bar",   "\\overline", "\\abs"};
    size_t at = open;
    if (at > 0 && answer_is_one_of("^_", text.ptr[at - 1])) return true;
    if (at > 0 && answer_is_one_of("}]", text.ptr[at - 1])) { // the argument in front
        const char shut = text.ptr[at - 1], mate = shut == '}' ? '{' : '[';
        int depth = 0;
        do {
            at--;
            depth += (text.ptr[at] == shut) - (text.ptr[at] == mate);
        } while (at > 0 && depth > 0 && open - at < MAX_BACK);
    }
    size_t name = at;
    while (name > 0 && ascii_is_alpha(text.ptr[name - 1])) name--;
    for (size_t i = 0; name > 0 && i < N(COMMANDS); i++)
        if (answer_is_word(text, name - 1, COMMANDS[i])) return true;
    return false;
}

// The bracket around the box, if one opens on its line with nothing but mathematics between; else
// SIZE_MAX. `*comma`: a comma stands between.
static size_t bracket_around(struct slice text, size_t start, bool *comma) {
    int depth = 0;
    *comma = false;
    for (size_t at = start; at-- > 0 && start - at < MAX_BACK;) {
        const char c = text.ptr[at];
        if (answer_is_one_of("\n$=:;?!", c)) return SIZE_MAX;
        if (c == '\\' && answer_is_one_of("([", text.ptr[at + 1])) return SIZE_MAX; // a formula
        if (answer_is_one_of(")}]", c)) depth++;
        if (answer_is_one_of("({[", c) && depth-- == 0) {
            if (c != '{' && at > 0 && text.ptr[at - 1] == '\\') return SIZE_MAX;
            return at;
        }
        if (c == ',' && depth == 0) *comma = true;
        if (!ascii_is_alpha(c) || at == 0 || !ascii_is_alpha(text.ptr[at - 1])) continue;
        while (at > 0 && ascii_is_alpha(text.ptr[at - 1])) at--;
        if (at == 0 || text.ptr[at - 1] != '\\') return SIZE_MAX; // words
    }
    return SIZE_MAX;
}

// "f(", "\log(", "\log_2(", but not "\left(" and "the value (": in front of the bracket at `open`.
static bool is_function(struct slice text, size_t open) {
    static const char *const SIZES[] = {"\\left", "\\big", "\\Big", "\\bigl", "\\Bigl", "\\bigg"};
    size_t name = open;
    while (name > 0 && ascii_is_alnum(text.ptr[name - 1])) name--;
    if (name > 0 && text.ptr[name - 1] == '_') return true;
    if (name == 0 || text.ptr[name - 1] != '\\')
        return open - name == 1 && ascii_is_alpha(text.ptr[name]);
    for (size_t i = 0; i < N(SIZES); i++)
        if (answer_is_word(text, name - 1, SIZES[i])) return false;
    return open > name;
}

// "f(\boxed{8})", "(\boxed{8}, 3)", "(3, \boxed{8})", "\frac{\boxed{8}}{3}".
static bool is_enclosed(struct slice text, size_t start, size_t end) {
    bool comma;
    const size_t open = bracket_around(text, start, &comma);
    if (open == SIZE_MAX) return false;
    if (text.ptr[open] == '{') return is_argument(text, open);
    const size_t at = skip_spaces(text, end);
    if (char_at(text, at) == ')' && is_function(text, open)) return true;
    if (comma) return answer_is_one_of(")]", char_at(text, at));
    const size_t next = skip_spaces(text, at + 1);
    return char_at(text, at) == ',' && !answer_is_box(text, next) &&
           (ascii_is_digit(char_at(text, next)) || char_at(text, next) == '-' ||
            (char_at(text, next) == '\\' && ascii_is_alpha(char_at(text, next + 1))));
}

// "\boxed{9} dozen", "\boxed{9} thousand", "\boxed{9} squared"
static bool is_scaled(struct slice text, size_t end) {
    static const char *const WORDS[] = {"dozen",     "hundred", "thousand",   "million", "billion",
                                        "dozens",    "gross",   "squared",    "cubed",   "halves",
                                        "factorial", "tenths",  "hundredths", "doubled", "halved"};
    while (answer_is_one_of(" $", char_at(text, end))) end++;
    for (size_t i = 0; i < N(WORDS); i++)
        if (answer_is_word(text, end, WORDS[i])) return true;
    return false;
}

// "|\boxed{8}| - 16": bars around the box, and more behind them.
static bool is_barred(struct slice text, size_t start, size_t end) {
    const size_t at = skip_spaces(text, end + 1);
    return start > 0 && text.ptr[start - 1] == '|' && char_at(text, end) == '|' &&
           answer_is_one_of("+-*/^", char_at(text, at));
}

// One letter or its name in TeX, with no more of a term in front: "x", "\\theta".
static bool is_symbol_before(struct slice text, size_t end) {
    size_t at = end;
    while (at > 0 && ascii_is_alpha(text.ptr[at - 1])) at--;
    const bool command = at > 0 && text.ptr[at - 1] == '\\';
    if (at == end || (!command && end - at > 1)) return false;
    at -= command;
    while (at > 0 && text.ptr[at - 1] == ' ') at--;
    return at == 0 || answer_is_one_of("$([{,;:\n", text.ptr[at - 1]) ||
           ascii_is_alpha(text.ptr[at - 1]);
}

static bool is_symbol_behind(struct slice text, size_t at) {
    const char c = char_at(text, at), next = char_at(text, at + 1);
    return (ascii_is_alpha(c) && !ascii_is_alpha(next)) ||
           (c == '\\' && ascii_is_alpha(next) && !answer_is_box(text, at) &&
            !answer_starts(text, at, "\\text"));
}

// "\boxed{9} < x", "x > \boxed{9}": the box bounds what is sought. "\boxed{9} > 8" and
// "a + b \ge \boxed{9}" say more of a value.
static bool is_strict_bound(struct slice text, size_t start, size_t end) {
    static const char *const SIGNS[] = {"<", ">", "\\lt", "\\gt"};
    size_t at = end;
    while (answer_is_one_of(" $", char_at(text, at))) at++;
    for (size_t i = 0; i < N(SIGNS); i++) {
        const size_t len = strlen(SIGNS[i]);
        if (answer_is_word(text, at, SIGNS[i]) || (i < 2 && answer_starts(text, at, SIGNS[i]))) {
            const size_t next = skip_spaces(text, at + len);
            if (next > at + len || i >= 2) return is_symbol_behind(text, next);
        }
    }
    at = start;
    while (at > 0 && answer_is_one_of(" $", text.ptr[at - 1])) at--;
    for (size_t i = 0; i < N(SIGNS); i++) {
        const size_t len = strlen(SIGNS[i]);
        if (at < len || !answer_starts(text, at - len, SIGNS[i])) continue;
        for (at -= len; at > 0 && text.ptr[at - 1] == ' ';) at--;
        return is_symbol_before(text, at);
    }
    return false;
}

bool answer_is_operand(struct slice text, size_t start, size_t end) {
    if (is_behind_operator(text, start, end) || is_strict_bound(text, start, end)) return true;
    if (char_at(text, end) == '^')
        return !answer_starts(text, end, "^\\circ") && !answer_starts(text, end, "^{\\circ");
    return (is_joined(text, start, end) || is_before_operator(text, end) || goes_on(text, end) ||
            is_share(text, end) || is_scaled(text, end) || is_enclosed(text, start, end) ||
            is_barred(text, start, end)) &&
           !is_equated(text, start, end);
}
