#include "verifiers/math/kinds/kind.h"

enum math_verdict kind_said(struct comparison *c, const char *rule, enum math_verdict verdict) {
    c->rule = rule;
    return verdict;
}

enum math_verdict kind_worst(enum math_verdict a, enum math_verdict b) {
    static const int BADNESS[] = {[MATH_EQUAL] = 0,     [MATH_EQUAL_NUM] = 1, [MATH_UNKNOWN] = 2,
                                  [MATH_NO_ANSWER] = 3, [MATH_LIMIT] = 4,     [MATH_DIFFERENT] = 5};
    return BADNESS[a] >= BADNESS[b] ? a : b;
}

enum math_verdict kind_from_exact(struct comparison *c, enum exact found, const char *rule) {
    c->rule = rule;
    switch (found) {
    case EXACT_YES:
        return MATH_EQUAL;
    case EXACT_AGREE:
        return c->options->no_points ? MATH_UNKNOWN : MATH_EQUAL_NUM;
    case EXACT_NO:
        return MATH_DIFFERENT;
    case EXACT_LIMIT:
        return MATH_LIMIT;
    default:
        return MATH_UNKNOWN;
    }
}

struct math_node *kind_node(struct comparison *c, enum math_kind kind, uint8_t op, int n,
                            const struct math_node *const *kids) {
    struct math_node *node = arena_take(c->arena, 1, sizeof *node);
    node->kind = kind;
    node->op = op;
    node->n = n;
    node->kids = arena_take(c->arena, (size_t)(n > 0 ? n : 1), sizeof *node->kids);
    if (n) memcpy(node->kids, kids, (size_t)n * sizeof *node->kids);
    math_step(c->budget, 1);
    tree_seal(node); // a relation again, when it has its signs
    return node;
}

struct math_node *kind_negated(struct comparison *c, const struct math_node *node) {
    return kind_node(c, MATH_MUL, TREE_MINUS, 1, &node);
}

const struct math_node *kind_quotient(struct comparison *c, const struct math_node *top,
                                      const struct math_node *bottom) {
    const struct math_node *const power[] = {bottom, tree_number(-1, c->arena)};
    const struct math_node *const pair[] = {top, kind_node(c, MATH_POW, TREE_JUXTAPOSED, 2, power)};
    return kind_node(c, MATH_MUL, 0, 2, pair);
}

const struct math_node *kind_rebuilt(struct comparison *c, const struct math_node *node,
                                     const struct math_node *const *kids) {
    struct math_node *copy = arena_take(c->arena, 1, sizeof *copy);
    *copy = *node;
    copy->kids = arena_take(c->arena, (size_t)(node->n > 0 ? node->n : 1), sizeof *copy->kids);
    if (node->n) memcpy(copy->kids, kids, (size_t)node->n * sizeof *copy->kids);
    math_step(c->budget, 1);
    tree_seal(copy);
    return copy;
}

const struct math_node *kind_replaced(struct comparison *c, const struct math_node *node,
                                      const struct math_node *old, const struct math_node *new) {
    if (tree_same(node, old)) return new;
    if (node->n == 0 || !math_step(c->budget, 1)) return node;
    const struct math_node **kids = arena_take(c->arena, (size_t)node->n, sizeof *kids);
    bool changed = false;
    for (int i = 0; i < node->n; i++) {
        kids[i] = kind_replaced(c, node->kids[i], old, new);
        changed |= kids[i] != node->kids[i];
    }
    return changed ? kind_rebuilt(c, node, kids) : node;
}

enum math_verdict kind_in_order(struct comparison *c, const struct math_node *gold,
                                const struct math_node *answer) {
    enum math_verdict verdict = MATH_EQUAL;
    if (gold->n != answer->n) return kind_said(c, "count", MATH_DIFFERENT);
    for (int i = 0; i < gold->n && verdict != MATH_DIFFERENT && verdict != MATH_LIMIT; i++)
        verdict = kind_worst(verdict, kinds_compare(c, gold->kids[i], answer->kids[i]));
    return verdict;
}

int kind_infinity(const struct math_node *node) {
    if (node->kind == MATH_CONSTANT && node->op == MATH_INFINITY) return 1;
    if (node->kind == MATH_MUL && node->n == 1) return -kind_infinity(node->kids[0]);
    return 0;
}

bool kind_has_other_symbol(const struct math_node *node, const struct math_node **first) {
    if (node->kind == MATH_SYMBOL) {
        if (!*first) *first = node;
        return !tree_same(*first, node);
    }
    for (int i = 0; i < node->n; i++)
        if (kind_has_other_symbol(node->kids[i], first)) return true;
    return false;
}
