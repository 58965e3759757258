// Values as balls of complex numbers, at a sample point where there are symbols.
#include "verifiers/math/exact/exact_library.h"

// A rational number that depends on the symbol and the point only. Points are in turn near a number
// that is written in the expressions, where an absolute value may have its corner; within -1 and 1;
// and wide.
static void sample(uint64_t hash, const struct calc *c, acb_t out) {
    static const ulong WIDTHS[] = {1, 10, 100};
    uint64_t h = (hash ^ c->seed) * 0x9E3779B97F4A7C15u;
    h ^= h >> 29;
    h *= 0xBF58476D1CE4E5B9u;
    h ^= h >> 32;
    const slong top = (slong)(h % 397) + 3;
    const bool negative = (h >> 20) % 3 == 0;
    const ulong width = c->point % 3 == 2 ? WIDTHS[(h >> 24) % 3] * 10 : 1;
    fmpq_t q, anchor;
    fmpq_init(q);
    fmpq_init(anchor);
    fmpq_set_si(q, (negative ? -top : top) * (slong)width, 401 + (ulong)(h >> 40) % 101);
    if (c->point % 3 == 0 && c->n_anchors) { // above and below each, and each with a minus
        const int turn = c->point / 3;
        const int n = c->n_anchors;
        const struct ratio *near = &c->anchors[(turn / 4 + (int)(hash % (uint64_t)n)) % n];
        fmpq_set_si(anchor, turn & 2 ? -near->num : near->num, (ulong)near->den);
        fmpq_abs(q, q);
        if (turn & 1) fmpq_neg(q, q);
        fmpq_add(q, q, anchor);
    }
    acb_set_fmpq(out, q, c->bits);
    fmpq_clear(q);
    fmpq_clear(anchor);
}

static bool ball_root(const struct math_node *node, acb_t out, struct calc *c) {
    acb_t index;
    acb_init(index);
    bool good = exact_ball(node->kids[0], out, c) && exact_ball(node->kids[1], index, c);
    if (good && tree_is_integer(node->kids[1], 2)) {
        acb_sqrt(out, out, c->bits);
    } else if (good) {
        const bool odd = tree_is_integer(node->kids[1], 3) || tree_is_integer(node->kids[1], 5) ||
                         tree_is_integer(node->kids[1], 7) || tree_is_integer(node->kids[1], 9);
        const bool negative = odd && acb_is_real(out) && arb_is_negative(acb_realref(out));
        if (negative) acb_neg(out, out);
        acb_inv(index, index, c->bits);
        acb_pow(out, out, index, c->bits);
        if (negative) acb_neg(out, out);
    }
    acb_clear(index);
    return good;
}

typedef void (*ball_function)(acb_t, const acb_t, slong);

static void ball_ln(acb_t out, const acb_t x, slong bits) {
    acb_log(out, x, bits);
}

static void ball_asec(acb_t out, const acb_t x, slong bits) {
    acb_inv(out, x, bits);
    acb_acos(out, out, bits);
}

static void ball_acsc(acb_t out, const acb_t x, slong bits) {
    acb_inv(out, x, bits);
    acb_asin(out, out, bits);
}

// pi/2 - atan x, between 0 and pi.
static void ball_acot(acb_t out, const acb_t x, slong bits) {
    acb_t half;
    acb_init(half);
    acb_const_pi(half, bits);
    acb_mul_2exp_si(half, half, -1);
    acb_atan(out, x, bits);
    acb_sub(out, half, out, bits);
    acb_clear(half);
}

static const ball_function BALL_FUNCTIONS[MATH_N_FUNCTIONS] = {
    [MATH_SIN] = acb_sin,     [MATH_COS] = acb_cos,     [MATH_TAN] = acb_tan,
    [MATH_COT] = acb_cot,     [MATH_SEC] = acb_sec,     [MATH_CSC] = acb_csc,
    [MATH_ASIN] = acb_asin,   [MATH_ACOS] = acb_acos,   [MATH_ATAN] = acb_atan,
    [MATH_ACOT] = ball_acot,  [MATH_ASEC] = ball_asec,  [MATH_ACSC] = ball_acsc,
    [MATH_SINH] = acb_sinh,   [MATH_COSH] = acb_cosh,   [MATH_TANH] = acb_tanh,
    [MATH_COTH] = acb_coth,   [MATH_SECH] = acb_sech,   [MATH_CSCH] = acb_csch,
    [MATH_ASINH] = acb_asinh, [MATH_ACOSH] = acb_acosh, [MATH_ATANH] = acb_atanh,
    [MATH_EXP] = acb_exp,     [MATH_LN] = ball_ln,
};

// n! / (k! (n - k)!) with `n` in `out`.
static bool ball_binomial(const struct math_node *node, acb_t out, struct calc *c) {
    const slong bits = c->bits < 256 ? c->bits : 256;
    acb_t k, rest;
    acb_init(k);
    acb_init(rest);
    const bool good = exact_ball(node->kids[1], k, c);
    acb_sub(rest, out, k, bits);
    acb_t *const all[] = {(acb_t *)out, &k, &rest};
    for (int i = 0; good && i < 3; i++) {
        acb_add_si(*all[i], *all[i], 1, bits);
        if (i == 0)
            acb_gamma(*all[i], *all[i], bits);
        else
            acb_rgamma(*all[i], *all[i], bits);
    }
    acb_mul(out, out, k, bits);
    acb_mul(out, out, rest, bits);
    acb_clear(k);
    acb_clear(rest);
    return good;
}

static bool ball_call(const struct math_node *node, acb_t out, struct calc *c) {
    acb_t base;
    bool good = true;
    if (!calc_spend(c, 1 + c->bits / 128) || !exact_ball(node->kids[0], out, c)) return false;
    if (BALL_FUNCTIONS[node->op]) {
        BALL_FUNCTIONS[node->op](out, out, c->bits);
        return true;
    }
    switch ((enum math_function)node->op) {
    case MATH_LOG:
        acb_init(base);
        acb_set_si(base, 10);
        good = node->n == 1 || exact_ball(node->kids[1], base, c);
        if (good) {
            acb_log(out, out, c->bits);
            acb_log(base, base, c->bits);
            acb_div(out, out, base, c->bits);
        }
        acb_clear(base);
        return good;
    case MATH_ABS:
        acb_abs(acb_realref(out), out, c->bits);
        arb_zero(acb_imagref(out));
        return true;
    case MATH_FACTORIAL:
        acb_add_si(out, out, 1, c->bits);
        acb_gamma(out, out, c->bits < 256 ? c->bits : 256);
        return true;
    case MATH_BINOMIAL:
        return ball_binomial(node, out, c);
    case MATH_FLOOR:
    case MATH_CEIL:
        if (!acb_is_real(out)) return false;
        if (node->op == MATH_FLOOR)
            arb_floor(acb_realref(out), acb_realref(out), c->bits);
        else
            arb_ceil(acb_realref(out), acb_realref(out), c->bits);
        return true;
    case MATH_RE:
        arb_zero(acb_imagref(out));
        return true;
    case MATH_IM:
        arb_set(acb_realref(out), acb_imagref(out));
        arb_zero(acb_imagref(out));
        return true;
    case MATH_MAX:
    case MATH_MIN:
        acb_init(base);
        for (int i = 1; i < node->n && good; i++) {
            good = exact_ball(node->kids[i], base, c) && acb_is_real(out) && acb_is_real(base);
            if (!good) break;
            if (node->op == MATH_MAX)
                arb_max(acb_realref(out), acb_realref(out), acb_realref(base), c->bits);
            else
                arb_min(acb_realref(out), acb_realref(out), acb_realref(base), c->bits);
        }
        acb_clear(base);
        return good;
    default:
        return false;
    }
}

static bool ball_constant(enum math_constant constant, acb_t out, slong bits) {
    if (constant == MATH_PI) {
        acb_const_pi(out, bits);
    } else if (constant == MATH_E) {
        acb_one(out);
        acb_exp(out, out, bits);
    } else if (constant == MATH_I) {
        acb_onei(out);
    } else {
        return false;
    }
    return true;
}

static bool ball_fold(const struct math_node *node, acb_t out, struct calc *c) {
    acb_t part;
    bool good = true;
    acb_init(part);
    acb_set_si(out, node->kind == MATH_MUL);
    for (int i = 0; i < node->n && good; i++) {
        good = exact_ball(node->kids[i], part, c);
        if (!good) break;
        if (node->kind == MATH_MUL)
            acb_mul(out, out, part, c->bits);
        else
            acb_add(out, out, part, c->bits);
    }
    if (node->kind == MATH_MUL && node->n == 1) acb_neg(out, out);
    acb_clear(part);
    return good;
}

static bool ball_known(const struct math_node *node, acb_t out, struct calc *c) {
    fmpq_t q;
    fmpq_init(q);
    const bool good = exact_rational(node, q, c);
    if (good) acb_set_fmpq(out, q, c->bits);
    fmpq_clear(q);
    return good;
}

bool exact_ball(const struct math_node *node, acb_t out, struct calc *c) {
    acb_t second;
    bool good;
    if (!calc_spend(c, 1 + c->bits / 256)) return false;
    switch (node->kind) {
    case MATH_NUMBER:
    case MATH_BASED:
        return ball_known(node, out, c);
    case MATH_CONSTANT:
        return ball_constant(node->op, out, c->bits);
    case MATH_SYMBOL:
    case MATH_APPLY:
        sample(node->hash, c, out);
        return true;
    case MATH_ADD:
    case MATH_MIXED:
    case MATH_MUL:
        return ball_fold(node, out, c);
    case MATH_PERCENT:
        good = exact_ball(node->kids[0], out, c);
        acb_div_si(out, out, 100, c->bits);
        return good;
    case MATH_DEGREE:
        acb_init(second);
        good = exact_ball(node->kids[0], out, c);
        acb_const_pi(second, c->bits);
        acb_mul(out, out, second, c->bits);
        acb_div_si(out, out, 180, c->bits);
        acb_clear(second);
        return good;
    case MATH_ROOT:
        return ball_root(node, out, c);
    case MATH_ALGEBRAIC:
        return exact_algebraic_ball(node, out, c);
    case MATH_POW:
        acb_init(second);
        good = exact_ball(node->kids[0], out, c) && exact_ball(node->kids[1], second, c) &&
               calc_spend(c, c->bits / 128);
        if (good) acb_pow(out, out, second, c->bits);
        acb_clear(second);
        return good;
    case MATH_FUNCTION:
        return (!node->free && ball_known(node, out, c)) || ball_call(node, out, c);
    default:
        return false;
    }
}
