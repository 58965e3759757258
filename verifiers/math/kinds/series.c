#include "verifiers/math/kinds/series.h"

#include "verifiers/math/kinds/derivative.h"

enum { MAX_LOW = 20 }; // terms that are taken off the front

static const struct math_node *number(struct comparison *c, long value) {
    return tree_number(value, c->arena);
}

static const struct math_node *times(struct comparison *c, const struct math_node *a,
                                     const struct math_node *b) {
    const struct math_node *const pair[] = {a, b};
    return kind_node(c, MATH_MUL, 0, 2, pair);
}

static const struct math_node *minus(struct comparison *c, const struct math_node *a,
                                     const struct math_node *b) {
    const struct math_node *const pair[] = {a, kind_negated(c, b)};
    return kind_node(c, MATH_ADD, 0, 2, pair);
}

static const struct math_node *power(struct comparison *c, const struct math_node *base,
                                     const struct math_node *exponent) {
    const struct math_node *const pair[] = {base, exponent};
    return kind_node(c, MATH_POW, 0, 2, pair);
}

// The first factor of a product that `is_it` says yes to, or NULL.
static const struct math_node *factor(const struct series *s, const struct math_node *node,
                                      bool (*is_it)(const struct series *s,
                                                    const struct math_node *node)) {
    if (is_it(s, node)) return node;
    for (int i = 0; node->kind == MATH_MUL && i < node->n; i++) {
        const struct math_node *found = factor(s, node->kids[i], is_it);
        if (found) return found;
    }
    return NULL;
}

// The product with one in the place of its factor.
static const struct math_node *without(struct comparison *c, const struct math_node *node,
                                       const struct math_node *part) {
    if (node == part) return number(c, 1);
    if (node->kind != MATH_MUL || node->n > MATH_MAX_ITEMS || !math_step(c->budget, 1)) return node;
    const struct math_node *kids[MATH_MAX_ITEMS];
    for (int i = 0; i < node->n; i++) kids[i] = without(c, node->kids[i], part);
    return kind_rebuilt(c, node, kids);
}

// k^s as s, for s = 1 k alone; 0 where the node is no such power.
static int64_t exponent_of(const struct series *s, const struct math_node *node) {
    struct ratio top;
    if (tree_same(node, s->variable)) return 1;
    if (node->kind != MATH_POW || !ratio_of(node->kids[1], &top) || top.den != 1) return 0;
    const int64_t inner = exponent_of(s, node->kids[0]);
    if (inner < -8 || inner > 8 || top.num < -8 || top.num > 8) return 0;
    return inner * top.num;
}

static bool is_even_power(const struct series *s, const struct math_node *node) {
    const int64_t exponent = exponent_of(s, node);
    return exponent <= -2 && exponent >= -8 && exponent % 2 == 0;
}

static bool is_factorial_below(const struct series *s, const struct math_node *node) {
    struct ratio top;
    if (node->kind != MATH_POW || !ratio_of(node->kids[1], &top) || top.num != -1 || top.den != 1)
        return false;
    const struct math_node *base = node->kids[0];
    return base->kind == MATH_FUNCTION && base->op == MATH_FACTORIAL &&
           tree_same(base->kids[0], s->variable);
}

static bool is_binomial(const struct series *s, const struct math_node *node) {
    return node->kind == MATH_FUNCTION && node->op == MATH_BINOMIAL &&
           tree_same(node->kids[0], s->high) && tree_same(node->kids[1], s->variable);
}

// The rest of a body: its value at zero, and what each step multiplies it by.
struct rest {
    const struct math_node *start, *growth;
    struct ratio ratio; // the growth, where it is rational, else 0/1
};

static bool rest_of(struct comparison *c, const struct series *s, const struct math_node *part,
                    struct rest *out) {
    const struct math_node *rest = without(c, s->body, part);
    out->growth = derivative_growth(c, rest, s->variable);
    if (!out->growth || out->growth->free) return false;
    const struct math_node *literal = exact_literal(out->growth, c->budget, c->arena);
    if (literal) out->growth = literal;
    if (!literal || !ratio_of(literal, &out->ratio)) out->ratio = (struct ratio){0, 1};
    out->start = kind_replaced(c, rest, s->variable, number(c, 0));
    return !out->start->free;
}

// The sum less the terms from `first` on that are in front of it.
static const struct math_node *less_front(struct comparison *c, const struct series *s,
                                          const struct math_node *all, int64_t first) {
    for (int64_t k = first; k < s->low; k++)
        all = minus(c, all, kind_replaced(c, s->body, s->variable, number(c, (long)k)));
    return all;
}

static const struct math_node *exponential(struct comparison *c, const struct series *s) {
    struct rest rest;
    const struct math_node *part = factor(s, s->body, is_factorial_below);
    if (!part || s->low < 0 || !rest_of(c, s, part, &rest)) return NULL;
    const struct math_node *e = kind_node(c, MATH_CONSTANT, MATH_E, 0, NULL);
    return less_front(c, s, times(c, rest.start, power(c, e, rest.growth)), 0);
}

// zeta(s) = pi^s / DIVISORS; with signs that alternate, 1 - 1/4 + 1/9 - ..., it is multiplied by
// 1 - 2^{1 - s}.
static const struct math_node *even_powers(struct comparison *c, const struct series *s) {
    static const long DIVISORS[] = {6, 90, 945, 9450};
    struct rest rest;
    const struct math_node *part = factor(s, s->body, is_even_power);
    if (!part || s->low < 1 || !rest_of(c, s, part, &rest)) return NULL;
    const bool alternates = rest.ratio.num == -1 && rest.ratio.den == 1;
    if (!alternates && (rest.ratio.num != 1 || rest.ratio.den != 1)) return NULL;
    const int64_t exponent = -exponent_of(s, part);
    const struct math_node *pi = kind_node(c, MATH_CONSTANT, MATH_PI, 0, NULL);
    const struct math_node *zeta = kind_quotient(c, power(c, pi, number(c, (long)exponent)),
                                                 number(c, DIVISORS[exponent / 2 - 1]));
    if (alternates) {
        const struct math_node *half = power(c, number(c, 2), number(c, (long)(1 - exponent)));
        zeta = times(c, minus(c, half, number(c, 1)), zeta);
    }
    return less_front(c, s, times(c, rest.start, zeta), 1);
}

static const struct math_node *binomial(struct comparison *c, const struct series *s) {
    struct rest rest;
    const struct math_node *part = factor(s, s->body, is_binomial);
    if (!part || s->low < 0 || s->low > 1 || !rest_of(c, s, part, &rest)) return NULL;
    if (rest.ratio.num == -1 && rest.ratio.den == 1) return NULL; // 0^n, which is 1 for n = 0
    const struct math_node *const sum[] = {number(c, 1), rest.growth};
    const struct math_node *base = kind_node(c, MATH_ADD, 0, 2, sum);
    const struct math_node *all = times(c, rest.start, power(c, base, s->high));
    return s->low == 0 ? all : minus(c, all, rest.start);
}

const struct math_node *series_value(struct comparison *c, const struct series *s) {
    if (s->low > MAX_LOW) return NULL;
    if (kind_infinity(s->high) != 1) return binomial(c, s);
    const struct math_node *value = exponential(c, s);
    return value ? value : even_powers(c, s);
}
