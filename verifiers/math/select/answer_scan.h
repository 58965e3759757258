// Inside the selection: the walks over text that its files share, and what each of them finds.
#ifndef VERIFIERS_MATH_SELECT_ANSWER_SCAN_H
#define VERIFIERS_MATH_SELECT_ANSWER_SCAN_H

#include <assert.h>
#include <stdint.h>
#include <string.h>

#include "verifiers/math/base/ascii.h"
#include "verifiers/math/select/answer.h"

enum {
    ANSWER_MAX_CONTEXT = 200,   // bytes around a statement that may deny or quote it
    ANSWER_MAX_SENTENCE = 1024, // bytes of a statement that is a phrase
};

// White space is blank, tab, carriage return and line feed; case does not count in words; offsets
// are into `text`. Walks ask most of this of each byte: the first letter decides nearly always.
static inline bool answer_starts(struct slice text, size_t at, const char *word) {
    if (at >= text.len || ((text.ptr[at] ^ word[0]) & ~32)) return false;
    if (word[1] && (at + 1 >= text.len || ((text.ptr[at + 1] ^ word[1]) & ~32))) return false;
    const size_t len = strlen(word);
    return at + len <= text.len && ascii_same(text.ptr + at, word, len);
}

static inline bool answer_is_word(struct slice text, size_t at, const char *word) {
    if (!answer_starts(text, at, word)) return false;
    const size_t end = at + strlen(word); // and no letter behind it
    return end == text.len || !ascii_is_alpha(text.ptr[end]);
}

// Whether a word is one of the n of a list.
static inline bool answer_is_in(struct slice word, const char *const *list, size_t n) {
    for (size_t i = 0; word.len > 0 && i < n; i++)
        if (((word.ptr[0] ^ list[i][0]) & ~32) == 0 &&
            (word.len == 1 || ((word.ptr[1] ^ list[i][1]) & ~32) == 0) &&
            word.len == strlen(list[i]) && ascii_same(word.ptr, list[i], word.len))
            return true;
    return false;
}

// False for a NUL byte.
static inline bool answer_is_one_of(const char *set, char c) {
    for (; *set; set++)
        if (*set == c) return true;
    return false;
}

static inline bool answer_is_space(char c) {
    return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

static inline size_t answer_skip_spaces(struct slice text, size_t at) {
    while (at < text.len && answer_is_space(text.ptr[at])) at++;
    return at;
}

static inline struct slice answer_cut(struct slice text, size_t from, size_t to) {
    assert(from <= to && to <= text.len);
    return (struct slice){text.ptr + from, to - from};
}

// answer_scan.c
struct slice answer_trim(struct slice s);
size_t answer_find_last(struct slice text, const char *word); // case counts; SIZE_MAX: nowhere
size_t answer_line_start(struct slice text, size_t at);
size_t answer_line_end(struct slice text, size_t at);
bool answer_ends_sentence(struct slice text, size_t at); // one of .!? and the end of a word
// At most ANSWER_MAX_SENTENCE on and ANSWER_MAX_CONTEXT back, so that a text of many statements is
// not read many times over.
size_t answer_sentence_end(struct slice text, size_t at);
size_t answer_sentence_start(struct slice text, size_t at);
// The end of the $...$, $$...$$, \(...\) or \[...\] that starts at `at`, or SIZE_MAX.
size_t answer_formula_end(struct slice text, size_t at);
bool answer_looks_like_value(struct slice s); // by its first character

bool answer_is_digit(struct slice text, size_t at); // a decimal digit of any script
bool answer_is_tag(struct slice text, size_t at);   // "</div>", "<br>", "<|im_end|>": an end mark
size_t answer_skip_symbols(struct slice text, size_t at); // past emojis, check marks, arrows

// answer_value.c: where the words for a number that begin at `at` end ("thirty-seven"), or `at`.
size_t answer_number_words_end(struct slice text, size_t at);

// answer_language.c: behind "the answer is" in another language than English at `at`, where the
// value starts; SIZE_MAX: no such words begin there.
size_t answer_foreign(struct slice text, size_t at);
// ", 不是12" behind the value at `from` denies another one: where that clause begins, or `to`.
size_t answer_other_denied(struct slice text, size_t from, size_t to);
bool answer_is_denied_abroad(struct slice text, size_t from); // in the rest of its sentence
bool answer_is_refuted_abroad(struct slice text, size_t at); // "B是错误的", "B ist falsch": at once
// "Das ist falsch.": a short sentence behind the one that ends at `end`.
bool answer_is_wrong_abroad(struct slice text, size_t end);
bool answer_may_be_foreign(struct slice text, size_t at); // a quick look: most places are none
// Whether a word for "answer" in English or one of these languages may begin with the byte.
static inline bool answer_may_begin(char byte) {
    const unsigned char c = (unsigned char)byte;
    switch (c | 32) {
    case 'a':
    case 'c':
    case 'j':
    case 'l':
    case 'o':
    case 'r':
    case 's':
    case 'v':
    case 'y':
        return true;
    default:
        return c >= 0xC3;
    }
}

// answer_context.c: whether what is said at from..to is meant. Boxes may stand behind an "if".
bool answer_is_denied(struct slice text, size_t from, size_t to, bool phrase);
struct answer_values;
// Whether the box at from..to is what others say the answer is, or what it would be: "Tom thinks
// the answer is \boxed{5}".
bool answer_is_of_others(struct slice text, size_t from, size_t to);
// answer_beside.c: whether words beside the box at from..to make it another value, or none.
bool answer_is_made_other(struct slice text, size_t from, size_t to);
bool answer_is_denied_of(struct slice text, size_t from, size_t to, bool phrase,
                         const struct answer_values *values); // with what a correction looks like
// answer_condition.c: whether a sentence whose beginning is `before` says something only under a
// condition: "if it rains, ...".
bool answer_is_conditional(struct slice before);
bool answer_is_conditioned(struct slice value); // "12, if it rains"
// answer_unseen.c: whether what is said at `from` is struck out, a comment or blank.
bool answer_is_unseen(struct slice text, size_t from);
bool answer_is_comment(struct slice text, size_t at); // the '%' at `at` begins one of TeX
// "answer plus 5", "answer's double", "answer squared": what stands behind the word at once makes
// another value of it.
bool answer_is_changed_subject(struct slice behind);
// Whether "Tom's" is in front of "answer": what Tom thinks is no statement.
bool answer_is_of_another(struct slice before);

// Each finds the last statement of its kind and returns where it starts, or SIZE_MAX.
// `*unclosed` is where an unclosed last box starts, else SIZE_MAX.
size_t answer_find_box(struct slice text, struct answer *out, size_t *unclosed);
size_t answer_find_hashes(struct slice text, struct answer *out);
size_t answer_find_tag(struct slice text, struct answer *out);
// `strong`: what looks like a value. Else also words: "the answer is Evelyn".
size_t answer_find_phrase(struct slice text, bool strong, struct answer *out);
bool answer_is_box(struct slice text, size_t at);
// Behind a box or a tag that ends at `at`, "or maybe 13": what is named beside it, else len 0.
struct slice answer_hedge(struct slice text, size_t at);
// {"answer": "5", "alternative": "6"}, {"answer": "5", "status": "wrong"}: behind the value.
bool answer_names_other(struct slice rest);
// answer_code.c: whether the line that ends at `end`, in which the text ends, is one of a program.
bool answer_is_code(struct slice text, size_t end);
// answer_operand.c: whether the box at start..end is only a part of a value.
bool answer_is_operand(struct slice text, size_t start, size_t end);
// answer_side.c: the sides beside the box at start..end, as `before` and `behind`.
void answer_sides(struct slice text, size_t start, size_t end, struct answer *out);

// answer_first.c: a first line that is nothing but a value, in front of an explanation.
bool answer_find_first(struct slice text, struct answer *out);
// A sentence of its own that is a verdict and its reason: "Yes, because 7 is prime."
bool answer_find_verdict(struct slice text, struct answer *out);
// A verdict as the first or last word: "No, it is not." False when there is none.
bool answer_find_word(struct slice text, struct answer *out);

// answer_glued.c: the number between letters of a script without spaces, in a sentence that states
// it, denies it or leaves it open; ANSWER_NOT_GLUED where there is none.
enum answer_glued { ANSWER_NOT_GLUED, ANSWER_GLUED, ANSWER_DOUBTED };
enum answer_glued answer_find_glued(struct slice sentence, struct slice *out);

// The last expression of the last sentence. False when there is none.
bool answer_find_expression(struct slice text, struct answer *out);
// answer_sentence.c: the last sentence without its full stop and without what only closes the text,
// which is taken off
// `*text`; false where it is a question.
bool answer_last_sentence(struct slice *text, size_t *from, size_t *to);
// A mark of feet, minutes or the like behind a number and no end of a quotation: 90', 5'6".
bool answer_is_prime_mark(struct slice text, size_t at);

// answer_said.c: what a last sentence without a number says, "The function is odd.", or a condition
// that it states, "x is greater than 3". False when there is none.
bool answer_find_said(struct slice text, struct answer *out);

#endif
