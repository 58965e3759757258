// LaTeX commands that build a value: fractions, roots, functions.
#include "verifiers/math/read/parse.h"

// Least and most arguments of each function.
static void arity(enum math_function function, int *least, int *most) {
    *least = *most = 1;
    if (function == MATH_GCD || function == MATH_LCM || function == MATH_MAX ||
        function == MATH_MIN)
        *most = 64;
    if (function == MATH_BINOMIAL || function == MATH_PERMUTATIONS || function == MATH_MOD)
        *least = *most = 2;
}

static struct math_node *fraction(struct parser *p) {
    struct math_node *top = parse_group(p);
    return top ? parse_quotient(p, top, parse_group(p)) : NULL;
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

// \overline{3+4i}: a sum with the imaginary unit in it, and digits.
static bool is_complex(const struct parser *p) {
    const int end = parse_is(p, '{') ? parse_group_end(p, p->at) : -1;
    bool digits = false, sign = false, unit = false;
    for (int i = p->at + 1; i < end; i++) {
        const struct token *t = &p->t[i];
        digits |= t->kind == TOKEN_DIGITS;
        sign |= t->c == '+' || t->c == '-';
        unit |= slice_is(t->text, "i");
    }
    return digits && sign && unit;
}

// Sums, products and powers of numbers, with -i in the place of i. NULL for anything else.
static struct math_node *conjugated(struct parser *p, struct math_node *node) {
    enum { MAX_PARTS = 8 };
    struct math_node *kids[MAX_PARTS];
    if (node->kind == MATH_CONSTANT && node->op == MATH_I)
        return parse_node(p, MATH_MUL, TREE_MINUS, 1, &node);
    if (!tree_has(node, MATH_CONSTANT)) return node->free ? NULL : node;
    const bool power = node->kind == MATH_POW && !tree_has(node->kids[1], MATH_CONSTANT);
    if ((node->kind != MATH_ADD && node->kind != MATH_MUL && !power) || node->n > MAX_PARTS)
        return NULL;
    for (int i = 0; i < node->n; i++)
        if (!(kids[i] = conjugated(p, node->kids[i]))) return NULL;
    return parse_node(p, node->kind, node->op, node->n, kids);
}

static struct math_node *conjugate(struct parser *p) {
    struct math_node *inside = parse_group(p);
    struct math_node *node = inside && !inside->free ? conjugated(p, inside) : NULL;
    if (node) node->bracketed = true;
    return node;
}

static struct math_node *accented(struct parser *p, struct slice accent) {
    struct slice inside = parse_peek(p)->text;
    if (parse_is(p, '{')) {
        if (!parse_skip_group(p, &inside)) return NULL;
    } else {
        if (parse_peek(p)->kind != TOKEN_WORD && parse_peek(p)->kind != TOKEN_NAME) return NULL;
        parse_next(p);
    }
    if (inside.len == 0 || inside.len > 200) return NULL;
    char *name = arena_take(p->arena, accent.len + inside.len + 2, 1);
    size_t n = accent.len + 1;
    memcpy(name, accent.ptr, accent.len);
    name[accent.len] = ' ';
    for (size_t i = 0; i < inside.len; i++)
        if (!strchr(" {}\\\t\n", inside.ptr[i])) name[n++] = inside.ptr[i];
    return parse_symbol(p, (struct slice){name, n}, 0);
}

static struct math_node *between(struct parser *p, const char *end, enum math_function function) {
    struct math_node *node = parse_sum(p);
    if (!node || !parse_take_command(p, end)) return NULL;
    return parse_node(p, MATH_FUNCTION, (uint8_t)function, 1, &node);
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
    if (slice_is(name, "overline") || slice_is(name, "bar"))
        return is_complex(p) ? conjugate(p) : accented(p, slice_of("bar"));
    if (slice_is(name, "dot") || slice_is(name, "ddot")) return accented(p, name);
    if (slice_is(name, "lfloor")) return between(p, "rfloor", MATH_FLOOR);
    if (slice_is(name, "lceil")) return between(p, "rceil", MATH_CEIL);
    if (slice_is(name, "boxed")) return parse_is(p, '{') ? parse_group(p) : NULL;
    if (slice_is(name, "variable")) return variable(p);
    if (slice_is(name, "binom")) {
        struct math_node *top = parse_group(p);
        struct math_node *const pair[] = {top, top ? parse_group(p) : NULL};
        return pair[1] ? parse_node(p, MATH_FUNCTION, MATH_BINOMIAL, 2, pair) : NULL;
    }
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

// cis x is cos x + i sin x.
static struct math_node *cis(struct parser *p, struct math_node *argument) {
    struct math_node *i = parse_node(p, MATH_CONSTANT, MATH_I, 0, NULL);
    struct math_node *sine = parse_node(p, MATH_FUNCTION, MATH_SIN, 1, &argument);
    struct math_node *const product[] = {i, sine};
    if (!i || !sine || !tree_is_scalar(argument)) return NULL;
    struct math_node *const sum[] = {parse_node(p, MATH_FUNCTION, MATH_COS, 1, &argument),
                                     parse_node(p, MATH_MUL, TREE_JUXTAPOSED, 2, product)};
    struct math_node *node = sum[0] && sum[1] ? parse_node(p, MATH_ADD, 0, 2, sum) : NULL;
    if (node) node->bracketed = true;
    return node;
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
    if (function == MATH_CIS) return power || base ? NULL : cis(p, argument);
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
