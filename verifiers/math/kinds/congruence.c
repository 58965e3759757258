// Congruences: a = b (mod m), and the integers of a class as a line.
#include "verifiers/math/kinds/kind.h"

// A class of integers; `name` is NULL in "3 \pmod 7" alone.
struct class {
    const struct math_node *name, *residue, *modulus;
};

// x \equiv 3 \pmod 7, x = 3 \bmod 7, 3 \pmod 7.
static bool read_class(const struct math_node *node, struct class *out) {
    const struct math_node *mod = node;
    *out = (struct class){0};
    if (node->kind == MATH_RELATION) {
        if (node->ops[0] != MATH_CONGRUENT && node->ops[0] != MATH_EQ) return false;
        const bool hole = node->kids[0]->kind == MATH_SYMBOL && node->kids[0]->op == TREE_HOLE;
        out->name = hole ? NULL : node->kids[0];
        mod = node->kids[1];
        if (node->n == 3 && node->ops[1] == MATH_MODULO) {
            out->residue = mod;
            out->modulus = node->kids[2];
            return true;
        }
        if (node->n != 2) return false;
    }
    if (mod->kind != MATH_FUNCTION || mod->op != MATH_MOD) return false;
    out->residue = mod->kids[0];
    out->modulus = mod->kids[1];
    return true;
}

// As integers residue and modulus are compared, the sides in front as they are.
static bool congruences(struct comparison *c, const struct math_node *gold,
                        const struct math_node *answer, enum math_verdict *out) {
    struct class left, right;
    struct ratio g, a, m, n;
    if (gold->kind != MATH_RELATION || !read_class(gold, &left) || !read_class(answer, &right) ||
        (left.name && right.name && !tree_same(left.name, right.name)) ||
        !ratio_of(left.residue, &g) || !ratio_of(right.residue, &a) ||
        !ratio_of(left.modulus, &m) || !ratio_of(right.modulus, &n))
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
        gold->ops[1] != MATH_MODULO || answer->kind != MATH_RELATION || answer->n != 2 ||
        answer->ops[0] != MATH_EQ || !tree_same(gold->kids[0], answer->kids[0]) ||
        !ratio_of(gold->kids[1], &residue) || !ratio_of(gold->kids[2], &modulus) ||
        residue.den != 1 || modulus.den != 1 || modulus.num <= 0 ||
        kind_has_other_symbol(answer->kids[1], &symbol) || !symbol ||
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

static const struct math_node *class_of(struct comparison *c, const struct math_node *name,
                                        const struct math_node *residue,
                                        const struct math_node *modulus) {
    const struct math_node *const sides[] = {name, residue, modulus};
    struct math_node *node = kind_node(c, MATH_RELATION, 0, 3, sides);
    static const uint8_t OPS[] = {MATH_CONGRUENT, MATH_MODULO};
    node->ops = OPS;
    tree_seal(node);
    return node;
}

// x \equiv 1, 5 \pmod 6: what stands in front of the modulus is of it too.
static const struct math_node *distributed(struct comparison *c, const struct math_node *list) {
    enum { MAX_CLASSES = 16 };
    const struct math_node *kids[MAX_CLASSES], *first = list->kids[0];
    struct class last;
    if (list->n < 2 || list->n > MAX_CLASSES || first->kind != MATH_RELATION || first->n != 2 ||
        first->ops[0] != MATH_CONGRUENT || !read_class(list->kids[list->n - 1], &last) || last.name)
        return list;
    for (int i = 0; i < list->n; i++) {
        const struct math_node *residue = i == 0             ? first->kids[1]
                                          : i == list->n - 1 ? last.residue
                                                             : list->kids[i];
        kids[i] = class_of(c, first->kids[0], residue, last.modulus);
    }
    return kind_node(c, MATH_LIST, list->op, list->n, kids);
}

const struct math_node *congruence_normal(struct comparison *c, const struct math_node *node) {
    struct class class;
    if (node->kind == MATH_LIST) return distributed(c, node);
    if (node->kind != MATH_RELATION || node->ops[0] != MATH_CONGRUENT ||
        !read_class(node, &class) || !class.name || class.residue->kind != MATH_PLUS_MINUS ||
        class.residue->n != 1)
        return node;
    const struct math_node *value = class.residue->kids[0];
    const struct math_node *const both[] = {
        class_of(c, class.name, value, class.modulus),
        class_of(c, class.name, kind_negated(c, value), class.modulus)};
    return kind_node(c, MATH_LIST, 0, 2, both);
}

bool congruence_compare(struct comparison *c, const struct math_node *gold,
                        const struct math_node *answer, enum math_verdict *out) {
    if (congruences(c, gold, answer, out)) return true;
    if (!is_class(c, gold, answer)) return false;
    *out = kind_said(c, "congruence", MATH_EQUAL);
    return true;
}
