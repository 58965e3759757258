// What an equation says of a value: x = a = b beside the gold c.
#include "verifiers/math/kinds/relation.h"
#include "verifiers/math/kinds/unit_letter.h"

bool relation_is_geometry(const struct math_node *node) {
    if (node->kind != MATH_MUL || node->op != TREE_JUXTAPOSED) return false;
    bool mark = false, capitals = true;
    for (int i = 0; i < node->n; i++) {
        const struct math_node *kid = node->kids[i];
        if (kid->kind != MATH_SYMBOL) return false;
        mark |= slice_is(kid->text, "angle") || slice_is(kid->text, "triangle");
        capitals &= kid->text.len == 1 && kid->text.ptr[0] >= 'A' && kid->text.ptr[0] <= 'Z';
    }
    return mark || capitals;
}

bool relation_is_label(const struct math_node *node) {
    if (node->kind == MATH_SYMBOL || node->kind == MATH_APPLY) return true;
    if (node->kind == MATH_TUPLE) {
        for (int i = 0; i < node->n; i++)
            if (!relation_is_label(node->kids[i])) return false;
        return true;
    }
    if (node->kind == MATH_MUL && node->op == TREE_JUXTAPOSED && node->n == 2 &&
        node->kids[0]->kind == MATH_SYMBOL && node->kids[0]->text.len == 1 &&
        node->kids[1]->kind == MATH_SYMBOL && node->kids[1]->bracketed)
        return true; // p(x)
    return relation_is_geometry(node);
}

bool relation_is_equation(const struct math_node *node) {
    if (node->kind != MATH_RELATION) return false;
    for (int i = 0; i + 1 < node->n; i++)
        if (node->ops[i] != MATH_EQ && node->ops[i] != MATH_APPROX) return false;
    return true;
}

// |PQ|, PQ/RS, m\angle A: what a value may be called besides a label.
static bool is_name(const struct math_node *node) {
    if (relation_is_label(node)) return true;
    if (node->kind == MATH_RATIO) {
        for (int i = 0; i < node->n; i++)
            if (!is_name(node->kids[i])) return false;
        return true;
    }
    if (node->kind == MATH_FUNCTION) return node->op == MATH_ABS && is_name(node->kids[0]);
    if (node->kind == MATH_POW) return node->op == TREE_JUXTAPOSED && is_name(node->kids[0]);
    return node->kind == MATH_MUL && node->n == 2 && is_name(node->kids[0]) &&
           is_name(node->kids[1]) && node->kids[1]->kind == MATH_POW;
}

static bool is_d(const struct math_node *node) {
    return node->kind == MATH_MUL && node->op == TREE_JUXTAPOSED && node->n == 2 &&
           node->kids[0]->kind == MATH_SYMBOL && slice_is(node->kids[0]->text, "d") &&
           node->kids[1]->kind == MATH_SYMBOL;
}

// A^{-1} = a matrix, \frac{dy}{dx} = ...: what is asked for is called by an operation.
static bool is_operation(const struct math_node *gold) {
    const struct math_node *name = gold->kids[0];
    if (name->kind == MATH_POW && name->kids[0]->kind == MATH_SYMBOL && !name->op)
        return tree_has(gold->kids[gold->n - 1], MATH_MATRIX);
    return name->kind == MATH_MUL && name->n == 2 && is_d(name->kids[0]) &&
           name->kids[1]->kind == MATH_POW && name->kids[1]->op == TREE_JUXTAPOSED &&
           is_d(name->kids[1]->kids[0]);
}

// What a gold `x = value` says when the answer is a value, or NULL: 2x + z = 1 is no value.
const struct math_node *relation_value(const struct math_node *gold) {
    const struct math_node *value = NULL;
    if (gold->kind == MATH_RELATION && gold->n == 2 && gold->ops[0] == MATH_IN &&
        relation_is_label(gold->kids[0]) && !tree_is_scalar(gold->kids[1]))
        return gold->kids[1];
    if (!relation_is_equation(gold)) return NULL;
    const bool named = is_name(gold->kids[0]) || is_operation(gold);
    for (int i = named; i < gold->n; i++) {
        if (i > named && gold->ops[i - 1] == MATH_APPROX) break;
        if (!named && gold->kids[i]->free && gold->n > 1 && gold->ops[0] != MATH_APPROX)
            return NULL;
        value = gold->kids[i];
    }
    return value;
}

bool relation_has_symbol(const struct math_node *node, const struct math_node *symbol) {
    if (node->kind == MATH_SYMBOL || node->kind == MATH_APPLY) return tree_same(node, symbol);
    for (int i = 0; i < node->n; i++)
        if (relation_has_symbol(node->kids[i], symbol)) return true;
    return false;
}

// b:a, where it may be a:b that is sought.
static bool is_out_of_order(const struct math_node *ratio) {
    for (int i = 0; i + 1 < ratio->n; i++) {
        const struct slice a = ratio->kids[i]->text, b = ratio->kids[i + 1]->text;
        if (a.len == 1 && b.len == 1 && a.ptr[0] >= b.ptr[0]) return true;
    }
    return false;
}

// Has the side symbols, none of which is in the gold? Then it only names the value: m + n = 33.
static bool is_foreign(const struct math_node *side, const struct math_node *gold) {
    if (side->kind == MATH_SYMBOL || side->kind == MATH_APPLY)
        return !relation_has_symbol(gold, side);
    if (side->kind == MATH_RATIO) {
        for (int i = 0; i < side->n; i++)
            if (!side->kids[i]->free) return false;
        if (is_out_of_order(side)) return false;
    } else if (side->kind == MATH_BIG || !tree_is_scalar(side)) {
        return false;
    }
    for (int i = 0; i < side->n; i++)
        if (side->kids[i]->free && !is_foreign(side->kids[i], gold)) return false;
    return side->free;
}

// 3x - 13 and 2x are sides of an equation that is to be solved: one symbol and a number.
static bool is_posed(const struct math_node *side) {
    const struct math_node *first = NULL;
    bool number = side->kind == MATH_MUL && side->op == TREE_MINUS;
    if ((side->kind != MATH_ADD && side->kind != MATH_MUL) || kind_has_other_symbol(side, &first))
        return false;
    if (!first || first->text.len != 1) return false; // \frac{AB}{2}, |x|
    for (int i = 0; i < side->n; i++) number |= !side->kids[i]->free;
    return number;
}

static bool is_zero(const struct math_node *node) {
    struct ratio value;
    return ratio_of(node, &value) && value.num == 0;
}

// An equation whose sides do not say what a value is: 3x - 13 = 0 is not 0, 2x + 1 = 5 is not 5.
static bool is_only_equation(const struct math_node *answer, const struct math_node *gold) {
    bool name = false, zero = false;
    for (int i = 0; i < answer->n; i++) {
        const struct math_node *side = answer->kids[i];
        if (!is_foreign(side, gold))
            zero |= is_zero(side);
        else if (is_posed(side))
            return true;
        else
            name |= !is_name(side);
    }
    return name && zero;
}

// One side of a chain against the gold; what stands behind an "approximately" has only to round.
static enum math_verdict chain_side(struct comparison *c, const struct math_node *gold,
                                    const struct math_node *side, bool approximate) {
    const enum math_verdict verdict = kinds_compare(c, gold, side);
    const bool rounds = verdict == MATH_DIFFERENT && approximate && tree_is_scalar(gold) &&
                        side->kind == MATH_NUMBER && side->decimal &&
                        exact_rounds(gold, side, true, c->budget) == EXACT_YES;
    return rounds ? MATH_EQUAL : verdict;
}

// x = 2x + 3 is to be solved for x and names nothing.
static bool is_recursive(const struct math_node *answer) {
    const struct math_node *name = answer->kids[0];
    for (int i = 1; i < answer->n && name->kind == MATH_SYMBOL; i++)
        if (relation_has_symbol(answer->kids[i], name)) return true;
    return false;
}

// z = 3 - 4j beside the gold 3 - 4i.
static const struct math_node *with_imaginary(struct comparison *c, const struct math_node *gold,
                                              const struct math_node *answer) {
    const struct math_node **kids = arena_take(c->arena, (size_t)answer->n, sizeof *kids);
    bool changed = false;
    for (int i = 0; i < answer->n; i++) {
        kids[i] = number_with_imaginary(c, gold, answer->kids[i]);
        changed |= kids[i] != answer->kids[i];
    }
    return changed ? kind_rebuilt(c, answer, kids) : answer;
}

// 450 minutes = 7.5 hours, where only the number is sought: the last of the two, if they agree.
static bool is_conversion(struct comparison *c, const struct math_node *gold,
                          const struct math_node *answer) {
    return !gold->free && gold->kind != MATH_QUANTITY && answer->n == 2 &&
           relation_is_equation(answer) && answer->kids[0]->kind == MATH_QUANTITY &&
           answer->kids[1]->kind == MATH_QUANTITY &&
           kinds_compare(c, answer->kids[0], answer->kids[1]) == MATH_EQUAL;
}

// x = a = b is right when every side is that is decided, and the last is; sides that only name the
// value do not count.
enum math_verdict relation_chain(struct comparison *c, const struct math_node *gold,
                                 const struct math_node *answer) {
    enum math_verdict all = MATH_EQUAL, last = MATH_UNKNOWN;
    int n_sides = 0;
    bool approximate = false;
    const struct math_node *members = answer->ops[0] == MATH_IN ? relation_value(answer) : NULL;
    if (members) return kinds_compare(c, gold, members);
    if (is_conversion(c, gold, answer)) return kinds_compare(c, gold, answer->kids[1]);
    if (gold->kind == MATH_ADD) answer = with_imaginary(c, gold, answer);
    if (gold->kind == MATH_QUANTITY && answer->n == 2 && relation_is_equation(answer) &&
        relation_is_label(answer->kids[0]) && unit_letter_quantity(c, gold->unit, answer->kids[1]))
        return kinds_compare(c, gold, answer->kids[1]); // F = 5 N
    if (answer->n == 2 && relation_is_equation(answer) && relation_is_label(answer->kids[0]) &&
        number_is_general_angle(answer->kids[1]))
        return kinds_compare(c, gold, answer->kids[1]);                        // x = \pi/4 + n\pi
    const bool family = gold->kind == MATH_LIST && list_is_assignment(answer); // x = 2k + 1
    if (!relation_is_equation(answer) || is_recursive(answer) ||
        (!family && is_only_equation(answer, gold)))
        return kind_said(c, "form", MATH_DIFFERENT);
    if (family) return kinds_compare(c, gold, answer->kids[1]);
    for (int i = 0; i < answer->n; i++) {
        const struct math_node *side = answer->kids[i];
        approximate |= i > 0 && answer->ops[i - 1] == MATH_APPROX && n_sides > 0;
        if ((i == 0 && (relation_is_label(side) || is_operation(answer))) || is_foreign(side, gold))
            continue;
        last = chain_side(c, gold, side, approximate);
        if (last != MATH_UNKNOWN) all = kind_worst(all, last);
        n_sides++;
    }
    if (n_sides == 0) return kind_said(c, "form", MATH_DIFFERENT);
    return last == MATH_UNKNOWN && all != MATH_DIFFERENT ? last : all;
}
