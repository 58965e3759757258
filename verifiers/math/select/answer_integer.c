// "x = \pi/4 + n\pi for any integer n", "f(x) = x for all real x": what is said of a letter of
// the value, behind it.
#include "verifiers/math/select/answer_clause.h"
#include "verifiers/math/select/answer_scan.h"

#define N(list) (sizeof(list) / sizeof *(list))

static struct slice plain(struct slice word) {
    while (word.len && answer_is_one_of("($\\,", word.ptr[0])) word = answer_cut(word, 1, word.len);
    while (word.len && answer_is_one_of(")$\\,.;", word.ptr[word.len - 1])) word.len--;
    return word;
}

int answer_without_integers(struct slice text, const struct answer_piece *p, int n, bool *narrow) {
    static const char *const OPENS[] = {"for", "where", "with"};
    static const char *const WORDS[] = {"any", "all", "every",  "each",    "some",      "an",
                                        "a",   "is",  "are",    "and",     "arbitrary", "the",
                                        "can", "be",  "number", "numbers", "values",    "of"};
    static const char *const ALL[] = {"all", "every", "any"}; // "for all x"
    static const char *const INTEGERS[] = {"integer", "integers", "real", "reals"};
    static const char *const NARROW[] = {"odd", "even", "prime"};
    bool integers = false, letter = false, narrowed = false;
    int start = n;
    *narrow = false;
    for (int i = n - 1; i > 0; i--) {
        const struct slice word = plain(answer_piece_text(text, &p[i]));
        const bool open = answer_is_in(word, OPENS, N(OPENS));
        const bool narrows = answer_is_in(word, NARROW, N(NARROW));
        const bool is_letter = word.len == 1 && answer_is_one_of("kmntxyz", word.ptr[0]);
        integers |= answer_is_in(word, INTEGERS, N(INTEGERS)) || (narrows && start == n) ||
                    (letter && answer_is_in(word, ALL, N(ALL)));
        letter |= is_letter;
        narrowed |= narrows;
        if (!open && !narrows && !is_letter && !answer_is_in(word, INTEGERS, N(INTEGERS)) &&
            !answer_is_in(word, WORDS, N(WORDS)))
            break;
        if (open && integers && letter) start = i, *narrow = narrowed;
    }
    return start;
}
