// A value behind a left side that the reader of formulas knows nothing about.
#include <string.h>

#include "verifiers/math/base/ascii.h"
#include "verifiers/math/grade/form.h"
#include "verifiers/math/grade/form_cut.h"

#define N(list) (sizeof(list) / sizeof *(list))

static int depth_of(char c) {
    return (c == '{' || c == '(' || c == '[') - (c == '}' || c == ')' || c == ']');
}

// The only "=" outside of brackets, where no other relation stands there; s.len: there is none.
static size_t only_equals(struct slice s) {
    size_t at = s.len;
    int depth = 0;
    for (size_t i = 0; i < s.len; i++) {
        depth += depth_of(s.ptr[i]);
        if (depth != 0) continue;
        const struct slice rest = cut(s, i, s.len);
        if (s.ptr[i] == '<' || s.ptr[i] == '>' || starts(rest, "\\ne") || starts(rest, "\\ge") ||
            starts(rest, "\\le") || starts(rest, "\\approx"))
            if (!starts(rest, "\\left")) return s.len;
        if (s.ptr[i] != '=') continue;
        if (at < s.len) return s.len;
        at = i;
    }
    return depth == 0 ? at : s.len;
}

// "\Pr(A) = 1/2", "\dim V = 3", "\left.\frac{dy}{dx}\right|_{x=1} = 5"
static bool has_operator(struct slice s) {
    static const char *const OPERATORS[] = {
        "\\Pr", "\\mathbb{P}", "\\mathbb{E}", "\\dim",   "\\measuredangle", "\\sup", "\\inf",
        "\\#",  "\\deg",       "\\oint",      "\\lVert", "\\Vert",          "\\arg"};
    if (memmem(s.ptr, s.len, "|_{", 3) && (starts(s, "\\left.") || starts(s, "\\frac{d")))
        return true;
    for (size_t i = 0; i < N(OPERATORS); i++)
        if (starts(s, OPERATORS[i])) return true;
    return false;
}

// Past the letters of a name at the start, in a font or not: "P", "Var", "\mathrm{P}"; 0: none.
static size_t name_end(struct slice s) {
    static const char *const FONTS[] = {"\\mathrm{", "\\operatorname{", "\\text{", "\\mathbf{"};
    enum { MAX_NAME = 4 };
    size_t from = 0;
    for (size_t i = 0; i < N(FONTS); i++)
        if (starts(s, FONTS[i])) from = strlen(FONTS[i]);
    size_t at = from;
    while (at < s.len && ascii_is_alpha(s.ptr[at])) at++;
    if (at == from || at - from > MAX_NAME) return 0;
    if (from == 0) return at;
    return at < s.len && s.ptr[at] == '}' ? at + 1 : 0;
}

// Past the bracket that opens at `at`, or 0.
static size_t bracket_end(struct slice s, size_t at) {
    int depth = 0;
    if (starts(cut(s, at, s.len), "\\left")) at += strlen("\\left");
    if (at >= s.len || (s.ptr[at] != '(' && s.ptr[at] != '[')) return 0;
    for (; at < s.len; at++)
        if ((depth += depth_of(s.ptr[at])) == 0) return at + 1;
    return 0;
}

// How many bars a text has, "\mid" among them.
static int n_bars(struct slice s) {
    int n = 0;
    for (size_t i = 0; i < s.len; i++) {
        const size_t from = i;
        n += s.ptr[i] == '|';
        while (s.ptr[from] == '\\' && i + 1 < s.len && ascii_is_alpha(s.ptr[i + 1])) i++;
        n += slice_is(cut(s, from, i + 1), "\\mid"); // \middle has its bar behind it
    }
    return n;
}

// "P(A|B)", "E[X \mid Y = 2]": where it ends, or 0.
static size_t event_end(struct slice s) {
    const size_t open = name_end(s), end = open ? bracket_end(s, open) : 0;
    return end && n_bars(cut(s, open, end)) == 1 ? end : 0;
}

// "(f \circ g)(1)": where it ends, or 0.
static size_t composed_end(struct slice s) {
    const size_t end = bracket_end(s, 0);
    const struct slice inside = cut(s, 0, end);
    if (end == 0 || (!memmem(inside.ptr, inside.len, "\\circ", 5) &&
                     !memmem(inside.ptr, inside.len, "∘", strlen("∘"))))
        return 0;
    return bracket_end(s, end);
}

struct slice form_valued(struct slice s) {
    if (has_operator(s)) {
        const size_t at = only_equals(s);
        return at + 1 < s.len ? trimmed(cut(s, at + 1, s.len)) : s;
    }
    const size_t event = event_end(s), end = event ? event : composed_end(s);
    if (end == 0) return s;
    const struct slice rest = trimmed(cut(s, end, s.len));
    return starts(rest, "=") && rest.len > 1 ? trimmed(cut(rest, 1, rest.len)) : s;
}
