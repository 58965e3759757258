// LaTeX commands that build a value: fractions, roots, functions, sums, integrals, matrices.
#include "verifiers/math/parse.h"

// Least and most arguments of each function.
static void arity(enum math_function function, int *least, int *most) {
    *least = *most = 1;
    if (function == MATH_GCD || function == MATH_LCM || function == MATH_MAX ||
        function == MATH_MIN)
        *most = 64;
    if (function == MATH_BINOMIAL || function == MATH_PERMUTATIONS || function == MATH_MOD)
        *least = *most = 2;
}

static struct math_node *divide(struct parser *p, struct math_node *top, struct math_node *bottom) {
    if (!top || !bottom) return NULL;
    struct math_node *const power[] = {bottom, tree_number(-1, p->arena)};
    struct math_node *const pair[] = {top, parse_node(p, MATH_POW, TREE_JUXTAPOSED, 2, power)};
    struct math_node *node = pair[1] ? parse_node(p, MATH_MUL, 0, 2, pair) : NULL;
    if (node) node->bracketed = true;
    return node;
}

static bool is_letter_d(const struct token *t) {
    return t->kind == TOKEN_WORD && slice_is(t->text, "d");
}

// \frac{d}{dx}: an operator on the term behind it. `*matched` says that it is one.
static struct math_node *derivative(struct parser *p, bool *matched) {
    const struct token *t = parse_peek(p);
    *matched = t[0].c == '{' && is_letter_d(&t[1]) && t[2].c == '}' && t[3].c == '{' &&
               t[4].kind == TOKEN_WORD && t[4].text.ptr[0] == 'd' &&
               ((t[4].text.len == 2 && t[5].c == '}') ||
                (t[4].text.len == 1 && t[5].kind == TOKEN_NAME && t[6].c == '}'));
    if (!*matched) return NULL;
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

static struct math_node *fraction(struct parser *p) {
    bool matched;
    struct math_node *node = derivative(p, &matched);
    if (matched) return node;
    struct math_node *top = parse_group(p);
    return top ? divide(p, top, parse_group(p)) : NULL;
}

static struct math_node *root(struct parser *p, bool cube, bool all_digits) {
    struct math_node *index = tree_number(cube ? 3 : 2, p->arena);
    if (parse_is(p, '[')) {
        parse_next(p);
        index = parse_sum(p);
        if (!index || !parse_take(p, ']')) return NULL;
    }
    struct math_node *radicand = parse_is(p, '{') ? parse_group(p) : parse_single(p, all_digits);
    struct math_node *const pair[] = {radicand, index};
    return radicand ? parse_node(p, MATH_ROOT, 0, 2, pair) : NULL;
}

static struct math_node *bar(struct parser *p) {
    struct slice inside = parse_peek(p)->text;
    if (parse_is(p, '{')) {
        if (!parse_skip_group(p, &inside)) return NULL;
    } else {
        if (parse_peek(p)->kind != TOKEN_WORD && parse_peek(p)->kind != TOKEN_NAME) return NULL;
        parse_next(p);
    }
    if (inside.len == 0 || inside.len > 200) return NULL;
    char *name = arena_take(p->arena, inside.len + 8, 1);
    size_t n = 4;
    memcpy(name, "bar ", n);
    for (size_t i = 0; i < inside.len; i++)
        if (!strchr(" {}\\\t\n", inside.ptr[i])) name[n++] = inside.ptr[i];
    return parse_symbol(p, (struct slice){name, n}, 0);
}

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

static struct math_node *between(struct parser *p, const char *end, enum math_function function) {
    struct math_node *node = parse_sum(p);
    if (!node || !parse_take_command(p, end)) return NULL;
    return parse_node(p, MATH_FUNCTION, (uint8_t)function, 1, &node);
}

static struct math_node *angle_brackets(struct parser *p) {
    p->brackets++;
    struct math_node *node = parse_list(p);
    p->brackets--;
    if (!node || !parse_take_command(p, "rangle") || node->kind != MATH_LIST) return NULL;
    return parse_node(p, MATH_TUPLE, 0, node->n, node->kids);
}

static struct math_node *matrix(struct parser *p) {
    struct slice name, columns, end;
    struct math_node *cells[256];
    int n = 0, width = 0, row = 0;
    if (!parse_skip_group(p, &name)) return NULL;
    const bool array = slice_is(name, "array");
    if (array && parse_is(p, '{') && !parse_skip_group(p, &columns)) return NULL;
    if (!array && (name.len < 6 || memcmp(name.ptr + name.len - 6, "matrix", 6) != 0)) return NULL;
    p->brackets++;
    while (!parse_is_command(p, "end")) {
        if (n == (int)(sizeof cells / sizeof *cells)) p->over = true;
        if (p->over || !(cells[n] = parse_list(p))) return NULL;
        n++;
        row++;
        const bool last = !parse_is(p, '&');
        if (!last) {
            parse_next(p);
            continue;
        }
        if (width && row != width) return NULL;
        width = row;
        row = 0;
        if (!parse_take_command(p, "\\")) break;
    }
    p->brackets--;
    if (!parse_take_command(p, "end") || !parse_skip_group(p, &end) || n == 0 || row) return NULL;
    if (!slice_equal(name, end)) return NULL;
    struct math_node *node = parse_node(p, MATH_MATRIX, slice_is(name, "vmatrix"), n, cells);
    if (!node) return NULL;
    node->columns = width;
    tree_seal(node);
    return node;
}

static struct math_node *variable(struct parser *p) {
    struct slice name;
    if (!parse_skip_group(p, &name) || name.len == 0 || name.len > 200) return NULL;
    return parse_symbol(p, name, TREE_VARIABLE);
}

static struct math_node *command(struct parser *p) {
    const struct token *t = parse_peek(p);
    const struct slice name = t->text;
    if (t->kind != TOKEN_COMMAND) return NULL;
    parse_next(p);
    if (slice_is(name, "frac")) return fraction(p);
    if (slice_is(name, "sqrt")) return root(p, false, true);
    if (slice_is(name, "cbrt")) return root(p, true, true);
    if (slice_is(name, "overline") || slice_is(name, "bar")) return bar(p);
    if (slice_is(name, "begin")) return matrix(p);
    if (slice_is(name, "lfloor")) return between(p, "rfloor", MATH_FLOOR);
    if (slice_is(name, "lceil")) return between(p, "rceil", MATH_CEIL);
    if (slice_is(name, "langle")) return angle_brackets(p);
    if (slice_is(name, "boxed")) return parse_is(p, '{') ? parse_group(p) : NULL;
    if (slice_is(name, "variable")) return variable(p);
    if (slice_is(name, "binom")) {
        struct math_node *top = parse_group(p);
        struct math_node *const pair[] = {top, top ? parse_group(p) : NULL};
        return pair[1] ? parse_node(p, MATH_FUNCTION, MATH_BINOMIAL, 2, pair) : NULL;
    }
    if (slice_is(name, "int") || slice_is(name, "iint") || slice_is(name, "oint") ||
        slice_is(name, "sum") || slice_is(name, "prod") || slice_is(name, "lim"))
        return big(p, name);
    return NULL;
}

struct math_node *parse_command(struct parser *p) {
    const int bars = p->bars;
    if (!parse_enter(p)) return NULL;
    struct math_node *node = command(p);
    parse_leave(p);
    p->bars = bars;
    return p->over ? NULL : node;
}

static enum math_function inverse_of(enum math_function function) {
    if (function <= MATH_CSC) return function + (MATH_ASIN - MATH_SIN);
    if (function >= MATH_SINH && function <= MATH_TANH) return function + (MATH_ASINH - MATH_SINH);
    return MATH_N_FUNCTIONS;
}

// The arguments of a function: in brackets, in braces, or what stands behind it.
static struct math_node *arguments(struct parser *p) {
    if (parse_is(p, '(') || parse_is(p, '[') || parse_is(p, '{')) {
        p->brackets++;
        struct math_node *node =
            parse_is(p, '{') && parse_peek(p)->op != 9 ? parse_group(p) : parse_bracket(p);
        p->brackets--;
        return node;
    }
    return parse_starts_atom(p) || parse_is(p, '-') || parse_peek(p)->kind == TOKEN_FONT
               ? parse_argument(p)
               : NULL;
}

struct math_node *parse_call(struct parser *p, enum math_function function) {
    struct math_node *power = NULL, *base = NULL, *kids[2];
    for (int i = 0; i < 2; i++) {
        if (parse_take(p, '^')) {
            power = parse_is(p, '{') ? parse_group(p) : parse_single(p, false);
            if (!power) return NULL;
        } else if (parse_take(p, '_')) {
            base = parse_is(p, '{') ? parse_group(p) : parse_single(p, false);
            if (!base) return NULL;
        }
    }
    if (power && power->kind == MATH_MUL && power->op == TREE_MINUS &&
        tree_is_integer(power->kids[0], 1) && inverse_of(function) != MATH_N_FUNCTIONS) {
        function = inverse_of(function);
        power = NULL;
    }
    struct math_node *argument = arguments(p), *node = NULL;
    int least, most;
    arity(function, &least, &most);
    if (!argument) return NULL;
    const bool several = (argument->kind == MATH_TUPLE || argument->kind == MATH_SET ||
                          argument->kind == MATH_BRACKETS) &&
                         most > 1;
    const int n = several ? argument->n : 1;
    if (n < least || n > most) return NULL;
    if (most == 1 && argument->kind == MATH_TUPLE) return NULL;
    if (function == MATH_LOG && base) {
        kids[0] = argument;
        kids[1] = base;
        node = parse_node(p, MATH_FUNCTION, MATH_LOG, 2, kids);
    } else {
        node = parse_node(p, MATH_FUNCTION, (uint8_t)function, n,
                          several ? argument->kids : &argument);
    }
    if (!node || !power) return node;
    struct math_node *const pair[] = {node, power};
    return parse_node(p, MATH_POW, 0, 2, pair);
}

struct math_node *parse_function(struct parser *p) {
    const enum math_function function = parse_peek(p)->op;
    if (!parse_enter(p)) return NULL;
    parse_next(p);
    struct math_node *node = parse_call(p, function);
    parse_leave(p);
    return p->over ? NULL : node;
}
