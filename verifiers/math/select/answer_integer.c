// "x = \pi/4 + n\pi for any integer n", "f(x) = x for all real x": what is said of a letter of
// the value, behind it.
#include "verifiers/math/base/ascii.h"
#include "verifiers/math/select/answer_clause.h"
#include "verifiers/math/select/answer_scan.h"

#define N(list) (sizeof(list) / sizeof *(list))

static struct slice plain(struct slice word) {
    while (word.len && answer_is_one_of("($\\,", word.ptr[0])) word = answer_cut(word, 1, word.len);
    while (word.len && answer_is_one_of(")$\\,.;", word.ptr[word.len - 1])) word.len--;
    return word;
}

// Whether the letter stands in the last formula of the pieces in front of `at`.
static bool is_in_value(struct slice text, const struct answer_piece *p, int at, char letter) {
    while (at > 0 && p[at - 1].kind != PIECE_MATH) at--;
    const struct slice value = at ? answer_piece_text(text, &p[at - 1]) : (struct slice){NULL, 0};
    for (size_t i = 0; i < value.len; i++)
        if (value.ptr[i] == letter && (i == 0 || !ascii_is_alpha(value.ptr[i - 1])) &&
            (i + 1 == value.len || !ascii_is_alpha(value.ptr[i + 1])))
            return true;
    return false;
}

int answer_without_integers(struct slice text, const struct answer_piece *p, int n, bool *narrow) {
    static const char *const OPENS[] = {"for", "where", "with"};
    static const char *const WORDS[] = {"any", "all", "every",  "each",    "some",      "an",
                                        "a",   "is",  "are",    "and",     "arbitrary", "the",
                                        "can", "be",  "number", "numbers", "values",    "of"};
    static const char *const ALL[] = {"all", "every", "any"}; // "for all x"
    static const char *const INTEGERS[] = {"integer", "integers", "real", "reals"};
    static const char *const NARROW[] = {"odd", "even", "prime"};
    bool integers = false;
    char letter = 0;
    int start = n;
    *narrow = false;
    for (int i = n - 1; i > 0; i--) {
        const struct slice word = plain(answer_piece_text(text, &p[i]));
        const bool open = answer_is_in(word, OPENS, N(OPENS));
        const bool narrows = answer_is_in(word, NARROW, N(NARROW));
        const bool is_letter = word.len == 1 && answer_is_one_of("kmntxyz", word.ptr[0]);
        integers |= answer_is_in(word, INTEGERS, N(INTEGERS)) || (narrows && start == n) ||
                    (letter && answer_is_in(word, ALL, N(ALL)));
        if (is_letter) letter = word.ptr[0];
        *narrow |= narrows;
        if (!open && !narrows && !is_letter && !answer_is_in(word, INTEGERS, N(INTEGERS)) &&
            !answer_is_in(word, WORDS, N(WORDS)))
            break;
        if (open && integers && letter) start = i;
    }
    if (*narrow && !is_in_value(text, p, start, letter)) start = n; // "12, with n even"
    *narrow &= start < n;
    return start;
}
