#include "verifiers/math/equal.h"

static bool is_geometry(const struct math_node *node) {
    if (node->kind != MATH_MUL || node->op != TREE_JUXTAPOSED) return false;
    bool mark = false, capitals = true;
    for (int i = 0; i < node->n; i++) {
        const struct math_node *kid = node->kids[i];
        if (kid->kind != MATH_SYMBOL) return false;
        mark |= slice_is(kid->text, "angle") || slice_is(kid->text, "triangle");
        capitals &= kid->text.len == 1 && kid->text.ptr[0] >= 'A' && kid->text.ptr[0] <= 'Z';
    }
    return mark || capitals;
}

bool equal_is_label(const struct math_node *node) {
    if (node->kind == MATH_SYMBOL || node->kind == MATH_APPLY) return true;
    if (node->kind == MATH_TUPLE) {
        for (int i = 0; i < node->n; i++)
            if (!equal_is_label(node->kids[i])) return false;
        return true;
    }
    return is_geometry(node);
}

static bool is_equation(const struct math_node *node) {
    if (node->kind != MATH_RELATION) return false;
    for (int i = 0; i + 1 < node->n; i++)
        if (node->ops[i] != MATH_EQ && node->ops[i] != MATH_APPROX) return false;
    return true;
}

const struct math_node *equal_unwrapped(const struct math_node *gold) {
    if (gold->kind == MATH_RELATION && gold->n == 2 && gold->ops[0] == MATH_IN &&
        equal_is_label(gold->kids[0]))
        return gold->kids[1];
    if (!is_equation(gold)) return NULL;
    if (gold->ops[0] == MATH_APPROX && !equal_is_label(gold->kids[0])) return gold->kids[0];
    if (gold->n == 2 && equal_is_label(gold->kids[0])) return gold->kids[1];
    if (gold->n == 3 && equal_is_label(gold->kids[0]) && gold->ops[1] == MATH_APPROX)
        return gold->kids[1];
    return NULL;
}

// x = a = b is right when every side is, but for sides with symbols where the gold has none; what
// stands behind an "approximately" has only to round to it.
enum math_verdict equal_chain(struct comparison_context *c, const struct math_node *gold,
                              const struct math_node *answer) {
    enum math_verdict all = MATH_EQUAL;
    int n_sides = 0;
    bool approximate = false;
    const struct math_node *members = answer->ops[0] == MATH_IN ? equal_unwrapped(answer) : NULL;
    if (members) return equal_nodes(c, gold, members);
    if (!is_equation(answer)) return equal_said(c, "form", MATH_DIFFERENT);
    const int first = equal_is_label(answer->kids[0]) ? 1 : 0;
    // 3x - 13 = 0 is an equation, and not the value 0.
    if (!first && answer->kids[0]->free && !gold->free)
        return equal_said(c, "form", MATH_DIFFERENT);
    for (int i = 0; i < answer->n; i++) {
        const struct math_node *side = answer->kids[i];
        if (i > 0 && answer->ops[i - 1] == MATH_APPROX && i > first) approximate = true;
        if (i < first || (side->free && !gold->free && i + 1 < answer->n)) continue;
        enum math_verdict verdict = equal_nodes(c, gold, side);
        if (verdict == MATH_DIFFERENT && approximate && n_sides > 0 && tree_is_scalar(gold) &&
            side->kind == MATH_NUMBER && side->decimal &&
            exact_rounds(gold, side, true, c->budget) == EXACT_YES)
            verdict = MATH_EQUAL;
        all = equal_worst(all, verdict);
        n_sides++;
    }
    return n_sides ? all : equal_said(c, "form", MATH_DIFFERENT);
}

static const struct math_node *difference(struct comparison_context *c,
                                          const struct math_node *relation) {
    const struct math_node *const pair[] = {relation->kids[0], equal_negated(c, relation->kids[1])};
    return equal_node(c, MATH_ADD, 0, 2, pair);
}

static int flipped(int op) {
    switch (op) {
    case MATH_LT:
        return MATH_GT;
    case MATH_LE:
        return MATH_GE;
    case MATH_GT:
        return MATH_LT;
    case MATH_GE:
        return MATH_LE;
    default:
        return op;
    }
}

static enum math_verdict side_by_side(struct comparison_context *c, const struct math_node *gold,
                                      const struct math_node *answer) {
    enum math_verdict all = MATH_EQUAL;
    if (gold->n != answer->n) return equal_said(c, "count", MATH_DIFFERENT);
    for (int i = 0; i + 1 < gold->n; i++)
        if (gold->ops[i] != answer->ops[i]) return equal_said(c, "relation", MATH_DIFFERENT);
    for (int i = 0; i < gold->n && all != MATH_DIFFERENT; i++)
        all = equal_worst(all, equal_nodes(c, gold->kids[i], answer->kids[i]));
    return all;
}

// Two sides each: the same up to a factor, which for an inequality has a sign.
static enum math_verdict scaled(struct comparison_context *c, const struct math_node *gold,
                                const struct math_node *answer) {
    int sign = 0;
    const char *rule = "relation";
    const enum exact found =
        exact_proportional(difference(c, gold), difference(c, answer), c->budget, &rule, &sign);
    const int op = gold->ops[0], other = answer->ops[0];
    c->rule = rule;
    if (found == EXACT_LIMIT) return MATH_LIMIT;
    if (found == EXACT_UNKNOWN) return MATH_UNKNOWN;
    if (found == EXACT_NO) return MATH_DIFFERENT;
    if (op != MATH_EQ && op != MATH_NE && other != (sign > 0 ? op : sign < 0 ? flipped(op) : -1))
        return equal_said(c, "relation", MATH_DIFFERENT);
    if ((op == MATH_EQ || op == MATH_NE) && other != op)
        return equal_said(c, "relation", MATH_DIFFERENT);
    return found == EXACT_YES ? MATH_EQUAL : MATH_EQUAL_NUM;
}

// y and f(x) name the same thing; so do words.
static bool same_meaning(const struct math_node *a, const struct math_node *b) {
    if (tree_same(a, b)) return true;
    const bool call = a->kind == MATH_APPLY || b->kind == MATH_APPLY;
    const bool words = a->text.len > 2 || b->text.len > 2;
    return call || words || a->kind == MATH_TUPLE || is_geometry(a) || is_geometry(b);
}

static bool has_scalar_sides(const struct math_node *relation) {
    for (int i = 0; i < relation->n; i++)
        if (!tree_is_scalar(relation->kids[i])) return false;
    return true;
}

static bool is_ordering(int op) {
    return op == MATH_EQ || op == MATH_NE || op == MATH_LT || op == MATH_LE || op == MATH_GT ||
           op == MATH_GE;
}

enum math_verdict equal_relations(struct comparison_context *c, const struct math_node *gold,
                                  const struct math_node *answer) {
    if (is_equation(gold) && is_equation(answer)) {
        const struct math_node *value = equal_unwrapped(gold);
        const bool named = value && equal_is_label(answer->kids[0]) &&
                           same_meaning(gold->kids[0], answer->kids[0]);
        if (named && answer->n > 2) return equal_chain(c, value, answer);
        if (named && answer->n == 2) {
            const enum math_verdict verdict = equal_nodes(c, value, answer->kids[1]);
            if (verdict != MATH_DIFFERENT || !tree_same(gold->kids[0], answer->kids[0]))
                return verdict;
        }
    }
    if (gold->n == 2 && answer->n == 2 && gold->free && answer->free && has_scalar_sides(gold) &&
        has_scalar_sides(answer) && is_ordering(gold->ops[0]) && is_ordering(answer->ops[0]))
        return scaled(c, gold, answer);
    return side_by_side(c, gold, answer);
}
