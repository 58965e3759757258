// Symbols: letters and words with their primes, subscripts and arguments.
#include "protocol/base/utf8.h"
#include "verifiers/math/read/parse.h"

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

// "S(4) = 20", "T(2, 3) = 7": whatever its letter, what is applied to numbers at the start, in
// front of "=", is no product.
static bool is_applied_to_numbers(const struct parser *p) {
    enum { MAX_TOKENS = 16 };
    const struct token *t = parse_peek(p);
    if (p->at != 1 || t[0].c != '(' || t[0].space) return false;
    for (int i = 1; i < MAX_TOKENS && t[i].kind != TOKEN_END; i++) {
        if (t[i].c == ')')
            return i > 1 && t[i + 1].kind == TOKEN_RELATION && t[i + 1].op == MATH_EQ;
        if (t[i].kind != TOKEN_DIGITS && t[i].c != ',' && t[i].c != '-' && t[i].c != '.')
            return false;
    }
    return false;
}

// _{...} or _x as it is written, without spaces and braces, behind `name`.
static bool subscript(struct parser *p, struct slice *name) {
    struct slice part;
    parse_next(p);
    if (parse_is(p, '{') && p->t[p->at + 1].kind == TOKEN_DIGITS && p->t[p->at + 2].c == '}') {
        part = p->t[p->at + 1].text; // also of x₁, whose digit is no byte of the text
        p->at += 3;
    } else if (parse_is(p, '{')) {
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
    enum { MAX_PRIMES = 4 };
    int n_primes = 0;
    if (parse_is(p, '\'')) {
        parse_next(p);
        n_primes = 1;
    } else if (parse_is(p, '^') && p->t[p->at + 1].c == '{' && p->t[p->at + 2].kind == TOKEN_NAME &&
               slice_is(p->t[p->at + 2].text, "prime") && p->t[p->at + 3].c == '}') {
        for (int i = 0; i < 4; i++) parse_next(p);
        n_primes = 1;
    } else if (parse_is(p, '^') && p->t[p->at + 1].c == '{') {
        const struct token *t = &p->t[p->at + 2];
        while (n_primes < MAX_PRIMES && t[n_primes].kind == TOKEN_NAME &&
               slice_is(t[n_primes].text, "prime"))
            n_primes++;
        if (n_primes < 2 || t[n_primes].c != '}') return false;
        p->at += n_primes + 3;
    }
    if (n_primes == 0) return false;
    char *both = arena_take(p->arena, name->len + MAX_PRIMES + 1, 1);
    memcpy(both, name->ptr, name->len);
    memset(both + name->len, '\'', (size_t)n_primes);
    *name = (struct slice){both, name->len + (size_t)n_primes};
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

struct math_node *parse_named(struct parser *p, struct slice name, uint8_t op) {
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
        struct math_node *based = p->inside == 0 ? parse_letters_with_base(p) : NULL;
        if (based || p->over) return based;
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
    if (bare && p->inside == 0 &&
        (is_function_name((struct slice){name.ptr, 1}) || is_applied_to_numbers(p))) {
        struct math_node *call = application(p, name);
        if (call || p->over) return call;
    }
    struct math_node *node = parse_named(p, name, op);
    if (node) node->spaced = spaced;
    return node;
}
