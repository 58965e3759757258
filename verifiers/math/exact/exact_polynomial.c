// Quotients of polynomials with integer coefficients, compared by cross-multiplication: no greatest
// common divisor is ever taken, so that the work is bounded by the number of terms.
#include "verifiers/math/exact/exact_library.h"

enum {
    MAX_TERMS = 2000,
    MAX_DEGREE = 60, // of one power
    MAX_WORK = 4000, // steps of one expansion; what costs more is left to exact_modular.c
};

struct field {
    fmpz_mpoly_ctx_t ctx;
    int n_symbols;
    uint64_t symbols[EXACT_MAX_VARIABLES]; // hashes
    int64_t work;
    struct calc *c;
};

struct quotient {
    fmpz_mpoly_t top, bottom;
};

static void quotient_init(struct quotient *q, struct field *f) {
    fmpz_mpoly_init(q->top, f->ctx);
    fmpz_mpoly_init(q->bottom, f->ctx);
    fmpz_mpoly_one(q->bottom, f->ctx);
}

static void quotient_clear(struct quotient *q, struct field *f) {
    fmpz_mpoly_clear(q->top, f->ctx);
    fmpz_mpoly_clear(q->bottom, f->ctx);
}

// a = a * b within the budget.
static bool multiply(fmpz_mpoly_t a, const fmpz_mpoly_t b, struct field *f) {
    const slong n = fmpz_mpoly_length(a, f->ctx), m = fmpz_mpoly_length(b, f->ctx);
    const slong bits = fmpz_mpoly_max_bits(a), words = (bits < 0 ? -bits : bits) / 64;
    if (n * m > 50L * MAX_TERMS || words > 128) return false;
    const int64_t steps = 1 + n * m * (16 + words) / 128;
    f->work += steps;
    if (f->work > MAX_WORK || !calc_spend(f->c, steps)) return false;
    fmpz_mpoly_mul(a, a, b, f->ctx);
    return fmpz_mpoly_length(a, f->ctx) <= MAX_TERMS;
}

static bool times(struct quotient *a, const struct quotient *b, struct field *f) {
    return multiply(a->top, b->top, f) && multiply(a->bottom, b->bottom, f);
}

static bool plus(struct quotient *a, const struct quotient *b, struct field *f) {
    if (fmpz_mpoly_equal(a->bottom, b->bottom, f->ctx)) {
        fmpz_mpoly_add(a->top, a->top, b->top, f->ctx);
        return true;
    }
    struct quotient other;
    quotient_init(&other, f);
    fmpz_mpoly_set(other.top, b->top, f->ctx);
    const bool good = multiply(other.top, a->bottom, f) && multiply(a->top, b->bottom, f) &&
                      multiply(a->bottom, b->bottom, f);
    if (good) fmpz_mpoly_add(a->top, a->top, other.top, f->ctx);
    quotient_clear(&other, f);
    return good;
}

static bool value(const struct math_node *node, struct quotient *out, struct field *f);

static bool symbol(const struct math_node *node, struct quotient *out, struct field *f) {
    int i = 0;
    while (i < f->n_symbols && f->symbols[i] != node->hash) i++;
    if (i == EXACT_MAX_VARIABLES) return false;
    if (i == f->n_symbols) f->symbols[f->n_symbols++] = node->hash;
    fmpz_mpoly_gen(out->top, i, f->ctx);
    return true;
}

static bool constant(const struct math_node *node, struct quotient *out, struct field *f) {
    fmpq_t q;
    fmpq_init(q);
    const bool good = exact_rational(node, q, f->c);
    if (good) {
        fmpz_mpoly_set_fmpz(out->top, fmpq_numref(q), f->ctx);
        fmpz_mpoly_set_fmpz(out->bottom, fmpq_denref(q), f->ctx);
    }
    fmpq_clear(q);
    return good;
}

static bool power(const struct math_node *node, struct quotient *out, struct field *f) {
    struct ratio exponent;
    struct quotient base;
    if (!ratio_of(node->kids[1], &exponent) || exponent.den != 1) return false;
    const int64_t size = exponent.num < 0 ? -exponent.num : exponent.num;
    if (size > MAX_DEGREE) return false;
    quotient_init(&base, f);
    bool good = value(node->kids[0], &base, f);
    if (good && exponent.num < 0) {
        fmpz_mpoly_swap(base.top, base.bottom, f->ctx);
        good = !fmpz_mpoly_is_zero(base.bottom, f->ctx);
    }
    fmpz_mpoly_one(out->top, f->ctx);
    for (int64_t i = 0; i < size && good; i++) good = times(out, &base, f);
    quotient_clear(&base, f);
    return good;
}

static bool fold(const struct math_node *node, struct quotient *out, struct field *f) {
    bool good = true;
    const bool product = node->kind == MATH_MUL;
    if (product) fmpz_mpoly_one(out->top, f->ctx);
    for (int i = 0; i < node->n && good; i++) {
        struct quotient part;
        quotient_init(&part, f);
        good = value(node->kids[i], &part, f) &&
               (product ? times(out, &part, f) : plus(out, &part, f));
        quotient_clear(&part, f);
    }
    if (product && node->n == 1) fmpz_mpoly_neg(out->top, out->top, f->ctx);
    return good;
}

static bool value(const struct math_node *node, struct quotient *out, struct field *f) {
    if (!calc_spend(f->c, 1)) return false;
    if (!node->free) return constant(node, out, f);
    switch (node->kind) {
    case MATH_SYMBOL:
    case MATH_APPLY:
        return symbol(node, out, f);
    case MATH_ADD:
    case MATH_MUL:
        return fold(node, out, f);
    case MATH_POW:
        return power(node, out, f);
    default:
        return false;
    }
}

// Are two polynomials the same up to a constant that is not zero?
static bool same_direction(fmpz_mpoly_t a, fmpz_mpoly_t b, struct field *f) {
    if (fmpz_mpoly_is_zero(a, f->ctx) || fmpz_mpoly_is_zero(b, f->ctx))
        return fmpz_mpoly_is_zero(a, f->ctx) && fmpz_mpoly_is_zero(b, f->ctx);
    fmpz_t left, right;
    fmpz_init(left);
    fmpz_init(right);
    fmpz_mpoly_get_term_coeff_fmpz(left, a, 0, f->ctx);
    fmpz_mpoly_get_term_coeff_fmpz(right, b, 0, f->ctx);
    fmpz_mpoly_scalar_mul_fmpz(a, a, right, f->ctx);
    fmpz_mpoly_scalar_mul_fmpz(b, b, left, f->ctx);
    fmpz_clear(left);
    fmpz_clear(right);
    return fmpz_mpoly_equal(a, b, f->ctx);
}

// An unknown function whose arguments are written in two ways is two generators, so a difference
// between such expressions is no proof.
static bool has_application(const struct math_node *node) {
    return tree_has(node, MATH_APPLY);
}

enum exact exact_polynomials(const struct math_node *a, const struct math_node *b,
                             bool proportional, struct calc *c) {
    struct field f = {.c = c};
    struct quotient left, right;
    bool same = false;
    fmpz_mpoly_ctx_init(f.ctx, EXACT_MAX_VARIABLES, ORD_DEGREVLEX);
    quotient_init(&left, &f);
    quotient_init(&right, &f);
    bool good = value(a, &left, &f) && value(b, &right, &f);
    if (good && proportional) {
        same = same_direction(left.top, right.top, &f);
    } else if (good) {
        good = multiply(left.top, right.bottom, &f) && multiply(right.top, left.bottom, &f);
        same = good && fmpz_mpoly_equal(left.top, right.top, f.ctx);
    }
    quotient_clear(&left, &f);
    quotient_clear(&right, &f);
    fmpz_mpoly_ctx_clear(f.ctx);
    if (!good) return EXACT_UNKNOWN;
    if (same) return EXACT_YES;
    return has_application(a) || has_application(b) ? EXACT_UNKNOWN : EXACT_NO;
}

bool exact_quotient(const struct math_node *node, fmpz_poly_t top, fmpz_poly_t bottom,
                    struct calc *c) {
    struct field f = {.c = c};
    struct quotient q;
    if (has_application(node)) return false;
    fmpz_mpoly_ctx_init(f.ctx, EXACT_MAX_VARIABLES, ORD_DEGREVLEX);
    quotient_init(&q, &f);
    const bool good = value(node, &q, &f) && f.n_symbols <= 1 &&
                      fmpz_mpoly_get_fmpz_poly(top, q.top, 0, f.ctx) &&
                      fmpz_mpoly_get_fmpz_poly(bottom, q.bottom, 0, f.ctx);
    quotient_clear(&q, &f);
    fmpz_mpoly_ctx_clear(f.ctx);
    return good;
}

static bool only_symbol(const struct math_node *node, const struct math_node *symbol) {
    if (node->kind == MATH_SYMBOL) return tree_same(node, symbol);
    for (int i = 0; i < node->n; i++)
        if (!only_symbol(node->kids[i], symbol)) return false;
    return true;
}

// The antiderivative of `top` that is zero at 0, at `x`.
static bool antiderivative(const fmpz_poly_t top, const fmpq_t x, fmpq_t out, struct calc *c) {
    fmpq_t term;
    bool good = true;
    fmpq_init(term);
    fmpq_zero(out);
    for (slong i = fmpz_poly_length(top); i-- > 0 && good;) { // by Horner's scheme
        fmpz_poly_get_coeff_fmpz(fmpq_numref(term), top, i);
        fmpz_set_si(fmpq_denref(term), i + 1);
        fmpq_canonicalise(term);
        fmpq_add(out, out, term);
        fmpq_mul(out, out, x);
        good = fmpz_bits(fmpq_numref(out)) < EXACT_MAX_BITS &&
               fmpz_bits(fmpq_denref(out)) < EXACT_MAX_BITS &&
               calc_spend(c, 1 + (int64_t)fmpz_bits(fmpq_numref(out)) / 1024);
    }
    fmpq_clear(term);
    return good;
}

const struct math_node *exact_integral(const struct math_node *body,
                                       const struct math_node *variable,
                                       const struct math_node *low, const struct math_node *high,
                                       struct math_budget *budget, struct arena *arena) {
    struct calc c = {.budget = budget};
    const struct math_node *value = NULL;
    fmpz_poly_t top, bottom;
    fmpq_t from, to, x;
    fmpz_poly_init(top);
    fmpz_poly_init(bottom);
    fmpq_init(from);
    fmpq_init(to);
    fmpq_init(x);
    const bool good = only_symbol(body, variable) && exact_rational(low, x, &c) &&
                      exact_quotient(body, top, bottom, &c) && fmpz_poly_degree(bottom) == 0 &&
                      antiderivative(top, x, from, &c) && exact_rational(high, x, &c) &&
                      antiderivative(top, x, to, &c);
    if (good) {
        fmpq_sub(to, to, from);
        fmpz_poly_get_coeff_fmpz(fmpq_numref(from), bottom, 0);
        fmpz_one(fmpq_denref(from));
        fmpq_div(to, to, from);
        value = exact_rational_node(to, arena);
    }
    fmpq_clear(from);
    fmpq_clear(to);
    fmpq_clear(x);
    fmpz_poly_clear(top);
    fmpz_poly_clear(bottom);
    return value;
}
