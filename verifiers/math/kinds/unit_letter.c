#include "verifiers/math/kinds/unit_letter.h"

enum { MAX_FACTORS = 16, MAX_POWER = 6 };

const struct math_node *unit_letter(const struct math_node *answer, struct math_unit *unit) {
    if (answer->kind != MATH_MUL || answer->n != 2 || answer->kids[0]->free) return NULL;
    const struct math_node *letter = answer->kids[1];
    int power = 1;
    if (letter->kind == MATH_POW) {
        power = tree_is_integer(letter->kids[1], 2)   ? 2
                : tree_is_integer(letter->kids[1], 3) ? 3
                                                      : 0;
        letter = letter->kids[0];
        if (power == 0 || !slice_is(letter->text, "m")) return NULL;
    }
    const bool omega = slice_is(letter->text, "Omega");
    if (letter->kind != MATH_SYMBOL || (letter->text.len != 1 && !omega)) return NULL;
    if (power == 1 && !letter->spaced && !omega) return NULL;
    if (!omega && !strchr("mgsLhlNJWVAKCFTH", letter->text.ptr[0])) return NULL;
    struct math_unit base;
    if (!unit_find(omega ? slice_of("Ohm") : letter->text, &base)) return NULL;
    *unit = (struct math_unit){.num = 1, .den = 1};
    return unit_combine(unit, &base, power) ? answer->kids[0] : NULL;
}

// Units as letters with powers, products and quotients of them, taken to `power`.
static bool letters(const struct math_node *node, int power, struct math_unit *out) {
    struct ratio exponent;
    struct math_unit unit;
    if (power < -MAX_POWER || power > MAX_POWER) return false;
    if (node->kind == MATH_SYMBOL) {
        const bool omega = slice_is(node->text, "Omega");
        return (node->text.len == 1 || omega) &&
               unit_find(omega ? slice_of("Ohm") : node->text, &unit) && !unit.counted &&
               unit_combine(out, &unit, power);
    }
    if (node->kind == MATH_POW)
        return ratio_of(node->kids[1], &exponent) && exponent.den == 1 &&
               exponent.num >= -MAX_POWER && exponent.num <= MAX_POWER &&
               letters(node->kids[0], power * (int)exponent.num, out);
    if (node->kind != MATH_MUL || node->op == TREE_MINUS) return false;
    for (int i = 0; i < node->n; i++)
        if (!letters(node->kids[i], power, out)) return false;
    return true;
}

// Whether it has a letter that is seldom a variable, or a unit below: N m, m/(s K), m s^{-1}.
static bool looks_like_unit(const struct math_node *node) {
    if (node->kind == MATH_SYMBOL)
        return slice_is(node->text, "Omega") || strchr("NJWVKL", node->text.ptr[0]);
    if (node->kind == MATH_POW && node->kids[1]->kind == MATH_MUL &&
        node->kids[1]->op == TREE_MINUS)
        return true;
    for (int i = 0; i < node->n; i++)
        if (looks_like_unit(node->kids[i])) return true;
    return false;
}

const struct math_node *unit_letters(const struct math_node *answer) {
    struct math_unit unit = {.num = 1, .den = 1};
    const struct math_node *number = NULL;
    bool looks = false;
    if (answer->kind != MATH_MUL || answer->op == TREE_MINUS || answer->n < 3) return NULL;
    for (int i = 0; i < answer->n; i++) {
        const struct math_node *kid = answer->kids[i];
        if (!kid->free && number) return NULL;
        if (!kid->free)
            number = kid;
        else if (!letters(kid, 1, &unit))
            return NULL;
        looks |= kid->free && looks_like_unit(kid);
    }
    return looks && number && answer->kids[0] == number && answer->kids[1]->spaced ? number : NULL;
}

const struct math_node *unit_letter_quantity(struct comparison *c, const struct math_unit *gold,
                                             const struct math_node *answer) {
    const struct math_node *numbers[MAX_FACTORS], *value;
    struct math_unit *unit = arena_take(c->arena, 1, sizeof *unit);
    const bool minus = answer->kind == MATH_MUL && answer->op == TREE_MINUS;
    const struct math_node *all = minus ? answer->kids[0] : answer;
    int n = 0;
    bool known = all->kind == MATH_MUL && all->op != TREE_MINUS && all->n <= MAX_FACTORS;
    *unit = (struct math_unit){.num = 1, .den = 1};
    for (int i = 0; known && i < all->n; i++) {
        if (all->kids[i]->free)
            known = letters(all->kids[i], 1, unit);
        else
            numbers[n++] = all->kids[i];
    }
    if (!known || n == 0 || gold->counted || gold->unknown || gold->vague ||
        !unit_same_dimension(gold, unit)) {
        value = unit_letter(answer, unit);
        if (!value) return NULL;
    } else {
        value = n == 1 ? numbers[0] : kind_node(c, MATH_MUL, 0, n, numbers);
        if (minus) value = kind_negated(c, value);
    }
    struct math_node *quantity = kind_node(c, MATH_QUANTITY, 0, 1, &value);
    quantity->unit = unit;
    tree_seal(quantity);
    return quantity;
}
