// Inside the comparer: what its files call of one another.
//
// Every function takes the gold first, which sets the type, and returns a verdict; `rule` of the
// comparison is what decided last.
#ifndef VERIFIERS_MATH_EQUAL_H
#define VERIFIERS_MATH_EQUAL_H

#include "verifiers/math/exact.h"
#include "verifiers/math/parse.h"

struct comparison_context {
    const struct math_options *options;
    struct math_budget *budget;
    struct arena *arena;
    const char *rule;
    int depth;
};

// equal.c: any two trees.
enum math_verdict equal_nodes(struct comparison_context *c, const struct math_node *gold,
                              const struct math_node *answer);
enum math_verdict equal_said(struct comparison_context *c, const char *rule,
                             enum math_verdict verdict);
// A list of parts is as good as its worst part.
enum math_verdict equal_worst(enum math_verdict a, enum math_verdict b);
struct math_node *equal_node(struct comparison_context *c, enum math_kind kind, uint8_t op, int n,
                             const struct math_node *const *kids);
struct math_node *equal_negated(struct comparison_context *c, const struct math_node *node);

// equal_number.c: scalars, with their units, percent and degree signs.
enum math_verdict equal_scalars(struct comparison_context *c, const struct math_node *gold,
                                const struct math_node *answer);
int equal_infinity(const struct math_node *node); // -1, 0 (finite), 1

// equal_list.c: lists, sets, tuples, matrices, ratios.
enum math_verdict equal_collections(struct comparison_context *c, const struct math_node *gold,
                                    const struct math_node *answer);
// x = 1, x = 2 and k = 1, 2 become 1, 2; plus-minus becomes two items; a matrix times a number
// becomes a matrix.
const struct math_node *equal_normal(struct comparison_context *c, const struct math_node *node);

// equal_relation.c: equations, inequalities, chains.
bool equal_is_label(const struct math_node *node); // may stand alone before '='
enum math_verdict equal_relations(struct comparison_context *c, const struct math_node *gold,
                                  const struct math_node *answer);
// The answer is a chain of equalities, the gold a value.
enum math_verdict equal_chain(struct comparison_context *c, const struct math_node *gold,
                              const struct math_node *answer);
// What a gold `x = value` says when the answer is a value, or NULL.
const struct math_node *equal_unwrapped(const struct math_node *gold);

// equal_interval.c: sets of real numbers as intervals.
bool equal_is_real_set(const struct math_node *node, bool only_marked);
enum math_verdict equal_real_sets(struct comparison_context *c, const struct math_node *gold,
                                  const struct math_node *answer);

// equal_policy.c: is the answer written as the policy wants it?
bool equal_is_allowed(const struct math_options *options, const struct math_node *gold,
                      const struct math_node *answer);

#endif
