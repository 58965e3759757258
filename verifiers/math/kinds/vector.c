// Vectors as sums: 3\hat i - 4\hat j is the tuple (3, -4), (1, 3) + t(2, -1) is (1 + 2t, 3 - t).
#include "verifiers/math/kinds/kind.h"

enum { MAX_TERMS = 8 };

// 0 for i, 1 for j, 2 for k, else -1.
static int direction(const struct math_node *node) {
    if (node->kind == MATH_CONSTANT) return node->op == MATH_I ? 0 : -1;
    if (node->kind != MATH_SYMBOL || node->text.len != 1) return -1;
    return node->text.ptr[0] == 'j' ? 1 : node->text.ptr[0] == 'k' ? 2 : -1;
}

// (3, -4), and the column or row of 3 and -4.
static bool has_components(const struct math_node *node) {
    const bool line = node->kind == MATH_MATRIX && node->op == 0 &&
                      (node->columns == 1 || node->columns == node->n);
    return (node->kind == MATH_TUPLE || line) && (node->n == 2 || node->n == 3);
}

static bool has_direction(const struct math_node *node) {
    if (direction(node) >= 0 || has_components(node)) return true;
    for (int i = 0; i < node->n; i++)
        if (has_direction(node->kids[i])) return true;
    return false;
}

struct vector {
    const struct math_node *terms[3][MAX_TERMS];
    int n[3];
    int size; // of those that are given by their components, or 0
};

static const struct math_node *product(struct comparison *c, const struct math_node *a,
                                       const struct math_node *b) {
    const struct math_node *const pair[] = {a, b};
    return kind_node(c, MATH_MUL, 0, 2, pair);
}

// scale * (3, -4)
static bool add_components(struct comparison *c, const struct math_node *node,
                           const struct math_node *scale, struct vector *out) {
    if (out->size && out->size != node->n) return false;
    out->size = node->n;
    for (int i = 0; i < node->n; i++) {
        if (out->n[i] == MAX_TERMS) return false;
        out->terms[i][out->n[i]++] = product(c, scale, node->kids[i]);
    }
    return true;
}

// Adds `scale` times the node to the components; false where it is no sum of multiples of them.
static bool add(struct comparison *c, const struct math_node *node, const struct math_node *scale,
                struct vector *out) {
    const int at = direction(node);
    if (!math_step(c->budget, 1)) return false;
    if (at >= 0) {
        if (out->n[at] == MAX_TERMS) return false;
        out->terms[at][out->n[at]++] = scale;
        return true;
    }
    if (has_components(node)) return add_components(c, node, scale, out);
    if (node->kind == MATH_ADD) {
        for (int i = 0; i < node->n; i++)
            if (!add(c, node->kids[i], scale, out)) return false;
        return true;
    }
    if (node->kind != MATH_MUL) return false;
    if (node->op == TREE_MINUS) return add(c, node->kids[0], kind_negated(c, scale), out);
    const struct math_node *part = NULL;
    for (int i = 0; i < node->n; i++) {
        if (!has_direction(node->kids[i]))
            scale = product(c, scale, node->kids[i]);
        else if (part)
            return false; // of two vectors
        else
            part = node->kids[i];
    }
    return part && add(c, part, scale, out);
}

// The components as a tuple of n, NULL where the node is no vector. Without a j or k it is a
// complex number as well.
static const struct math_node *tuple_of(struct comparison *c, const struct math_node *node, int n) {
    struct vector vector = {0};
    const struct math_node *kids[3];
    if (node->kind != MATH_ADD && node->kind != MATH_MUL) return NULL;
    if (!add(c, node, tree_number(1, c->arena), &vector)) return NULL;
    if (vector.size && vector.size != n) return NULL;
    if (vector.n[1] + vector.n[2] == 0 || (n == 2 && vector.n[2] > 0)) return NULL;
    for (int i = 0; i < n; i++)
        kids[i] = vector.n[i] ? kind_node(c, MATH_ADD, 0, vector.n[i], vector.terms[i])
                              : tree_number(0, c->arena);
    return kind_node(c, MATH_TUPLE, 0, n, kids);
}

static bool compare(struct comparison *c, const struct math_node *gold,
                    const struct math_node *answer, enum math_verdict *out) {
    const bool swap = has_components(gold);
    const struct math_node *listed = swap ? gold : answer, *sum = swap ? answer : gold;
    if (!has_components(listed)) return false;
    const struct math_node *tuple = tuple_of(c, sum, listed->n);
    if (!tuple) return false;
    c->rule = "vector";
    *out = swap ? kind_in_order(c, gold, tuple) : kind_in_order(c, tuple, answer);
    return true;
}

const struct kind vector_kind = {.compare = compare};
