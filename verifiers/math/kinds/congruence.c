// Congruences: a = b (mod m), and the integers of a class as a line.
#include "verifiers/math/kinds/kind.h"

// a = b (mod m): as integers b and m are compared, the sides in front as they are.
static bool congruences(struct comparison *c, const struct math_node *gold,
                        const struct math_node *answer, enum math_verdict *out) {
    struct ratio g, a, m, n;
    if (gold->n != 3 || answer->n != 3 || gold->ops[0] != MATH_CONGRUENT ||
        answer->ops[0] != MATH_CONGRUENT || !tree_same(gold->kids[0], answer->kids[0]) ||
        !ratio_of(gold->kids[1], &g) || !ratio_of(answer->kids[1], &a) ||
        !ratio_of(gold->kids[2], &m) || !ratio_of(answer->kids[2], &n))
        return false;
    if (g.den != 1 || a.den != 1 || m.den != 1 || n.den != 1 || m.num <= 0) return false;
    const bool same = m.num == n.num && (g.num % m.num - a.num % m.num) % m.num == 0;
    *out = kind_said(c, "congruence", same ? MATH_EQUAL : MATH_DIFFERENT);
    return true;
}

// x = 7k + 3 for a gold x \equiv 3 \pmod 7: a line through the integers of the class.
static bool is_class(struct comparison *c, const struct math_node *gold,
                     const struct math_node *answer) {
    struct ratio residue, modulus, at[2];
    const struct math_node *symbol = NULL;
    if (gold->kind != MATH_RELATION || gold->n != 3 || gold->ops[0] != MATH_CONGRUENT ||
        gold->ops[1] != MATH_MODULO || answer->n != 2 || answer->ops[0] != MATH_EQ ||
        !tree_same(gold->kids[0], answer->kids[0]) || !ratio_of(gold->kids[1], &residue) ||
        !ratio_of(gold->kids[2], &modulus) || residue.den != 1 || modulus.den != 1 ||
        modulus.num <= 0 || kind_has_other_symbol(answer->kids[1], &symbol) || !symbol ||
        tree_same(symbol, gold->kids[0]))
        return false;
    for (int i = 0; i < 2; i++) {
        const struct math_node *value =
            exact_literal(kind_replaced(c, answer->kids[1], symbol, tree_number(i, c->arena)),
                          c->budget, c->arena);
        if (!value || !ratio_of(value, &at[i]) || at[i].den != 1) return false;
    }
    const int64_t step = at[1].num - at[0].num;
    const struct math_node *const product[] = {tree_number((long)step, c->arena), symbol};
    const struct math_node *const sum[] = {kind_node(c, MATH_MUL, 0, 2, product),
                                           tree_number((long)at[0].num, c->arena)};
    return (step == modulus.num || step == -modulus.num) &&
           (at[0].num - residue.num) % modulus.num == 0 &&
           number_compare(c, kind_node(c, MATH_ADD, 0, 2, sum), answer->kids[1]) == MATH_EQUAL;
}

bool congruence_compare(struct comparison *c, const struct math_node *gold,
                        const struct math_node *answer, enum math_verdict *out) {
    if (congruences(c, gold, answer, out)) return true;
    if (!is_class(c, gold, answer)) return false;
    *out = kind_said(c, "congruence", MATH_EQUAL);
    return true;
}
