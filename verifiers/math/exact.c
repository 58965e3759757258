#include "verifiers/math/exact.h"

#include "verifiers/math/exact_library.h"

enum {
    MAX_EXTENSIONS = 6, // radicals, exponentials, logarithms in one proof
    CALCIUM_STEPS = 1000,
};

// ---- Proofs ----------------------------------------------------------------------------------

static int n_extensions(const struct math_node *node) {
    int n = node->kind == MATH_ROOT || node->kind == MATH_FUNCTION || node->kind == MATH_CONSTANT ||
            node->kind == MATH_DEGREE ||
            (node->kind == MATH_POW && !tree_is_integer(node->kids[1], 2) &&
             node->kids[1]->kind != MATH_NUMBER);
    for (int i = 0; i < node->n; i++) n += n_extensions(node->kids[i]);
    return n;
}

static bool number(const struct math_node *node, ca_t out, ca_ctx_t ctx, struct calc *c);

static bool number_call(const struct math_node *node, ca_t out, ca_ctx_t ctx, struct calc *c) {
    ca_t base;
    bool good = number(node->kids[0], out, ctx, c);
    if (!good) return false;
    ca_init(base, ctx);
    switch ((enum math_function)node->op) {
    case MATH_SIN:
        ca_sin_cos(out, NULL, out, ctx);
        break;
    case MATH_COS:
        ca_sin_cos(NULL, out, out, ctx);
        break;
    case MATH_TAN:
        ca_tan(out, out, ctx);
        break;
    case MATH_ATAN:
        ca_atan(out, out, ctx);
        break;
    case MATH_ASIN:
        ca_asin(out, out, ctx);
        break;
    case MATH_ACOS:
        ca_acos(out, out, ctx);
        break;
    case MATH_COT:
        ca_tan(out, out, ctx);
        ca_inv(out, out, ctx);
        break;
    case MATH_SEC:
        ca_sin_cos(NULL, out, out, ctx);
        ca_inv(out, out, ctx);
        break;
    case MATH_CSC:
        ca_sin_cos(out, NULL, out, ctx);
        ca_inv(out, out, ctx);
        break;
    case MATH_EXP:
        ca_exp(out, out, ctx);
        break;
    case MATH_LN:
        ca_log(out, out, ctx);
        break;
    case MATH_ABS:
        ca_abs(out, out, ctx);
        break;
    case MATH_LOG:
        ca_set_si(base, 10, ctx);
        good = node->n == 1 || number(node->kids[1], base, ctx, c);
        if (good) {
            ca_log(out, out, ctx);
            ca_log(base, base, ctx);
            ca_div(out, out, base, ctx);
        }
        break;
    default:
        good = false;
    }
    ca_clear(base, ctx);
    return good && !ca_is_special(out, ctx);
}

static bool number_power(const struct math_node *node, ca_t out, ca_ctx_t ctx, struct calc *c) {
    ca_t exponent;
    ca_init(exponent, ctx);
    bool good = number(node->kids[0], out, ctx, c) && number(node->kids[1], exponent, ctx, c);
    if (good && node->kids[0]->kind == MATH_CONSTANT && node->kids[0]->op == MATH_E) {
        ca_exp(out, exponent, ctx);
    } else if (good && node->kind == MATH_ROOT) {
        const bool negative =
            !tree_is_integer(node->kids[1], 2) && ca_check_is_negative_real(out, ctx) == T_TRUE;
        if (negative) ca_neg(out, out, ctx);
        ca_inv(exponent, exponent, ctx);
        ca_pow(out, out, exponent, ctx);
        if (negative) ca_neg(out, out, ctx);
    } else if (good) {
        ca_pow(out, out, exponent, ctx);
    }
    ca_clear(exponent, ctx);
    return good && !ca_is_special(out, ctx);
}

static bool number_fold(const struct math_node *node, ca_t out, ca_ctx_t ctx, struct calc *c) {
    ca_t part;
    bool good = true;
    ca_init(part, ctx);
    ca_set_si(out, node->kind == MATH_MUL, ctx);
    for (int i = 0; i < node->n && good; i++) {
        good = number(node->kids[i], part, ctx, c);
        if (!good) break;
        if (node->kind == MATH_MUL)
            ca_mul(out, out, part, ctx);
        else
            ca_add(out, out, part, ctx);
    }
    if (node->kind == MATH_MUL && node->n == 1) ca_neg(out, out, ctx);
    ca_clear(part, ctx);
    return good && !ca_is_special(out, ctx);
}

static bool number(const struct math_node *node, ca_t out, ca_ctx_t ctx, struct calc *c) {
    fmpq_t q;
    if (!calc_spend(c, 10)) return false;
    fmpq_init(q);
    const bool rational = exact_rational(node, q, c);
    if (rational) ca_set_fmpq(out, q, ctx);
    fmpq_clear(q);
    if (rational) return true;
    switch (node->kind) {
    case MATH_CONSTANT:
        if (node->op == MATH_PI) ca_pi(out, ctx);
        if (node->op == MATH_I) ca_i(out, ctx);
        if (node->op == MATH_E) {
            ca_one(out, ctx);
            ca_exp(out, out, ctx);
        }
        return node->op == MATH_PI || node->op == MATH_I || node->op == MATH_E;
    case MATH_ADD:
    case MATH_MUL:
    case MATH_MIXED:
        return number_fold(node, out, ctx, c);
    case MATH_POW:
    case MATH_ROOT:
        return number_power(node, out, ctx, c);
    case MATH_FUNCTION:
        return number_call(node, out, ctx, c);
    case MATH_PERCENT:
    case MATH_DEGREE: {
        if (!number(node->kids[0], out, ctx, c)) return false;
        ca_div_si(out, out, node->kind == MATH_PERCENT ? 100 : 180, ctx);
        if (node->kind == MATH_PERCENT) return true;
        ca_t pi;
        ca_init(pi, ctx);
        ca_pi(pi, ctx);
        ca_mul(out, out, pi, ctx);
        ca_clear(pi, ctx);
        return true;
    }
    default:
        return false;
    }
}

static enum exact prove(const struct math_node *a, const struct math_node *b, struct calc *c) {
    ca_ctx_t ctx;
    ca_t x, y;
    const int n = n_extensions(a) + n_extensions(b);
    if (n > MAX_EXTENSIONS + MAX_EXTENSIONS || n_extensions(a) > MAX_EXTENSIONS ||
        n_extensions(b) > MAX_EXTENSIONS || !calc_spend(c, CALCIUM_STEPS))
        return EXACT_UNKNOWN;
    ca_ctx_init(ctx);
    ctx->options[CA_OPT_PREC_LIMIT] = 1024;
    ctx->options[CA_OPT_QQBAR_DEG_LIMIT] = 60;
    ctx->options[CA_OPT_LLL_PREC] = 96;
    ctx->options[CA_OPT_POW_LIMIT] = 16;
    ctx->options[CA_OPT_SMOOTH_LIMIT] = 32;
    ctx->options[CA_OPT_GROEBNER_LENGTH_LIMIT] = 50;
    ctx->options[CA_OPT_GROEBNER_POLY_LENGTH_LIMIT] = 200;
    ctx->options[CA_OPT_GROEBNER_POLY_BITS_LIMIT] = 2000;
    ctx->options[CA_OPT_VIETA_LIMIT] = 4;
    ca_init(x, ctx);
    ca_init(y, ctx);
    enum exact answer = EXACT_UNKNOWN;
    if (number(a, x, ctx, c) && number(b, y, ctx, c)) {
        const truth_t truth = ca_check_equal(x, y, ctx);
        answer = truth == T_TRUE ? EXACT_YES : truth == T_FALSE ? EXACT_NO : EXACT_UNKNOWN;
    }
    ca_clear(x, ctx);
    ca_clear(y, ctx);
    ca_ctx_clear(ctx);
    return answer;
}

// ---- Constants -------------------------------------------------------------------------------

// Refuted by balls that do not meet? False as well when one side has no value.
static bool apart(const struct math_node *a, const struct math_node *b, struct calc *c,
                  bool *known) {
    acb_t x, y;
    bool refuted = false;
    acb_init(x);
    acb_init(y);
    *known = exact_ball(a, x, c) && exact_ball(b, y, c);
    if (*known) refuted = acb_is_finite(x) && acb_is_finite(y) && !acb_overlaps(x, y);
    acb_clear(x);
    acb_clear(y);
    return refuted;
}

enum exact exact_equal(const struct math_node *a, const struct math_node *b,
                       struct math_budget *budget, const char **rule) {
    struct calc c = {.budget = budget, .bits = 64};
    fmpq_t x, y;
    bool known = true;
    fmpq_init(x);
    fmpq_init(y);
    const bool rational = exact_rational(a, x, &c) && exact_rational(b, y, &c);
    const bool same = rational && fmpq_equal(x, y);
    fmpq_clear(x);
    fmpq_clear(y);
    *rule = "rational";
    if (c.over) return EXACT_LIMIT;
    if (rational) return same ? EXACT_YES : EXACT_NO;
    *rule = "arb";
    for (c.bits = 64; c.bits <= 1024 && known; c.bits *= 4) {
        if (apart(a, b, &c, &known)) return EXACT_NO;
        if (c.over) return EXACT_LIMIT;
        if (!known) return EXACT_UNKNOWN;
        if (c.bits == 256) {
            *rule = "calcium";
            const enum exact answer = prove(a, b, &c);
            if (answer != EXACT_UNKNOWN) return answer;
            *rule = "arb";
        }
    }
    return c.over ? EXACT_LIMIT : EXACT_UNKNOWN;
}

enum exact exact_order(const struct math_node *a, const struct math_node *b,
                       struct math_budget *budget, int *order) {
    struct calc c = {.budget = budget};
    struct ratio r, s;
    const char *rule;
    if (ratio_of(a, &r) && ratio_of(b, &s)) {
        const __int128 left = (__int128)r.num * s.den, right = (__int128)s.num * r.den;
        *order = left < right ? -1 : left > right;
        return EXACT_YES;
    }
    acb_t x, y;
    enum exact answer = EXACT_UNKNOWN;
    acb_init(x);
    acb_init(y);
    for (c.bits = 64; c.bits <= 1024 && answer == EXACT_UNKNOWN; c.bits *= 4) {
        if (!exact_ball(a, x, &c) || !exact_ball(b, y, &c)) break;
        if (!arb_contains_zero(acb_imagref(x)) || !arb_contains_zero(acb_imagref(y))) break;
        if (arb_overlaps(acb_realref(x), acb_realref(y))) continue;
        *order = arb_lt(acb_realref(x), acb_realref(y)) ? -1 : 1;
        answer = EXACT_YES;
    }
    acb_clear(x);
    acb_clear(y);
    if (c.over) return EXACT_LIMIT;
    if (answer == EXACT_YES) return answer;
    *order = 0;
    return exact_equal(a, b, budget, &rule) == EXACT_YES ? EXACT_YES : EXACT_UNKNOWN;
}

enum exact exact_is_terminating(const struct math_node *value, struct math_budget *budget) {
    struct calc c = {.budget = budget};
    fmpq_t x;
    fmpz_t factor;
    fmpq_init(x);
    fmpz_init_set_ui(factor, 2);
    enum exact answer = EXACT_UNKNOWN;
    if (exact_rational(value, x, &c)) {
        fmpz_remove(fmpq_denref(x), fmpq_denref(x), factor);
        fmpz_set_ui(factor, 5);
        fmpz_remove(fmpq_denref(x), fmpq_denref(x), factor);
        answer = fmpz_is_one(fmpq_denref(x)) ? EXACT_YES : EXACT_NO;
    }
    fmpz_clear(factor);
    fmpq_clear(x);
    return c.over ? EXACT_LIMIT : answer;
}

enum exact exact_rounds(const struct math_node *value, const struct math_node *decimal, bool cut,
                        struct math_budget *budget) {
    struct calc c = {.budget = budget, .bits = 256};
    fmpq_t d;
    fmpz_t unit;
    acb_t x, difference;
    fmpq_init(d);
    fmpz_init_set_ui(unit, 10);
    acb_init(x);
    acb_init(difference);
    const bool negative = decimal->kind == MATH_MUL && decimal->n == 1;
    const struct math_node *literal = negative ? decimal->kids[0] : decimal;
    enum exact answer = EXACT_UNKNOWN;
    if (literal->exponent > -1000 && literal->exponent < 1000 && exact_rational(decimal, d, &c) &&
        exact_ball(value, x, &c) && arb_contains_zero(acb_imagref(x))) {
        // In units of the last digit: rounded within a half, cut within one towards zero.
        fmpz_pow_ui(unit, unit, (ulong)labs((long)literal->exponent));
        acb_set_fmpq(difference, d, c.bits);
        acb_sub(difference, x, difference, c.bits);
        if (literal->exponent < 0)
            acb_mul_fmpz(difference, difference, unit, c.bits);
        else
            acb_div_fmpz(difference, difference, unit, c.bits);
        if (fmpq_sgn(d) < 0) acb_neg(difference, difference);
        const arb_srcptr r = acb_realref(difference);
        arb_t bound;
        arb_init(bound);
        arb_set_d(bound, -0.5);
        answer = EXACT_NO;
        if (arb_ge(r, bound)) {
            arb_set_d(bound, cut ? 1 : 0.5);
            if (cut ? arb_lt(r, bound) : arb_le(r, bound)) answer = EXACT_YES;
        }
        arb_clear(bound);
    }
    acb_clear(x);
    acb_clear(difference);
    fmpz_clear(unit);
    fmpq_clear(d);
    return c.over ? EXACT_LIMIT : answer;
}
