#include "verifiers/math/kinds/derivative.h"

enum { MAX_FACTORS = 16 };

static const struct math_node *number(struct comparison *c, long value) {
    return tree_number(value, c->arena);
}

static const struct math_node *times(struct comparison *c, const struct math_node *a,
                                     const struct math_node *b) {
    const struct math_node *const pair[] = {a, b};
    return kind_node(c, MATH_MUL, 0, 2, pair);
}

static const struct math_node *power(struct comparison *c, const struct math_node *base,
                                     const struct math_node *exponent) {
    const struct math_node *const pair[] = {base, exponent};
    return kind_node(c, MATH_POW, 0, 2, pair);
}

static const struct math_node *call(struct comparison *c, enum math_function function,
                                    const struct math_node *argument) {
    return kind_node(c, MATH_FUNCTION, (uint8_t)function, 1, &argument);
}

static const struct math_node *plus(struct comparison *c, const struct math_node *a, long b) {
    const struct math_node *const pair[] = {a, number(c, b)};
    return kind_node(c, MATH_ADD, 0, 2, pair);
}

static const struct math_node *derived(struct comparison *c, const struct math_node *node,
                                       const struct math_node *x);

static const struct math_node *of_sum(struct comparison *c, const struct math_node *node,
                                      const struct math_node *x) {
    const struct math_node *terms[MAX_FACTORS];
    if (node->n > MAX_FACTORS) return NULL;
    for (int i = 0; i < node->n; i++)
        if (!(terms[i] = derived(c, node->kids[i], x))) return NULL;
    return kind_node(c, MATH_ADD, 0, node->n, terms);
}

static const struct math_node *of_product(struct comparison *c, const struct math_node *node,
                                          const struct math_node *x) {
    const struct math_node *terms[MAX_FACTORS], *factors[MAX_FACTORS];
    if (node->n > MAX_FACTORS) return NULL;
    if (node->n == 1) {
        const struct math_node *inner = derived(c, node->kids[0], x);
        return inner ? kind_negated(c, inner) : NULL; // a product of one factor is minus it
    }
    for (int i = 0; i < node->n; i++) {
        for (int k = 0; k < node->n; k++) factors[k] = node->kids[k];
        if (!(factors[i] = derived(c, node->kids[i], x))) return NULL;
        terms[i] = kind_node(c, MATH_MUL, 0, node->n, factors);
    }
    return kind_node(c, MATH_ADD, 0, node->n, terms);
}

// u^n with a constant n, and a^u with a positive constant a.
static const struct math_node *of_power(struct comparison *c, const struct math_node *base,
                                        const struct math_node *exponent,
                                        const struct math_node *x) {
    int order = 0;
    if (!exponent->free) {
        const struct math_node *inner = derived(c, base, x);
        if (!inner) return NULL;
        return times(c, times(c, exponent, power(c, base, plus(c, exponent, -1))), inner);
    }
    if (base->free || exact_order(base, number(c, 0), c->budget, &order) != EXACT_YES || order <= 0)
        return NULL;
    const struct math_node *inner = derived(c, exponent, x);
    if (!inner) return NULL;
    return times(c, times(c, power(c, base, exponent), call(c, MATH_LN, base)), inner);
}

// The derivative of a function at u; NULL where it is not known.
static const struct math_node *of_function(struct comparison *c, enum math_function function,
                                           const struct math_node *u) {
    const struct math_node *two = number(c, 2);
    switch (function) {
    case MATH_SIN:
        return call(c, MATH_COS, u);
    case MATH_COS:
        return kind_negated(c, call(c, MATH_SIN, u));
    case MATH_TAN:
        return power(c, call(c, MATH_COS, u), number(c, -2));
    case MATH_SINH:
        return call(c, MATH_COSH, u);
    case MATH_COSH:
        return call(c, MATH_SINH, u);
    case MATH_EXP:
        return call(c, MATH_EXP, u);
    case MATH_LN:
        return power(c, u, number(c, -1));
    case MATH_ATAN:
        return power(c, plus(c, power(c, u, two), 1), number(c, -1));
    default:
        return NULL;
    }
}

static const struct math_node *derived(struct comparison *c, const struct math_node *node,
                                       const struct math_node *x) {
    if (!math_step(c->budget, 1)) return NULL;
    if (tree_same(node, x)) return number(c, 1);
    if (!node->free) return tree_is_scalar(node) ? number(c, 0) : NULL;
    switch (node->kind) {
    case MATH_ADD:
        return of_sum(c, node, x);
    case MATH_MUL:
        return of_product(c, node, x);
    case MATH_POW:
        return of_power(c, node->kids[0], node->kids[1], x);
    case MATH_ROOT:
        return node->kids[1]->free
                   ? NULL
                   : of_power(c, node->kids[0], kind_quotient(c, number(c, 1), node->kids[1]), x);
    case MATH_FUNCTION: {
        const struct math_node *outer =
            node->n == 1 ? of_function(c, node->op, node->kids[0]) : NULL;
        const struct math_node *inner = outer ? derived(c, node->kids[0], x) : NULL;
        return inner ? times(c, outer, inner) : NULL;
    }
    default: // another symbol might depend on this one
        return NULL;
    }
}

const struct math_node *derivative_of(struct comparison *c, const struct math_node *body,
                                      const struct math_node *variable) {
    return derived(c, body, variable);
}

// By how much an exponent grows when k goes up by one; false where that is no integer constant.
static bool slope(const struct math_node *node, const struct math_node *k, int64_t *out) {
    struct ratio value;
    int64_t part;
    enum { MAX_SLOPE = 1000 };
    *out = 0;
    if (!node->free) return true;
    if (tree_same(node, k)) {
        *out = 1;
        return true;
    }
    if (node->kind == MATH_ADD) {
        for (int i = 0; i < node->n; i++, *out += part)
            if (!slope(node->kids[i], k, &part)) return false;
        return *out <= MAX_SLOPE && *out >= -MAX_SLOPE;
    }
    if (node->kind != MATH_MUL || node->n > 2) return false;
    const struct math_node *last = node->kids[node->n - 1];
    if (node->n == 2 && (!ratio_of(node->kids[0], &value) || value.den != 1 ||
                         value.num > MAX_SLOPE || value.num < -MAX_SLOPE))
        return false;
    if (!slope(last, k, &part)) return false;
    *out = (node->n == 1 ? -1 : value.num) * part;
    return *out <= MAX_SLOPE && *out >= -MAX_SLOPE;
}

const struct math_node *derivative_growth(struct comparison *c, const struct math_node *body,
                                          const struct math_node *variable) {
    int64_t exponent;
    if (!math_step(c->budget, 1)) return NULL;
    if (!body->free) return tree_is_scalar(body) ? number(c, 1) : NULL;
    if (body->kind == MATH_MUL) {
        const struct math_node *all = number(c, 1);
        for (int i = 0; i < body->n; i++) {
            const struct math_node *part = derivative_growth(c, body->kids[i], variable);
            if (!part) return NULL;
            all = times(c, all, part);
        }
        return all;
    }
    if (body->kind != MATH_POW) return NULL;
    const struct math_node *base = body->kids[0], *top = body->kids[1];
    if (base->free) { // (2^n)^{-1}
        const struct math_node *inner = top->free ? NULL : derivative_growth(c, base, variable);
        return inner ? power(c, inner, top) : NULL;
    }
    return slope(top, variable, &exponent) ? power(c, base, number(c, (long)exponent)) : NULL;
}
