// The words and formulas of a sentence, and the clauses that they make.
#ifndef VERIFIERS_MATH_SELECT_ANSWER_CLAUSE_H
#define VERIFIERS_MATH_SELECT_ANSWER_CLAUSE_H

#include <stdbool.h>

#include "protocol/base/slice.h"

enum answer_piece_kind {
    PIECE_WORD,
    PIECE_MATH,   // holds a digit, a backslash or an operator
    PIECE_LETTER, // one letter: mathematics beside an operator
    PIECE_JOINT,  // and, or: mathematics between mathematics
};

struct answer_piece {
    size_t from, to; // in the text
    enum answer_piece_kind kind;
};

static inline struct slice answer_piece_text(struct slice text, const struct answer_piece *p) {
    return (struct slice){text.ptr + p->from, p->to - p->from};
}

bool answer_piece_is_operator(struct slice text, const struct answer_piece *p);
// Whether a verb is among the words of p[from..n): then they go on to say something else.
bool answer_clause_has_verb(struct slice text, const struct answer_piece *p, int n, int from);
// "i.e.", "that is", "namely" at `at`: behind it the value is said again.
bool answer_says_again(struct slice text, size_t at);
// How many pieces of a sentence are left without a clause that only says why.
int answer_without_clauses(struct slice text, const struct answer_piece *p, int n);

// answer_integer.c: "n\pi for any integer n": how many pieces are left without what is said of the
// letter. `*narrow`: it is not any integer ("for odd n").
int answer_without_integers(struct slice text, const struct answer_piece *p, int n, bool *narrow);

// answer_attained.c: "attained at x = 3", "with equality when a = b" begins at p[at].
bool answer_begins_attainment(struct slice text, const struct answer_piece *p, int n, int at);

// answer_hearsay.c: "the textbook gives 7", "it would have cost 7": what is in front of the run
// that begins with p[first].
bool answer_is_hearsay(struct slice text, const struct answer_piece *p, int first);
// "he had 7, so he needs more": behind a number.
bool answer_leads_on(struct slice rest);

// answer_step.c: "then add 7 to both sides", "we are given n = 7": p[first..last] is in a step of
// the way, and no result.
bool answer_is_step(struct slice text, const struct answer_piece *p, int first, int last);
// answer_front.c: "more than 7", "half of 7", "page 7": the words in front of the run that begins
// with p[first] make another number of it, or none.
bool answer_is_changed_in_front(struct slice text, const struct answer_piece *p, int first);
// answer_spelled.c: the only number in words of a sentence without other mathematics, "he has
// forty-two sheep", behind a verb or at the start; its pieces become mathematics.
bool answer_spelled_run(struct slice text, struct answer_piece *p, int n, int *first, int *last);
// answer_run.c: "P(sum = 7) = 1/6", "x = – 4", "72 km h^{-1}": where the run p[first..last] of
// mathematics starts with the words that are a part of it.
int answer_run_start(struct slice text, const struct answer_piece *p, int first, int last);
// "half past 5": where it starts whose hour is at p[first], or `first`.
int answer_clock_start(struct slice text, const struct answer_piece *p, int first);
// answer_subject.c: "the square of the length is 7", "shortly after 2:30": it is said of another
// value than the one that is sought.
bool answer_is_of_other_subject(struct slice text, const struct answer_piece *p, int first);
// "24 cows, half of which were sold": behind a number.
bool answer_is_of_parts(struct slice rest);
// "ist nicht 12", "no es 12", "n'est pas 12"
bool answer_is_denied_in_front(struct slice text, const struct answer_piece *p, int first);
// "The proof is on p. 7.": the point of what is in front of the sentence at `from` is none.
bool answer_is_behind_abbreviation(struct slice text, size_t from);

#endif
