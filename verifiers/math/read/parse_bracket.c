// Brackets: grouping and absolute values. What else stands in brackets is a kind of its own.
#include "verifiers/math/read/parse.h"

static struct math_node *bracketed(struct math_node *node) {
    if (node) node->bracketed = true;
    return node;
}

struct math_node *parse_inside(struct parser *p, bool set) {
    const int bars = p->bars, integrals = p->integrals;
    const bool outer = p->set;
    if (!parse_enter(p)) return NULL;
    p->bars = p->integrals = 0;
    p->set = set;
    p->brackets++;
    struct math_node *node = parse_any(p);
    p->brackets--;
    p->bars = bars;
    p->integrals = integrals;
    p->set = outer;
    parse_leave(p);
    return node;
}

static struct math_node *several(struct parser *p, char open, char close,
                                 struct math_node *inside) {
    for (int i = 0; i < p->n_readers && !p->over; i++) {
        struct math_node *node =
            p->readers[i]->brackets ? p->readers[i]->brackets(p, open, close, inside) : NULL;
        if (node) return node;
    }
    return NULL;
}

static struct math_node *round_or_square(struct parser *p) {
    const char open = parse_peek(p)->c;
    parse_next(p);
    struct math_node *node = parse_inside(p, false);
    if (!node) return NULL;
    const char close = parse_peek(p)->c;
    if (!parse_is(p, ')') && !parse_is(p, ']')) return NULL;
    parse_next(p);
    if (node->kind == MATH_LIST) return several(p, open, close, node);
    return (open == '(') == (close == ')') ? bracketed(node) : NULL;
}

// { } without a backslash groups.
static struct math_node *braces(struct parser *p) {
    parse_next(p);
    struct math_node *node = parse_inside(p, false);
    if (!node) return NULL;
    if (!parse_take(p, '}')) return NULL;
    return node->kind == MATH_LIST ? several(p, '{', '}', node) : bracketed(node);
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
    if (t->c == '{' && t->op != 9) return braces(p);
    if (t->c == '|') return absolute(p);
    return parse_kind(p);
}
