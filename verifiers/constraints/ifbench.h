// Shared by the families of IFBench's and IF-RLVR's constraints.
#ifndef VERIFIERS_CONSTRAINTS_IFBENCH_H
#define VERIFIERS_CONSTRAINTS_IFBENCH_H

#include "verifiers/constraints/constraints.h"
#include "verifiers/constraints/ifeval.h" // prepare_lower and its like, relation_holds

// str.strip(string.punctuation + " ") and its two halves. Of white space only the space goes.
struct slice strip_marks(struct slice s);
struct slice strip_marks_left(struct slice s);
struct slice strip_marks_right(struct slice s);

// The white space separated words of `s` without its ASCII punctuation; words that were nothing
// else are gone.
struct slices plain_words(struct constraint_text *text, struct slice s);

// The first code point, 0 of an empty slice; and the same in lower case (of U+0130: 'i').
uint32_t first_code(struct slice s);
uint32_t first_lower(struct slice s);

// How many of them there are.
int64_t count_plain_words(struct slice s);

bool is_palindrome(struct slice s);

// Whether one of the `n` sorted words is `s`.
bool is_listed(struct slice s, const char *const *words, size_t n);
#define IS_LISTED(s, words) is_listed((s), (words), sizeof(words) / sizeof *(words))

// The rows' parameters: a whole number from `least` on, and a string that is not empty.
#define NUMBER(key, least)                                                                         \
    { .name = (key), .type = CONSTRAINT_INTEGER, .min = (least), .max = MAX_COUNT }
#define STRING(key)                                                                                \
    { .name = (key), .type = CONSTRAINT_STRING, .min = 1 }

// Whether the first word of a text is a verb by its form alone (ifbench_verbs.c): no longer one is.
enum { MAX_VERB_BYTES = 24 };
bool is_verb(struct slice word); // in lower case

// Whether a word (in lower case, without punctuation) has an odd number of syllables
// (ifbench_syllables.c).
bool has_odd_syllables(struct slice word);

// A table of comma or tab separated values as Python's csv module reads it.
struct csv_table {
    struct slices fields; // of all rows, one behind the other
    size_t *row_ends;     // (n_rows) where each row ends among the fields
    size_t n_rows;
};
// False when the module would raise an error, there are more rows or more fields in one of them, or
// the budget is used up.
bool csv_read(struct constraint_text *text, struct slice s, char delimiter, size_t max_rows,
              size_t max_fields, struct csv_table *out);

#endif
