// The one file that names FLINT, Arb and Calcium: three libraries in Debian 12, one since FLINT 3.
// And the state of a computation, shared by the files exact*.c.
#ifndef VERIFIERS_MATH_EXACT_EXACT_LIBRARY_H
#define VERIFIERS_MATH_EXACT_EXACT_LIBRARY_H

#include "verifiers/math/exact/exact.h"

#if __has_include(<flint/ca.h>)
#include <flint/acb.h>
#include <flint/arb_fmpz_poly.h>
#include <flint/ca.h>
#include <flint/qqbar.h>
#else
#include <acb.h>
#include <arb_fmpz_poly.h>
#include <calcium/ca.h>
#include <calcium/qqbar.h>
#endif
#include <flint/fmpq.h>
#include <flint/fmpz_mpoly.h>
#include <flint/fmpz_poly.h>

enum {
    EXACT_MAX_BITS = 1 << 16,
    EXACT_MAX_VARIABLES = 8,
};

struct calc {
    struct math_budget *budget;
    bool over;
    slong bits;                  // precision of balls
    uint64_t seed;               // of the sample point
    int point;                   // its number
    const struct ratio *anchors; // numbers in the expressions, near which points are taken
    int n_anchors;
};

static inline bool calc_spend(struct calc *c, int64_t steps) {
    if (!math_step(c->budget, steps)) c->over = true;
    return !c->over;
}

// exact_node.c: trees in `arena`.
struct math_node *exact_node(enum math_kind kind, uint8_t op, struct math_node *const *kids, int n,
                             struct arena *arena);
struct math_node *exact_integer_node(const fmpz_t value, struct arena *arena);
struct math_node *exact_fraction_node(struct math_node *top, const fmpz_t bottom,
                                      struct arena *arena);
struct math_node *exact_rational_node(const fmpq_t value, struct arena *arena);

// The value of a constant as a rational number; false when it is none, not known, or too large.
bool exact_rational(const struct math_node *node, fmpq_t out, struct calc *c);

// The value as a complex ball, symbols at the sample point; false when it has none.
bool exact_ball(const struct math_node *node, acb_t out, struct calc *c);

// Are two constants the same number? UNKNOWN also where a proof would be slow.
enum exact exact_prove(const struct math_node *a, const struct math_node *b, struct calc *c);

// The expression as a quotient of polynomials in its only symbol; false where it is none.
bool exact_quotient(const struct math_node *node, fmpz_poly_t top, fmpz_poly_t bottom,
                    struct calc *c);

// A MATH_ALGEBRAIC node: as a ball, and as an exact number.
bool exact_algebraic_ball(const struct math_node *node, acb_t out, struct calc *c);
bool exact_algebraic(const struct math_node *node, ca_t out, ca_ctx_t ctx, struct calc *c);

// Are a and b the same quotient of polynomials? With `proportional`: are their numerators the same
// up to a constant? EXACT_UNKNOWN when one is no such quotient or too large.
enum exact exact_polynomials(const struct math_node *a, const struct math_node *b,
                             bool proportional, struct calc *c);

// The same at points modulo primes, for any degree: EXACT_NO is a proof, EXACT_AGREE is none.
enum exact exact_modular(const struct math_node *a, const struct math_node *b, bool proportional,
                         struct calc *c);

#endif
