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

enum {
    MATH_MAX_BYTES = 64 << 10, // of a span
    MATH_MAX_TOKENS = 16384,   // of a span
    MATH_MAX_NODES = 4096,     // of a tree
    MATH_MAX_DEPTH = 200,      // of a tree and of brackets
    MATH_MAX_ITEMS = 64,       // of a list or set that is matched in any order
    MATH_MAX_STEPS = 40000,    // of one check; a step is at most about a microsecond of work
};

enum math_verdict {
    MATH_EQUAL,
    MATH_EQUAL_NUM, // equal as far as a decimal can be, or at sample points without a proof
    MATH_DIFFERENT,
    MATH_UNKNOWN, // not understood, or not decided
    MATH_NO_ANSWER,
    MATH_LIMIT, // a budget was used up
};

const char *math_verdict_name(enum math_verdict verdict);

enum math_policy {
    MATH_VALUE,      // equal values are equal: 3*4 is 12
    MATH_LITERAL,    // an integer gold takes an integer literal, a fraction gold a literal number
    MATH_SIMPLIFIED, // no operation between numbers may be left to do: not 3*4, not 6/4
};

// How answers are compared. All zero is policy `value` with its defaults.
struct math_options {
    bool long_decimals; // a longer decimal that rounds to a decimal gold is right
    enum math_policy policy;
    bool ordered_lists;  // 1,2 is not 2,1 (sets in braces stay without order)
    bool strict_percent; // 50% is 0.5 only, never 50
    bool strict_units;   // a unit on one side only makes a difference
    bool no_rounding;    // a decimal is only its exact value
    bool no_points;      // agreement at sample points without a proof is `unknown`
};

// The work of one check. Zero-initialise, set max_steps (math_equal takes 0 for MATH_MAX_STEPS).
struct math_budget {
    int64_t steps, max_steps;
};

// Counts `n` steps; false when the budget is used up.
static inline bool math_step(struct math_budget *budget, int64_t n) {
    if (budget->max_steps == 0) budget->max_steps = MATH_MAX_STEPS;
    budget->steps += n;
    return budget->steps <= budget->max_steps;
}

struct math_node; // tree.h

enum math_read {
    MATH_READ,
    MATH_EMPTY,      // nothing but space
    MATH_UNREADABLE, // no form that is understood
    MATH_OVER,       // over the bytes, tokens, nodes or depth above
};

// Reads a whole span: LaTeX, Unicode or plain text, with or without $, \( \) or one \boxed{}
// around it. With `prose`, words may follow a number ("12 apples a day"), as they do in a sentence.
// The tree lives in `arena` and does not point into `text`; it is immutable and may be compared
// any number of times, from any thread. `stopped`, unless NULL, gets the offset at which
// reading stopped.
enum math_read math_parse(struct slice text, bool prose, struct arena *arena,
                          struct math_budget *budget, struct math_node **out, size_t *stopped);

// Several trees (n >= 1) as one list, for adjacent boxes: `\boxed{1} and \boxed{2}`.
struct math_node *math_list(struct math_node *const *items, int n, struct arena *arena);

// The tree on one line, for --explain: "(add 1 (root 2 2))". In `arena`.
const char *math_show(const struct math_node *node, struct arena *arena);

struct math_result {
    enum math_verdict verdict;
    const char *rule; // what decided, a constant: "same", "rational", "decimal", "polynomial", ...
    int64_t steps;
};

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
