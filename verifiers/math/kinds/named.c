// Values that carry their names: (y, x) = (2, 1) and y = 2, x = 1 are the point (1, 2).
#include "verifiers/math/kinds/kind.h"

enum { MAX_NAMES = 8 };

// Names and the values that are theirs.
struct named {
    int n;
    const struct math_node *names[MAX_NAMES], *values[MAX_NAMES];
};

static bool add(struct named *out, const struct math_node *name, const struct math_node *value) {
    if (out->n >= MAX_NAMES || name->kind != MATH_SYMBOL) return false;
    for (int i = 0; i < out->n; i++)
        if (tree_same(out->names[i], name)) return false;
    out->names[out->n] = name;
    out->values[out->n++] = value;
    return true;
}

// (a, b) = (1, 2) or a = 1, b = 2, with two different names at least.
static bool read(const struct math_node *node, struct named *out) {
    *out = (struct named){0};
    if (node->kind == MATH_RELATION && node->n == 2 && node->ops[0] == MATH_EQ) {
        const struct math_node *names = node->kids[0], *values = node->kids[1];
        if (names->kind != MATH_TUPLE || values->kind != MATH_TUPLE || names->n != values->n)
            return false;
        for (int i = 0; i < names->n; i++)
            if (!add(out, names->kids[i], values->kids[i])) return false;
    } else if (node->kind == MATH_LIST) {
        for (int i = 0; i < node->n; i++)
            if (!list_is_assignment(node->kids[i]) ||
                !add(out, node->kids[i]->kids[0], node->kids[i]->kids[1]))
                return false;
    }
    return out->n > 1;
}

// The values in the order of the names, where that is not the order in which they stand: the names
// are the first of x, y, z or of a, b, c, d. Other letters have no order that all agree on.
static const struct math_node *sorted(struct comparison *c, const struct named *named) {
    static const char *const ROWS[] = {"xyz", "abcd"};
    const struct math_node *values[MAX_NAMES];
    for (size_t row = 0; row < sizeof ROWS / sizeof *ROWS; row++) {
        int found = 0;
        bool moved = false;
        for (int i = 0; i < named->n && ROWS[row][i]; i++)
            for (int k = 0; k < named->n; k++)
                if (slice_is(named->names[k]->text, (char[]){ROWS[row][i], 0})) {
                    values[i] = named->values[k];
                    moved |= i != k;
                    found++;
                }
        if (found == named->n && moved) return kind_node(c, MATH_TUPLE, 0, found, values);
    }
    return NULL;
}

// The answer's values under the gold's names; NULL where the names are others.
static const struct math_node *as_in(struct comparison *c, const struct named *gold,
                                     const struct named *answer) {
    const struct math_node *values[MAX_NAMES];
    int found = 0;
    if (gold->n != answer->n) return NULL;
    for (int i = 0; i < gold->n; i++)
        for (int k = 0; k < answer->n; k++)
            if (tree_same(gold->names[i], answer->names[k])) {
                values[i] = answer->values[k];
                found++;
            }
    return found == gold->n ? kind_node(c, MATH_TUPLE, 0, found, values) : NULL;
}

static bool compare(struct comparison *c, const struct math_node *gold,
                    const struct math_node *answer, enum math_verdict *out) {
    struct named g, a;
    if (!read(answer, &a)) return false;
    if (answer->kind == MATH_LIST && (answer->op & TREE_OR)) {
        if (!read(gold, &g) || (gold->kind == MATH_LIST && (gold->op & TREE_OR))) return false;
        *out = kind_said(c, "form", MATH_DIFFERENT); // x = 1 or y = 2 leaves one of them open
        return true;
    }
    const struct math_node *values = NULL;
    if (gold->kind == MATH_TUPLE) {
        values = sorted(c, &a);
    } else if (read(gold, &g)) {
        values = as_in(c, &g, &a);
        if (values) gold = kind_node(c, MATH_TUPLE, 0, g.n, g.values);
    }
    if (!values) return false;
    *out = kinds_compare(c, gold, values);
    return true;
}

const struct kind named_kind = {.compare = compare};
