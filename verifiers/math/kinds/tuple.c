// Tuples and sets: (1, 2), \langle 1, 2 \rangle, \{1, 2\}.
#include "verifiers/math/base/ascii.h"
#include "verifiers/math/kinds/kind.h"

static struct math_node *read_brackets(struct parser *p, char open, char close,
                                       struct math_node *inside) {
    if (open == '(' && close == ')') return parse_node(p, MATH_TUPLE, 0, inside->n, inside->kids);
    if (open == '{' && close == '}') return parse_node(p, MATH_SET, 1, inside->n, inside->kids);
    return NULL;
}

static struct math_node *read_set(struct parser *p) {
    parse_next(p);
    if (parse_take(p, '}')) return parse_node(p, MATH_SET_NAME, '0', 0, NULL);
    struct math_node *node = parse_inside(p, true);
    if (!node) return NULL;
    if (parse_is(p, '|') || parse_is(p, ':')) {
        parse_next(p);
        struct math_node *const pair[] = {node, parse_inside(p, false)};
        if (!pair[1] || !parse_take(p, '}')) return NULL;
        return parse_node(p, MATH_BUILDER, 0, 2, pair);
    }
    if (!parse_is(p, '}')) {
        // \left\{ \begin{array}...\end{array} \right. is a system, or cases.
        if (node->kind == MATH_MATRIX && node->columns == 2) return node;
        const bool system = node->kind == MATH_MATRIX && node->columns == 1;
        return system ? parse_node(p, MATH_LIST, TREE_AND, node->n, node->kids) : NULL;
    }
    parse_next(p);
    if (node->kind == MATH_LIST) return parse_node(p, MATH_SET, 0, node->n, node->kids);
    return parse_node(p, MATH_SET, 0, 1, &node);
}

static bool starts(const struct parser *p) {
    return parse_is_command(p, "langle") || (parse_is(p, '{') && parse_peek(p)->op == 9);
}

static struct math_node *angle_brackets(struct parser *p) {
    p->brackets++;
    struct math_node *node = parse_any(p);
    p->brackets--;
    if (!node || !parse_take_command(p, "rangle") || node->kind != MATH_LIST) return NULL;
    return parse_node(p, MATH_TUPLE, 0, node->n, node->kids);
}

static struct math_node *atom(struct parser *p) {
    return parse_take_command(p, "langle") ? angle_brackets(p) : read_set(p);
}

static bool compare(struct comparison *c, const struct math_node *gold,
                    const struct math_node *answer, enum math_verdict *out) {
    const bool tuple = gold->kind == MATH_TUPLE || answer->kind == MATH_TUPLE;
    if (!tuple) return false;
    // Braces without a backslash only group: {1, 2} is the list 1, 2, and takes the other's side.
    const struct math_node *other = gold->kind == MATH_TUPLE ? answer : gold;
    const bool point = other == answer && other->kind == MATH_APPLY && other->text.len == 1 &&
                       ascii_is_upper(other->text.ptr[0]) && other->kids[0]->kind == MATH_TUPLE;
    if (point) { // P(4,5)
        *out = kinds_compare(c, gold, other->kids[0]);
        return true;
    }
    const bool list = other->kind == MATH_LIST || (other->kind == MATH_SET && other->op == 1);
    if (other->kind == MATH_SET && other->n == 1 && other->kids[0]->kind == MATH_TUPLE) {
        const bool swap = gold->kind == MATH_TUPLE; // {(1, 2)} has one solution
        *out = kinds_compare(c, swap ? gold : gold->kids[0], swap ? answer->kids[0] : answer);
        return true;
    }
    const bool either = other->kind == MATH_LIST && (other->op & TREE_OR);
    if ((other->kind == MATH_SET && !list) || either)
        *out = kind_said(c, "form", MATH_DIFFERENT);
    else if (other->kind == MATH_TUPLE || list)
        *out = kind_in_order(c, gold, answer);
    else
        return false;
    return true;
}

const struct kind tuple_kind = {
    .reader = {.starts = starts, .atom = atom, .brackets = read_brackets}, .compare = compare};
