// Atoms and what stands behind them: powers, factorials, percent, degrees, subscripts.
#include "verifiers/math/read/parse.h"

// What a command without braces takes: one digit, one letter, one command. x^2\frac13 is x^2/3.
// \log_2 256, \sqrt2 256: digits up to the space.
static struct math_node *single_number(struct parser *p) {
    p->single = true;
    struct math_node *node = parse_unmixed(p);
    p->single = false;
    return node;
}

struct math_node *parse_single(struct parser *p, bool all_digits) {
    const struct token *t = parse_peek(p);
    if (t->kind == TOKEN_DIGITS && (all_digits || t->text.len == 1)) return single_number(p);
    if (t->kind == TOKEN_DIGITS) {
        struct math_node *digit = tree_number(t->text.ptr[p->inside] - '0', p->arena);
        if (++p->inside >= t->text.len) parse_next(p);
        return digit;
    }
    if (t->kind == TOKEN_CHAR && t->c == '(') return parse_bracket(p);
    if (t->kind == TOKEN_COMMAND) return parse_command(p);
    if (t->kind == TOKEN_FUNCTION) return parse_function(p);
    if (t->kind == TOKEN_CHAR && t->c != '{') return NULL;
    if (t->kind == TOKEN_END || t->kind == TOKEN_RELATION) return NULL;
    return parse_symbol(p, (struct slice){NULL, 0}, 0);
}

struct math_node *parse_group(struct parser *p) {
    const int integrals = p->integrals;
    if (!parse_enter(p)) return NULL;
    struct math_node *node = NULL;
    p->integrals = 0;
    if (parse_is(p, '{')) {
        parse_next(p);
        node = parse_any(p);
        if (parse_is(p, '.') && p->t[p->at + 1].c == '}') parse_next(p); // of a sentence
        if (node && !parse_take(p, '}')) node = NULL;
    } else {
        node = parse_single(p, false);
    }
    p->integrals = integrals;
    parse_leave(p);
    return node;
}

// dx, d\theta where an integral waits for it.
static bool is_differential(const struct parser *p) {
    const struct token *t = parse_peek(p);
    if (p->integrals == 0 || t->kind != TOKEN_WORD) return false;
    const size_t left = t->text.len - p->inside;
    if (t->text.ptr[p->inside] != 'd') return false;
    return left == 2 || (left == 1 && t[1].kind == TOKEN_NAME);
}

static bool opens_bar(const struct parser *p) {
    const struct token *t = parse_peek(p);
    if (t->op == 1) return true;
    if (t->op >= 2 || p->set) return false;
    if (p->bars == 0) return true;
    const enum token_kind next = t[1].kind;
    return p->eager_bars && (next == TOKEN_WORD || next == TOKEN_DIGITS || next == TOKEN_NAME);
}

static bool font_is_atom(const struct parser *p) {
    const struct token *t = parse_peek(p);
    if (t->op == 1 || t[1].c != '{' || t[2].kind == TOKEN_END) return false;
    while (t[2].kind == TOKEN_FONT && t[2].op != 1 && t[3].c == '{') t += 2; // \hat{\mathbf{i}}
    if (t[2].kind == TOKEN_END || t[3].c != '}') return false;
    return t[2].kind == TOKEN_FUNCTION || t[2].kind == TOKEN_CONSTANT || t[2].kind == TOKEN_NAME ||
           (t[2].kind == TOKEN_WORD && t[2].text.len == 1);
}

bool parse_starts_atom(const struct parser *p) {
    static const char *const COMMANDS[] = {"frac", "sqrt",   "cbrt",  "binom", "overline", "dot",
                                           "bar",  "lfloor", "lceil", "boxed", "variable", "ddot"};
    const struct token *t = parse_peek(p);
    if (is_differential(p)) return false;
    if (p->inside) return true;
    switch (t->kind) {
    case TOKEN_DIGITS:
    case TOKEN_VULGAR:
    case TOKEN_NAME:
    case TOKEN_FUNCTION:
    case TOKEN_CONSTANT:
    case TOKEN_SET_NAME:
    case TOKEN_WORD:
        return true;
    case TOKEN_FONT:
        return font_is_atom(p);
    case TOKEN_CHAR:
        if (t->c == '|') return opens_bar(p);
        return t->c == '(' || t->c == '[' || t->c == '{' || parse_starts_number(p);
    case TOKEN_COMMAND:
        for (size_t i = 0; i < sizeof COMMANDS / sizeof *COMMANDS; i++)
            if (slice_is(t->text, COMMANDS[i])) return true;
        for (int i = 0; i < p->n_readers; i++)
            if (p->readers[i]->starts && p->readers[i]->starts(p)) return true;
        return false;
    default:
        return false;
    }
}

struct math_node *parse_kind(struct parser *p) {
    for (int i = 0; i < p->n_readers; i++)
        if (p->readers[i]->starts && p->readers[i]->starts(p)) return p->readers[i]->atom(p);
    return NULL;
}

// The larger number: a group, or digits up to the letter, which with what is behind it would be a
// number in a base ("6C_2").
static struct math_node *larger(struct parser *p) {
    enum { MAX_DIGITS = 9 };
    const struct slice digits = parse_peek(p)->text;
    if (parse_is(p, '{')) return parse_group(p);
    if (parse_peek(p)->kind != TOKEN_DIGITS || p->inside || digits.len > MAX_DIGITS) return NULL;
    long n = 0;
    for (size_t i = 0; i < digits.len; i++) n = 10 * n + (digits.ptr[i] - '0');
    parse_next(p);
    return tree_number(n, p->arena);
}

// {}_{10}C_3, {}^{10}P_3: choices and permutations with the larger number in front.
static struct math_node *chosen(struct parser *p) {
    const struct token *t = parse_peek(p);
    const bool empty = t[0].c == '{' && t[0].op == 0 && t[1].c == '}';
    const struct parser start = *p;
    if (empty) p->at += 2;
    if (!parse_is(p, '_') && !parse_is(p, '^')) {
        *p = start;
        return NULL;
    }
    parse_next(p);
    struct math_node *kids[2] = {larger(p), NULL};
    const bool choose = parse_is_word(parse_peek(p), "C");
    if (kids[0] && p->inside == 0 && (choose || parse_is_word(parse_peek(p), "P"))) {
        parse_next(p);
        if (parse_take(p, '_')) kids[1] = parse_is(p, '{') ? parse_group(p) : parse_single(p, true);
    }
    if (kids[1]) {
        struct math_node *node = parse_node(p, MATH_FUNCTION, MATH_BINOMIAL, 2, kids);
        if (choose || !node) return node;
        struct math_node *const ordered[] = {
            node, parse_node(p, MATH_FUNCTION, MATH_FACTORIAL, 1, kids + 1)};
        return ordered[1] ? parse_node(p, MATH_MUL, 0, 2, ordered) : NULL;
    }
    const bool over = p->over;
    *p = start;
    p->over = over;
    return NULL;
}

static struct math_node *atom(struct parser *p) {
    const struct token *t = parse_peek(p);
    struct math_node *node;
    if (is_differential(p)) return NULL;
    if (parse_starts_number(p)) return parse_number(p);
    if (p->inside) return parse_symbol(p, (struct slice){NULL, 0}, 0);
    switch (t->kind) {
    case TOKEN_WORD:
        node = t->text.len > 1 ? parse_kind(p) : NULL; // "USD 42"
        if (node || p->over) return node;
        return parse_symbol(p, (struct slice){NULL, 0}, 0);
    case TOKEN_NAME:
    case TOKEN_CONSTANT:
        return parse_symbol(p, (struct slice){NULL, 0}, 0);
    case TOKEN_FUNCTION:
        return parse_function(p);
    case TOKEN_COMMAND:
        node = parse_kind(p);
        return node || p->over ? node : parse_command(p);
    case TOKEN_FONT:
        node = parse_kind(p);
        return node || p->over ? node : parse_font(p);
    case TOKEN_CURRENCY:
    case TOKEN_SET_NAME:
        return parse_kind(p);
    case TOKEN_DOTS:
        parse_next(p);
        return parse_node(p, MATH_DOTS, 0, 0, NULL);
    case TOKEN_CHAR:
        node = t->c == '_' || t->c == '^' || t->c == '{' ? chosen(p) : NULL;
        return node || p->over ? node : parse_bracket(p);
    default:
        return NULL;
    }
}

static bool is_circ(const struct token *t) {
    if (t->kind == TOKEN_WORD && slice_is(t->text, "o")) return true; // 45^o
    return t->kind == TOKEN_COMMAND && (slice_is(t->text, "circ") || slice_is(t->text, "degree"));
}

// ^\circ, ^{\circ}, \degree, and ^o behind a number: how many tokens, or 0.
static int degree_tokens(const struct parser *p, const struct math_node *value) {
    const struct token *t = parse_peek(p);
    if (p->inside) return 0;
    if (t->kind == TOKEN_COMMAND && is_circ(t) && slice_is(t->text, "degree")) return 1;
    if (t->kind != TOKEN_CHAR || t->c != '^') return 0;
    if (value->free && t[1].kind == TOKEN_WORD) return 0; // x^o
    if (is_circ(&t[1])) return 2;
    const bool font = t[1].c == '{' && t[2].kind == TOKEN_FONT && t[3].c == '{';
    if (font && is_circ(&t[4]) && t[5].c == '}' && t[6].c == '}') return 7;
    if (value->free && t[2].kind == TOKEN_WORD) return 0;
    return t[1].c == '{' && is_circ(&t[2]) && t[3].c == '}' ? 4 : 0;
}

static struct math_node *exponent(struct parser *p) {
    struct math_node *node = NULL;
    if (!parse_enter(p)) return NULL;
    if (parse_is(p, '{')) {
        const struct token *t = parse_peek(p);
        if ((t[1].c == '+' || t[1].c == '-') && t[2].c == '}') { // the side of a limit
            for (int i = 0; i < 3; i++) parse_next(p);
            node = parse_named(p, slice_of(t[1].c == '+' ? "+" : "-"), 0);
        } else {
            node = parse_group(p);
        }
    } else if (parse_take(p, '-')) {
        node = exponent(p);
        if (node) node = parse_node(p, MATH_MUL, TREE_MINUS, 1, &node);
    } else {
        node = parse_single(p, true);
        if (node && parse_take(p, '^')) { // 9^9^9
            struct math_node *const pair[] = {node, exponent(p)};
            node = pair[1] ? parse_node(p, MATH_POW, 0, 2, pair) : NULL;
        }
    }
    parse_leave(p);
    return node;
}

static struct math_node *percent(struct parser *p, struct math_node *value) {
    if (value->free && !(value->kind == MATH_SYMBOL && value->op == TREE_VARIABLE)) return NULL;
    parse_next(p);
    return parse_node(p, MATH_PERCENT, 0, 1, &value);
}

// (1010)_2
static struct math_node *based(struct parser *p, struct math_node *value) {
    const struct token *t = parse_peek(p);
    const bool brace = t[1].c == '{';
    const struct token *base = brace ? t + 2 : t + 1;
    if (base->kind != TOKEN_DIGITS || base->text.len > 2 || (brace && base[1].c != '}'))
        return NULL;
    const long number = base->text.ptr[0] - '0';
    struct math_node *kid = tree_number(
        base->text.len == 1 ? number : number * 10 + (base->text.ptr[1] - '0'), p->arena);
    for (int i = 0; i < (brace ? 4 : 2); i++) parse_next(p);
    struct math_node *node = parse_node(p, MATH_BASED, 0, 1, &kid);
    if (!node) return NULL;
    node->text = value->text;
    tree_seal(node);
    return node;
}

// The small integer of 7!!, with two marks and no third one; -1 where it is none.
static int double_factorial_of(const struct parser *p, const struct math_node *value) {
    enum { MAX_VALUE = 199 };
    const struct token *t = parse_peek(p);
    if (!parse_is(p, '!') || t[1].c != '!' || t[2].c == '!') return -1;
    int n = 0;
    while (n <= MAX_VALUE && !tree_is_integer(value, n)) n++;
    return n <= MAX_VALUE ? n : -1;
}

// 7 5 3 1 for 7!!
static struct math_node *double_factorial(struct parser *p, int n) {
    struct parse_nodes factors = {0};
    parse_next(p);
    parse_next(p);
    parse_add(p, &factors, tree_number(1, p->arena));
    for (; n > 1; n -= 2) parse_add(p, &factors, tree_number(n, p->arena));
    return parse_node(p, MATH_MUL, 0, factors.n, factors.list);
}

// How many tokens stand for a per mille sign, in a font or not.
static int per_mille_tokens(const struct parser *p) {
    const struct token *t = parse_peek(p);
    const bool font = t->kind == TOKEN_FONT && t[1].c == '{' && t[3].c == '}';
    const struct token *sign = font ? t + 2 : t;
    const bool found = sign->kind == TOKEN_COMMAND &&
                       (slice_is(sign->text, "permil") || slice_is(sign->text, "textperthousand"));
    return !found ? 0 : font ? 4 : 1;
}

struct math_node *parse_power(struct parser *p) {
    if (!parse_enter(p)) return NULL;
    struct math_node *value = atom(p);
    int n;
    while (value && !p->over && p->inside == 0) {
        if ((n = degree_tokens(p, value)) > 0) {
            while (n-- > 0) parse_next(p);
            value = parse_node(p, MATH_DEGREE, 0, 1, &value);
        } else if ((n = double_factorial_of(p, value)) >= 0) {
            value = double_factorial(p, n);
        } else if (parse_take(p, '!')) {
            value = parse_node(p, MATH_FUNCTION, MATH_FACTORIAL, 1, &value);
        } else if (parse_is(p, '%')) {
            value = percent(p, value);
        } else if ((n = per_mille_tokens(p)) > 0) {
            while (n-- > 0) parse_next(p);
            value = parse_quotient(p, value, tree_number(1000, p->arena));
        } else if (parse_is(p, '^')) {
            parse_next(p);
            struct math_node *const pair[] = {value, exponent(p)};
            value = pair[1] ? parse_node(p, MATH_POW, 0, 2, pair) : NULL;
        } else if (parse_is(p, '_') && value->kind == MATH_NUMBER && value->bracketed) {
            value = based(p, value);
        } else {
            break;
        }
    }
    parse_leave(p);
    return p->over ? NULL : value;
}
