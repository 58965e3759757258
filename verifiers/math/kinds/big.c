// Sums, products, integrals, limits and derivatives.
#include "verifiers/math/kinds/derivative.h"
#include "verifiers/math/kinds/kind.h"
#include "verifiers/math/kinds/series.h"

// ^{...} and _{...} in either order; an empty one is none. kids[0] below, kids[1] above.
static bool limits(struct parser *p, struct math_node *kids[2]) {
    for (int i = 0; i < 2; i++) {
        const bool above = parse_is(p, '^');
        if (!above && !parse_is(p, '_')) return true;
        parse_next(p);
        if (parse_is(p, '{') && p->t[p->at + 1].c == '}') {
            parse_next(p);
            parse_next(p);
            continue;
        }
        kids[above] = parse_is(p, '{') ? parse_group(p) : parse_single(p, false);
        if (!kids[above]) return false;
    }
    return true;
}

static struct math_node *named(struct parser *p, struct slice name) {
    struct math_node *node = tree_list(MATH_SYMBOL, NULL, 0, p->arena);
    node->text = (struct slice){arena_copy(p->arena, name.ptr, name.len), name.len};
    tree_seal(node);
    return node;
}

// dx, d\theta: the variable, or NULL.
static struct math_node *differential(struct parser *p) {
    const struct token *t = parse_peek(p);
    if (t->kind != TOKEN_WORD || t->text.ptr[p->inside] != 'd') return NULL;
    const size_t left = t->text.len - p->inside;
    if (left != 2 && !(left == 1 && t[1].kind == TOKEN_NAME)) return NULL;
    const struct slice letter = {t->text.ptr + p->inside + 1, 1};
    parse_next(p);
    if (left == 1) parse_next(p);
    return named(p, left == 1 ? t[1].text : letter);
}

// \frac{dx}{1+x^2}: one over the denominator, and the variable. NULL where that does not follow.
static struct math_node *differential_over(struct parser *p, struct math_node **variable) {
    const struct token *t = parse_peek(p);
    if (p->inside || t->kind != TOKEN_COMMAND || !slice_is(t->text, "frac") || t[1].c != '{' ||
        t[2].kind != TOKEN_WORD || t[2].text.len != 2 || t[2].text.ptr[0] != 'd' || t[3].c != '}')
        return NULL;
    parse_next(p);
    parse_next(p);
    *variable = differential(p);
    parse_next(p);
    return parse_quotient(p, tree_number(1, p->arena), parse_group(p));
}

static struct math_node *big(struct parser *p, struct slice name) {
    struct math_node *kids[4] = {NULL, NULL, NULL, NULL}, *variable = NULL;
    const bool integral = slice_is(name, "int") || slice_is(name, "iint") || slice_is(name, "oint");
    struct math_node *bounds[2] = {NULL, NULL};
    if (!limits(p, bounds)) return NULL;
    int n = 0;
    if (integral) {
        p->integrals++;
        variable = differential(p);
        struct math_node *over = variable ? NULL : differential_over(p, &variable);
        if (!over && variable) over = tree_number(1, p->arena);
        kids[n++] = over ? over : parse_sum(p);
        p->integrals--;
        if (!kids[0]) return NULL;
        if (!variable) variable = differential(p);
        if (variable) kids[n++] = variable;
    } else {
        kids[n++] = parse_term(p);
        if (!kids[0]) return NULL;
    }
    for (int i = 0; i < 2; i++)
        if (bounds[i]) kids[n++] = bounds[i];
    const int op = (bounds[1] ? TREE_UPPER : 0) | (variable ? TREE_OVER : 0);
    struct math_node *node = parse_node(p, MATH_BIG, (uint8_t)op, n, kids);
    if (!node) return NULL;
    node->text = (struct slice){arena_copy(p->arena, name.ptr, name.len), name.len};
    tree_seal(node);
    return node;
}

static bool is_letter_d(const struct token *t) {
    return t->kind == TOKEN_WORD && slice_is(t->text, "d");
}

// \frac{d}{dx}: an operator on the term behind it.
static struct math_node *derivative(struct parser *p) {
    const struct token *t = parse_peek(p);
    const struct slice name = t[4].text.len == 2 ? (struct slice){t[4].text.ptr + 1, 1} : t[5].text;
    for (int i = t[4].text.len == 2 ? 6 : 7; i > 0; i--) parse_next(p);
    if (!parse_starts_atom(p)) return NULL;
    struct math_node *const pair[] = {parse_term(p), named(p, name)};
    if (!pair[0]) return NULL;
    struct math_node *node = parse_node(p, MATH_BIG, TREE_OVER, 2, pair);
    if (!node) return NULL;
    node->text = slice_of("derivative");
    tree_seal(node);
    return node;
}

static bool is_derivative(const struct token *t) {
    return t[0].c == '{' && is_letter_d(&t[1]) && t[2].c == '}' && t[3].c == '{' &&
           t[4].kind == TOKEN_WORD && t[4].text.ptr[0] == 'd' &&
           ((t[4].text.len == 2 && t[5].c == '}') ||
            (t[4].text.len == 1 && t[5].kind == TOKEN_NAME && t[6].c == '}'));
}

static bool starts(const struct parser *p) {
    static const char *const COMMANDS[] = {"int", "sum", "prod", "lim", "iint", "oint", "iiint"};
    const struct token *t = parse_peek(p);
    if (t->kind != TOKEN_COMMAND) return false;
    if (slice_is(t->text, "frac")) return is_derivative(t + 1);
    // \bigcup_{k} A_k; without limits it joins sets
    if (slice_is(t->text, "bigcup") || slice_is(t->text, "bigcap")) return t[1].c == '_';
    for (size_t i = 0; i < sizeof COMMANDS / sizeof *COMMANDS; i++)
        if (slice_is(t->text, COMMANDS[i])) return true;
    return false;
}

static struct math_node *atom(struct parser *p) {
    const struct slice name = parse_peek(p)->text;
    if (!parse_enter(p)) return NULL;
    parse_next(p);
    struct math_node *node = slice_is(name, "frac") ? derivative(p) : big(p, name);
    parse_leave(p);
    return p->over ? NULL : node;
}

// ---- Normal form -----------------------------------------------------------------------------

enum { MAX_TERMS = 1000, MAX_PLACES = 6 };

// The parts of a MATH_BIG; those that it lacks are NULL.
struct big {
    const struct math_node *body, *variable, *low, *high;
    bool bound; // the variable has no meaning outside
};

static struct big parts_of(const struct math_node *node) {
    struct big b = {.body = node->kids[0]};
    int at = 1;
    if (node->op & TREE_OVER) b.variable = node->kids[at++];
    if (node->n > at + ((node->op & TREE_UPPER) != 0)) b.low = node->kids[at++];
    if (node->op & TREE_UPPER) b.high = node->kids[at];
    b.bound = b.variable && b.low && b.high;
    if (!b.variable && b.low && b.low->kind == MATH_RELATION && b.low->n == 2 &&
        (b.low->ops[0] == MATH_EQ || b.low->ops[0] == MATH_TO)) {
        b.variable = b.low->kids[0]; // k of k = 1; the imaginary unit, where it is i
        b.low = b.low->kids[1];
        b.bound = b.variable->kind == MATH_SYMBOL || b.variable->kind == MATH_CONSTANT;
    }
    return b;
}

static const struct math_node *normal(struct comparison *c, const struct math_node *node);

static bool has(const struct math_node *node, const struct math_node *part) {
    if (tree_same(node, part)) return true;
    for (int i = 0; i < node->n; i++)
        if (has(node->kids[i], part)) return true;
    return false;
}

// Does a sum below give the letter another meaning?
static bool binds_again(const struct math_node *node, const struct math_node *variable) {
    if (!tree_has(node, MATH_BIG)) return false;
    if (node->kind == MATH_BIG) {
        const struct big b = parts_of(node);
        if (b.variable && tree_same(b.variable, variable)) return true;
    }
    for (int i = 0; i < node->n; i++)
        if (binds_again(node->kids[i], variable)) return true;
    return false;
}

// 1 + 2 + ... + n where both bounds are integers, or NULL.
static const struct math_node *summed(struct comparison *c, const struct math_node *node,
                                      const struct big *b) {
    struct ratio low, high;
    const bool product = slice_is(node->text, "prod");
    if (!product && !slice_is(node->text, "sum")) return NULL;
    if (!b->bound || !b->high || binds_again(b->body, b->variable)) return NULL;
    if (!ratio_of(b->low, &low) || !ratio_of(b->high, &high) || low.den != 1 || high.den != 1)
        return NULL;
    if (high.num < low.num || high.num - low.num >= MAX_TERMS) return NULL;
    const int n = (int)(high.num - low.num) + 1;
    const struct math_node **terms = arena_take(c->arena, (size_t)n, sizeof *terms);
    for (int i = 0; i < n; i++) {
        const struct math_node *k = tree_number((long)low.num + i, c->arena);
        terms[i] = normal(c, kind_replaced(c, b->body, b->variable, k));
        if (!math_step(c->budget, 1)) return NULL;
    }
    return n == 1 ? terms[0] : kind_node(c, product ? MATH_MUL : MATH_ADD, 0, n, terms);
}

// The geometric series: `body` from an integer on to infinity, where it is a constant times powers
// that are multiplied by a ratio below one from each term to the next. NULL where it is not.
static const struct math_node *geometric(struct comparison *c, const struct math_node *node,
                                         const struct big *b) {
    struct ratio low, ratio;
    if (!slice_is(node->text, "sum") || !b->bound || !b->high || kind_infinity(b->high) != 1 ||
        !ratio_of(b->low, &low) || low.den != 1 || binds_again(b->body, b->variable))
        return NULL;
    const struct math_node *growth = derivative_growth(c, b->body, b->variable);
    const struct math_node *literal =
        growth && !growth->free ? exact_literal(growth, c->budget, c->arena) : NULL;
    if (!literal || !ratio_of(literal, &ratio) || ratio.num == 0 || ratio.num >= ratio.den ||
        -ratio.num >= ratio.den)
        return NULL;
    const struct math_node *const rest[] = {tree_number(1, c->arena), kind_negated(c, literal)};
    return kind_quotient(c, kind_replaced(c, b->body, b->variable, b->low),
                         kind_node(c, MATH_ADD, 0, 2, rest));
}

// The sums of series.h.
static const struct math_node *series(struct comparison *c, const struct math_node *node,
                                      const struct big *b) {
    struct ratio low;
    if (!slice_is(node->text, "sum") || !b->bound || !b->high || !ratio_of(b->low, &low) ||
        low.den != 1 || binds_again(b->body, b->variable) || has(b->high, b->variable))
        return NULL;
    const struct series s = {b->body, b->variable, b->high, low.num};
    return series_value(c, &s);
}

static const struct math_node *value_of(struct comparison *c, const struct math_node *node) {
    const struct big b = parts_of(node);
    const struct math_node *value = summed(c, node, &b);
    if (!value) value = geometric(c, node, &b);
    if (!value) value = series(c, node, &b);
    if (!value && slice_is(node->text, "lim") && b.bound && !has(b.body, b.variable))
        value = b.body; // of a constant
    if (!value && slice_is(node->text, "derivative") && b.variable->kind == MATH_SYMBOL)
        value = derivative_of(c, b.body, b.variable);
    if (!value && slice_is(node->text, "int") && b.bound && !tree_has(b.body, MATH_BIG))
        value = exact_integral(b.body, b.variable, b.low, b.high, c->budget, c->arena);
    if (!value) return node;
    const struct math_node *literal =
        value->free ? NULL : exact_literal(value, c->budget, c->arena);
    return literal ? literal : value;
}

// With the value in the place of every finite sum and product, the innermost first.
static const struct math_node *normal(struct comparison *c, const struct math_node *node) {
    if (!tree_has(node, MATH_BIG) || node->n > MATH_MAX_ITEMS || !math_step(c->budget, 1))
        return node;
    const struct math_node *kids[MATH_MAX_ITEMS];
    bool changed = false;
    for (int i = 0; i < node->n; i++) {
        kids[i] = normal(c, node->kids[i]);
        changed |= kids[i] != node->kids[i];
    }
    if (changed) node = kind_rebuilt(c, node, kids);
    return node->kind == MATH_BIG ? value_of(c, node) : node;
}

// ---- Comparison ------------------------------------------------------------------------------

static const struct math_node *symbol(struct comparison *c, const char *name) {
    struct math_node *node = kind_node(c, MATH_SYMBOL, 0, 0, NULL);
    node->text = slice_of(name);
    tree_seal(node);
    return node;
}

static enum math_verdict same_part(struct comparison *c, const struct math_node *gold,
                                   const struct math_node *answer) {
    if (!gold || !answer) return gold == answer ? MATH_EQUAL : MATH_UNKNOWN;
    return kinds_compare(c, gold, answer);
}

// Two sums with the same bounds and bodies; the letter that is bound may be another one.
static enum math_verdict same(struct comparison *c, const struct math_node *gold,
                              const struct math_node *answer) {
    if (tree_same(gold, answer)) return MATH_EQUAL;
    if (!slice_equal(gold->text, answer->text) || gold->n != answer->n || gold->op != answer->op)
        return MATH_UNKNOWN;
    struct big g = parts_of(gold), a = parts_of(answer);
    if (g.bound != a.bound) return MATH_UNKNOWN;
    if (g.bound && !tree_same(g.variable, a.variable)) {
        if (has(a.body, g.variable) || has(g.body, a.variable)) return MATH_UNKNOWN;
        const struct math_node *bound = symbol(c, "bound");
        g.body = kind_replaced(c, g.body, g.variable, bound);
        a.body = kind_replaced(c, a.body, a.variable, bound);
    } else if (!g.bound && g.variable && !tree_same(g.variable, a.variable)) {
        return MATH_UNKNOWN;
    }
    enum math_verdict verdict = kinds_compare(c, g.body, a.body);
    verdict = kind_worst(verdict, same_part(c, g.low, a.low));
    return kind_worst(verdict, same_part(c, g.high, a.high));
}

// The outermost sums and the like below a node.
static int collect(const struct math_node *node, const struct math_node **out, int n) {
    if (node->kind == MATH_BIG && n < MAX_PLACES) out[n++] = node;
    if (node->kind == MATH_BIG || !tree_has(node, MATH_BIG)) return n;
    for (int i = 0; i < node->n; i++) n = collect(node->kids[i], out, n);
    return n;
}

// A sum or product up to n and a closed form of it: they start alike, and the next term is what the
// closed form grows by. Proved by induction, as 1 + 2 + ... + n = n(n + 1)/2.
static bool is_closed_form(struct comparison *c, const struct math_node *big,
                           const struct math_node *form) {
    const bool sum = slice_is(big->text, "sum");
    if (big->kind != MATH_BIG || (!sum && !slice_is(big->text, "prod")) ||
        tree_has(form, MATH_BIG) || !tree_is_scalar(form))
        return false;
    const struct big parts = parts_of(big);
    struct ratio low;
    if (!parts.bound || !parts.low || !parts.high || parts.high->kind != MATH_SYMBOL ||
        !ratio_of(parts.low, &low) || low.den != 1 || has(parts.body, parts.high))
        return false;
    const struct math_node *n = parts.high, *before[2] = {n, tree_number(-1, c->arena)};
    const struct math_node *earlier =
        kind_replaced(c, form, n, kind_node(c, MATH_ADD, 0, 2, before));
    const struct math_node *term = kind_replaced(c, parts.body, parts.variable, n);
    const struct math_node *const next[] = {earlier, term};
    return number_compare(c, kind_replaced(c, form, n, parts.low),
                          kind_replaced(c, parts.body, parts.variable, parts.low)) == MATH_EQUAL &&
           number_compare(c, form, kind_node(c, sum ? MATH_ADD : MATH_MUL, 0, 2, next)) <=
               MATH_EQUAL_NUM;
}

// A letter in the place of what is the same on both sides. Only "equal" is proved so.
static bool compare(struct comparison *c, const struct math_node *gold,
                    const struct math_node *answer, enum math_verdict *out) {
    static const char *const NAMES[MAX_PLACES] = {"big 1", "big 2", "big 3",
                                                  "big 4", "big 5", "big 6"};
    if (!tree_has(gold, MATH_BIG) && !tree_has(answer, MATH_BIG)) return false;
    if (!tree_is_scalar(gold) || !tree_is_scalar(answer)) return false;
    if (is_closed_form(c, gold, answer) || is_closed_form(c, answer, gold)) {
        *out = kind_said(c, "induction", MATH_EQUAL);
        return true;
    }
    const struct math_node *g[MAX_PLACES], *a[MAX_PLACES];
    const int n = collect(gold, g, 0), m = collect(answer, a, 0);
    enum math_verdict all = MATH_EQUAL;
    for (int i = 0; i < n; i++) {
        const struct math_node *letter = symbol(c, NAMES[i]);
        gold = kind_replaced(c, gold, g[i], letter);
        for (int k = 0; k < m; k++) {
            const enum math_verdict verdict = same(c, g[i], a[k]);
            if (verdict > MATH_EQUAL_NUM) continue;
            all = kind_worst(all, verdict);
            answer = kind_replaced(c, answer, a[k], letter);
        }
    }
    const bool left = tree_has(gold, MATH_BIG) || tree_has(answer, MATH_BIG);
    if (!left) all = kind_worst(all, number_compare(c, gold, answer));
    *out = kind_said(c, "big", left || all == MATH_DIFFERENT ? MATH_UNKNOWN : all);
    return true;
}

const struct kind big_kind = {
    .reader = {.starts = starts, .atom = atom}, .normal = normal, .compare = compare};
