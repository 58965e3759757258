// Literals, names, and what stands behind them: attributes, calls, filters and tests.
#include "worker/load/jinja/filter.h"
#include "worker/load/jinja/parser.h"
#include "worker/load/jinja/predicate.h"

// ---- nodes of one shape

struct node *parser_node1(struct parser *p, enum node_kind kind, int line, struct node *kid) {
    struct kids kids = {0};
    if (!kid) return NULL;
    parser_add_kid(p, &kids, kid);
    return parser_node(p, kind, line, &kids);
}

struct node *parser_node2(struct parser *p, enum node_kind kind, int line, struct node *left,
                          struct node *right) {
    struct kids kids = {0};
    if (!left || !right) return NULL;
    parser_add_kid(p, &kids, left);
    parser_add_kid(p, &kids, right);
    return parser_node(p, kind, line, &kids);
}

static struct node *constant(struct parser *p, int line, struct value value) {
    struct node *n = parser_node(p, NODE_CONST, line, &(struct kids){0});
    if (n) n->constant = value;
    return n;
}

// ---- arguments

static int keyword(struct parser *p, struct kids *kids, int n_args) {
    int line = p->at->line;
    struct slice name = p->at->text;
    for (int i = n_args; i < kids->n; i++)
        if (slice_equal(kids->list[i]->name, name))
            return parser_fail(p, line, "the argument '%.*s' is given twice.", SLICE_ARG(name)), -1;
    if (name.ptr[0] == '_') return parser_fail(p, line, "an argument's name starts with '_'."), -1;
    p->at += 2;
    struct node *n = parser_node1(p, NODE_KEYWORD, line, parser_expression(p));
    if (!n) return -1;
    n->name = name;
    parser_add_kid(p, kids, n);
    return 0;
}

// "(...)" behind a callee, filter or test: appends arguments, then keywords.
static int arguments(struct parser *p, struct kids *kids, int *n_args, int *n_named) {
    int line = p->at->line, first = kids->n;
    *n_args = *n_named = 0;
    if (parser_expect_operator(p, "(")) return -1;
    while (!parser_is_operator(p, ")")) {
        if (*n_args + *n_named > 0) {
            if (parser_expect_operator(p, ",")) return -1;
            if (parser_is_operator(p, ")")) break;
        }
        if (parser_is_operator(p, "*") || parser_is_operator(p, "**"))
            return parser_fail(p, line, "* and ** in front of an argument are not supported."), -1;
        bool named = parser_is(p, TOKEN_NAME) && p->at[1].type == TOKEN_OPERATOR &&
                     slice_is(p->at[1].text, "=");
        if (named) {
            if (keyword(p, kids, first + *n_args)) return -1;
            ++*n_named;
            continue;
        }
        if (*n_named) return parser_fail(p, line, "an argument follows one with a name."), -1;
        struct node *n = parser_expression(p);
        if (!n) return -1;
        parser_add_kid(p, kids, n);
        ++*n_args;
    }
    return parser_expect_operator(p, ")");
}

static struct node *call(struct parser *p, struct node *callee) {
    struct kids kids = {0};
    int line = p->at->line, n_args, n_named;
    parser_add_kid(p, &kids, callee);
    if (arguments(p, &kids, &n_args, &n_named)) return NULL;
    struct node *n = parser_node(p, NODE_CALL, line, &kids);
    if (n) n->n_args = n_args, n->n_named = n_named;
    return n;
}

// ---- filters and tests

static struct node *unknown(struct parser *p, int line, const char *what, struct slice name,
                            const struct callable *rows) {
    struct buffer known = {0};
    callable_list(rows, &known);
    parser_fail(p, line, "the %s '%.*s' is not known; expected one of %s.", what, SLICE_ARG(name),
                known.ptr);
    buffer_free(&known);
    return NULL;
}

// map('name'), select('name') and selectattr('attribute', 'name') name a filter or test.
static bool names_known_rows(struct parser *p, const struct node *n) {
    bool maps = slice_is(n->name, "map");
    bool attribute = slice_is(n->name, "selectattr") || slice_is(n->name, "rejectattr");
    bool selects = attribute || slice_is(n->name, "select") || slice_is(n->name, "reject");
    int place = attribute ? 2 : 1;
    if ((!maps && !selects) || n->n_args < place) return true;
    const struct node *named = n->kids[place];
    if (named->kind != NODE_CONST || !value_is_string(named->constant)) return true;
    struct slice name = value_slice(named->constant);
    if (maps && !filter_find(name)) return unknown(p, n->line, "filter", name, filter_rows);
    if (selects && !predicate_find(name)) return unknown(p, n->line, "test", name, predicate_rows);
    return true;
}

static int dotted_name(struct parser *p, struct slice *name) {
    if (parser_take_name(p, name)) return -1;
    if (!parser_is_operator(p, ".")) return 0;
    return parser_fail(p, p->at->line, "a filter or test has a name with a dot."), -1;
}

struct node *parser_filters(struct parser *p, struct node *object, bool inside) {
    while (inside || parser_is_operator(p, "|")) {
        struct kids kids = {0};
        struct slice name;
        int n_args = 0, n_named = 0;
        if (!inside) p->at++;
        inside = false;
        int line = p->at->line;
        parser_add_kid(p, &kids, object);
        if (dotted_name(p, &name)) return NULL;
        const struct callable *row = filter_find(name);
        if (!row) return unknown(p, line, "filter", name, filter_rows);
        if (parser_is_operator(p, "(") && arguments(p, &kids, &n_args, &n_named)) return NULL;
        object = parser_node(p, NODE_FILTER, line, &kids);
        if (!object) return NULL;
        object->name = name;
        object->n_args = n_args;
        object->n_named = n_named;
        object->callable = row;
        if (!names_known_rows(p, object)) return NULL;
    }
    return object;
}

static bool starts_argument(const struct parser *p) {
    switch (p->at->type) {
    case TOKEN_NAME:
        return !parser_is_name(p, "else") && !parser_is_name(p, "or") && !parser_is_name(p, "and");
    case TOKEN_STRING:
    case TOKEN_NUMBER:
        return true;
    default:
        return parser_is_operator(p, "[") || parser_is_operator(p, "{");
    }
}

// Behind "is".
static struct node *test(struct parser *p, struct node *object) {
    struct kids kids = {0};
    struct slice name;
    int line = p->at->line, n_args = 0, n_named = 0;
    bool negated = parser_skip_name(p, "not");
    parser_add_kid(p, &kids, object);
    if (dotted_name(p, &name)) return NULL;
    const struct callable *row = predicate_find(name);
    if (!row) return unknown(p, line, "test", name, predicate_rows);
    if (parser_is_operator(p, "(")) {
        if (arguments(p, &kids, &n_args, &n_named)) return NULL;
    } else if (starts_argument(p)) {
        if (parser_is_name(p, "is"))
            return parser_fail(p, line, "a test follows a test; expected 'and' between them.");
        struct node *argument = parser_primary(p, false);
        argument = argument ? parser_postfix(p, argument) : NULL;
        if (!argument) return NULL;
        parser_add_kid(p, &kids, argument);
        n_args = 1;
    }
    struct node *n = parser_node(p, NODE_TEST, line, &kids);
    if (!n) return NULL;
    n->name = name;
    n->n_args = n_args;
    n->n_named = n_named;
    n->callable = row;
    return negated ? parser_node1(p, NODE_NOT, line, n) : n;
}

struct node *parser_filters_and_tests(struct parser *p, struct node *n) {
    while (n) {
        if (parser_is_operator(p, "|"))
            n = parser_filters(p, n, false);
        else if (parser_skip_name(p, "is"))
            n = test(p, n);
        else if (parser_is_operator(p, "("))
            n = call(p, n);
        else
            break;
    }
    return n;
}

// ---- literals and what stands behind them

static struct node *list(struct parser *p) {
    struct kids kids = {0};
    int line = p->at->line;
    p->at++;
    while (!parser_is_operator(p, "]")) {
        if (kids.n && parser_expect_operator(p, ",")) return NULL;
        if (parser_is_operator(p, "]")) break;
        struct node *item = parser_expression(p);
        if (!item) return NULL;
        parser_add_kid(p, &kids, item);
    }
    p->at++;
    return parser_node(p, NODE_LIST, line, &kids);
}

// Jinja works out constant dicts when it compiles, and fails for keys that cannot be hashed even
// where they are never used; keys that could be such constants are refused.
static bool is_plain_key(const struct node *key) {
    while (key->kind == NODE_GETATTR || key->kind == NODE_GETITEM) key = key->kids[0];
    return key->kind == NODE_CONST || key->kind == NODE_NAME || key->kind == NODE_CONCAT ||
           key->kind == NODE_CALL;
}

static struct node *dict(struct parser *p) {
    struct kids kids = {0};
    int line = p->at->line;
    p->at++;
    while (!parser_is_operator(p, "}")) {
        if (kids.n && parser_expect_operator(p, ",")) return NULL;
        if (parser_is_operator(p, "}")) break;
        struct node *key = parser_expression(p);
        if (!key || parser_expect_operator(p, ":")) return NULL;
        if (!is_plain_key(key))
            return parser_fail(p, line, "a dict's key is neither a literal nor a name.");
        struct node *value = parser_expression(p);
        if (!value) return NULL;
        parser_add_kid(p, &kids, key);
        parser_add_kid(p, &kids, value);
    }
    p->at++;
    return parser_node(p, NODE_DICT, line, &kids);
}

static struct node *name(struct parser *p, bool namespaces) {
    static const char *const words[] = {"true", "True", "false", "False", "none", "None"};
    const struct token *t = p->at++;
    for (int i = 0; i < 6; i++)
        if (slice_is(t->text, words[i]))
            return constant(p, t->line, i < 4 ? value_bool(i < 2) : value_none());
    struct node *n = parser_node(p, NODE_NAME, t->line, &(struct kids){0});
    if (!n) return NULL;
    n->name = t->text;
    if (!namespaces || !parser_skip_operator(p, ".")) return n;
    struct slice attribute;
    if (parser_take_name(p, &attribute)) return NULL;
    struct node *reference = parser_node(p, NODE_NSREF, t->line, &(struct kids){0});
    if (!reference) return NULL;
    reference->name = t->text;
    reference->attribute = attribute;
    return reference;
}

static struct node *strings(struct parser *p) {
    struct buffer text = {0};
    int line = p->at->line;
    for (; parser_is(p, TOKEN_STRING); p->at++) buffer_add_slice(&text, p->at->text);
    struct slice copy = {arena_copy(p->arena, text.ptr, text.len), text.len};
    buffer_free(&text);
    return constant(p, line, value_string(copy));
}

static struct node *parenthesis(struct parser *p) {
    struct kids kids = {0};
    int line = p->at->line;
    bool tuple = true;
    p->at++;
    while (!parser_is_operator(p, ")")) { // empty, or with a comma behind the last one: a tuple
        struct node *item = parser_expression(p);
        if (!item) return NULL;
        parser_add_kid(p, &kids, item);
        if (!parser_skip_operator(p, ",")) {
            tuple = kids.n > 1;
            break;
        }
    }
    if (parser_expect_operator(p, ")")) return NULL;
    return tuple ? parser_node(p, NODE_TUPLE, line, &kids) : kids.list[0];
}

struct node *parser_primary(struct parser *p, bool namespaces) {
    if (parser_is(p, TOKEN_NAME)) return name(p, namespaces);
    if (parser_is(p, TOKEN_STRING)) return strings(p);
    if (parser_is(p, TOKEN_NUMBER)) {
        p->at++;
        return constant(p, p->at[-1].line, p->at[-1].value);
    }
    if (parser_is_operator(p, "(")) return parenthesis(p);
    if (parser_is_operator(p, "[")) return list(p);
    if (parser_is_operator(p, "{")) return dict(p);
    return parser_fail(p, p->at->line, "%s stands where a value was expected.", parser_found(p));
}

static struct node *attribute(struct parser *p, struct node *object) {
    int line = p->at->line;
    p->at++;
    if (parser_is(p, TOKEN_NUMBER) && p->at->value.type == VALUE_INT)
        return parser_node2(p, NODE_GETITEM, line, object, parser_primary(p, false));
    struct slice attribute;
    if (parser_take_name(p, &attribute)) return NULL;
    if (attribute.len > 1 && attribute.ptr[0] == '_' && attribute.ptr[1] == '_')
        return parser_fail(p, line, "'%.*s' is not allowed in a chat template.",
                           SLICE_ARG(attribute));
    struct node *n = parser_node1(p, NODE_GETATTR, line, object);
    if (n) n->name = attribute;
    return n;
}

// "a:b:c" with parts left out; `first` is what stands before the ':', or NULL.
static struct node *slice(struct parser *p, struct node *first) {
    struct kids kids = {0};
    int line = p->at->line;
    parser_add_kid(p, &kids, first);
    for (int i = 1; i < 3; i++) {
        struct node *part = NULL;
        if (parser_skip_operator(p, ":") && !parser_is_operator(p, ":") &&
            !parser_is_operator(p, "]") && !parser_is_operator(p, ",")) {
            part = parser_expression(p);
            if (!part) return NULL;
        }
        parser_add_kid(p, &kids, part);
    }
    return parser_node(p, NODE_SLICE, line, &kids);
}

static struct node *subscript(struct parser *p, struct node *object) {
    int line = p->at->line;
    p->at++;
    struct node *key = NULL;
    if (!parser_is_operator(p, ":") && !(key = parser_expression(p))) return NULL;
    if (parser_is_operator(p, ":") && !(key = slice(p, key))) return NULL;
    if (parser_is_operator(p, ","))
        return parser_fail(p, line, "[ ] has several keys; expected one.");
    if (parser_expect_operator(p, "]")) return NULL;
    return parser_node2(p, NODE_GETITEM, line, object, key);
}

struct node *parser_postfix(struct parser *p, struct node *n) {
    while (n) {
        if (parser_is_operator(p, "."))
            n = attribute(p, n);
        else if (parser_is_operator(p, "["))
            n = subscript(p, n);
        else if (parser_is_operator(p, "("))
            n = call(p, n);
        else
            break;
    }
    return n;
}
