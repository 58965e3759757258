// Expressions with symbols at sample points: refuted where two balls do not meet, otherwise agreed.
//
// The points follow from both trees, so that an answer cannot be made to agree at points known
// before. A point at which one side is not real, while neither is written with i, is outside the
// domain and left out: sqrt(1/n) is 1/sqrt(n) where both are real. A constant too small for the
// precision could hide a difference, so that nothing is agreed where there is one.
#include "verifiers/math/exact/exact_library.h"

enum {
    N_POINTS = 12,
    N_ANCHORS = 16,
    N_CORNER_POINTS = 60, // where an absolute value or the like is written
    TRIES = 4,            // points looked at for each that should lie in the domain
    POINT_BITS = 192,
    MIN_ACCURACY = 64, // bits of a value that may count as agreement
};

static bool has_imaginary(const struct math_node *node) {
    if (node->kind == MATH_CONSTANT && node->op == MATH_I) return true;
    for (int i = 0; i < node->n; i++)
        if (has_imaginary(node->kids[i])) return true;
    return false;
}

// A constant part of the tree that is nearly zero, or a power that is nearly zero at the point.
static bool has_tiny(const struct math_node *node, struct calc *c) {
    if (!node->free || node->kind == MATH_POW ||
        (node->kind == MATH_FUNCTION && node->op == MATH_EXP)) {
        acb_t x;
        acb_init(x);
        const bool known = exact_ball(node, x, c);
        const bool tiny = known && !acb_is_zero(x) && acb_rel_accuracy_bits(x) > 0 &&
                          acb_is_finite(x) &&
                          mag_cmp_2exp_si(arb_radref(acb_realref(x)), -40) < 0 &&
                          arf_cmpabs_2exp_si(arb_midref(acb_realref(x)), -60) < 0 &&
                          arf_cmpabs_2exp_si(arb_midref(acb_imagref(x)), -60) < 0;
        acb_clear(x);
        if (tiny || !known) return true;
    }
    for (int i = 0; i < node->n; i++)
        if (node->kids[i]->kind != MATH_NUMBER && has_tiny(node->kids[i], c)) return true;
    return false;
}

static bool accurate(const acb_t x) {
    return acb_is_finite(x) && (acb_rel_accuracy_bits(x) >= MIN_ACCURACY ||
                                (mag_cmp_2exp_si(arb_radref(acb_realref(x)), -MIN_ACCURACY) < 0 &&
                                 mag_cmp_2exp_si(arb_radref(acb_imagref(x)), -MIN_ACCURACY) < 0));
}

static bool is_real(const acb_t x) {
    return arb_contains_zero(acb_imagref(x));
}

// Functions that are made of pieces.
static bool has_corner(const struct math_node *node) {
    if (node->free && node->kind == MATH_FUNCTION &&
        (node->op == MATH_ABS || node->op == MATH_FLOOR || node->op == MATH_CEIL ||
         node->op == MATH_MAX || node->op == MATH_MIN || node->op == MATH_SIGN))
        return true;
    for (int i = 0; i < node->n; i++)
        if (has_corner(node->kids[i])) return true;
    return false;
}

struct comparison {
    const struct math_node *a, *b;
    bool corner;  // an absolute value or the like is written on a side
    bool complex; // i is written on a side
    bool proportional;
    bool has_ratio;
    acb_t ratio; // a / b at the first point
};

// One point: EXACT_YES agrees, EXACT_NO refutes, EXACT_UNKNOWN lies outside the domain.
static enum exact compare(struct comparison *q, struct calc *c) {
    acb_t x, y;
    enum exact answer = EXACT_UNKNOWN;
    acb_init(x);
    acb_init(y);
    if (!exact_ball(q->a, x, c) || !exact_ball(q->b, y, c)) {
        answer = EXACT_LIMIT;
    } else if (q->corner && !q->complex && acb_is_finite(x) && acb_is_finite(y) &&
               is_real(x) != is_real(y)) {
        answer = EXACT_NO; // ln |x| is not ln x
    } else if (acb_is_finite(x) && acb_is_finite(y) && (q->complex || (is_real(x) && is_real(y)))) {
        if (q->proportional && !q->has_ratio && !acb_contains_zero(y)) {
            acb_div(q->ratio, x, y, c->bits);
            q->has_ratio = true;
            answer = acb_contains_zero(q->ratio) ? EXACT_NO : EXACT_YES;
        } else if (q->proportional && q->has_ratio) {
            acb_mul(y, y, q->ratio, c->bits);
        }
        if (answer == EXACT_UNKNOWN && !acb_overlaps(x, y))
            answer = EXACT_NO;
        else if (answer == EXACT_UNKNOWN && accurate(x) && accurate(y))
            answer = EXACT_YES;
    }
    acb_clear(x);
    acb_clear(y);
    return answer;
}

// The numbers that are written in an expression.
static int find_anchors(const struct math_node *node, struct ratio *anchors, int n) {
    if (n < N_ANCHORS && node->kind == MATH_NUMBER && ratio_of(node, &anchors[n])) return n + 1;
    for (int i = 0; i < node->n; i++) n = find_anchors(node->kids[i], anchors, n);
    return n;
}

static enum exact sample(struct comparison *q, struct math_budget *budget) {
    struct ratio anchors[N_ANCHORS];
    struct calc c = {.budget = budget, .bits = POINT_BITS, .anchors = anchors};
    int n_agreed = 0, n_refuted = 0;
    c.n_anchors = find_anchors(q->b, anchors, find_anchors(q->a, anchors, 0));
    uint64_t seed = q->a->hash * 31 + q->b->hash;
    const int n_points = q->corner ? N_CORNER_POINTS : N_POINTS;
    for (int i = 0; i < TRIES * n_points && n_agreed < n_points; i++) {
        seed = seed * 6364136223846793005u + 1442695040888963407u;
        c.seed = seed;
        c.point = i;
        const enum exact answer = compare(q, &c);
        if (c.over) return EXACT_LIMIT;
        if (answer == EXACT_LIMIT) return EXACT_UNKNOWN;
        n_agreed += answer == EXACT_YES;
        n_refuted += answer == EXACT_NO;
        if (n_refuted)
            return tree_has(q->a, MATH_APPLY) || tree_has(q->b, MATH_APPLY) ? EXACT_UNKNOWN
                                                                            : EXACT_NO;
    }
    if (n_agreed < N_POINTS / 3) return EXACT_UNKNOWN;
    c.point = 1; // near zero, where no power is tiny of itself
    const bool tiny = has_tiny(q->a, &c) || has_tiny(q->b, &c);
    return c.over ? EXACT_LIMIT : tiny ? EXACT_UNKNOWN : EXACT_AGREE;
}

static enum exact decide(const struct math_node *a, const struct math_node *b, bool proportional,
                         struct math_budget *budget, const char **rule) {
    struct calc c = {.budget = budget};
    *rule = "polynomial";
    enum exact answer = exact_polynomials(a, b, proportional, &c);
    if (c.over) return EXACT_LIMIT;
    if (answer != EXACT_UNKNOWN) return answer;
    *rule = "primes";
    answer = exact_modular(a, b, proportional, &c);
    if (c.over) return EXACT_LIMIT;
    if (answer != EXACT_UNKNOWN) return answer;
    *rule = "points";
    struct comparison q = {.a = a, .b = b, .proportional = proportional};
    q.complex = has_imaginary(a) || has_imaginary(b);
    q.corner = has_corner(a) || has_corner(b);
    acb_init(q.ratio);
    answer = sample(&q, budget);
    acb_clear(q.ratio);
    return answer;
}

enum exact exact_identity(const struct math_node *a, const struct math_node *b,
                          struct math_budget *budget, const char **rule) {
    return decide(a, b, false, budget, rule);
}

// The sign of a / b at a few points, 0 where it changes.
static int quotient_sign(const struct math_node *a, const struct math_node *b,
                         struct math_budget *budget) {
    struct calc c = {.budget = budget, .bits = POINT_BITS};
    acb_t x, y;
    int sign = 0;
    bool mixed = false;
    acb_init(x);
    acb_init(y);
    for (uint64_t i = 1; i <= N_POINTS && !mixed; i++) {
        c.seed = i * 0x9E3779B97F4A7C15u + a->hash;
        if (!exact_ball(a, x, &c) || !exact_ball(b, y, &c)) break;
        if (!is_real(x) || !is_real(y)) continue;
        arb_mul(acb_realref(x), acb_realref(x), acb_realref(y), POINT_BITS);
        const int here = arb_is_positive(acb_realref(x)) - arb_is_negative(acb_realref(x));
        mixed = sign && here && here != sign;
        if (here) sign = here;
    }
    acb_clear(x);
    acb_clear(y);
    return mixed ? 0 : sign;
}

enum exact exact_proportional(const struct math_node *a, const struct math_node *b,
                              struct math_budget *budget, const char **rule, int *sign) {
    const enum exact answer = decide(a, b, true, budget, rule);
    *sign = answer == EXACT_YES || answer == EXACT_AGREE ? quotient_sign(a, b, budget) : 0;
    return answer;
}
