// Quotients of polynomials of any degree at points modulo primes: (x - 1)^2000 is never expanded.
//
// The value at a point is a homomorphism, so two values that differ prove that the expressions do.
// Values that agree prove nothing alone; but the primes and points follow from both trees, and a
// difference of degree D is zero at one of 2^60 points with a probability of D / 2^60. With
// D < 2^40 and eight points that is below 2^-160.
#include "verifiers/math/exact/exact_library.h"

#include <flint/nmod.h>
#include <flint/nmod_vec.h>
#include <flint/ulong_extras.h>

enum { N_PRIMES = 2, N_POINTS = 4, TRIES = 4 };

static const double MAX_DEGREE = 1e12;

struct place {
    nmod_t prime;
    uint64_t seed; // of the point
    struct calc *c;
};

static uint64_t scramble(uint64_t x) {
    x = (x ^ (x >> 30)) * 0xBF58476D1CE4E5B9u;
    x = (x ^ (x >> 27)) * 0x94D049BB133111EBu;
    return x ^ (x >> 31);
}

// The degree of top and bottom at most; over MAX_DEGREE where it is no quotient of polynomials.
static double degree(const struct math_node *node, struct calc *c) {
    struct ratio exponent;
    double all = 0;
    if (!calc_spend(c, 1)) return 2 * MAX_DEGREE;
    if (!node->free) return 0;
    switch (node->kind) {
    case MATH_SYMBOL:
    case MATH_APPLY:
        return 1;
    case MATH_ADD:
    case MATH_MUL: // with a common denominator the degrees of terms add up as well
        for (int i = 0; i < node->n; i++) all += degree(node->kids[i], c);
        return all;
    case MATH_POW:
        if (node->kids[1]->free || !ratio_of(node->kids[1], &exponent) || exponent.den != 1)
            return 2 * MAX_DEGREE;
        return degree(node->kids[0], c) * (double)(exponent.num < 0 ? -exponent.num : exponent.num);
    default:
        return 2 * MAX_DEGREE;
    }
}

static bool value(const struct math_node *node, const struct place *at, ulong *out);

static bool constant(const struct math_node *node, const struct place *at, ulong *out) {
    fmpq_t q;
    fmpq_init(q);
    bool good = exact_rational(node, q, at->c);
    if (good) {
        const ulong top = fmpz_fdiv_ui(fmpq_numref(q), at->prime.n);
        const ulong bottom = fmpz_fdiv_ui(fmpq_denref(q), at->prime.n);
        good = bottom != 0;
        if (good) *out = nmod_div(top, bottom, at->prime);
    }
    fmpq_clear(q);
    return good;
}

static bool power(const struct math_node *node, const struct place *at, ulong *out) {
    struct ratio exponent;
    if (!ratio_of(node->kids[1], &exponent) || exponent.den != 1) return false;
    if (!value(node->kids[0], at, out)) return false;
    if (exponent.num <= 0 && *out == 0) return false;
    const ulong size = (ulong)(exponent.num < 0 ? -exponent.num : exponent.num);
    *out = nmod_pow_ui(*out, size, at->prime);
    if (exponent.num < 0) *out = nmod_inv(*out, at->prime);
    return true;
}

// False where the point is no point of the expression.
static bool value(const struct math_node *node, const struct place *at, ulong *out) {
    ulong part;
    if (!calc_spend(at->c, 1)) return false;
    if (!node->free) return constant(node, at, out);
    switch (node->kind) {
    case MATH_SYMBOL:
    case MATH_APPLY:
        *out = scramble(node->hash ^ at->seed) % at->prime.n;
        return true;
    case MATH_ADD:
    case MATH_MUL:
        *out = node->kind == MATH_MUL;
        for (int i = 0; i < node->n; i++) {
            if (!value(node->kids[i], at, &part)) return false;
            *out = node->kind == MATH_MUL ? nmod_mul(*out, part, at->prime)
                                          : nmod_add(*out, part, at->prime);
        }
        if (node->kind == MATH_MUL && node->n == 1) *out = nmod_neg(*out, at->prime);
        return true;
    case MATH_POW:
        return power(node, at, out);
    default:
        return false;
    }
}

// All points of one prime: how many agree, or -1 where one differs.
static int agreeing(const struct math_node *a, const struct math_node *b, bool proportional,
                    struct place *at) {
    ulong x, y, ratio = 0; // a / b at the first point
    int n = 0;
    for (int i = 0; i < TRIES * N_POINTS && n < N_POINTS && !at->c->over; i++) {
        at->seed = scramble(at->seed + 0x9E3779B97F4A7C15u);
        if (!value(a, at, &x) || !value(b, at, &y)) continue;
        if (proportional && ratio == 0) {
            if (x == 0 || y == 0) continue;
            ratio = nmod_div(x, y, at->prime);
            continue;
        }
        if (x != (proportional ? nmod_mul(y, ratio, at->prime) : y)) return -1;
        n++;
    }
    return n;
}

enum exact exact_modular(const struct math_node *a, const struct math_node *b, bool proportional,
                         struct calc *c) {
    if (degree(a, c) + degree(b, c) > MAX_DEGREE || c->over) return EXACT_UNKNOWN;
    struct place at = {.c = c, .seed = scramble(a->hash * 31 + b->hash)};
    for (int i = 0; i < N_PRIMES; i++) {
        if (!calc_spend(c, 20)) return EXACT_UNKNOWN;
        nmod_init(&at.prime, n_nextprime((ulong)(1 + at.seed % 3) << 60 | (at.seed >> 5), 0));
        const int n = agreeing(a, b, proportional, &at);
        const bool opaque = proportional || tree_has(a, MATH_APPLY) || tree_has(b, MATH_APPLY);
        if (n < 0 && !opaque) return EXACT_NO;
        if (n < N_POINTS) return EXACT_UNKNOWN;
    }
    return EXACT_AGREE;
}
