// Is an answer written as the policy wants it?
#include "verifiers/math/grade/policy.h"

// The value behind a label, a unit and the like.
static const struct math_node *bare(const struct math_node *node) {
    for (;;) {
        if (node->kind == MATH_QUANTITY || node->kind == MATH_PERCENT || node->kind == MATH_DEGREE)
            node = node->kids[0];
        else if (node->kind == MATH_RELATION && node->n == 2 && relation_is_label(node->kids[0]))
            node = node->kids[1];
        else
            return node;
    }
}

static const struct math_node *unsigned_of(const struct math_node *node) {
    return node->kind == MATH_MUL && node->n == 1 ? node->kids[0] : node;
}

static bool is_literal(const struct math_node *node) {
    return unsigned_of(node)->kind == MATH_NUMBER;
}

static bool is_power_minus_one(const struct math_node *node) {
    return node->kind == MATH_POW && node->op == TREE_JUXTAPOSED;
}

// a / b of two literals.
static bool is_fraction(const struct math_node *node) {
    node = unsigned_of(node);
    return node->kind == MATH_MUL && node->n == 2 && is_literal(node->kids[0]) &&
           is_power_minus_one(node->kids[1]) && is_literal(node->kids[1]->kids[0]);
}

static bool literal(const struct math_node *gold, const struct math_node *answer) {
    const bool number = is_literal(gold), fraction = is_fraction(gold) || gold->kind == MATH_MIXED;
    if (!number && !fraction) return true;
    if (is_literal(answer)) return true;
    return (fraction || unsigned_of(gold)->decimal) &&
           (is_fraction(answer) || answer->kind == MATH_MIXED);
}

static bool in_lowest_terms(const struct math_node *fraction) {
    struct ratio top, bottom, value;
    fraction = unsigned_of(fraction);
    if (!ratio_of(fraction->kids[0], &top) || !ratio_of(fraction->kids[1]->kids[0], &bottom) ||
        !ratio_of(fraction, &value))
        return true;
    return top.den == 1 && bottom.den == 1 && value.den != 1 &&
           (value.den == bottom.num || value.den == -bottom.num);
}

// Is the radicand free of square factors?
static bool is_square_free(const struct math_node *root) {
    struct ratio value;
    if (!tree_is_integer(root->kids[1], 2) || !ratio_of(root->kids[0], &value)) return true;
    if (value.den != 1) return false;
    for (int64_t f = 2; f * f <= value.num && f < 1000; f++)
        if (value.num % (f * f) == 0) return false;
    return value.num != 1 && value.num != 0;
}

// No operation between numbers is left to do.
static bool simplified(const struct math_node *node) {
    struct ratio value;
    int n_known = 0;
    if (is_literal(node)) return true;
    if (is_fraction(node)) return in_lowest_terms(node);
    for (int i = 0; i < node->n; i++) {
        if (!simplified(node->kids[i])) return false;
        n_known += ratio_of(node->kids[i], &value) && !is_power_minus_one(node->kids[i]);
    }
    switch (node->kind) {
    case MATH_ADD:
    case MATH_MUL:
        return n_known < 2;
    case MATH_POW:
        return is_power_minus_one(node) || n_known < 2;
    case MATH_ROOT:
        return is_square_free(node);
    case MATH_FUNCTION:
        return n_known < node->n;
    default:
        return true;
    }
}

bool policy_allows(const struct math_options *options, const struct math_node *gold,
                   const struct math_node *answer) {
    gold = bare(gold);
    answer = bare(answer);
    if (options->policy == MATH_LITERAL) return literal(gold, answer);
    if (options->policy == MATH_SIMPLIFIED) return simplified(answer) || tree_same(gold, answer);
    return true;
}
