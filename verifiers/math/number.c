#include "verifiers/math/number.h"

#include <string.h>

// a / b with a scaled by 10^exponent, compared across: sign(a.num * b.den - b.num * a.den).
static int cross(const struct number *a, const struct number *b) {
    struct big left, right;
    big_mul(&left, &a->num, &b->den); // operands: products fit
    big_mul(&right, &b->num, &a->den);
    return big_compare(&left, &right);
}

static bool same_value(const struct number *a, const struct number *b) {
    if (a->num.n == 0 || b->num.n == 0) return a->num.n == b->num.n;
    return a->negative == b->negative && cross(a, b) == 0;
}

// Whether some decimal with finitely many digits has this value: num * 10^k divisible by den.
static bool terminates(const struct number *a) {
    struct big den = a->den, rest;
    for (uint32_t prime = 2; prime <= 5; prime += 3)
        for (;;) {
            struct big less = den;
            if (big_divide(&less, prime) != 0) break;
            den = less;
        }
    big_mod(&rest, &a->num, &den);
    return rest.n == 0;
}

// Whether `shorter`, a decimal, is `exact` cut (where `cut`) or rounded to shorter's decimals.
static bool rounds_to(const struct number *exact, const struct number *shorter, bool cut) {
    struct big left, right, rest, twice;
    if (exact->negative != shorter->negative) return false;
    // shorter = s / d with d its power of ten: |exact - s/d| * d in units of exact.den is
    // |e.num * d - s * e.den|, to be compared with e.den.
    big_mul(&left, &exact->num, &shorter->den);
    big_mul(&right, &shorter->num, &exact->den);
    const bool above = big_compare(&left, &right) >= 0;
    if (above)
        big_sub(&rest, &left, &right);
    else
        big_sub(&rest, &right, &left);
    if (cut && above && big_compare(&rest, &exact->den) < 0) return true;
    twice = rest;
    big_scale(&twice, 2, 0);
    return big_compare(&twice, &exact->den) <= 0;
}

static enum number_order compare_values(const struct number *gold, const struct number *answer,
                                        bool long_decimals) {
    if (same_value(gold, answer)) return NUMBER_EQUAL;
    if (answer->form == NUMBER_DECIMAL && gold->form == NUMBER_FRACTION &&
        answer->n_significant >= 6 && !terminates(gold) && rounds_to(gold, answer, true))
        return NUMBER_EQUAL_ROUNDED;
    if (gold->form == NUMBER_DECIMAL) {
        if (answer->form == NUMBER_FRACTION && !terminates(answer) &&
            rounds_to(answer, gold, false))
            return NUMBER_EQUAL_ROUNDED;
        if (long_decimals && answer->form == NUMBER_DECIMAL && gold->n_significant >= 3 &&
            answer->n_decimals > gold->n_decimals && rounds_to(answer, gold, false))
            return NUMBER_EQUAL_ROUNDED;
    }
    return NUMBER_DIFFERENT;
}

static void as_fraction_of_100(struct number *a) {
    big_scale(&a->den, 100, 0);
    a->n_decimals += 2;
    a->form = a->form == NUMBER_INTEGER ? NUMBER_DECIMAL : a->form;
}

enum number_order number_compare(const struct number *gold, const struct number *answer,
                                 bool long_decimals) {
    if (gold->unit[0] && answer->unit[0] && strcmp(gold->unit, answer->unit) != 0)
        return NUMBER_UNDECIDED;
    // With the sign on both sides, or on neither, the bare numbers are compared.
    if (gold->percent == answer->percent) return compare_values(gold, answer, long_decimals);
    struct number with = gold->percent ? *gold : *answer;
    as_fraction_of_100(&with);
    const enum number_order by_value = gold->percent ? compare_values(&with, answer, long_decimals)
                                                     : compare_values(gold, &with, long_decimals);
    if (by_value != NUMBER_DIFFERENT) return by_value;
    // 50% for 50, but not 0.5% for 0.5; a gold with the sign takes the bare number.
    if (!gold->percent && big_compare(&gold->num, &gold->den) <= 0) return NUMBER_DIFFERENT;
    return compare_values(gold, answer, long_decimals);
}

enum number_order number_compare_lists(const struct number_list *gold,
                                       const struct number_list *answer, bool long_decimals) {
    bool used[NUMBER_MAX_LIST] = {false};
    enum number_order worst = NUMBER_EQUAL;
    if (gold->n != answer->n) return NUMBER_DIFFERENT;
    for (int i = 0; i < gold->n; i++) {
        enum number_order best = NUMBER_UNDECIDED;
        int at = -1;
        bool undecided = false;
        for (int j = 0; j < answer->n && best != NUMBER_EQUAL; j++) {
            if (used[j]) continue;
            const enum number_order o =
                number_compare(&gold->items[i], &answer->items[j], long_decimals);
            undecided = undecided || o == NUMBER_UNDECIDED;
            if (o == NUMBER_EQUAL || (o == NUMBER_EQUAL_ROUNDED && at < 0)) {
                best = o;
                at = j;
            }
        }
        if (at < 0) return undecided ? NUMBER_UNDECIDED : NUMBER_DIFFERENT;
        used[at] = true;
        if (best > worst) worst = best;
    }
    return worst;
}
