// What a kind of answer is, for the files of this folder.
//
// A kind is one file: how it is read, the normal form in which it is compared, and the comparison.
// To add one: (1) its file here, with a `const struct kind NAME_kind`, which is declared below;
// (2) its lines in the tables of kinds.c; (3) its lines in tests/verifiers/cases/math; (4) its row
// in verifiers/README.md, which says more of each step.
#ifndef VERIFIERS_MATH_KINDS_KIND_H
#define VERIFIERS_MATH_KINDS_KIND_H

#include "verifiers/math/base/options.h"
#include "verifiers/math/base/verdict.h"
#include "verifiers/math/exact/exact.h"
#include "verifiers/math/read/parse.h"

// One comparison. `rule` is what decided last.
struct comparison {
    const struct math_options *options;
    struct math_budget *budget;
    struct arena *arena;
    const char *rule;
    int depth;
};

struct kind {
    struct reader reader;
    // The node as the kind compares it, or the node itself. Made in c->arena.
    const struct math_node *(*normal)(struct comparison *c, const struct math_node *node);
    // Decides about two nodes in normal form, of which the gold sets the type. False: they are none
    // of its business.
    bool (*compare)(struct comparison *c, const struct math_node *gold,
                    const struct math_node *answer, enum math_verdict *out);
};

extern const struct kind dots_kind, vector_kind, named_kind, time_kind, letter_kind, text_kind,
    list_kind, tuple_kind, relation_kind, interval_kind, ratio_kind, matrix_kind, big_kind,
    quantity_kind, number_kind;

// kinds.c: any two nodes, by the kind that they are of.
enum math_verdict kinds_compare(struct comparison *c, const struct math_node *gold,
                                const struct math_node *answer);

// kind.c
enum math_verdict kind_said(struct comparison *c, const char *rule, enum math_verdict verdict);
// Parts of one answer: as good as the worst of them.
enum math_verdict kind_worst(enum math_verdict a, enum math_verdict b);
enum math_verdict kind_from_exact(struct comparison *c, enum exact found, const char *rule);
struct math_node *kind_node(struct comparison *c, enum math_kind kind, uint8_t op, int n,
                            const struct math_node *const *kids);
struct math_node *kind_negated(struct comparison *c, const struct math_node *node);
const struct math_node *kind_quotient(struct comparison *c, const struct math_node *top,
                                      const struct math_node *bottom);
// The same node with other children, which are as many.
const struct math_node *kind_rebuilt(struct comparison *c, const struct math_node *node,
                                     const struct math_node *const *kids);
// With `new` in the place of every `old`. What comes back when the budget is used up is of no use;
// the comparison then ends with MATH_LIMIT.
const struct math_node *kind_replaced(struct comparison *c, const struct math_node *node,
                                      const struct math_node *old, const struct math_node *new);
// Item by item.
enum math_verdict kind_in_order(struct comparison *c, const struct math_node *gold,
                                const struct math_node *answer);
int kind_infinity(const struct math_node *node); // -1, 0 (finite), 1
// Whether two symbols are below the node; `*first` is the first, NULL at the start.
bool kind_has_other_symbol(const struct math_node *node, const struct math_node **first);

// What kinds ask of one another.
enum math_verdict number_compare(struct comparison *c, const struct math_node *gold,
                                 const struct math_node *answer); // two scalars without a mark
// 3-4j, as engineers write it, as 3-4i where the gold is such a number; or the answer itself.
const struct math_node *number_with_imaginary(struct comparison *c, const struct math_node *gold,
                                              const struct math_node *answer);
// \pi/4 + k\pi, 60^\circ + 360^\circ k: an angle for every integer.
bool number_is_general_angle(const struct math_node *node);
enum math_verdict relation_compare(struct comparison *c, const struct math_node *gold,
                                   const struct math_node *answer); // two relations
const struct math_node *text_normal(struct comparison *c, const struct math_node *node);
// x \equiv 1, 5 \pmod 6 and x \equiv \pm 1 \pmod 6 as lists of congruences.
const struct math_node *congruence_normal(struct comparison *c, const struct math_node *node);
bool congruence_compare(struct comparison *c, const struct math_node *gold,
                        const struct math_node *answer, enum math_verdict *out);
bool relation_is_label(const struct math_node *node);  // may stand alone before '='
bool list_is_assignment(const struct math_node *node); // x = 5
bool time_is_clock(const struct math_node *ratio);     // 7:32, but not 7:64

#endif
