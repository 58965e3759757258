// Sums, products, integrals, limits and derivatives.
#include "verifiers/math/kinds/kind.h"

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

static bool differential(struct parser *p) {
    const struct token *t = parse_peek(p);
    if (t->kind != TOKEN_WORD || t->text.ptr[p->inside] != 'd') return false;
    const size_t left = t->text.len - p->inside;
    if (left != 2 && !(left == 1 && t[1].kind == TOKEN_NAME)) return false;
    parse_next(p);
    if (left == 1) parse_next(p);
    return true;
}

static struct math_node *big(struct parser *p, struct slice name) {
    struct math_node *kids[3] = {NULL, NULL, NULL};
    const bool integral = slice_is(name, "int") || slice_is(name, "iint") || slice_is(name, "oint");
    struct math_node *bounds[2] = {NULL, NULL};
    if (!limits(p, bounds)) return NULL;
    int n = 0;
    if (integral) {
        p->integrals++;
        const bool empty = differential(p);
        kids[n++] = empty ? tree_number(1, p->arena) : parse_sum(p);
        p->integrals--;
        if (!kids[0]) return NULL;
        if (!empty) differential(p);
    } else {
        kids[n++] = parse_term(p);
        if (!kids[0]) return NULL;
    }
    for (int i = 0; i < 2; i++)
        if (bounds[i]) kids[n++] = bounds[i];
    struct math_node *node = parse_node(p, MATH_BIG, (uint8_t)(bounds[1] != NULL), n, kids);
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
    struct math_node *const pair[] = {parse_term(p), tree_list(MATH_SYMBOL, NULL, 0, p->arena)};
    if (!pair[0]) return NULL;
    pair[1]->text = name;
    tree_seal(pair[1]);
    struct math_node *node = parse_node(p, MATH_BIG, 0, 2, pair);
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

const struct kind big_kind = {.reader = {.starts = starts, .atom = atom}};
