// Exact values as trees.
#include "verifiers/math/exact/exact_library.h"

struct math_node *exact_node(enum math_kind kind, uint8_t op, struct math_node *const *kids, int n,
                             struct arena *arena) {
    struct math_node *node = tree_list(kind, kids, n, arena);
    node->op = op;
    tree_seal(node);
    return node;
}

struct math_node *exact_integer_node(const fmpz_t value, struct arena *arena) {
    fmpz_t size;
    fmpz_init(size);
    fmpz_abs(size, value);
    char *digits = fmpz_get_str(NULL, 10, size);
    const size_t len = strlen(digits);
    struct math_node *node = tree_number(0, arena);
    node->text = (struct slice){arena_copy(arena, digits, len), len};
    tree_seal(node);
    flint_free(digits);
    fmpz_clear(size);
    return fmpz_sgn(value) < 0 ? exact_node(MATH_MUL, TREE_MINUS, &node, 1, arena) : node;
}

struct math_node *exact_fraction_node(struct math_node *top, const fmpz_t bottom,
                                      struct arena *arena) {
    if (fmpz_is_one(bottom)) return top;
    struct math_node *const power[] = {exact_integer_node(bottom, arena), tree_number(-1, arena)};
    struct math_node *const pair[] = {top, exact_node(MATH_POW, TREE_JUXTAPOSED, power, 2, arena)};
    return exact_node(MATH_MUL, 0, pair, 2, arena);
}

struct math_node *exact_rational_node(const fmpq_t value, struct arena *arena) {
    return exact_fraction_node(exact_integer_node(fmpq_numref(value), arena), fmpq_denref(value),
                               arena);
}

const struct math_node *exact_literal(const struct math_node *node, struct math_budget *budget,
                                      struct arena *arena) {
    struct calc c = {.budget = budget};
    fmpq_t value;
    fmpq_init(value);
    const struct math_node *literal =
        exact_rational(node, value, &c) ? exact_rational_node(value, arena) : NULL;
    fmpq_clear(value);
    return literal;
}
