// Inside the selection of `choice`: what each way of stating a choice finds.
#ifndef VERIFIERS_CHOICE_CHOICE_FIND_H
#define VERIFIERS_CHOICE_CHOICE_FIND_H

#include <stdint.h>

#include "verifiers/choice/choice.h"
#include "verifiers/math/select/answer_remark.h"
#include "verifiers/math/select/answer_scan.h"

struct finder {
    const struct choice_options *options;
    struct slice text; // cleaned
    struct choice_text both;
    struct arena *arena;
};

// A statement at..end. Nothing is found where `at` is SIZE_MAX.
struct statement {
    size_t at, end;
    choice_set named;
};

static const struct statement NO_STATEMENT = {SIZE_MAX, 0, 0};

// choice_select.c: reads the value at `at`, whose line goes on at most to `limit`. 0: no choice.
choice_set find_value(const struct finder *f, size_t at, size_t limit, size_t *end);

// choice_select.c: what a choice looks like, for corrections.
extern const struct answer_values CHOICE_LETTERS;

// choice_phrase.c: what stands before the letter at `at` and is joined to it: "either A or B is
// correct". `*from` is where that starts.
choice_set find_joined_before(struct slice text, size_t at, size_t *from);

// choice_phrase.c: "the answer is B", "I choose B", "B is correct".
struct statement find_phrase(const struct finder *f);

// choice_key.c: {"answer": "B"}.
struct statement find_key(const struct finder *f);

// choice_subject.c: whether the "answer" at noun..end, whose verb or colon is at `verb`, is another
// than the one that is asked for: "the worst answer is", "the option to avoid is".
bool find_is_of_other(struct slice text, size_t noun, size_t end, size_t verb);
bool find_is_excepted(struct slice text, size_t start, size_t at);  // "all but B": before `at`
bool find_names_other(struct slice text, size_t start, size_t end); // a sentence that does

// choice_line.c: a last line that is a choice; a first one.
struct statement find_line(const struct finder *f);
struct statement find_first_line(const struct finder *f);
bool find_ends_with_list(struct slice text); // "A) 5", "B) 6": the choices told again

// choice_said.c: whether a letter at `at` is what its sentence says: it stands behind a word such
// as "is", or is the first of all; and whether it is what one cannot say: "I cannot honestly say
// B".
bool find_is_said(struct slice text, size_t start, size_t at);
bool find_is_denied_in_clause(struct slice text, size_t start, size_t at);

// choice_last.c: what the last sentence names, where nothing is stated.
choice_set find_in_last_sentence(const struct finder *f);

#endif
