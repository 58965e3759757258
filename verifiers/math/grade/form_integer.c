// "n\pi \text{ for } n \in \mathbb{Z}", "n\pi\ (n\in\mathbb{Z})", "n\pi, \text{ where } n \text{ is
// an integer}": a value for every integer, as "n\pi, n \in \mathbb{Z}".

#include "verifiers/math/grade/form.h"
#include "verifiers/math/grade/form_cut.h"

#define N(list) (sizeof(list) / sizeof *(list))

// What is said behind the value.
struct said {
    char letter;   // of which it is said
    bool integers; // "integer", \in \mathbb{Z}
    bool words;    // the former
};

// The mark or word at the start of what is left: its bytes, or 0 where it says something else.
static size_t mark(struct slice s, struct said *said) {
    static const char *const MARKS[] = {" ",      ",",      "$",      "(",      ")",       "{",
                                        "}",      "~",      ".",      "\\,",    "\\ ",     "\\;",
                                        "\\:",    "\\(",    "\\)",    "\\quad", "\\qquad", "\\text",
                                        "\\mbox", "\\left", "\\right"};
    static const char *const SETS[] = {"\\in\\mathbb{Z}",
                                       "\\in \\mathbb{Z}",
                                       "\\in\\mathbb Z",
                                       "\\in \\mathbb Z",
                                       "\\in\\mathbf{Z}",
                                       "\\in \\mathbf{Z}",
                                       "\\in\\Z",
                                       "\\in \\Z",
                                       "\\in ℤ",
                                       "∈ ℤ",
                                       "∈ℤ",
                                       "\\in Z"};
    for (size_t i = 0; i < N(SETS); i++)
        if (starts(s, SETS[i])) {
            said->integers = true;
            return strlen(SETS[i]);
        }
    for (size_t i = 0; i < N(MARKS); i++)
        if (starts(s, MARKS[i])) return strlen(MARKS[i]);
    return 0;
}

static size_t word(struct slice s, struct said *said) {
    static const char *const WORDS[] = {"for", "where", "with", "any", "all", "every",     "each",
                                        "is",  "are",   "an",   "and", "be",  "arbitrary", "some"};
    size_t len = 0;
    while (len < s.len && ascii_is_alpha(s.ptr[len])) len++;
    const struct slice w = {s.ptr, len};
    if (len == 1 && strchr("kmnt", w.ptr[0])) {
        said->letter = w.ptr[0];
        return 1;
    }
    if (slice_is(w, "integer") || slice_is(w, "integers")) {
        said->integers = said->words = true;
        return len;
    }
    for (size_t i = 0; i < N(WORDS); i++)
        if (slice_is(w, WORDS[i])) return len;
    return 0;
}

// Whether all of it says that a letter is an integer, and which.
static char integer(struct slice s, bool *words) {
    struct said said = {0};
    for (size_t at = 0, n; at < s.len; at += n) {
        n = mark(cut(s, at, s.len), &said);
        if (!n) n = word(cut(s, at, s.len), &said);
        if (!n) return 0;
    }
    *words = said.words;
    return said.integers ? said.letter : 0;
}

static bool may_begin(struct slice s) {
    static const char *const STARTS[] = {",",       "(",     "\\text",  "\\quad",
                                         "\\qquad", " for ", " where ", " with ",
                                         "\\ (",    "\\;(",  "\\,(",    "\\left("};
    for (size_t i = 0; i < N(STARTS); i++)
        if (starts(s, STARTS[i])) return true;
    return false;
}

static bool has_letter(struct slice s, char letter) {
    for (size_t i = 0; i < s.len; i++)
        if (s.ptr[i] == letter && (i + 1 == s.len || !ascii_is_alpha(s.ptr[i + 1])) &&
            (i == 0 || !ascii_is_alpha(s.ptr[i - 1])))
            return true;
    return false;
}

bool form_integer(struct slice s, struct arena *arena, struct slice *out) {
    static const char SET[] = " \\in \\mathbb{Z}";
    for (size_t at = 1; at < s.len; at++) {
        bool words;
        const struct slice rest = cut(s, at, s.len);
        const char letter = may_begin(rest) ? integer(rest, &words) : 0;
        const struct slice value = cut(s, 0, at);
        if (!letter) continue;
        *out = value; // the letter is not in it: "5 for all integers n"
        if (!has_letter(value, letter)) return words;
        char *text = arena_take(arena, value.len + sizeof SET + 3, 1);
        memcpy(text, value.ptr, value.len);
        memcpy(text + value.len, (char[]){',', ' ', letter}, 3);
        memcpy(text + value.len + 3, SET, sizeof SET - 1);
        *out = (struct slice){text, value.len + 3 + sizeof SET - 1};
        return true;
    }
    return false;
}
