// Operators, conditions, tuples and what is assigned to.
#include "worker/load/jinja/arith.h"
#include "worker/load/jinja/parser.h"

static struct node *condition(struct parser *p);
static struct node *unary(struct parser *p, bool with_filters);

// ---- operators, from those that bind closest

static struct node *unary_inner(struct parser *p, bool with_filters) {
    int line = p->at->line;
    struct node *n;
    if (parser_skip_operator(p, "-"))
        n = parser_node1(p, NODE_NEGATIVE, line, unary(p, false));
    else if (parser_skip_operator(p, "+"))
        n = parser_node1(p, NODE_POSITIVE, line, unary(p, false));
    else
        n = parser_primary(p, false);
    n = n ? parser_postfix(p, n) : NULL;
    return n && with_filters ? parser_filters_and_tests(p, n) : n;
}

// Counts what is inside each other, so that neither we nor Python run out of stack.
static struct node *nested(struct parser *p, struct node *(*read)(struct parser *, bool),
                           bool flag) {
    if (++p->nesting > PARSER_MAX_NESTING)
        return parser_fail(p, p->at->line, "expressions are nested deeper than %d levels.",
                           PARSER_MAX_NESTING);
    struct node *n = read(p, flag);
    p->nesting--;
    return n;
}

static struct node *unary(struct parser *p, bool with_filters) {
    return nested(p, unary_inner, with_filters);
}

static struct node *arith(struct parser *p, enum arith_op op, int line, struct node *left,
                          struct node *right) {
    struct node *n = parser_node2(p, NODE_ARITH, line, left, right);
    if (n) n->op = (uint8_t)op;
    return n;
}

static struct node *power(struct parser *p) {
    int line = p->at->line;
    struct node *left = unary(p, true);
    while (left && parser_skip_operator(p, "**"))
        left = arith(p, ARITH_POW, line, left, unary(p, true));
    return left;
}

static struct node *product(struct parser *p) {
    static const char *const signs[] = {"*", "/", "//", "%"};
    static const enum arith_op ops[] = {ARITH_MUL, ARITH_DIV, ARITH_FLOORDIV, ARITH_MOD};
    int line = p->at->line;
    struct node *left = power(p);
    for (int i = 0; left && i < 4;) {
        if (parser_skip_operator(p, signs[i])) {
            left = arith(p, ops[i], line, left, power(p));
            i = 0;
        } else {
            i++;
        }
    }
    return left;
}

static struct node *concat(struct parser *p) {
    struct kids kids = {0};
    int line = p->at->line;
    do {
        struct node *operand = product(p);
        if (!operand) return NULL;
        parser_add_kid(p, &kids, operand);
    } while (parser_skip_operator(p, "~"));
    return kids.n == 1 ? kids.list[0] : parser_node(p, NODE_CONCAT, line, &kids);
}

static struct node *sum(struct parser *p) {
    int line = p->at->line;
    struct node *left = concat(p);
    while (left && (parser_is_operator(p, "+") || parser_is_operator(p, "-"))) {
        enum arith_op op = parser_is_operator(p, "+") ? ARITH_ADD : ARITH_SUB;
        p->at++;
        left = arith(p, op, line, left, concat(p));
    }
    return left;
}

static int comparison(struct parser *p) {
    static const char *const signs[] = {"==", "!=", "<", "<=", ">", ">="};
    for (int i = 0; i < 6; i++)
        if (parser_skip_operator(p, signs[i])) return COMPARE_EQ + i;
    if (parser_skip_name(p, "in")) return COMPARE_IN;
    if (!parser_is_name(p, "not") || p->at[1].type != TOKEN_NAME || !slice_is(p->at[1].text, "in"))
        return -1;
    p->at += 2;
    return COMPARE_NOT_IN;
}

static struct node *compare(struct parser *p) {
    struct kids kids = {0};
    int line = p->at->line, op;
    struct node *left = sum(p);
    parser_add_kid(p, &kids, left);
    while (left && (op = comparison(p)) >= 0) {
        struct node *operand = parser_node1(p, NODE_OPERAND, line, sum(p));
        if (!operand) return NULL;
        operand->op = (uint8_t)op;
        parser_add_kid(p, &kids, operand);
    }
    return kids.n > 1 ? parser_node(p, NODE_COMPARE, line, &kids) : left;
}

static struct node *negation(struct parser *p, bool unused) {
    (void)unused;
    int line = p->at->line;
    if (!parser_skip_name(p, "not")) return compare(p);
    return parser_node1(p, NODE_NOT, line, nested(p, negation, false));
}

static struct node *conjunction(struct parser *p) {
    int line = p->at->line;
    struct node *left = negation(p, false);
    while (left && parser_skip_name(p, "and"))
        left = parser_node2(p, NODE_AND, line, left, negation(p, false));
    return left;
}

static struct node *disjunction(struct parser *p, bool unused) {
    (void)unused;
    int line = p->at->line;
    struct node *left = conjunction(p);
    while (left && parser_skip_name(p, "or"))
        left = parser_node2(p, NODE_OR, line, left, conjunction(p));
    return left;
}

static struct node *condition_inner(struct parser *p, bool unused) {
    (void)unused;
    int line = p->at->line;
    struct node *value = disjunction(p, false);
    while (value && parser_skip_name(p, "if")) {
        struct kids kids = {0};
        struct node *test_node = disjunction(p, false), *other = NULL;
        if (!test_node) return NULL;
        if (parser_skip_name(p, "else") && !(other = condition(p))) return NULL;
        parser_add_kid(p, &kids, test_node);
        parser_add_kid(p, &kids, value);
        parser_add_kid(p, &kids, other);
        value = parser_node(p, NODE_COND, line, &kids);
    }
    return value;
}

static struct node *condition(struct parser *p) {
    return nested(p, condition_inner, false);
}

struct node *parser_expression(struct parser *p) {
    return condition(p);
}

// ---- tuples and targets

static bool ends_tuple(const struct parser *p) {
    return parser_is(p, TOKEN_VARIABLE_END) || parser_is(p, TOKEN_BLOCK_END) ||
           parser_is_operator(p, ")");
}

static struct node *tuple_of(struct parser *p, struct node *(*read)(struct parser *, bool),
                             bool flag) {
    struct kids kids = {0};
    int line = p->at->line;
    bool tuple = false;
    for (;;) {
        if (kids.n && parser_expect_operator(p, ",")) return NULL;
        if (ends_tuple(p)) break;
        struct node *item = read(p, flag);
        if (!item) return NULL;
        parser_add_kid(p, &kids, item);
        if (!parser_is_operator(p, ",")) break;
        tuple = true;
    }
    if (tuple) return parser_node(p, NODE_TUPLE, line, &kids);
    if (kids.n) return kids.list[0];
    return parser_fail(p, line, "%s stands where a value was expected.", parser_found(p));
}

struct node *parser_tuple(struct parser *p, bool with_condition) {
    return tuple_of(p, with_condition ? condition_inner : disjunction, false);
}

// Marks names as written; false for what cannot be assigned to.
static bool set_context(struct node *n, enum node_context context) {
    if (n->kind == NODE_NSREF) return true;
    n->op = (uint8_t)context;
    if (n->kind == NODE_NAME) return true;
    if (n->kind != NODE_TUPLE) return false;
    for (int i = 0; i < n->n; i++)
        if (!set_context(n->kids[i], context)) return false;
    return true;
}

struct node *parser_target(struct parser *p, bool namespaces, enum node_context context) {
    int line = p->at->line;
    struct node *target = tuple_of(p, parser_primary, namespaces);
    if (target && !set_context(target, context))
        return parser_fail(p, line, "a value is assigned to what is no name.");
    return target;
}
