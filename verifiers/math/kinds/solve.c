// Inequalities in one symbol, solved by the real roots of quotients of polynomials. Absolute values
// are taken apart by cases.
#include "verifiers/math/kinds/real_set.h"

enum { MAX_ABSOLUTES = 4, MAX_COST = 400 };

// The only symbol below a node. False when there is another one, or something else that is free.
static bool find_variable(const struct math_node *node, const struct math_node **out) {
    if (!node->free) return true;
    if (node->kind == MATH_SYMBOL) {
        if (*out && !tree_same(*out, node)) return false;
        *out = node;
        return true;
    }
    if (!tree_is_scalar(node) || node->kind == MATH_APPLY || node->kind == MATH_BIG ||
        node->kind == MATH_DOTS)
        return false;
    for (int i = 0; i < node->n; i++)
        if (!find_variable(node->kids[i], out)) return false;
    return true;
}

// An absolute value with none below it, or NULL.
static const struct math_node *find_absolute(const struct math_node *node) {
    if (!node->free) return NULL;
    for (int i = 0; i < node->n; i++) {
        const struct math_node *found = find_absolute(node->kids[i]);
        if (found) return found;
    }
    return node->kind == MATH_FUNCTION && node->op == MATH_ABS ? node : NULL;
}

// Does a sign satisfy `sign op 0`?
static bool satisfies(int sign, int op) {
    switch (op) {
    case MATH_LT:
        return sign < 0;
    case MATH_LE:
        return sign <= 0;
    case MATH_GT:
        return sign > 0;
    case MATH_GE:
        return sign >= 0;
    case MATH_NE:
        return sign != 0;
    default:
        return false;
    }
}

// f op 0 for a quotient of polynomials.
static bool solve_signs(struct comparison *c, const struct math_node *f, int op,
                        struct real_set *out) {
    struct exact_signs *s = arena_take(c->arena, 1, sizeof *s);
    *out = (struct real_set){0};
    if (exact_signs(f, c->budget, c->arena, s) != EXACT_YES) return false;
    for (int i = 0; i <= s->n; i++) {
        const struct math_node *low = i > 0 ? s->points[i - 1] : NULL;
        const struct math_node *high = i < s->n ? s->points[i] : NULL;
        const struct piece between = {low, high, true, true}, point = {high, high, false, false};
        if (satisfies(s->signs[i], op) && !real_set_add(out, between)) return false;
        if (high && !s->poles[i] && satisfies(0, op) && !real_set_add(out, point)) return false;
    }
    return real_set_normalise(c, out);
}

// f op 0, with `depth` absolute values taken apart already.
static bool solve(struct comparison *c, const struct math_node *f, int op, int depth,
                  struct real_set *out) {
    const struct math_node *absolute = find_absolute(f);
    struct real_set where;
    if (!math_step(c->budget, 20)) return false;
    if (!absolute) return solve_signs(c, f, op, out);
    if (depth == MAX_ABSOLUTES) return false;
    const struct math_node *inside = absolute->kids[0];
    for (int negative = 0; negative < 2; negative++) {
        struct real_set *part = arena_take(c->arena, 1, sizeof *part);
        const struct math_node *value = negative ? kind_negated(c, inside) : inside;
        if (!solve_signs(c, inside, negative ? MATH_LT : MATH_GE, &where) ||
            !solve(c, kind_replaced(c, f, absolute, value), op, depth + 1, part) ||
            !real_set_intersect(c, part, &where))
            return false;
        if (negative == 0)
            *out = *part;
        else if (!real_set_unite(c, out, part))
            return false;
    }
    return true;
}

bool real_set_solve(struct comparison *c, const struct math_node *left, int op,
                    const struct math_node *right, struct real_set *out) {
    const struct math_node *variable = NULL;
    if (!tree_is_scalar(left) || !tree_is_scalar(right) || !find_variable(left, &variable) ||
        !find_variable(right, &variable) || !variable)
        return false;
    const struct math_node *const sum[] = {left, kind_negated(c, right)};
    if (!solve(c, kind_node(c, MATH_ADD, 0, 2, sum), op, 0, out)) return false;
    out->variable = variable;
    return true;
}
