// Real roots of polynomials, and the signs of quotients of polynomials between them.
//
// A polynomial is taken apart into irreducible factors over the integers. Roots of linear and
// quadratic factors are written with fractions and square roots, others are MATH_ALGEBRAIC nodes.
#include "verifiers/math/exact/exact_library.h"

#include <stdlib.h>

#include <flint/fmpz_poly_factor.h>

enum {
    MAX_DEGREE = 24,
    MAX_BITS = 400, // of a coefficient
    FACTOR_STEPS = 60,
};

static void get_coefficient(fmpz_t out, const fmpz_poly_t p, slong i) {
    fmpz_poly_get_coeff_fmpz(out, p, i);
}

// A root, with a number for the order of roots that is exact enough to tell them apart.
struct root {
    const struct math_node *node;
    arb_t ball;
    bool pole, odd; // odd: the sign changes there
};

struct roots {
    struct root list[EXACT_MAX_POINTS];
    int n;
    struct arena *arena;
};

// The polynomial that a node of MATH_ALGEBRAIC is a root of.
static void polynomial_of(const struct math_node *node, fmpz_poly_t out, struct calc *c) {
    fmpq_t q;
    fmpq_init(q);
    for (int i = 0; i < node->n; i++)
        if (exact_rational(node->kids[i], q, c)) fmpz_poly_set_coeff_fmpz(out, i, fmpq_numref(q));
    fmpq_clear(q);
}

static int by_midpoint(const void *a, const void *b) {
    return arf_cmp(arb_midref((arb_srcptr)a), arb_midref((arb_srcptr)b));
}

// The real roots of a square-free polynomial in ascending order, in `out` (degree many). Returns
// their number.
static int real_roots(const fmpz_poly_t p, arb_ptr out, slong bits) {
    const slong degree = fmpz_poly_degree(p);
    acb_ptr all = _acb_vec_init(degree);
    int n = 0;
    arb_fmpz_poly_complex_roots(all, p, 0, bits);
    for (slong i = 0; i < degree; i++)
        if (arb_is_zero(acb_imagref(all + i))) arb_set(out + n++, acb_realref(all + i));
    qsort(out, (size_t)n, sizeof *out, by_midpoint);
    _acb_vec_clear(all, degree);
    return n;
}

bool exact_algebraic_ball(const struct math_node *node, acb_t out, struct calc *c) {
    fmpz_poly_t p;
    if (node->n < 2 || node->n > MAX_DEGREE + 1 || !calc_spend(c, FACTOR_STEPS)) return false;
    fmpz_poly_init(p);
    polynomial_of(node, p, c);
    const slong degree = fmpz_poly_degree(p);
    arb_ptr roots = _arb_vec_init(degree);
    const bool good = node->op < real_roots(p, roots, c->bits);
    if (good) acb_set_arb(out, roots + node->op);
    _arb_vec_clear(roots, degree);
    fmpz_poly_clear(p);
    return good;
}

bool exact_algebraic(const struct math_node *node, ca_t out, ca_ctx_t ctx, struct calc *c) {
    fmpz_poly_t p;
    if (node->n < 2 || node->n > MAX_DEGREE + 1 || !calc_spend(c, 4 * FACTOR_STEPS)) return false;
    fmpz_poly_init(p);
    polynomial_of(node, p, c);
    const slong degree = fmpz_poly_degree(p);
    qqbar_ptr roots = _qqbar_vec_init(degree);
    qqbar_roots_fmpz_poly(roots, p, 0);
    int below = 0;
    bool found = false;
    for (slong i = 0; i < degree && !found; i++) {
        if (!qqbar_is_real(roots + i)) continue;
        below = 0;
        for (slong k = 0; k < degree; k++)
            below += qqbar_is_real(roots + k) && qqbar_cmp_re(roots + k, roots + i) < 0;
        found = below == node->op;
        if (found) ca_set_qqbar(out, roots + i, ctx);
    }
    _qqbar_vec_clear(roots, degree);
    fmpz_poly_clear(p);
    return found;
}

static bool add_root(struct roots *roots, const struct math_node *node, arb_srcptr ball, bool pole,
                     bool odd) {
    if (roots->n == EXACT_MAX_POINTS) return false;
    struct root *root = &roots->list[roots->n++];
    arb_init(root->ball);
    arb_set(root->ball, ball);
    root->node = node;
    root->pole = pole;
    root->odd = odd;
    return true;
}

// (-b +- sqrt(b^2 - 4ac)) / 2a, or -c/b, or the polynomial itself with the number of the root.
static const struct math_node *root_node(const fmpz_poly_t p, int number, struct arena *arena) {
    const slong degree = fmpz_poly_degree(p);
    struct math_node *kids[MAX_DEGREE + 1], *node;
    fmpz_t a, b, c;
    fmpz_init(a);
    fmpz_init(b);
    fmpz_init(c);
    get_coefficient(a, p, degree);
    get_coefficient(b, p, 1);
    get_coefficient(c, p, 0);
    if (degree == 1) {
        fmpz_neg(c, c);
        if (fmpz_sgn(b) < 0) {
            fmpz_neg(b, b);
            fmpz_neg(c, c);
        }
        node = exact_fraction_node(exact_integer_node(c, arena), b, arena);
    } else if (degree == 2) {
        fmpz_mul(c, c, a);
        fmpz_mul_si(c, c, -4);
        fmpz_addmul(c, b, b);
        struct math_node *const radical[] = {exact_integer_node(c, arena), tree_number(2, arena)};
        struct math_node *root = exact_node(MATH_ROOT, 0, radical, 2, arena);
        if ((number == 0) == (fmpz_sgn(a) > 0))
            root = exact_node(MATH_MUL, TREE_MINUS, &root, 1, arena);
        fmpz_neg(b, b);
        struct math_node *const sum[] = {exact_integer_node(b, arena), root};
        fmpz_mul_si(a, a, fmpz_sgn(a) < 0 ? -2 : 2);
        node = exact_node(MATH_ADD, 0, sum, 2, arena);
        get_coefficient(c, p, degree);
        if (fmpz_sgn(c) < 0) node = exact_node(MATH_MUL, TREE_MINUS, &node, 1, arena);
        node = exact_fraction_node(node, a, arena);
    } else {
        for (slong i = 0; i <= degree; i++) {
            get_coefficient(a, p, i);
            kids[i] = exact_integer_node(a, arena);
        }
        node = exact_node(MATH_ALGEBRAIC, (uint8_t)number, kids, (int)degree + 1, arena);
    }
    fmpz_clear(a);
    fmpz_clear(b);
    fmpz_clear(c);
    return node;
}

// Adds the real roots of `p`, those of `bottom` as poles.
static bool add_roots(struct roots *roots, const fmpz_poly_t p, const fmpz_poly_t bottom,
                      struct calc *c) {
    const slong degree = fmpz_poly_degree(p);
    if (degree < 1) return true;
    if (degree > MAX_DEGREE || labs(fmpz_poly_max_bits(p)) > MAX_BITS ||
        !calc_spend(c, FACTOR_STEPS * degree))
        return false;
    fmpz_poly_factor_t factors;
    fmpz_poly_t rest;
    fmpz_poly_factor_init(factors);
    fmpz_poly_init(rest);
    fmpz_poly_factor(factors, p);
    bool good = true;
    for (slong i = 0; i < factors->num && good; i++) {
        const fmpz_poly_struct *factor = factors->p + i;
        const slong size = fmpz_poly_degree(factor);
        const bool pole = fmpz_poly_divides(rest, bottom, factor);
        arb_ptr balls = _arb_vec_init(size);
        const int n = real_roots(factor, balls, 256);
        for (int k = 0; k < n && good; k++)
            good = add_root(roots, root_node(factor, k, roots->arena), balls + k, pole,
                            factors->exp[i] % 2 == 1);
        _arb_vec_clear(balls, size);
    }
    fmpz_poly_clear(rest);
    fmpz_poly_factor_clear(factors);
    return good;
}

static int by_ball(const void *a, const void *b) {
    return arf_cmp(arb_midref(((const struct root *)a)->ball),
                   arb_midref(((const struct root *)b)->ball));
}

// Roots of coprime polynomials: in order when their balls are apart.
static bool are_apart(const struct roots *roots) {
    for (int i = 1; i < roots->n; i++)
        if (!arb_lt(roots->list[i - 1].ball, roots->list[i].ball)) return false;
    return true;
}

// The sign of a quotient is that of top * bottom.
static bool find_signs(const fmpz_poly_t top, const fmpz_poly_t bottom, struct roots *roots,
                       struct calc *c, struct exact_signs *out) {
    fmpz_poly_t product;
    fmpz_poly_init(product);
    fmpz_poly_mul(product, top, bottom);
    const bool zero = fmpz_poly_is_zero(product);
    bool good = add_roots(roots, zero ? bottom : product, bottom, c);
    int sign = zero ? 0 : fmpz_sgn(fmpz_poly_lead(product));
    fmpz_poly_clear(product);
    qsort(roots->list, (size_t)roots->n, sizeof *roots->list, by_ball);
    good = good && are_apart(roots);
    out->n = roots->n;
    for (int i = roots->n; i >= 0 && good; i--) { // from the right, where the lead decides
        out->signs[i] = sign;
        if (i == 0) break;
        out->points[i - 1] = roots->list[i - 1].node;
        out->poles[i - 1] = roots->list[i - 1].pole;
        if (roots->list[i - 1].odd) sign = -sign;
    }
    return good;
}

enum exact exact_signs(const struct math_node *expression, struct math_budget *budget,
                       struct arena *arena, struct exact_signs *out) {
    struct calc c = {.budget = budget};
    struct roots roots = {.arena = arena};
    fmpz_poly_t top, bottom;
    fmpz_poly_init(top);
    fmpz_poly_init(bottom);
    const bool good =
        exact_quotient(expression, top, bottom, &c) && find_signs(top, bottom, &roots, &c, out);
    for (int i = 0; i < roots.n; i++) arb_clear(roots.list[i].ball);
    fmpz_poly_clear(top);
    fmpz_poly_clear(bottom);
    return c.over ? EXACT_LIMIT : good ? EXACT_YES : EXACT_UNKNOWN;
}
