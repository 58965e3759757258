// Sets of real numbers: intervals, unions, inequalities, set names.
#include "verifiers/math/kinds/kind.h"

static struct math_node *read_union(struct parser *p, int below) {
    struct math_node *left = parse_level(p, below);
    while (left && !p->over) {
        enum math_kind kind = MATH_UNION;
        if (parse_is_command(p, "cap"))
            kind = MATH_INTERSECTION;
        else if (parse_is_command(p, "setminus"))
            kind = MATH_DIFFERENCE;
        else if (!parse_is_command(p, "cup") &&
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

static struct math_node *atom(struct parser *p) {
    const uint8_t name = parse_peek(p)->op;
    parse_next(p);
    return parse_node(p, MATH_SET_NAME, name, 0, NULL);
}

enum { MAX_PIECES = 32 };

struct piece {
    const struct math_node *low, *high; // NULL: no end
    bool low_open, high_open;
};

struct real_set {
    struct piece pieces[MAX_PIECES];
    int n;
    const struct math_node *variable; // of an inequality
};

static bool is_inequality(const struct math_node *node) {
    if (node->kind != MATH_RELATION) return false;
    for (int i = 0; i + 1 < node->n; i++)
        if (node->ops[i] != MATH_LT && node->ops[i] != MATH_LE && node->ops[i] != MATH_GT &&
            node->ops[i] != MATH_GE && node->ops[i] != MATH_IN && node->ops[i] != MATH_NE)
            return false;
    return true;
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
        for (int i = 0; i < node->n; i++)
            if (!is_inequality(node->kids[i])) return false;
        return true;
    case MATH_TUPLE:
        return node->n == 2 &&
               (!only_marked || kind_infinity(node->kids[0]) || kind_infinity(node->kids[1]));
    case MATH_SET:
        return !only_marked;
    case MATH_BUILDER:
        return is_inequality(node->kids[1]);
    default:
        return false;
    }
}

static bool add(struct real_set *set, struct piece piece) {
    if (set->n == MAX_PIECES) return false;
    if (piece.low && kind_infinity(piece.low) < 0) piece.low = NULL;
    if (piece.high && kind_infinity(piece.high) > 0) piece.high = NULL;
    if ((piece.low && (!tree_is_scalar(piece.low) || piece.low->free)) ||
        (piece.high && (!tree_is_scalar(piece.high) || piece.high->free)))
        return false;
    if ((piece.low && kind_infinity(piece.low)) || (piece.high && kind_infinity(piece.high)))
        return false;
    set->pieces[set->n++] = piece;
    return true;
}

// -1, 0, 1; 2 when it is not known.
static int order(struct comparison *c, const struct math_node *a, const struct math_node *b) {
    int result = 0;
    return exact_order(a, b, c->budget, &result) == EXACT_YES ? result : 2;
}

static bool is_empty(struct comparison *c, const struct piece *p) {
    if (!p->low || !p->high) return false;
    const int o = order(c, p->low, p->high);
    return o == 1 || (o == 0 && (p->low_open || p->high_open));
}

// Which of two lower ends comes first. An open end comes behind a closed one.
static int order_low(struct comparison *c, const struct piece *a, const struct piece *b) {
    if (!a->low || !b->low) return a->low ? 1 : b->low ? -1 : 0;
    const int o = order(c, a->low, b->low);
    return o ? o : (int)a->low_open - (int)b->low_open;
}

static int order_high(struct comparison *c, const struct piece *a, const struct piece *b) {
    if (!a->high || !b->high) return a->high ? -1 : b->high ? 1 : 0;
    const int o = order(c, a->high, b->high);
    return o ? o : (int)b->high_open - (int)a->high_open;
}

// Sorted, disjoint, without empty pieces. False where the order of two ends is not known.
static bool normalise(struct comparison *c, struct real_set *set) {
    int n = 0;
    for (int i = 0; i < set->n; i++)
        if (!is_empty(c, &set->pieces[i])) set->pieces[n++] = set->pieces[i];
    set->n = n;
    for (int i = 1; i < n; i++) {
        const struct piece piece = set->pieces[i];
        int j = i;
        for (; j > 0; j--) {
            const int o = order_low(c, &piece, &set->pieces[j - 1]);
            if (o == 2) return false;
            if (o >= 0) break;
            set->pieces[j] = set->pieces[j - 1];
        }
        set->pieces[j] = piece;
    }
    int last = 0;
    for (int i = 1; i < n; i++) {
        struct piece *a = &set->pieces[last];
        const struct piece *b = &set->pieces[i];
        const int o = a->high && b->low ? order(c, a->high, b->low) : 1;
        if (o == 2) return false;
        if (o == 1 || (o == 0 && !(a->high_open && b->low_open))) {
            const int h = order_high(c, a, b);
            if (h == 2) return false;
            if (h < 0) {
                a->high = b->high;
                a->high_open = b->high_open;
            }
        } else {
            set->pieces[++last] = *b;
        }
    }
    if (n) set->n = last + 1;
    return true;
}

static bool intersect(struct comparison *c, struct real_set *a, const struct real_set *b) {
    struct real_set both = {.variable = a->variable ? a->variable : b->variable};
    for (int i = 0; i < a->n; i++)
        for (int j = 0; j < b->n; j++) {
            const struct piece *p = &a->pieces[i], *q = &b->pieces[j];
            const int low = order_low(c, p, q), high = order_high(c, p, q);
            if (low == 2 || high == 2) return false;
            struct piece piece = low >= 0 ? *p : *q;
            piece.high = high <= 0 ? p->high : q->high;
            piece.high_open = high <= 0 ? p->high_open : q->high_open;
            if (!is_empty(c, &piece) && !add(&both, piece)) return false;
        }
    *a = both;
    return normalise(c, a);
}

static bool complement(struct comparison *c, struct real_set *set) {
    struct real_set out = {.variable = set->variable};
    const struct math_node *low = NULL;
    bool low_open = true, ended = false;
    if (!normalise(c, set)) return false;
    for (int i = 0; i < set->n; i++) {
        const struct piece *p = &set->pieces[i];
        if (p->low && !add(&out, (struct piece){low, p->low, low_open, !p->low_open})) return false;
        low = p->high;
        low_open = !p->high_open;
        ended = !p->high;
    }
    if (!ended && !add(&out, (struct piece){low, NULL, low_open, true})) return false;
    *set = out;
    return normalise(c, set);
}

static bool collect(struct comparison *c, const struct math_node *node, struct real_set *out);

// One bound, as a set: symbol op value.
static bool bound(struct comparison *c, const struct math_node *variable, int op,
                  const struct math_node *value, struct real_set *out) {
    *out = (struct real_set){.variable = variable};
    if (variable->kind != MATH_SYMBOL) return false;
    switch (op) {
    case MATH_LT:
    case MATH_LE:
        return add(out, (struct piece){NULL, value, true, op == MATH_LT});
    case MATH_GT:
    case MATH_GE:
        return add(out, (struct piece){value, NULL, op == MATH_GT, true});
    case MATH_NE:
        return add(out, (struct piece){value, value, false, false}) && complement(c, out);
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

static bool inequality(struct comparison *c, const struct math_node *node, struct real_set *out) {
    struct real_set next;
    for (int i = 0; i + 1 < node->n; i++) {
        const struct math_node *left = node->kids[i], *right = node->kids[i + 1];
        const bool swap = left->kind != MATH_SYMBOL;
        if (!bound(c, swap ? right : left, swap ? mirrored(node->ops[i]) : node->ops[i],
                   swap ? left : right, &next))
            return false;
        if (i == 0) {
            *out = next;
            continue;
        }
        if (!tree_same(out->variable, next.variable) || !intersect(c, out, &next)) return false;
    }
    return true;
}

static bool several(struct comparison *c, const struct math_node *node, struct real_set *out) {
    const bool both =
        node->kind == MATH_INTERSECTION || (node->kind == MATH_LIST && !(node->op & TREE_OR));
    for (int i = 0; i < node->n; i++) {
        struct real_set part;
        if (!collect(c, node->kids[i], &part)) return false;
        if (i == 0) {
            *out = part;
        } else if (node->kind == MATH_DIFFERENCE) {
            if (!complement(c, &part) || !intersect(c, out, &part)) return false;
        } else if (both) {
            if (!intersect(c, out, &part)) return false;
        } else {
            for (int j = 0; j < part.n; j++)
                if (!add(out, part.pieces[j])) return false;
        }
        if (part.variable && out->variable && !tree_same(part.variable, out->variable))
            return false;
    }
    return normalise(c, out);
}

static bool collect(struct comparison *c, const struct math_node *node, struct real_set *out) {
    *out = (struct real_set){0};
    switch (node->kind) {
    case MATH_BRACKETS:
    case MATH_TUPLE: {
        const bool tuple = node->kind == MATH_TUPLE;
        return node->n == 2 &&
               add(out, (struct piece){node->kids[0], node->kids[1], tuple || node->open[0],
                                       tuple || node->open[1]});
    }
    case MATH_SET:
        for (int i = 0; i < node->n; i++)
            if (!add(out, (struct piece){node->kids[i], node->kids[i], false, false})) return false;
        return normalise(c, out);
    case MATH_SET_NAME:
        return node->op == '0' ||
               (node->op == 'R' && add(out, (struct piece){NULL, NULL, true, true}));
    case MATH_UNION:
    case MATH_INTERSECTION:
    case MATH_DIFFERENCE:
    case MATH_LIST:
        return several(c, node, out);
    case MATH_RELATION:
        return inequality(c, node, out);
    case MATH_BUILDER:
        return inequality(c, node->kids[1], out);
    default: // a number stands for itself: [0,1] \setminus 0.5
        return tree_is_scalar(node) && add(out, (struct piece){node, node, false, false});
    }
}

static enum math_verdict structure(struct comparison *c, const struct math_node *gold,
                                   const struct math_node *answer) {
    if (gold->kind != answer->kind) return kind_said(c, "interval", MATH_UNKNOWN);
    if (gold->kind == MATH_RELATION) return relation_compare(c, gold, answer);
    if (gold->n != answer->n || gold->open[0] != answer->open[0] ||
        gold->open[1] != answer->open[1] || gold->op != answer->op)
        return kind_said(c, "interval", MATH_DIFFERENT);
    enum math_verdict all = MATH_EQUAL;
    for (int i = 0; i < gold->n; i++)
        all = kind_worst(all, kinds_compare(c, gold->kids[i], answer->kids[i]));
    return all;
}

static enum math_verdict end_equal(struct comparison *c, const struct math_node *gold,
                                   const struct math_node *answer) {
    if (!gold || !answer)
        return kind_said(c, "interval", gold == answer ? MATH_EQUAL : MATH_DIFFERENT);
    return kinds_compare(c, gold, answer);
}

static enum math_verdict real_sets(struct comparison *c, const struct math_node *gold,
                                   const struct math_node *answer) {
    struct real_set *g = arena_take(c->arena, 1, sizeof *g);
    struct real_set *a = arena_take(c->arena, 1, sizeof *a);
    if (!collect(c, gold, g) || !collect(c, answer, a) || !normalise(c, g) || !normalise(c, a))
        return structure(c, gold, answer);
    if (g->variable && a->variable && !tree_same(g->variable, a->variable))
        return kind_said(c, "variable", MATH_DIFFERENT);
    if (g->n != a->n) return kind_said(c, "interval", MATH_DIFFERENT);
    enum math_verdict all = MATH_EQUAL;
    for (int i = 0; i < g->n && all != MATH_DIFFERENT; i++) {
        const struct piece *p = &g->pieces[i], *q = &a->pieces[i];
        if ((p->low && p->low_open != q->low_open) || (p->high && p->high_open != q->high_open))
            return kind_said(c, "interval", MATH_DIFFERENT);
        all = kind_worst(all, end_equal(c, p->low, q->low));
        all = kind_worst(all, end_equal(c, p->high, q->high));
    }
    return all;
}

static bool is_named(const struct math_node *node) {
    return node->kind == MATH_SET_NAME || node->kind == MATH_BUILDER;
}

static bool compare(struct comparison *c, const struct math_node *gold,
                    const struct math_node *answer, enum math_verdict *out) {
    if ((is_real_set(gold, true) && is_real_set(answer, false)) ||
        (gold->kind == MATH_TUPLE && is_real_set(answer, true) && is_real_set(gold, false)))
        *out = real_sets(c, gold, answer);
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
    .compare = compare};
