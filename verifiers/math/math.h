// The grader of mathematical answers.
//
// math_parse reads a span into a tree, as a whole or not at all; math_equal decides whether two
// trees are the same answer, by the gold's type. Both are re-entrant, take their memory from an
// arena, and count their work in a budget instead of watching a clock. math_grade is the whole:
// select, parse, compare.
#ifndef VERIFIERS_MATH_MATH_H
#define VERIFIERS_MATH_MATH_H

#include <stdbool.h>
#include <stdint.h>

#include "protocol/base/buffer.h"
#include "protocol/base/error.h"
#include "protocol/base/memory.h"
#include "protocol/base/slice.h"
#include "verifiers/math/base/budget.h"
#include "verifiers/math/base/options.h"
#include "verifiers/math/base/verdict.h"

struct math_node; // base/tree.h

const char *math_verdict_name(enum math_verdict verdict);

// Reads a whole span: LaTeX, Unicode or plain text, with or without $, \( \) or one \boxed{}
// around it. With `prose`, words may follow a number ("12 apples a day"), as they do in a sentence.
// The tree lives in `arena` and does not point into `text`; it is immutable and may be compared
// any number of times, from any thread. `stopped`, unless NULL, gets the offset at which
// reading stopped.
enum math_read math_parse(struct slice text, bool prose, struct arena *arena,
                          struct math_budget *budget, struct math_node **out, size_t *stopped);

// Compares an answer with a gold, which sets the type. Scratch memory comes from `arena`.
void math_equal(const struct math_node *gold, const struct math_node *answer,
                const struct math_options *options, struct math_budget *budget, struct arena *arena,
                struct math_result *out);

// Any of `n` golds: the best verdict (EQUAL, EQUAL_NUM, LIMIT, UNKNOWN, DIFFERENT in this order).
void math_equal_any(const struct math_node *const *golds, int n, const struct math_node *answer,
                    const struct math_options *options, struct math_budget *budget,
                    struct arena *arena, struct math_result *out);

// Golds of one group, any of which is right. Immutable.
struct math_gold;

// Parses (n) golds: LaTeX or text, with or without delimiters, a box, `####`, or a whole solution.
// Fails with a sentence when one is not understood, but under the policy `literal`, which compares
// such golds word for word. Freed with math_gold_free.
struct math_gold *math_gold_parse(const struct slice *golds, int n,
                                  const struct math_options *options, struct error *err);
void math_gold_free(struct math_gold **gold);

// What a completion was graded by.
struct math_report {
    enum math_verdict verdict;
    const char *found;   // how its answer was found: "box", ...; "" where there is none
    const char *decided; // as math_result.rule; "" where there was nothing to compare
    struct slice span;   // of the completion, from the first part of its answer to the last
    int64_t steps;
};

// Grades a completion.
void math_report(const struct math_gold *gold, struct slice completion, struct math_report *out);

// Grades an answer as it stands, without looking for it in a text; `found` is "given".
void math_report_answer(const struct math_gold *gold, struct slice given, struct math_report *out);

// Appends lines that say what was found in a completion, how both sides were read, and what
// decided.
void math_explain(const struct math_gold *gold, struct slice completion, struct buffer *out);

// The same in short. `*rule` is how its answer was found ("box", ...), or "" .
enum math_verdict math_grade(const struct math_gold *gold, struct slice completion,
                             const char **rule);

#endif
