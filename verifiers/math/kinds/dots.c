// Sums and products with dots, 1 + 2 + \dots + 10, as what the dots stand for.
//
// Each term is the one before it with every integer that changes gone up by a step of its own. Two
// terms in front of the dots are enough, where the last one does not fit a geometric series too.
#include "verifiers/math/kinds/kind.h"

enum { MAX_TERMS = 1000, MAX_KIDS = 16 };

// The term number `index`, from 0, of which terms 0 and 1 are given: integers are then their own
// first value and step times `index`. NULL where the two have different shapes.
static const struct math_node *term(struct comparison *c, const struct math_node *zero,
                                    const struct math_node *one, const struct math_node *index) {
    const struct math_node *kids[MAX_KIDS];
    struct ratio a, b;
    if (tree_same(zero, one)) return zero;
    if (!math_step(c->budget, 1)) return NULL;
    if (zero->kind == MATH_NUMBER && one->kind == MATH_NUMBER) {
        if (zero->decimal || one->decimal || !ratio_of(zero, &a) || !ratio_of(one, &b) ||
            a.den != 1 || b.den != 1 || a.num > INT32_MAX || b.num > INT32_MAX)
            return NULL;
        const struct math_node *const step[] = {tree_number(b.num - a.num, c->arena), index};
        const struct math_node *const sum[] = {zero, kind_node(c, MATH_MUL, 0, 2, step)};
        const struct math_node *value = kind_node(c, MATH_ADD, 0, 2, sum);
        const struct math_node *literal =
            index->free ? NULL : exact_literal(value, c->budget, c->arena);
        return literal ? literal : value;
    }
    if (zero->kind != one->kind || zero->op != one->op || zero->n != one->n || zero->n == 0 ||
        zero->n > MAX_KIDS || !slice_equal(zero->text, one->text) || !tree_is_scalar(zero))
        return NULL;
    for (int i = 0; i < zero->n; i++)
        if (!(kids[i] = term(c, zero->kids[i], one->kids[i], index))) return NULL;
    return kind_rebuilt(c, zero, kids);
}

// How many steps `last` is behind term 0, by the first integer that changes. False: none fits.
static bool find_index(const struct math_node *zero, const struct math_node *one,
                       const struct math_node *last, int64_t *index) {
    struct ratio a, b, z;
    if (tree_same(zero, one)) return false;
    if (zero->kind == MATH_NUMBER) {
        if (!ratio_of(zero, &a) || !ratio_of(one, &b) || !ratio_of(last, &z) || z.den != 1 ||
            a.den != 1 || b.den != 1 || a.num == b.num || last->kind != MATH_NUMBER ||
            (z.num - a.num) % (b.num - a.num) != 0)
            return false;
        *index = (z.num - a.num) / (b.num - a.num);
        return true;
    }
    if (zero->n != one->n || zero->n != last->n) return false;
    for (int i = 0; i < zero->n; i++)
        if (!tree_same(zero->kids[i], one->kids[i]))
            return find_index(zero->kids[i], one->kids[i], last->kids[i], index);
    return false;
}

// 1 + 2 + ... + 64 may double or count.
static bool is_geometric_too(const struct math_node *zero, const struct math_node *one,
                             const struct math_node *last) {
    struct ratio a, b, z;
    if (last->free) return zero->kind == MATH_NUMBER && tree_has(last, MATH_POW);
    if (!ratio_of(zero, &a) || !ratio_of(one, &b) || !ratio_of(last, &z)) return false;
    if (zero->kind != MATH_NUMBER || a.num == 0 || b.num % a.num != 0) return false;
    const int64_t ratio = b.num / a.num;
    if (ratio > -2 && ratio < 2) return false;
    int64_t power = b.num;
    while (power != z.num)
        if (__builtin_mul_overflow(power, ratio, &power)) return false;
    return true;
}

// A sum or product with dots: what is in front of them, the last two as terms 0 and 1, and behind.
struct dotted {
    const struct math_node *node;
    int dots;
    const struct math_node *zero, *one;
};

static const struct math_node *term_at(struct comparison *c, const struct dotted *d,
                                       int64_t index) {
    return term(c, d->zero, d->one, tree_number((long)index, c->arena));
}

static bool is_equal(struct comparison *c, const struct math_node *a, const struct math_node *b) {
    return a && (tree_same(a, b) || number_compare(c, a, b) == MATH_EQUAL);
}

static bool split(struct comparison *c, const struct math_node *node, struct dotted *out) {
    *out = (struct dotted){.node = node, .dots = -1};
    if ((node->kind != MATH_ADD && (node->kind != MATH_MUL || node->op == TREE_MINUS)) ||
        node->n > MATH_MAX_ITEMS)
        return false;
    for (int i = 0; i < node->n; i++) {
        if (node->kids[i]->kind != MATH_DOTS) continue;
        if (out->dots >= 0) return false;
        out->dots = i;
    }
    if (out->dots < 2) return false;
    out->zero = node->kids[out->dots - 2];
    out->one = node->kids[out->dots - 1];
    if (out->one->kind == MATH_POW && tree_same(out->zero, out->one->kids[0])) { // x + x^2 + ...
        const struct math_node *const pair[] = {out->zero, tree_number(1, c->arena)};
        out->zero = kind_node(c, MATH_POW, out->one->op, 2, pair);
    }
    for (int i = 0; i + 2 < out->dots; i++)
        if (!is_equal(c, term_at(c, out, i - (out->dots - 2)), node->kids[i])) return false;
    return true;
}

// 1 + 1/2 + 1/4 + ...: three terms of a geometric series without an end.
static const struct math_node *endless(struct comparison *c, const struct math_node *node) {
    struct ratio a[3];
    if (node->kind != MATH_ADD || node->n < 4 || node->kids[node->n - 1]->kind != MATH_DOTS)
        return NULL;
    const struct math_node *first = node->kids[0], *second = node->kids[1];
    const struct math_node *ratio = kind_quotient(c, second, first);
    const struct math_node *literal =
        ratio->free ? NULL : exact_literal(ratio, c->budget, c->arena);
    if (!literal || !ratio_of(literal, &a[0]) || a[0].num == 0 || a[0].num >= a[0].den ||
        -a[0].num >= a[0].den)
        return NULL;
    for (int i = 2; i + 1 < node->n; i++) {
        const struct math_node *const pair[] = {node->kids[i - 1], literal};
        if (!is_equal(c, kind_node(c, MATH_MUL, 0, 2, pair), node->kids[i])) return NULL;
    }
    const struct math_node *const rest[] = {tree_number(1, c->arena), kind_negated(c, literal)};
    return kind_quotient(c, first, kind_node(c, MATH_ADD, 0, 2, rest));
}

// Up to a term with a symbol n in it, as \sum_{k}^{n}.
static const struct math_node *symbolic(struct comparison *c, const struct dotted *d,
                                        const struct math_node *last) {
    static const int SHIFTS[] = {1, 0, 2, -1}; // what k is at term 0
    const struct math_node *n = NULL;
    if (d->zero->free || d->dots + 2 != d->node->n || kind_has_other_symbol(last, &n) || !n)
        return NULL;
    struct math_node *k = kind_node(c, MATH_SYMBOL, 0, 0, NULL);
    k->text = slice_of("dots");
    tree_seal(k);
    for (size_t i = 0; i < sizeof SHIFTS / sizeof *SHIFTS; i++) {
        const struct math_node *low = tree_number(SHIFTS[i], c->arena);
        const struct math_node *const pair[] = {k, tree_number(-SHIFTS[i], c->arena)};
        const struct math_node *body = term(c, d->zero, d->one, kind_node(c, MATH_ADD, 0, 2, pair));
        if (!body || !is_equal(c, kind_replaced(c, body, k, n), last)) continue;
        const struct math_node *front = term_at(c, d, 2 - d->dots);
        const int first = SHIFTS[i] + 2 - d->dots;
        const uint8_t equals[] = {MATH_EQ};
        const struct math_node *const sides[] = {k, front ? tree_number(first, c->arena) : low};
        struct math_node *from = kind_node(c, MATH_RELATION, 0, 2, sides);
        uint8_t *ops = arena_take(c->arena, 1, 1);
        *ops = equals[0];
        from->ops = ops;
        tree_seal(from);
        const struct math_node *const kids[] = {body, from, n};
        struct math_node *big = kind_node(c, MATH_BIG, TREE_UPPER, 3, kids);
        big->text = slice_of(d->node->kind == MATH_ADD ? "sum" : "prod");
        tree_seal(big);
        return big;
    }
    return NULL;
}

static const struct math_node *filled(struct comparison *c, const struct math_node *node) {
    struct dotted d;
    const struct math_node *kids[MAX_TERMS + MATH_MAX_ITEMS];
    int64_t index;
    const struct math_node *series = endless(c, node);
    if (series) return series;
    if (!split(c, node, &d) || d.dots + 1 >= node->n) return node;
    const struct math_node *last = node->kids[node->n - 1];
    if (d.dots == 2 && is_geometric_too(d.zero, d.one, last)) return node;
    if (last->free && !d.zero->free) {
        const struct math_node *sum = symbolic(c, &d, last);
        return sum ? sum : node;
    }
    const int behind = node->n - d.dots - 1;
    if (!find_index(d.zero, d.one, last, &index) || index > MAX_TERMS || index < 1 + behind)
        return node;
    for (int i = 0; i < behind; i++)
        if (!is_equal(c, term_at(c, &d, index - behind + 1 + i), node->kids[d.dots + 1 + i]))
            return node;
    int n = 0;
    while (n < d.dots) {
        kids[n] = node->kids[n];
        n++;
    }
    for (int64_t i = 2; i <= index; i++)
        if (!(kids[n++] = term_at(c, &d, i))) return node;
    return kind_node(c, node->kind, 0, n, kids);
}

static const struct math_node *normal(struct comparison *c, const struct math_node *node) {
    if (!tree_has(node, MATH_DOTS) || node->n > MAX_KIDS ||
        (!tree_is_scalar(node) && node->kind != MATH_RELATION))
        return node;
    const struct math_node *kids[MAX_KIDS];
    bool changed = false;
    if (!math_step(c->budget, 1)) return node;
    for (int i = 0; i < node->n; i++) {
        kids[i] = normal(c, node->kids[i]);
        changed |= kids[i] != node->kids[i];
    }
    if (changed) node = kind_rebuilt(c, node, kids);
    const struct math_node *full = filled(c, node);
    const struct math_node *literal =
        full == node || full->free ? NULL : exact_literal(full, c->budget, c->arena);
    return literal ? literal : full;
}

const struct kind dots_kind = {.normal = normal};
