#include "verifiers/math/parse.h"

// A growing list of nodes.
struct nodes {
    struct math_node **list;
    int n, capacity;
};

static void nodes_add(struct parser *p, struct nodes *nodes, struct math_node *node) {
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
    p->depth--;
}

// How many tokens the separator at the parser takes; 0: there is none.
static int separator_tokens(const struct parser *p) {
    const struct token *t = parse_peek(p);
    if (p->inside) return 0;
    if (t->kind == TOKEN_CHAR && (t->c == ',' || t->c == ';')) return 1;
    if (t->kind == TOKEN_CHAR && t->c == '&' && t->op) return 1;
    if (parse_is_word(t, "and") || parse_is_word(t, "or")) return 1;
    if (t->kind != TOKEN_FONT || t[1].kind != TOKEN_CHAR || t[1].c != '{') return 0;
    bool any = false; // \text{ and }, \text{, or }
    for (int i = 2; p->at + i < p->at + 6; i++) {
        if (t[i].kind == TOKEN_CHAR && t[i].c == '}') return any ? i + 1 : 0;
        if (parse_is_word(&t[i], "and") || parse_is_word(&t[i], "or"))
            any = true;
        else if (!(t[i].kind == TOKEN_CHAR && (t[i].c == ',' || t[i].c == ';')))
            return 0;
        else
            any = true;
        if (t[i].kind == TOKEN_END) return 0;
    }
    return 0;
}

bool parse_separator_is_next(struct parser *p) {
    return separator_tokens(p) > 0;
}

bool parse_separator(struct parser *p, uint8_t *words) {
    const int n = separator_tokens(p);
    for (int i = 0; i < n; i++) {
        const struct token *t = parse_peek(p);
        if (parse_is_word(t, "and") || (t->c == '&' && t->op == 1)) *words |= TREE_AND;
        if (parse_is_word(t, "or") || (t->c == '&' && t->op == 2)) *words |= TREE_OR;
        parse_next(p);
    }
    return n > 0;
}

// Items up to a ';', which binds less than the other separators.
static struct math_node *list_without_semicolon(struct parser *p) {
    struct nodes items = {0};
    uint8_t words = 0;
    for (;;) {
        struct math_node *item = parse_relation(p);
        if (!item) return NULL;
        nodes_add(p, &items, item);
        if (parse_is(p, ';') || !parse_separator_is_next(p)) break;
        const int at = p->at;
        bool more = false;
        while (!parse_is(p, ';') && parse_separator(p, &words)) more = true;
        const enum token_kind kind = parse_peek(p)->kind;
        if (!more || kind == TOKEN_END) { // "1, 2," ends a sentence
            if (kind != TOKEN_END) p->at = at;
            break;
        }
    }
    if (items.n == 1) return items.list[0];
    return parse_node(p, MATH_LIST, words, items.n, items.list);
}

struct math_node *parse_list(struct parser *p) {
    struct nodes items = {0};
    uint8_t words = 0;
    if (!parse_enter(p)) return NULL;
    struct math_node *first = list_without_semicolon(p);
    while (first && parse_is(p, ';')) {
        if (items.n == 0) nodes_add(p, &items, first);
        parse_next(p);
        while (parse_separator(p, &words)) {
        }
        if (parse_peek(p)->kind == TOKEN_END) break;
        struct math_node *item = list_without_semicolon(p);
        if (!item) return NULL;
        nodes_add(p, &items, item);
    }
    parse_leave(p);
    if (!first || items.n < 2) return first;
    return parse_node(p, MATH_LIST, 0, items.n, items.list);
}

static struct math_node *ratio(struct parser *p) {
    struct nodes parts = {0};
    struct math_node *part = parse_sum(p);
    while (part && parse_is(p, ':') && !p->set) {
        if (parts.n == 0) nodes_add(p, &parts, part);
        parse_next(p);
        part = parse_sum(p);
        if (part) nodes_add(p, &parts, part);
    }
    if (!part || parts.n < 2) return part;
    return parse_node(p, MATH_RATIO, 0, parts.n, parts.list);
}

static struct math_node *set_expression(struct parser *p) {
    struct math_node *left = ratio(p);
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
        struct math_node *right = ratio(p);
        if (!right) return NULL;
        if (kind == MATH_UNION && left->kind == MATH_UNION && !left->bracketed) {
            struct nodes all = {0};
            for (int i = 0; i < left->n; i++) nodes_add(p, &all, left->kids[i]);
            nodes_add(p, &all, right);
            left = parse_node(p, kind, 0, all.n, all.list);
        } else {
            struct math_node *const pair[] = {left, right};
            left = parse_node(p, kind, 0, 2, pair);
        }
    }
    return left;
}

// \pmod{5}, (mod 5) behind a congruence: the modulus as one more side.
static struct math_node *modulus(struct parser *p) {
    const int at = p->at;
    const bool bracket = parse_take(p, '(');
    if (!bracket && parse_take_command(p, "pmod")) return parse_group(p);
    bool found = parse_take_command(p, "mod") || parse_take_command(p, "bmod");
    if (!found && parse_is_word(parse_peek(p), "mod")) {
        found = true;
        parse_next(p);
    }
    if (!found && parse_peek(p)->kind == TOKEN_FONT && p->t[p->at + 1].c == '{' &&
        parse_is_word(&p->t[p->at + 2], "mod") && p->t[p->at + 3].c == '}') {
        p->at += 4;
        found = true;
    }
    struct math_node *value = found ? parse_sum(p) : NULL;
    if (value && bracket && !parse_take(p, ')')) return NULL;
    if (!value) p->at = at;
    return value;
}

struct math_node *parse_relation(struct parser *p) {
    struct nodes sides = {0};
    uint8_t ops[32];
    struct math_node *side = set_expression(p);
    if (!side || parse_peek(p)->kind != TOKEN_RELATION || p->inside) return side;
    nodes_add(p, &sides, side);
    bool congruent = false;
    while (parse_peek(p)->kind == TOKEN_RELATION) {
        if (sides.n >= (int)sizeof ops - 1) return NULL;
        ops[sides.n - 1] = parse_peek(p)->op;
        congruent |= parse_peek(p)->op == MATH_CONGRUENT || parse_peek(p)->op == MATH_EQ;
        parse_next(p);
        side = set_expression(p);
        if (!side) return NULL;
        nodes_add(p, &sides, side);
    }
    struct math_node *mod = congruent ? modulus(p) : NULL;
    const struct math_node *last = sides.list[sides.n - 1];
    if (congruent && !mod && ops[0] == MATH_CONGRUENT && last->kind == MATH_FUNCTION &&
        last->op == MATH_MOD) { // n \equiv 1 \mod 2
        sides.list[sides.n - 1] = last->kids[0];
        mod = last->kids[1];
    }
    if (mod) {
        ops[sides.n - 1] = MATH_OTHER;
        nodes_add(p, &sides, mod);
    }
    struct math_node *node = parse_node(p, MATH_RELATION, 0, sides.n, sides.list);
    if (!node) return NULL;
    uint8_t *copy = arena_take(p->arena, sizeof ops, 1);
    memcpy(copy, ops, (size_t)sides.n - 1);
    node->ops = copy;
    tree_seal(node);
    return node;
}

// A unit, a percent or a degree sign stays outside the minus.
static struct math_node *negate(struct parser *p, struct math_node *value) {
    if (!value) return NULL;
    if (value->kind != MATH_QUANTITY && value->kind != MATH_PERCENT && value->kind != MATH_DEGREE)
        return parse_node(p, MATH_MUL, TREE_MINUS, 1, &value);
    struct math_node *inner = parse_node(p, MATH_MUL, TREE_MINUS, 1, &value->kids[0]);
    struct math_node *outer = inner ? parse_node(p, value->kind, 0, 1, &inner) : NULL;
    if (!outer) return NULL;
    outer->unit = value->unit;
    tree_seal(outer);
    return outer;
}

// One factor behind an explicit operator, with its sign.
struct math_node *parse_unary(struct parser *p) {
    struct math_node *value = NULL;
    if (!parse_enter(p)) return NULL;
    if (parse_take(p, '-')) {
        value = negate(p, parse_unary(p));
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

static struct math_node *with_unit(struct parser *p, struct math_node *value,
                                   const struct math_unit *unit) {
    struct math_node *outer = value ? parse_node(p, MATH_QUANTITY, 0, 1, &value) : NULL;
    if (!outer) return NULL;
    outer->unit = unit;
    tree_seal(outer);
    return outer;
}

// 8 * 5 cm is (8 * 5) cm: the unit of the only factor that has one is that of the product.
static struct math_node *product(struct parser *p, struct nodes *factors, bool juxtaposed) {
    const struct math_unit *unit = NULL;
    int n_units = 0;
    if (factors->n == 1) return factors->list[0];
    for (int i = 0; i < factors->n && !juxtaposed; i++)
        if (factors->list[i]->kind == MATH_QUANTITY) {
            unit = factors->list[i]->unit;
            n_units++;
        }
    for (int i = 0; i < factors->n && n_units == 1; i++)
        if (factors->list[i]->kind == MATH_QUANTITY) factors->list[i] = factors->list[i]->kids[0];
    struct math_node *node =
        parse_node(p, MATH_MUL, juxtaposed ? TREE_JUXTAPOSED : 0, factors->n, factors->list);
    return n_units == 1 ? with_unit(p, node, unit) : node;
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

// "We get 2": words of a sentence are no factors.
static bool is_sentence(const struct parser *p) {
    const struct token *t = parse_peek(p);
    if (p->at == 0 || p->inside || !t->space || t[-1].kind == TOKEN_NAME) return false;
    const struct token *before = &t[-1];
    return (t->kind == TOKEN_WORD && t->text.len > 2) ||
           (before->kind == TOKEN_WORD && before->text.len > 2);
}

// 2 3 is no product: two number literals side by side are not understood.
static bool may_juxtapose(struct parser *p, const struct math_node *last) {
    if (parse_separator_is_next(p) || !parse_starts_atom(p) || is_sentence(p)) return false;
    const bool number = last->kind == MATH_NUMBER || last->kind == MATH_MIXED;
    if (parse_unit_is_next(p, last) || last->kind == MATH_DEGREE) return false;
    return !(number && !last->bracketed && parse_starts_number(p) && p->inside == 0 &&
             parse_peek(p)->kind != TOKEN_VULGAR &&
             !(p->t[p->at].kind == TOKEN_DIGITS && p->t[p->at + 1].kind == TOKEN_COMMAND));
}

struct math_node *parse_term(struct parser *p) {
    struct nodes factors = {0};
    bool juxtaposed = false;
    struct math_node *factor = parse_unary(p);
    if (!factor) return NULL;
    nodes_add(p, &factors, factor);
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
        } else if (may_juxtapose(p, factors.list[factors.n - 1])) {
            factor = parse_power(p);
            juxtaposed = true;
        } else {
            break;
        }
        if (!factor) return NULL;
        nodes_add(p, &factors, factor);
    }
    struct math_node *value = p->over ? NULL : product(p, &factors, juxtaposed);
    return value ? parse_unit(p, value) : NULL;
}

static bool same_unit(const struct math_unit *a, const struct math_unit *b) {
    return memcmp(a->dimension, b->dimension, sizeof a->dimension) == 0 &&
           a->counted == b->counted && a->num == b->num && a->den == b->den && a->ten == b->ten &&
           a->vague == b->vague && !a->unknown && !b->unknown;
}

// The unit of a sum: that of all its terms, or of the last where no other has one ("2 + 3 cm").
static struct math_node *lift_unit(struct parser *p, struct math_node *sum) {
    const struct math_node *last = sum->kids[sum->n - 1];
    struct nodes terms = {0};
    int n_units = 0;
    for (int i = 0; i < sum->n; i++) {
        struct math_node *term = sum->kids[i];
        const bool has = term->kind == MATH_QUANTITY;
        if (has && term != last &&
            !(last->kind == MATH_QUANTITY && same_unit(term->unit, last->unit)))
            return sum;
        n_units += has;
        nodes_add(p, &terms, has ? term->kids[0] : term);
    }
    if (last->kind != MATH_QUANTITY || (n_units != 1 && n_units != sum->n)) return sum;
    return with_unit(p, parse_node(p, MATH_ADD, 0, terms.n, terms.list), last->unit);
}

static bool is_plus_minus(const struct parser *p) {
    return p->inside == 0 && (parse_is_command(p, "pm") || parse_is_command(p, "mp"));
}

struct math_node *parse_sum(struct parser *p) {
    struct nodes terms = {0};
    struct math_node *first = NULL;
    if (parse_take(p, '-')) {
        first = negate(p, parse_term(p));
    } else {
        parse_take(p, '+');
        first = parse_term(p);
    }
    if (!first) return NULL;
    nodes_add(p, &terms, first);
    while (!p->over) {
        struct math_node *next = NULL;
        if (parse_take(p, '+')) {
            next = parse_term(p);
        } else if (parse_take(p, '-')) {
            next = negate(p, parse_term(p));
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
        nodes_add(p, &terms, next);
    }
    if (p->over) return NULL;
    if (terms.n == 1) return terms.list[0];
    struct math_node *sum = parse_node(p, MATH_ADD, 0, terms.n, terms.list);
    return sum ? lift_unit(p, sum) : NULL;
}

// sin 2 pi x, ln xy: factors side by side, up to an operator, a bracket or the next function.
struct math_node *parse_argument(struct parser *p) {
    struct nodes factors = {0};
    if (!parse_enter(p)) return NULL;
    do {
        struct math_node *factor =
            factors.n == 0 && parse_take(p, '-') ? negate(p, parse_power(p)) : parse_power(p);
        if (!factor) return NULL;
        nodes_add(p, &factors, factor);
    } while (!p->over && may_juxtapose(p, factors.list[factors.n - 1]) && !parse_is(p, '(') &&
             !parse_is(p, '[') && !parse_is(p, '|') && parse_peek(p)->kind != TOKEN_FUNCTION &&
             parse_peek(p)->kind != TOKEN_FONT);
    parse_leave(p);
    return p->over ? NULL : product(p, &factors, true);
}
