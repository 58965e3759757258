// Sums, products and signs; and how the kinds of answers are reached.
#include "verifiers/math/read/parse.h"

#include <assert.h>

void parse_add(struct parser *p, struct parse_nodes *nodes, struct math_node *node) {
    if (nodes->n == nodes->capacity) {
        const int capacity = nodes->capacity * 2 + 4;
        struct math_node **list = arena_take(p->arena, (size_t)capacity, sizeof *list);
        if (nodes->n) memcpy(list, nodes->list, (size_t)nodes->n * sizeof *list);
        nodes->list = list;
        nodes->capacity = capacity;
    }
    nodes->list[nodes->n++] = node;
}

struct math_node *parse_node(struct parser *p, enum math_kind kind, uint8_t op, int n,
                             struct math_node *const *kids) {
    if (++p->n_nodes > MATH_MAX_NODES || !math_step(p->budget, 1)) {
        p->over = true;
        return NULL;
    }
    for (int i = 0; i < n; i++) assert(kids[i]); // what was not read makes no node
    struct math_node *node = arena_take(p->arena, 1, sizeof *node);
    node->kind = kind;
    node->op = op;
    node->n = n;
    if (n > 0) {
        node->kids = arena_take(p->arena, (size_t)n, sizeof(struct math_node *));
        memcpy(node->kids, kids, (size_t)n * sizeof(struct math_node *));
    }
    tree_seal(node);
    return node;
}

bool parse_enter(struct parser *p) {
    if (++p->depth > MATH_MAX_DEPTH || !math_step(p->budget, 1)) p->over = true;
    return !p->over;
}

void parse_leave(struct parser *p) {
    assert(p->depth > 0);
    p->depth--;
}

struct math_node *parse_level(struct parser *p, int level) {
    while (level < p->n_readers && !p->readers[level]->level) level++;
    return level < p->n_readers ? p->readers[level]->level(p, level + 1) : parse_sum(p);
}

struct math_node *parse_item(struct parser *p) {
    int level = 0;
    while (level < p->n_readers && !p->readers[level]->level) level++;
    return parse_level(p, level + 1);
}

// {a \over b} and {n \choose k}: all that is in front of the command, and all behind it.
static struct math_node *divided(struct parser *p, struct math_node *top) {
    const bool over = parse_take_command(p, "over");
    if (!over && !parse_take_command(p, "choose")) return top;
    struct math_node *const pair[] = {top, parse_any(p)};
    if (!pair[1]) return NULL;
    return over ? parse_quotient(p, top, pair[1])
                : parse_node(p, MATH_FUNCTION, MATH_BINOMIAL, 2, pair);
}

struct math_node *parse_any(struct parser *p) {
    if (!parse_enter(p)) return NULL;
    struct math_node *node = parse_level(p, 0);
    if (node && !p->over) node = divided(p, node);
    parse_leave(p);
    return p->over ? NULL : node;
}

static struct math_node *minus(struct parser *p, struct math_node *value) {
    return value ? parse_node(p, MATH_MUL, TREE_MINUS, 1, &value) : NULL;
}

// One factor behind an explicit operator, with its sign.
struct math_node *parse_unary(struct parser *p) {
    struct math_node *value = NULL;
    if (!parse_enter(p)) return NULL;
    if (parse_take(p, '-')) {
        value = minus(p, parse_unary(p));
    } else if (parse_take(p, '+')) {
        value = parse_unary(p);
    } else if (parse_is_command(p, "pm") || parse_is_command(p, "mp")) {
        const uint8_t op = parse_is_command(p, "mp");
        parse_next(p);
        value = parse_unary(p);
        if (value) value = parse_node(p, MATH_PLUS_MINUS, op, 1, &value);
    } else {
        value = parse_power(p);
    }
    parse_leave(p);
    return value;
}

static struct math_node *product(struct parser *p, struct parse_nodes *factors, bool juxtaposed) {
    if (factors->n == 1) return factors->list[0];
    return parse_node(p, MATH_MUL, juxtaposed ? TREE_JUXTAPOSED : 0, factors->n, factors->list);
}

static struct math_node *inverse(struct parser *p, struct math_node *value) {
    if (!value) return NULL;
    struct math_node *const pair[] = {value, tree_number(-1, p->arena)};
    return parse_node(p, MATH_POW, TREE_JUXTAPOSED, 2, pair);
}

static bool is_mod(const struct parser *p) {
    return parse_is_command(p, "mod") || parse_is_command(p, "bmod") ||
           (p->inside == 0 && parse_is_word(parse_peek(p), "mod"));
}

int parse_modulus(const struct parser *p) {
    int i = p->at;
    if (p->inside) return 0;
    for (int bracket = 0; bracket < 2; bracket++) {
        while (p->t[i].kind == TOKEN_FONT && p->t[i + 1].c == '{') i += 2;
        if (bracket == 0 && p->t[i].c == '(') i++;
    }
    const struct token *t = &p->t[i];
    const bool command =
        t->kind == TOKEN_COMMAND && (slice_is(t->text, "mod") || slice_is(t->text, "bmod"));
    if (!command && !parse_is_word(t, "mod")) return 0;
    return parse_skip_fonts(p, i + 1) - p->at;
}

// "We get 2": words of a sentence are no factors.
static bool is_sentence(const struct parser *p) {
    const struct token *t = parse_peek(p);
    if (p->at == 0 || p->inside || !t->space || t[-1].kind == TOKEN_NAME) return false;
    const struct token *before = &t[-1];
    return (t->kind == TOKEN_WORD && t->text.len > 2) ||
           (before->kind == TOKEN_WORD && before->text.len > 2);
}

// Does a kind join what is next to the value before it?
static bool follows(const struct parser *p, const struct math_node *value) {
    for (int i = 0; i < p->n_readers; i++)
        if (p->readers[i]->follows && p->readers[i]->follows(p, value)) return true;
    return false;
}

static struct math_node *behind(struct parser *p, struct math_node *value) {
    for (int i = 0; i < p->n_readers && value; i++)
        if (p->readers[i]->behind) value = p->readers[i]->behind(p, value);
    return value;
}

// (1,2) U (3,4): a union, where a symbol makes no sense.
static bool is_union_letter(const struct parser *p, const struct math_node *last) {
    const struct token *t = parse_peek(p);
    return (last->kind == MATH_TUPLE || last->kind == MATH_BRACKETS) && last->n == 2 &&
           p->inside == 0 && parse_is_word(t, "U") && t[1].kind == TOKEN_CHAR && t[1].c &&
           strchr("([{", t[1].c);
}

// 60^\circ + 360^\circ k
static bool is_multiple(const struct parser *p, const struct math_node *degrees) {
    const struct token *t = parse_peek(p);
    return degrees->kind == MATH_DEGREE && p->inside == 0 && t->kind == TOKEN_WORD &&
           t->text.len == 1 && strchr("kmn", t->text.ptr[0]);
}

// 2 3 is no product: two number literals side by side are not understood.
static bool may_juxtapose(const struct parser *p, const struct math_node *last) {
    if (parse_separator_is_next(p) || !parse_starts_atom(p) || is_sentence(p)) return false;
    if (parse_modulus(p)) return false;
    const bool number = last->kind == MATH_NUMBER || last->kind == MATH_MIXED;
    if (is_multiple(p, last)) return true;
    if (follows(p, last) || last->kind == MATH_DEGREE || is_union_letter(p, last)) return false;
    return !(number && !last->bracketed && parse_starts_number(p) && p->inside == 0 &&
             parse_peek(p)->kind != TOKEN_VULGAR &&
             !(p->t[p->at].kind == TOKEN_DIGITS && p->t[p->at + 1].kind == TOKEN_COMMAND));
}

struct math_node *parse_quotient(struct parser *p, struct math_node *top,
                                 struct math_node *bottom) {
    if (!top || !bottom) return NULL;
    struct math_node *const pair[] = {top, inverse(p, bottom)};
    struct math_node *node = pair[1] ? parse_node(p, MATH_MUL, 0, 2, pair) : NULL;
    if (node) node->bracketed = true;
    return node;
}

// 1 \cdot 2 \cdots 10: dots that stand between factors as a sign does.
static bool dots_follow(const struct parser *p, const struct parse_nodes *factors) {
    const struct token *t = parse_peek(p);
    return factors->n > 1 && p->inside == 0 && t->kind == TOKEN_DOTS &&
           factors->list[factors->n - 1]->kind != MATH_DOTS &&
           (t[1].kind == TOKEN_DIGITS || t[1].kind == TOKEN_WORD || t[1].c == '(' || t[1].c == '*');
}

struct math_node *parse_term(struct parser *p) {
    struct parse_nodes factors = {0};
    bool juxtaposed = false;
    struct math_node *factor = parse_unary(p);
    if (!factor) return NULL;
    parse_add(p, &factors, factor);
    while (!p->over) {
        if (parse_take(p, '*')) {
            factor = parse_unary(p);
        } else if (parse_take(p, '/')) {
            factor = inverse(p, parse_unary(p));
        } else if (is_mod(p)) {
            struct math_node *left = product(p, &factors, juxtaposed);
            parse_next(p);
            struct math_node *const pair[] = {left, parse_unary(p)};
            if (!left || !pair[1]) return NULL;
            factors.n = 0;
            factor = parse_node(p, MATH_FUNCTION, MATH_MOD, 2, pair);
        } else if (dots_follow(p, &factors)) {
            parse_add(p, &factors, parse_power(p));
            factor = parse_is(p, '*') ? NULL : parse_unary(p);
            if (!factor && !p->over && parse_take(p, '*')) factor = parse_unary(p);
        } else if (may_juxtapose(p, factors.list[factors.n - 1])) {
            factor = parse_power(p);
            juxtaposed = true;
        } else {
            break;
        }
        if (!factor) return NULL;
        parse_add(p, &factors, factor);
    }
    struct math_node *value = p->over ? NULL : product(p, &factors, juxtaposed);
    return value ? behind(p, value) : NULL;
}

static bool is_plus_minus(const struct parser *p) {
    return p->inside == 0 && (parse_is_command(p, "pm") || parse_is_command(p, "mp"));
}

struct math_node *parse_sum(struct parser *p) {
    struct parse_nodes terms = {0};
    struct math_node *first = NULL;
    if (parse_take(p, '-')) {
        first = minus(p, parse_term(p));
    } else {
        parse_take(p, '+');
        first = parse_term(p);
    }
    if (!first) return NULL;
    parse_add(p, &terms, first);
    while (!p->over) {
        struct math_node *next = NULL;
        if (parse_take(p, '+')) {
            next = parse_term(p);
        } else if (parse_take(p, '-')) {
            next = minus(p, parse_term(p));
        } else if (is_plus_minus(p)) {
            const uint8_t op = parse_is_command(p, "mp");
            parse_next(p);
            struct math_node *left =
                terms.n == 1 ? terms.list[0] : parse_node(p, MATH_ADD, 0, terms.n, terms.list);
            struct math_node *const pair[] = {left, parse_term(p)};
            if (!left || !pair[1]) return NULL;
            terms.n = 0;
            next = parse_node(p, MATH_PLUS_MINUS, op, 2, pair);
        } else {
            break;
        }
        if (!next) return NULL;
        parse_add(p, &terms, next);
    }
    if (p->over) return NULL;
    if (terms.n == 1) return terms.list[0];
    return parse_node(p, MATH_ADD, 0, terms.n, terms.list);
}

// sin 2 pi x, ln xy: factors side by side, up to an operator, a bracket or the next function.
struct math_node *parse_argument(struct parser *p) {
    struct parse_nodes factors = {0};
    if (!parse_enter(p)) return NULL;
    do {
        struct math_node *factor =
            factors.n == 0 && parse_take(p, '-') ? minus(p, parse_power(p)) : parse_power(p);
        if (!factor) return NULL;
        parse_add(p, &factors, factor);
    } while (!p->over && may_juxtapose(p, factors.list[factors.n - 1]) && !parse_is(p, '(') &&
             !parse_is(p, '[') && !parse_is(p, '|') && parse_peek(p)->kind != TOKEN_FUNCTION &&
             parse_peek(p)->kind != TOKEN_FONT);
    parse_leave(p);
    return p->over ? NULL : product(p, &factors, true);
}
