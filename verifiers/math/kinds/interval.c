// Sets of real numbers: intervals, unions, inequalities, set names.
#include "verifiers/math/kinds/real_set.h"

static struct math_node *read_union(struct parser *p, int below) {
    struct math_node *left = parse_level(p, below);
    while (left && !p->over) {
        enum math_kind kind = MATH_UNION;
        if (parse_is_command(p, "cap") || parse_is_command(p, "bigcap"))
            kind = MATH_INTERSECTION;
        else if (parse_is_command(p, "setminus"))
            kind = MATH_DIFFERENCE;
        else if (!parse_is_command(p, "cup") && !parse_is_command(p, "bigcup") &&
                 !(left->kind >= MATH_TUPLE && left->kind <= MATH_DIFFERENCE &&
                   (parse_is_word(parse_peek(p), "U") || parse_is_word(parse_peek(p), "union"))))
            return left;
        parse_next(p);
        struct math_node *right = parse_level(p, below);
        if (!right) return NULL;
        if (kind == MATH_UNION && left->kind == MATH_UNION && !left->bracketed) {
            struct parse_nodes all = {0};
            for (int i = 0; i < left->n; i++) parse_add(p, &all, left->kids[i]);
            parse_add(p, &all, right);
            left = parse_node(p, kind, 0, all.n, all.list);
        } else {
            struct math_node *const pair[] = {left, right};
            left = parse_node(p, kind, 0, 2, pair);
        }
    }
    return left;
}

static struct math_node *read_brackets(struct parser *p, char open, char close,
                                       struct math_node *inside) {
    if (open == '{' || (open == '(' && close == ')')) return NULL;
    if ((open == '(') != (close == ')') && inside->n != 2) return NULL;
    struct math_node *node = parse_node(p, MATH_BRACKETS, 0, inside->n, inside->kids);
    if (!node) return NULL;
    node->open[0] = open == '(';
    node->open[1] = close == ')';
    tree_seal(node);
    return node;
}

static bool starts(const struct parser *p) {
    return p->inside == 0 && parse_peek(p)->kind == TOKEN_SET_NAME;
}

// R^+, R^-, R^*, also in braces: the sign, or 0.
static char sign_behind(struct parser *p) {
    const struct token *t = parse_peek(p);
    const bool brace = t->c == '^' && t[1].c == '{';
    const char sign = t->c == '^' ? t[brace ? 2 : 1].c : 0;
    if (!sign || !strchr("+-*", sign) || (brace && t[3].c != '}')) return 0;
    for (int i = brace ? 4 : 2; i > 0; i--) parse_next(p);
    return sign;
}

// The half line between zero and an infinity.
static struct math_node *half_line(struct parser *p, bool below, bool closed) {
    struct math_node *zero = tree_number(0, p->arena);
    struct math_node *end = parse_node(p, MATH_CONSTANT, MATH_INFINITY, 0, NULL);
    if (end && below) end = parse_node(p, MATH_MUL, TREE_MINUS, 1, &end);
    if (!end) return NULL;
    struct math_node *const pair[] = {below ? end : zero, below ? zero : end};
    struct math_node *half = parse_node(p, MATH_BRACKETS, 0, 2, pair);
    if (!half) return NULL;
    half->open[0] = below || !closed;
    half->open[1] = !below || !closed;
    tree_seal(half);
    return half;
}

// R_{>0}, R_{\le 0}: NULL where that does not follow.
static struct math_node *bounded(struct parser *p) {
    const struct token *t = parse_peek(p);
    if (t->c != '_' || t[1].c != '{' || t[2].kind != TOKEN_RELATION || !slice_is(t[3].text, "0") ||
        t[4].c != '}')
        return NULL;
    const uint8_t op = t[2].op;
    if (op != MATH_LT && op != MATH_LE && op != MATH_GT && op != MATH_GE) return NULL;
    for (int i = 0; i < 5; i++) parse_next(p);
    return half_line(p, op == MATH_LT || op == MATH_LE, op == MATH_LE || op == MATH_GE);
}

static struct math_node *atom(struct parser *p) {
    const uint8_t name = parse_peek(p)->op;
    parse_next(p);
    struct math_node *side = name == 'R' ? bounded(p) : NULL;
    if (side || p->over) return side;
    if (parse_is(p, '_')) { // Z_6, F_2: a name of its own
        const char letters[] = {'b', 'b', (char)name};
        return parse_symbol(p, (struct slice){arena_copy(p->arena, letters, 3), 3}, 0);
    }
    struct math_node *set = parse_node(p, MATH_SET_NAME, name, 0, NULL);
    const char sign = name == 'R' ? sign_behind(p) : 0;
    if (!sign || !set) return set;
    struct math_node *zero = tree_number(0, p->arena);
    if (sign == '*') {
        struct math_node *const pair[] = {set, parse_node(p, MATH_SET, 0, 1, &zero)};
        return pair[1] ? parse_node(p, MATH_DIFFERENCE, 0, 2, pair) : NULL;
    }
    return half_line(p, sign == '-', false);
}

// R - {0} is a difference of sets.
static const struct math_node *normal(struct comparison *c, const struct math_node *node) {
    if (node->kind != MATH_ADD || node->n != 2 || node->kids[0]->kind != MATH_SET_NAME) return node;
    const struct math_node *other = node->kids[1];
    if (other->kind != MATH_MUL || other->op != TREE_MINUS || other->kids[0]->kind != MATH_SET)
        return node;
    const struct math_node *const pair[] = {node->kids[0], other->kids[0]};
    return kind_node(c, MATH_DIFFERENCE, 0, 2, pair);
}

static bool is_inequality(const struct math_node *node) {
    if (node->kind != MATH_RELATION) return false;
    for (int i = 0; i + 1 < node->n; i++)
        if (node->ops[i] != MATH_LT && node->ops[i] != MATH_LE && node->ops[i] != MATH_GT &&
            node->ops[i] != MATH_GE && node->ops[i] != MATH_IN && node->ops[i] != MATH_NE)
            return false;
    return true;
}

// An inequality, or several with "and" between them.
static bool is_condition(const struct math_node *node) {
    if (node->kind != MATH_LIST) return is_inequality(node);
    for (int i = 0; i < node->n; i++)
        if (!is_inequality(node->kids[i])) return false;
    return true;
}

static bool is_pair(const struct math_node *node) {
    return node->n == 2 && (node->kind == MATH_BRACKETS || node->kind == MATH_TUPLE);
}

// Inequalities, or with an "or" between them intervals, one of which is no point.
static bool is_list_of_sets(const struct math_node *node) {
    bool marked = false;
    for (int i = 0; i < node->n; i++) {
        const struct math_node *kid = node->kids[i];
        const bool pair = (node->op & TREE_OR) && is_pair(kid);
        if (!pair && !is_condition(kid)) return false;
        marked |= !pair || kid->kind == MATH_BRACKETS || kind_infinity(kid->kids[0]) ||
                  kind_infinity(kid->kids[1]);
    }
    return marked;
}

static bool is_real_set(const struct math_node *node, bool only_marked) {
    switch (node->kind) {
    case MATH_BRACKETS:
        return node->n == 2;
    case MATH_UNION:
    case MATH_INTERSECTION:
    case MATH_DIFFERENCE:
        return true;
    case MATH_SET_NAME:
        return node->op == 'R' || node->op == '0';
    case MATH_RELATION:
        return is_inequality(node);
    case MATH_LIST:
        return is_list_of_sets(node);
    case MATH_TUPLE:
        return node->n == 2 &&
               (!only_marked || kind_infinity(node->kids[0]) || kind_infinity(node->kids[1]));
    case MATH_SET:
        return !only_marked;
    case MATH_BUILDER:
        return is_condition(node->kids[1]);
    default:
        return false;
    }
}

static bool collect(struct comparison *c, const struct math_node *node, struct real_set *out);

// `variable op value` as a set, where the value is a constant.
static bool bound(struct comparison *c, const struct math_node *variable, int op,
                  const struct math_node *value, struct real_set *out) {
    *out = (struct real_set){.variable = variable};
    switch (op) {
    case MATH_LT:
    case MATH_LE:
        return real_set_add(out, (struct piece){NULL, value, true, op == MATH_LT});
    case MATH_GT:
    case MATH_GE:
        return real_set_add(out, (struct piece){value, NULL, op == MATH_GT, true});
    case MATH_NE:
        return real_set_add(out, (struct piece){value, value, false, false}) &&
               real_set_complement(c, out);
    case MATH_IN:
        if (!collect(c, value, out)) return false;
        out->variable = variable;
        return true;
    default:
        return false;
    }
}

static int mirrored(int op) {
    return op == MATH_LT   ? MATH_GT
           : op == MATH_LE ? MATH_GE
           : op == MATH_GT ? MATH_LT
           : op == MATH_GE ? MATH_LE
                           : op;
}

// One step of a chain: a bound where a symbol stands alone, else solved.
static bool step(struct comparison *c, const struct math_node *left, int op,
                 const struct math_node *right, struct real_set *out) {
    if (left->kind == MATH_SYMBOL && (!right->free || op == MATH_IN))
        return bound(c, left, op, right, out);
    if (right->kind == MATH_SYMBOL && !left->free) return bound(c, right, mirrored(op), left, out);
    return op != MATH_IN && real_set_solve(c, left, op, right, out);
}

// Whether two sets are about the same variable; one that is left out ("> 3") is any.
static bool same_variable(const struct real_set *a, const struct real_set *b) {
    return !a->variable || !b->variable || a->variable->op == TREE_HOLE ||
           b->variable->op == TREE_HOLE || tree_same(a->variable, b->variable);
}

static bool inequality(struct comparison *c, const struct math_node *node, struct real_set *out) {
    struct real_set *next = arena_take(c->arena, 1, sizeof *next);
    for (int i = 0; i + 1 < node->n; i++) {
        if (!step(c, node->kids[i], node->ops[i], node->kids[i + 1], next)) return false;
        if (i == 0)
            *out = *next;
        else if (!same_variable(out, next) || !real_set_intersect(c, out, next))
            return false;
    }
    return true;
}

static bool several(struct comparison *c, const struct math_node *node, struct real_set *out) {
    const bool list = node->kind == MATH_LIST;
    const bool both = node->kind == MATH_INTERSECTION || (list && !(node->op & TREE_OR));
    struct real_set *part = arena_take(c->arena, 1, sizeof *part);
    struct real_set *any = arena_take(c->arena, 1, sizeof *any);
    for (int i = 0; i < node->n; i++) {
        if (!collect(c, node->kids[i], part)) return false;
        if (i > 0 && !same_variable(out, part)) return false;
        if (i == 0) {
            *out = *any = *part;
            continue;
        }
        if (list && node->op == 0 && !real_set_unite(c, any, part)) return false;
        if (node->kind == MATH_DIFFERENCE
                ? !real_set_complement(c, part) || !real_set_intersect(c, out, part)
            : both ? !real_set_intersect(c, out, part)
                   : !real_set_unite(c, out, part))
            return false;
    }
    // "x < -1, x > 1" says either: both at once cannot be.
    if (list && node->op == 0 && out->n == 0) *out = *any;
    return real_set_normalise(c, out);
}

static bool collect(struct comparison *c, const struct math_node *node, struct real_set *out) {
    *out = (struct real_set){0};
    switch (node->kind) {
    case MATH_BRACKETS:
    case MATH_TUPLE: {
        const bool tuple = node->kind == MATH_TUPLE;
        return node->n == 2 &&
               real_set_add(out, (struct piece){node->kids[0], node->kids[1],
                                                tuple || node->open[0], tuple || node->open[1]});
    }
    case MATH_SET:
        for (int i = 0; i < node->n; i++)
            if (!real_set_add(out, (struct piece){node->kids[i], node->kids[i], false, false}))
                return false;
        return real_set_normalise(c, out);
    case MATH_SET_NAME:
        return node->op == '0' ||
               (node->op == 'R' && real_set_add(out, (struct piece){NULL, NULL, true, true}));
    case MATH_UNION:
    case MATH_INTERSECTION:
    case MATH_DIFFERENCE:
    case MATH_LIST:
        return several(c, node, out);
    case MATH_RELATION:
        return inequality(c, node, out);
    case MATH_BUILDER: {
        const struct math_node *domain = node->kids[0];
        const bool integers = domain->kind == MATH_RELATION && domain->n == 2 &&
                              domain->kids[1]->kind == MATH_SET_NAME && domain->kids[1]->op != 'R';
        return !integers && collect(c, node->kids[1], out);
    }
    default: // a number stands for itself: [0,1] \setminus 0.5
        return tree_is_scalar(node) && real_set_add(out, (struct piece){node, node, false, false});
    }
}

static enum math_verdict structure(struct comparison *c, const struct math_node *gold,
                                   const struct math_node *answer) {
    if (gold->kind != answer->kind) return kind_said(c, "interval", MATH_UNKNOWN);
    if (gold->kind == MATH_RELATION) return relation_compare(c, gold, answer);
    if (gold->n != answer->n || gold->open[0] != answer->open[0] ||
        gold->open[1] != answer->open[1] || gold->op != answer->op)
        return kind_said(c, "interval",
                         gold->kind == MATH_BRACKETS ? MATH_DIFFERENT : MATH_UNKNOWN);
    const enum math_verdict all = kind_in_order(c, gold, answer);
    // In another order, or taken apart in another way, parts may be the same set.
    return all == MATH_DIFFERENT && gold->kind != MATH_BRACKETS ? MATH_UNKNOWN : all;
}

static enum math_verdict real_sets(struct comparison *c, const struct math_node *gold,
                                   const struct math_node *answer) {
    struct real_set *g = arena_take(c->arena, 1, sizeof *g);
    struct real_set *a = arena_take(c->arena, 1, sizeof *a);
    if (!collect(c, gold, g) || !collect(c, answer, a) || !real_set_normalise(c, g) ||
        !real_set_normalise(c, a))
        return structure(c, gold, answer);
    if (!same_variable(g, a)) return kind_said(c, "variable", MATH_DIFFERENT);
    return real_set_compare(c, g, a);
}

static bool is_named(const struct math_node *node) {
    return node->kind == MATH_SET_NAME || node->kind == MATH_BUILDER;
}

static bool is_descending(struct comparison *c, const struct math_node *pair) {
    int order = 0;
    return tree_is_scalar(pair->kids[0]) && tree_is_scalar(pair->kids[1]) &&
           exact_order(pair->kids[0], pair->kids[1], c->budget, &order) == EXACT_YES && order > 0;
}

static bool compare(struct comparison *c, const struct math_node *gold,
                    const struct math_node *answer, enum math_verdict *out) {
    // A point (2, -3) is no empty interval.
    const bool point = gold->kind == MATH_TUPLE && gold->n == 2 && answer->kind != MATH_TUPLE &&
                       !gold->free && !kind_infinity(gold->kids[0]) &&
                       !kind_infinity(gold->kids[1]) && is_descending(c, gold);
    if (point && answer->kind == MATH_BRACKETS)
        *out = kind_said(c, "form", MATH_DIFFERENT);
    else if ((is_real_set(gold, true) && is_real_set(answer, false)) ||
             ((gold->kind == MATH_TUPLE || (gold->kind == MATH_SET && gold->op == 0)) &&
              is_real_set(answer, true) && is_real_set(gold, false)))
        *out = real_sets(c, gold, answer);
    else if (gold->kind == MATH_SET_NAME && answer->kind == MATH_SET_NAME)
        *out = kind_said(c, "set", gold->op == answer->op ? MATH_EQUAL : MATH_DIFFERENT);
    else if (tree_is_scalar(gold) == tree_is_scalar(answer) && gold->kind != MATH_RELATION &&
             answer->kind != MATH_RELATION && (is_named(gold) || is_named(answer)))
        *out = kind_said(c, "form",
                         gold->kind == answer->kind && gold->kind == MATH_BUILDER ? MATH_UNKNOWN
                                                                                  : MATH_DIFFERENT);
    else
        return false;
    return true;
}

const struct kind interval_kind = {
    .reader = {.level = read_union, .starts = starts, .atom = atom, .brackets = read_brackets},
    .normal = normal,
    .compare = compare};
