// Brackets: grouping, tuples, intervals, sets, absolute values.
#include "verifiers/math/parse.h"

static struct math_node *bracketed(struct math_node *node) {
    if (node) node->bracketed = true;
    return node;
}

// The items behind an opening bracket, with bars and sets of their own.
static struct math_node *inside(struct parser *p, bool set) {
    const int bars = p->bars, integrals = p->integrals;
    const bool outer = p->set;
    if (!parse_enter(p)) return NULL;
    p->bars = p->integrals = 0;
    p->set = set;
    p->brackets++;
    struct math_node *node = parse_list(p);
    p->brackets--;
    p->bars = bars;
    p->integrals = integrals;
    p->set = outer;
    parse_leave(p);
    return node;
}

static struct math_node *round_or_square(struct parser *p) {
    const bool round = parse_is(p, '(');
    parse_next(p);
    struct math_node *node = inside(p, false);
    if (!node) return NULL;
    const bool round_end = parse_is(p, ')');
    if (!round_end && !parse_is(p, ']')) return NULL;
    parse_next(p);
    if (node->kind != MATH_LIST) return round == round_end ? bracketed(node) : NULL;
    if (round && round_end) return parse_node(p, MATH_TUPLE, 0, node->n, node->kids);
    if (round != round_end && node->n != 2) return NULL;
    struct math_node *brackets = parse_node(p, MATH_BRACKETS, 0, node->n, node->kids);
    if (!brackets) return NULL;
    brackets->open[0] = round;
    brackets->open[1] = round_end;
    tree_seal(brackets);
    return brackets;
}

static struct math_node *set(struct parser *p) {
    parse_next(p);
    if (parse_take(p, '}')) return parse_node(p, MATH_SET_NAME, '0', 0, NULL);
    struct math_node *node = inside(p, true);
    if (!node) return NULL;
    if (parse_is(p, '|') || parse_is(p, ':')) {
        parse_next(p);
        struct math_node *const pair[] = {node, inside(p, false)};
        if (!pair[1] || !parse_take(p, '}')) return NULL;
        return parse_node(p, MATH_BUILDER, 0, 2, pair);
    }
    if (!parse_take(p, '}')) return NULL;
    if (node->kind == MATH_LIST) return parse_node(p, MATH_SET, 0, node->n, node->kids);
    return parse_node(p, MATH_SET, 0, 1, &node);
}

// { } without a backslash groups; with several items it is a set. {n \choose k} too.
static struct math_node *braces(struct parser *p) {
    parse_next(p);
    struct math_node *node = inside(p, false);
    if (!node) return NULL;
    if (parse_take_command(p, "choose")) {
        struct math_node *const pair[] = {node, inside(p, false)};
        if (!pair[1] || !parse_take(p, '}')) return NULL;
        return parse_node(p, MATH_FUNCTION, MATH_BINOMIAL, 2, pair);
    }
    if (!parse_take(p, '}')) return NULL;
    if (node->kind == MATH_LIST) return parse_node(p, MATH_SET, 1, node->n, node->kids);
    return bracketed(node);
}

static struct math_node *absolute(struct parser *p) {
    const bool outer = p->set;
    parse_next(p);
    p->bars++;
    p->set = false;
    struct math_node *node = parse_enter(p) ? parse_sum(p) : NULL;
    parse_leave(p);
    p->bars--;
    p->set = outer;
    if (!node || !parse_is(p, '|') || parse_peek(p)->op == 1) return NULL;
    parse_next(p);
    return parse_node(p, MATH_FUNCTION, MATH_ABS, 1, &node);
}

struct math_node *parse_bracket(struct parser *p) {
    const struct token *t = parse_peek(p);
    if (t->kind != TOKEN_CHAR) return NULL;
    if (t->c == '(' || t->c == '[') return round_or_square(p);
    if (t->c == '{') return t->op == 9 ? set(p) : braces(p);
    if (t->c == '|') return absolute(p);
    return NULL;
}
