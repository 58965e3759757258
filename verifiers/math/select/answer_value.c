// What a value of mathematics looks like where a remark puts it in place of another one.
#include <assert.h>

#include "verifiers/math/base/ascii.h"
#include "verifiers/math/select/answer_refute.h"
#include "verifiers/math/select/answer_remark.h"
#include "verifiers/math/select/answer_scan.h"

enum { MAX_VALUE = 400 }; // bytes

#define N(list) (sizeof(list) / sizeof *(list))

// "thirteen", "twenty-one": where the words for a number end, or `at`.
size_t answer_number_words_end(struct slice text, size_t at) {
    static const char *const WORDS[] = {"zero",    "one",     "two",       "three",    "four",
                                        "five",    "six",     "seven",     "eight",    "nine",
                                        "ten",     "eleven",  "twelve",    "thirteen", "fourteen",
                                        "fifteen", "sixteen", "seventeen", "eighteen", "nineteen",
                                        "twenty",  "thirty",  "forty",     "fifty",    "sixty",
                                        "seventy", "eighty",  "ninety",    "hundred",  "thousand"};
    size_t end = at;
    for (size_t i = at;; i = end + 1) {
        const size_t next = answer_skip_phrase(text, i, WORDS, N(WORDS));
        if (next == i) return end;
        end = next;
        if (end >= text.len || !answer_is_one_of(" -", text.ptr[end])) return end;
    }
}

// A value of mathematics: formulas, numbers, signs, up to the first word. `at` where there is none.
static size_t value_end(const void *context, struct slice text, size_t at) {
    (void)context;
    size_t end = answer_number_words_end(text, at);
    if (end != at) return end;
    if (at >= text.len || !answer_looks_like_value(answer_cut(text, at, text.len))) return at;
    for (size_t i = at; i < text.len && text.ptr[i] != '\n';) {
        const size_t formula = answer_formula_end(text, i);
        size_t next = formula == SIZE_MAX ? i : formula;
        while (next < text.len && !answer_is_space(text.ptr[next])) next++;
        assert(next > i); // or the walk would stand still
        const struct slice piece = answer_cut(text, i, next);
        const bool layout =
            answer_starts(piece, 0, "\\end") || answer_starts(piece, 0, "\\begin{align");
        const bool word =
            piece.len > 1 && ascii_is_alpha(piece.ptr[0]) && ascii_is_alpha(piece.ptr[1]);
        if (word || layout) break;
        end = next;
        if (answer_ends_sentence(text, next - 1)) break;
        i = next;
        while (i < text.len && answer_is_one_of(" \t\r", text.ptr[i])) i++;
        if (i - at > MAX_VALUE) return at;
    }
    while (end > at && answer_is_one_of(".,;:!)\"*_`", text.ptr[end - 1]) &&
           !(text.ptr[end - 1] == ')' && memchr(text.ptr + at, '(', end - at)))
        end--;
    return end;
}

const struct answer_values ANSWER_MATH = {value_end, NULL};
