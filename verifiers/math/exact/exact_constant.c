// Two constants: the same number, which is greater, does one round to the other?
#include <stdlib.h>

#include "verifiers/math/exact/exact_library.h"

// NO when the balls do not meet, YES when both are the same single number. `*known`: both have a
// value.
static enum exact by_balls(const struct math_node *a, const struct math_node *b, struct calc *c,
                           bool *known) {
    acb_t x, y;
    enum exact answer = EXACT_UNKNOWN;
    acb_init(x);
    acb_init(y);
    *known = exact_ball(a, x, c) && exact_ball(b, y, c);
    if (*known && acb_is_finite(x) && acb_is_finite(y)) {
        if (!acb_overlaps(x, y)) answer = EXACT_NO;
        if (acb_is_exact(x) && acb_is_exact(y) && acb_equal(x, y)) answer = EXACT_YES;
    }
    acb_clear(x);
    acb_clear(y);
    return answer;
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
        const enum exact found = by_balls(a, b, &c, &known);
        if (found != EXACT_UNKNOWN) return found;
        if (c.over) return EXACT_LIMIT;
        if (!known) return EXACT_UNKNOWN;
        if (c.bits == 256) {
            *rule = "calcium";
            const enum exact answer = exact_prove(a, b, &c);
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

// Of a rational value, whose ties a ball cannot decide: as exact_rounds, in units of the last
// digit.
static enum exact rational_rounds(const fmpq_t value, const fmpq_t decimal, slong exponent,
                                  bool cut) {
    fmpq_t difference, bound;
    fmpz_t unit;
    fmpq_init(difference);
    fmpq_init(bound);
    fmpz_init_set_ui(unit, 10);
    fmpz_pow_ui(unit, unit, (ulong)labs(exponent));
    fmpq_sub(difference, value, decimal);
    if (exponent < 0)
        fmpq_mul_fmpz(difference, difference, unit);
    else
        fmpq_div_fmpz(difference, difference, unit);
    if (fmpq_sgn(decimal) < 0) fmpq_neg(difference, difference);
    fmpq_set_si(bound, -1, 2);
    bool within = fmpq_cmp(difference, bound) >= 0;
    fmpq_set_si(bound, 1, cut ? 1 : 2);
    const int above = fmpq_cmp(difference, bound);
    within &= above < 0;
    fmpz_clear(unit);
    fmpq_clear(bound);
    fmpq_clear(difference);
    return within ? EXACT_YES : EXACT_NO;
}

enum exact exact_rounds(const struct math_node *value, const struct math_node *decimal, bool cut,
                        struct math_budget *budget) {
    struct calc c = {.budget = budget, .bits = 256};
    fmpq_t d, exact;
    fmpz_t unit;
    acb_t x, difference;
    fmpq_init(d);
    fmpq_init(exact);
    fmpz_init_set_ui(unit, 10);
    acb_init(x);
    acb_init(difference);
    const bool negative = decimal->kind == MATH_MUL && decimal->n == 1;
    const struct math_node *literal = negative ? decimal->kids[0] : decimal;
    enum exact answer = EXACT_UNKNOWN;
    const bool fits =
        literal->exponent > -1000 && literal->exponent < 1000 && exact_rational(decimal, d, &c);
    if (fits && exact_rational(value, exact, &c)) {
        answer = rational_rounds(exact, d, literal->exponent, cut);
    } else if (fits && exact_ball(value, x, &c) && arb_contains_zero(acb_imagref(x))) {
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
    fmpq_clear(exact);
    fmpq_clear(d);
    return c.over ? EXACT_LIMIT : answer;
}
