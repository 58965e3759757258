// Rational values, bounded before they are computed.
#include "verifiers/math/exact/exact_library.h"

#include <stdlib.h>

enum { MAX_FACTORIAL = 5000 };

static bool fits(const fmpq_t q) {
    return fmpz_bits(fmpq_numref(q)) <= EXACT_MAX_BITS &&
           fmpz_bits(fmpq_denref(q)) <= EXACT_MAX_BITS;
}

static bool ten_to(fmpz_t out, slong exponent) {
    if (exponent > EXACT_MAX_BITS / 4) return false;
    fmpz_set_ui(out, 10);
    fmpz_pow_ui(out, out, (ulong)exponent);
    return true;
}

static bool literal(const struct math_node *node, int base, fmpq_t out, struct calc *c) {
    char *digits = memory_copy(node->text.ptr, node->text.len);
    fmpz_t scale, head;
    bool good = node->text.len > 0 && calc_spend(c, 1 + (int64_t)node->text.len / 64) &&
                fmpz_set_str(fmpq_numref(out), digits, base) == 0;
    fmpz_one(fmpq_denref(out));
    fmpz_init(scale);
    fmpz_init(head);
    if (good && node->repeat) { // (all - head) / (10^repeat - 1) / 10^rest
        const slong rest = -(slong)node->exponent - node->repeat;
        const size_t head_len = node->text.len - (size_t)node->repeat;
        digits[head_len] = 0;
        good = rest >= 0 && (head_len == 0 || fmpz_set_str(head, digits, 10) == 0) &&
               ten_to(scale, node->repeat);
        if (good) {
            fmpz_sub(fmpq_numref(out), fmpq_numref(out), head);
            fmpz_sub_ui(fmpq_denref(out), scale, 1);
            good = ten_to(scale, rest);
            fmpz_mul(fmpq_denref(out), fmpq_denref(out), scale);
        }
    } else if (good && node->exponent) {
        const bool up = node->exponent > 0;
        good = ten_to(scale, up ? node->exponent : -(slong)node->exponent);
        if (good && up) fmpz_mul(fmpq_numref(out), fmpq_numref(out), scale);
        if (good && !up) fmpz_set(fmpq_denref(out), scale);
    }
    if (good) fmpq_canonicalise(out);
    fmpz_clear(scale);
    fmpz_clear(head);
    free(digits);
    return good;
}

static bool rational_power(fmpq_t out, const fmpq_t base, const fmpq_t exponent, struct calc *c) {
    if (!fmpz_is_one(fmpq_denref(exponent)) || !fmpz_fits_si(fmpq_numref(exponent))) return false;
    const slong e = fmpz_get_si(fmpq_numref(exponent));
    const slong size = e < 0 ? -e : e;
    const slong bits = (slong)fmpz_bits(fmpq_numref(base)) + (slong)fmpz_bits(fmpq_denref(base));
    if (size > EXACT_MAX_BITS || size * bits > EXACT_MAX_BITS ||
        !calc_spend(c, 1 + size * bits / 4096))
        return false;
    if (fmpq_is_zero(base) && e <= 0) return false;
    fmpq_pow_si(out, base, e);
    return true;
}

// The root of a perfect power; odd roots of negative numbers are negative.
static bool rational_root(fmpq_t out, const fmpq_t value, const fmpq_t index) {
    if (!fmpz_is_one(fmpq_denref(index)) || fmpz_cmp_si(fmpq_numref(index), 2) < 0 ||
        fmpz_cmp_si(fmpq_numref(index), 64) > 0)
        return false;
    const slong n = fmpz_get_si(fmpq_numref(index));
    if (fmpq_sgn(value) < 0 && n % 2 == 0) return false;
    fmpz_t top, bottom;
    fmpz_init(top);
    fmpz_init(bottom);
    fmpz_abs(top, fmpq_numref(value));
    const bool good = fmpz_root(top, top, n) && fmpz_root(bottom, fmpq_denref(value), n);
    if (good) {
        if (fmpq_sgn(value) < 0) fmpz_neg(top, top);
        fmpq_set_fmpz_frac(out, top, bottom);
    }
    fmpz_clear(top);
    fmpz_clear(bottom);
    return good;
}

static void round_down(fmpq_t out, const fmpq_t value) {
    fmpz_t whole;
    fmpz_init(whole);
    fmpz_fdiv_q(whole, fmpq_numref(value), fmpq_denref(value));
    fmpq_set_fmpz(out, whole);
    fmpz_clear(whole);
}

// One value of a function of one rational number. `out` holds it already.
static bool rational_function(enum math_function function, fmpq_t out, struct calc *c) {
    switch (function) {
    case MATH_ABS:
        fmpq_abs(out, out);
        return true;
    case MATH_FLOOR:
        round_down(out, out);
        return true;
    case MATH_CEIL:
        fmpq_neg(out, out);
        round_down(out, out);
        fmpq_neg(out, out);
        return true;
    case MATH_SIGN:
        fmpq_set_si(out, fmpq_sgn(out), 1);
        return true;
    case MATH_FACTORIAL:
        if (!fmpz_is_one(fmpq_denref(out)) || fmpq_sgn(out) < 0 ||
            fmpz_cmp_si(fmpq_numref(out), MAX_FACTORIAL) > 0)
            return false;
        if (!calc_spend(c, 1 + fmpz_get_si(fmpq_numref(out)) / 4)) return false;
        fmpz_fac_ui(fmpq_numref(out), fmpz_get_ui(fmpq_numref(out)));
        return true;
    default:
        return false;
    }
}

static bool rational_pair(enum math_function function, fmpq_t out, const fmpq_t b, struct calc *c) {
    const bool whole = fmpz_is_one(fmpq_denref(out)) && fmpz_is_one(fmpq_denref(b));
    fmpz *top = fmpq_numref(out);
    switch (function) {
    case MATH_MAX:
        if (fmpq_cmp(out, b) < 0) fmpq_set(out, b);
        return true;
    case MATH_MIN:
        if (fmpq_cmp(out, b) > 0) fmpq_set(out, b);
        return true;
    case MATH_GCD:
        if (whole) fmpz_gcd(top, top, fmpq_numref(b));
        return whole;
    case MATH_LCM:
        if (whole) fmpz_lcm(top, top, fmpq_numref(b));
        return whole && fits(out);
    case MATH_MOD: {
        if (fmpq_is_zero(b)) return false;
        fmpq_t quotient;
        fmpq_init(quotient);
        fmpq_div(quotient, out, b);
        round_down(quotient, quotient);
        fmpq_submul(out, quotient, b);
        fmpq_clear(quotient);
        return true;
    }
    case MATH_BINOMIAL: {
        if (!whole || fmpq_sgn(out) < 0 || fmpq_sgn(b) < 0) return false;
        if (fmpz_cmp_si(top, MAX_FACTORIAL) > 0 || fmpz_cmp_si(fmpq_numref(b), MAX_FACTORIAL) > 0)
            return false;
        const ulong n = fmpz_get_ui(top), k = fmpz_get_ui(fmpq_numref(b));
        if (!calc_spend(c, 1 + (int64_t)n / 4)) return false;
        fmpz_bin_uiui(top, n, k);
        return true;
    }
    default:
        return false;
    }
}

static bool rational_call(const struct math_node *node, fmpq_t out, struct calc *c) {
    fmpq_t b;
    if (!exact_rational(node->kids[0], out, c)) return false;
    if (node->n == 1 && node->op != MATH_GCD && node->op != MATH_LCM && node->op != MATH_MAX &&
        node->op != MATH_MIN)
        return rational_function(node->op, out, c);
    bool good = true;
    fmpq_init(b);
    for (int i = 1; i < node->n && good; i++)
        good = exact_rational(node->kids[i], b, c) && rational_pair(node->op, out, b, c);
    fmpq_clear(b);
    return good;
}

static bool rational_fold(const struct math_node *node, fmpq_t out, struct calc *c) {
    fmpq_t part;
    bool good = true;
    fmpq_init(part);
    fmpq_set_si(out, node->kind == MATH_MUL, 1);
    for (int i = 0; i < node->n && good; i++) {
        good = exact_rational(node->kids[i], part, c);
        if (!good) break;
        if (node->kind == MATH_MUL)
            fmpq_mul(out, out, part);
        else
            fmpq_add(out, out, part);
        good = fits(out) && calc_spend(c, 1 + (int64_t)fmpz_bits(fmpq_numref(out)) / 1024);
    }
    if (node->kind == MATH_MUL && node->n == 1) fmpq_neg(out, out);
    fmpq_clear(part);
    return good;
}

// Digits in a base of 2 to 36, with digits behind the point.
static bool based(const struct math_node *node, fmpq_t out, struct calc *c) {
    struct ratio base;
    if (!ratio_of(node->kids[0], &base) || base.num < 2 || base.num > 36) return false;
    if (!literal(node, (int)base.num, out, c)) return false;
    if (node->n_decimals == 0) return true;
    if (node->n_decimals > 1000) return false;
    fmpz_set_si(fmpq_denref(out), base.num);
    fmpz_pow_ui(fmpq_denref(out), fmpq_denref(out), (ulong)node->n_decimals);
    fmpq_canonicalise(out);
    return true;
}

bool exact_rational(const struct math_node *node, fmpq_t out, struct calc *c) {
    fmpq_t second;
    bool good = false;
    if (node->free || !calc_spend(c, 1)) return false;
    switch (node->kind) {
    case MATH_NUMBER:
        return literal(node, 10, out, c);
    case MATH_BASED:
        return based(node, out, c);
    case MATH_ADD:
    case MATH_MIXED:
    case MATH_MUL:
        return rational_fold(node, out, c);
    case MATH_PERCENT:
        if (!exact_rational(node->kids[0], out, c)) return false;
        fmpq_div_fmpz(out, out, (fmpz[]){100});
        return true;
    case MATH_FUNCTION:
        return rational_call(node, out, c);
    case MATH_POW:
    case MATH_ROOT:
        fmpq_init(second);
        if (exact_rational(node->kids[0], out, c) && exact_rational(node->kids[1], second, c))
            good = node->kind == MATH_POW ? rational_power(out, out, second, c)
                                          : rational_root(out, out, second);
        fmpq_clear(second);
        return good && fits(out);
    default:
        return false;
    }
}
