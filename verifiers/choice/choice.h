// Inside `choice`: which of the letters A to J a text names.
//
// choice_clean takes the markup off a text; choice_read reads one value ("(B) Paris", "Paris"),
// choice_join what joins others to it ("B or C"); choice_select finds the statement of a completion
// that is the answer.
#ifndef VERIFIERS_CHOICE_CHOICE_H
#define VERIFIERS_CHOICE_CHOICE_H

#include <stdbool.h>
#include <stddef.h>

#include "protocol/base/memory.h"
#include "protocol/base/slice.h"

enum { CHOICE_MAX = 10, CHOICE_MAX_OPTION_BYTES = 4096 };

struct choice_options {
    int n;                           // 0: the texts are not known
    struct slice texts[CHOICE_MAX];  // (n) cleaned, white space collapsed
    struct slice folded[CHOICE_MAX]; // (n) the same in lower case
};

// A set of letters, bit 0 for A. CHOICE_NONE stands for another answer that is no letter.
typedef unsigned choice_set;
#define CHOICE_NONE (1u << CHOICE_MAX)

// `text` in `arena` without emphasis, math delimiters, \text{} and the like, boxes; letters of
// other shapes (full width, circled, mathematical) as ASCII. Never longer than `text`. Each of the
// `marks` (up to 8 offsets; SIZE_MAX stays) becomes the offset of the same place in the result.
struct slice choice_clean(struct slice text, struct arena *arena, size_t *marks, int n_marks);

// White space collapsed, also at the ends, and an ending full stop taken off; in `arena`.
struct slice choice_collapse(struct slice text, struct arena *arena);
struct slice choice_fold(struct slice text, struct arena *arena); // in lower case

// A cleaned text and the same in lower case, by choice_fold: offsets are the same in both.
struct choice_text {
    struct slice text, folded;
};

// Letters with which a text begins, behind words such as "option"; several where it joins them ("A
// or B") or where the text beside a letter is that of another option. 0: none. `*end` is behind
// what was read. `whole` is what the value is if it is an option's text.
choice_set choice_read(const struct choice_options *options, struct choice_text value,
                       struct slice whole, struct arena *arena, size_t *end);

// Choices that are joined to what ends at `at`: ", C", " or (D)". `*end` is behind them.
choice_set choice_joined(const struct choice_options *options, struct slice text,
                         struct slice folded, size_t at, size_t *end);

// "C, which is Rome": the option whose text is put beside the letter that ends at `at`, or 0.
choice_set choice_apposed(const struct choice_options *options, struct slice text,
                          struct slice folded, size_t at);
// "Rome (A)", "Rome, which is option A", "Rome: A": the letter that is put beside an option's text
// that ends at `at`, or 0.
choice_set choice_letter_apposed(struct slice text, size_t at);
// "B, but C is more likely", "B if T is constant": what else may be right as well, behind the
// letter that ends at `at`.
choice_set choice_unsettled(const struct choice_options *options, struct slice text,
                            struct slice folded, size_t at);

// What is left of `named`, a statement that ends at `at`, behind the next sentence: "Nein, doch C."
// puts C in its place, "Could also be C." adds it, "Non, c'est faux." leaves nothing.
choice_set choice_retorted(struct slice text, struct slice folded, size_t at, choice_set named);

// The letter at `at`, a bit, or 0: it stands for itself, in brackets or not. `strong`: and its
// neighbours leave no doubt. `*end` is behind it and its bracket.
choice_set choice_letter(struct slice text, size_t at, bool *strong, size_t *end);

// The option whose text stands at `at`: the longest, as it is written before in another case. 0:
// none, or one cannot say which. `folded` is `text` in lower case.
choice_set choice_option_at(const struct choice_options *options, struct slice text,
                            struct slice folded, size_t at, size_t *len);

// The option whose text is the whole of a value of more than a letter, or 0.
choice_set choice_option_of(const struct choice_options *options, struct slice value,
                            struct arena *arena);

// "So B it is.": behind the words at `at` with which the sentence ends, or `at`.
size_t choice_skip_it_is(struct slice text, size_t at);

// "I would answer B, but ...", "I was about to say B": at..end is a choice that is no answer.
bool choice_is_only_meant(struct slice text, size_t at, size_t end);

// choice_abroad.c: "不是C而是B", "nicht C, sondern B": behind what denies another choice at `at`.
size_t choice_skip_denied(struct slice text, size_t at);
// "es ist nicht B", "todas menos B": whether words of the clause in front of `at` deny it.
bool choice_denied_abroad(struct slice text, size_t start, size_t at);

// "选B", "ich wähle B": where the value behind a verb of choosing at `at` starts, or SIZE_MAX.
size_t choice_chosen_abroad(struct slice text, size_t at);
// "选项B正确", "ist C richtig", "B est correct": behind what is said of the letter at..end, or
// `end`.
size_t choice_skip_verdict(struct slice text, size_t at, size_t end);

// Whether a verb is behind `at` ("C is wrong"): what stands before it is no answer, but a subject.
bool choice_is_subject(struct slice text, size_t at);

// The same of several letters, the last of which is in front of `at`: "A and C are wrong".
bool choice_are_subjects(struct slice text, size_t at);

// The options whose texts occur in text[from, to) and are not denied there.
choice_set choice_named(const struct choice_options *options, const struct choice_text *text,
                        size_t from, size_t to);

// The answer of a completion. Returns false when there is none; *out is 0 for an answer that is no
// choice, and has several bits for one that names several.
bool choice_select(const struct choice_options *options, struct slice completion,
                   struct arena *arena, choice_set *out);

#endif
