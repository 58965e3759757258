// Atoms and what stands behind them: powers, factorials, percent, degrees, subscripts, primes.
#include <ctype.h>
#include <stdio.h>
#include <strings.h>

#include "protocol/base/utf8.h"
#include "verifiers/math/parse.h"

int parse_group_end(const struct parser *p, int at) {
    int depth = 0;
    if (p->t[at].kind != TOKEN_CHAR || p->t[at].c != '{') return -1;
    for (; p->t[at].kind != TOKEN_END; at++) {
        if (p->t[at].kind != TOKEN_CHAR) continue;
        if (p->t[at].c == '{') depth++;
        if (p->t[at].c == '}' && --depth == 0) return at;
    }
    return -1;
}

bool parse_skip_group(struct parser *p, struct slice *inside) {
    const int end = parse_group_end(p, p->at);
    if (end < 0) return false;
    const size_t from = parse_peek(p)->at + 1;
    *inside = (struct slice){p->text.ptr + from, p->t[end].at - from};
    while (p->at <= end) parse_next(p);
    return true;
}

// What a command without braces takes: one digit, one letter, one command.
struct math_node *parse_single(struct parser *p, bool all_digits) {
    const struct token *t = parse_peek(p);
    if (t->kind == TOKEN_DIGITS && (all_digits || t->text.len == 1)) return parse_number(p);
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
        node = parse_list(p);
        if (parse_is(p, '.') && p->t[p->at + 1].c == '}') parse_next(p); // of a sentence
        if (node && !parse_take(p, '}')) node = NULL;
    } else {
        node = parse_single(p, false);
    }
    p->integrals = integrals;
    parse_leave(p);
    return node;
}

// One letter of the word at the parser.
static struct slice take_letter(struct parser *p) {
    const struct token *t = parse_peek(p);
    const struct slice rest = {t->text.ptr + p->inside, t->text.len - p->inside};
    uint32_t code = 0;
    int len = utf8_next(rest, &code);
    if (len == 0) len = 1;
    p->inside += (size_t)len;
    if (p->inside >= t->text.len) parse_next(p);
    return (struct slice){rest.ptr, (size_t)len};
}

static bool is_function_name(struct slice name) {
    return name.len == 1 && memchr("fghFGPQ", name.ptr[0], 7) != NULL;
}

// _{...} or _x as it is written, without spaces and braces, behind `name`.
static bool subscript(struct parser *p, struct slice *name) {
    struct slice part;
    parse_next(p);
    if (parse_is(p, '{')) {
        if (!parse_skip_group(p, &part)) return false;
    } else {
        const struct token *t = parse_peek(p);
        if (t->kind == TOKEN_END || t->kind == TOKEN_RELATION || t->kind == TOKEN_CHAR)
            return false;
        if (t->kind == TOKEN_FONT) {
            parse_next(p);
            if (!parse_skip_group(p, &part)) return false;
        } else if (t->kind == TOKEN_WORD) {
            part = take_letter(p);
        } else {
            part = t->text;
            parse_next(p);
        }
    }
    if (part.len > 200) return false;
    char *both = arena_take(p->arena, name->len + part.len + 2, 1);
    size_t n = name->len;
    memcpy(both, name->ptr, n);
    both[n++] = '_';
    for (size_t i = 0; i < part.len; i++)
        if (!strchr(" {}\\\t\n", part.ptr[i])) both[n++] = part.ptr[i];
    *name = (struct slice){both, n};
    return true;
}

static bool take_prime(struct parser *p, struct slice *name) {
    bool found = false;
    if (parse_is(p, '\'')) {
        parse_next(p);
        found = true;
    } else if (parse_is(p, '^') && p->t[p->at + 1].c == '{' && p->t[p->at + 2].kind == TOKEN_NAME &&
               slice_is(p->t[p->at + 2].text, "prime") && p->t[p->at + 3].c == '}') {
        for (int i = 0; i < 4; i++) parse_next(p);
        found = true;
    }
    if (!found) return false;
    char *both = arena_take(p->arena, name->len + 2, 1);
    memcpy(both, name->ptr, name->len);
    both[name->len] = '\'';
    *name = (struct slice){both, name->len + 1};
    return true;
}

// f(x), f^{-1}(x): the arguments behind the name of an unknown function.
static struct math_node *application(struct parser *p, struct slice name) {
    const struct token *t = parse_peek(p);
    if (parse_is(p, '^') && t[1].c == '{' && t[2].c == '-' && slice_is(t[3].text, "1") &&
        t[4].c == '}' && t[5].c == '(') {
        for (int i = 0; i < 5; i++) parse_next(p);
        char *both = arena_take(p->arena, name.len + 4, 1);
        memcpy(both, name.ptr, name.len);
        memcpy(both + name.len, "^-1", 3);
        name = (struct slice){both, name.len + 3};
    }
    if (!parse_is(p, '(')) return NULL;
    p->brackets++;
    struct math_node *argument = parse_bracket(p);
    p->brackets--;
    if (!argument) return NULL;
    struct math_node *node = parse_node(p, MATH_APPLY, 0, 1, &argument);
    if (!node) return NULL;
    node->text = (struct slice){arena_copy(p->arena, name.ptr, name.len), name.len};
    tree_seal(node);
    return node;
}

static struct math_node *named(struct parser *p, struct slice name, uint8_t op) {
    struct math_node *node = parse_node(p, MATH_SYMBOL, op, 0, NULL);
    if (!node) return NULL;
    node->text = (struct slice){arena_copy(p->arena, name.ptr, name.len), name.len};
    tree_seal(node);
    return node;
}

// The symbol at the parser, or one of the given name, with its primes, subscript and arguments.
struct math_node *parse_symbol(struct parser *p, struct slice name, uint8_t op) {
    const struct token *t = parse_peek(p);
    const bool spaced = t->space && p->inside == 0;
    if (name.len == 0 && t->kind == TOKEN_WORD) {
        // Longer words are names of their own: "area" is not a times r times e times a.
        const bool whole = p->inside == 0 && t->text.len > 3;
        if (t->text.len > 2) p->split_word = true;
        if (whole) {
            name = t->text;
            parse_next(p);
        } else {
            name = take_letter(p);
        }
    } else if (name.len == 0) {
        if (t->kind == TOKEN_CONSTANT) {
            const uint8_t constant = t->op;
            parse_next(p);
            return parse_node(p, MATH_CONSTANT, constant, 0, NULL);
        }
        if (t->kind != TOKEN_NAME) return NULL;
        name = t->text;
        parse_next(p);
    }
    const bool bare = name.len == 1;
    while (take_prime(p, &name)) {
    }
    if (p->inside == 0 && parse_is(p, '_') && !subscript(p, &name)) return NULL;
    while (take_prime(p, &name)) {
    }
    if (bare && name.len == 1 && (name.ptr[0] == 'e' || name.ptr[0] == 'i'))
        return parse_node(p, MATH_CONSTANT, name.ptr[0] == 'e' ? MATH_E : MATH_I, 0, NULL);
    if (bare && p->inside == 0 && is_function_name((struct slice){name.ptr, 1})) {
        struct math_node *call = application(p, name);
        if (call || p->over) return call;
    }
    struct math_node *node = named(p, name, op);
    if (node) node->spaced = spaced;
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

static bool opens_bar(struct parser *p) {
    const struct token *t = parse_peek(p);
    if (t->op == 1) return true;
    if (t->op >= 2 || p->set) return false;
    if (p->bars == 0) return true;
    const enum token_kind next = t[1].kind;
    return p->eager_bars && (next == TOKEN_WORD || next == TOKEN_DIGITS || next == TOKEN_NAME);
}

static bool font_is_atom(const struct parser *p) {
    const struct token *t = parse_peek(p);
    if (t->op == 1 || t[1].c != '{' || t[2].kind == TOKEN_END || t[3].c != '}') return false;
    return t[2].kind == TOKEN_FUNCTION || t[2].kind == TOKEN_CONSTANT || t[2].kind == TOKEN_NAME ||
           (t[2].kind == TOKEN_WORD && t[2].text.len == 1);
}

bool parse_starts_atom(struct parser *p) {
    static const char *const COMMANDS[] = {
        "frac", "sqrt", "cbrt",   "binom", "overline", "bar",   "begin",    "int",  "sum",
        "prod", "lim",  "lfloor", "lceil", "langle",   "boxed", "variable", "oint", "iint"};
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
        return false;
    default:
        return false;
    }
}

static struct math_node *atom(struct parser *p) {
    const struct token *t = parse_peek(p);
    if (is_differential(p)) return NULL;
    if (parse_starts_number(p)) return parse_number(p);
    if (p->inside) return parse_symbol(p, (struct slice){NULL, 0}, 0);
    switch (t->kind) {
    case TOKEN_WORD:
    case TOKEN_NAME:
    case TOKEN_CONSTANT:
        return parse_symbol(p, (struct slice){NULL, 0}, 0);
    case TOKEN_FUNCTION:
        return parse_function(p);
    case TOKEN_COMMAND:
        return parse_command(p);
    case TOKEN_FONT:
        return parse_font(p);
    case TOKEN_CURRENCY:
        return parse_money(p);
    case TOKEN_SET_NAME:
        parse_next(p);
        return parse_node(p, MATH_SET_NAME, t->op, 0, NULL);
    case TOKEN_DOTS:
        parse_next(p);
        return parse_node(p, MATH_DOTS, 0, 0, NULL);
    case TOKEN_CHAR:
        return parse_bracket(p);
    default:
        return NULL;
    }
}

static bool is_circ(const struct token *t) {
    return t->kind == TOKEN_COMMAND && (slice_is(t->text, "circ") || slice_is(t->text, "degree"));
}

// ^\circ, ^{\circ}, \degree: how many tokens, or 0.
static int degree_tokens(const struct parser *p) {
    const struct token *t = parse_peek(p);
    if (p->inside) return 0;
    if (is_circ(t) && slice_is(t->text, "degree")) return 1;
    if (t->kind != TOKEN_CHAR || t->c != '^') return 0;
    if (is_circ(&t[1])) return 2;
    return t[1].c == '{' && is_circ(&t[2]) && t[3].c == '}' ? 4 : 0;
}

static struct math_node *exponent(struct parser *p) {
    struct math_node *node = NULL;
    if (!parse_enter(p)) return NULL;
    if (parse_is(p, '{')) {
        const struct token *t = parse_peek(p);
        if ((t[1].c == '+' || t[1].c == '-') && t[2].c == '}') { // the side of a limit
            for (int i = 0; i < 3; i++) parse_next(p);
            node = named(p, slice_of(t[1].c == '+' ? "+" : "-"), 0);
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

struct math_node *parse_power(struct parser *p) {
    if (!parse_enter(p)) return NULL;
    struct math_node *value = atom(p);
    int n;
    while (value && !p->over && p->inside == 0) {
        if ((n = degree_tokens(p)) > 0) {
            while (n-- > 0) parse_next(p);
            value = parse_node(p, MATH_DEGREE, 0, 1, &value);
        } else if (parse_take(p, '!')) {
            value = parse_node(p, MATH_FUNCTION, MATH_FACTORIAL, 1, &value);
        } else if (parse_is(p, '%')) {
            value = percent(p, value);
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
