// Equations, inequalities, congruences, chains of them.
#include "verifiers/math/kinds/kind.h"
#include "verifiers/math/kinds/relation.h"

// \pmod{5}, (mod 5), (\text{mod }5), \text{ (mod 5)} behind a congruence: the modulus as one more
// side.
static struct math_node *modulus(struct parser *p) {
    const int at = p->at;
    int n = parse_modulus(p);
    if (parse_is_command(p, "pmod")) {
        parse_next(p);
        return parse_group(p);
    }
    if (n == 0) return NULL;
    const bool bracket = p->t[parse_skip_fonts(p, at)].c == '(';
    int depth = 0; // of fonts that are still open
    for (; n > 0; n--) {
        depth += parse_is(p, '{') - parse_is(p, '}');
        parse_next(p);
    }
    struct math_node *value = parse_sum(p);
    for (bool closed = !bracket; value && (depth > 0 || !closed);) {
        if (depth > 0 && parse_take(p, '}'))
            depth--;
        else if (!closed && parse_take(p, ')'))
            closed = true;
        else
            value = NULL;
    }
    if (!value) p->at = at;
    return value;
}

// "at least", "more than": how many words at `t` stand for a relation, or 0.
static int relation_words(const struct token *t, uint8_t *op) {
    static const struct {
        const char *words[4];
        uint8_t op;
    } PHRASES[] = {{{"at", "least"}, MATH_GE},
                   {{"at", "most"}, MATH_LE},
                   {{"no", "less", "than"}, MATH_GE},
                   {{"not", "less", "than"}, MATH_GE},
                   {{"no", "fewer", "than"}, MATH_GE},
                   {{"no", "more", "than"}, MATH_LE},
                   {{"not", "more", "than"}, MATH_LE},
                   {{"greater", "than", "or", "equal"}, MATH_GE},
                   {{"less", "than", "or", "equal"}, MATH_LE},
                   {{"more", "than"}, MATH_GT},
                   {{"greater", "than"}, MATH_GT},
                   {{"larger", "than"}, MATH_GT},
                   {{"bigger", "than"}, MATH_GT},
                   {{"less", "than"}, MATH_LT},
                   {{"fewer", "than"}, MATH_LT},
                   {{"smaller", "than"}, MATH_LT},
                   {{"up", "to"}, MATH_LE},
                   {{"not", "equal"}, MATH_NE},
                   {{"over"}, MATH_GT},
                   {{"above"}, MATH_GT},
                   {{"exceeds"}, MATH_GT},
                   {{"exceeding"}, MATH_GT},
                   {{"under"}, MATH_LT},
                   {{"below"}, MATH_LT}};
    for (size_t i = 0; i < sizeof PHRASES / sizeof *PHRASES; i++) {
        int n = 0;
        while (n < 4 && PHRASES[i].words[n] && parse_is_word(&t[n], PHRASES[i].words[n])) n++;
        if (n < 4 && PHRASES[i].words[n]) continue;
        *op = PHRASES[i].op;
        if (parse_is_word(&t[n], "to")) n++; // "greater than or equal to"
        return n;
    }
    return 0;
}

// A side that is left out.
static struct math_node *hole(struct parser *p) {
    struct math_node *node = parse_node(p, MATH_SYMBOL, TREE_HOLE, 0, NULL);
    if (!node) return NULL;
    node->text = slice_of("?");
    tree_seal(node);
    return node;
}

// A relation in front of its only side, "> 3" or "at least 3": takes it and returns the side that
// is left out. NULL where there is none, and where it is a '=' or the like, which says nothing.
static struct math_node *left_out(struct parser *p, uint8_t *op) {
    const struct token *t = parse_peek(p);
    const bool font = t->kind == TOKEN_FONT && t->op == 1 && t[1].c == '{';
    int n = 0;
    *op = MATH_MODULO;
    if (p->inside) return NULL;
    if (t->kind == TOKEN_RELATION) {
        *op = t->op;
        n = 1;
    } else if (font || t->kind == TOKEN_WORD) {
        n = relation_words(font ? t + 2 : t, op);
        if (n > 0 && font) n = t[n + 2].c == '}' ? n + 3 : 0;
    }
    if (n == 0) return NULL;
    while (n-- > 0) parse_next(p);
    if (*op == MATH_EQ || *op == MATH_APPROX || *op == MATH_IMPLIES || *op == MATH_TO) return NULL;
    return hole(p);
}

static struct math_node *with_relations(struct parser *p, const struct parse_nodes *sides,
                                        const uint8_t *ops) {
    struct math_node *node = parse_node(p, MATH_RELATION, 0, sides->n, sides->list);
    if (!node) return NULL;
    uint8_t *copy = arena_take(p->arena, (size_t)sides->n, 1);
    memcpy(copy, ops, (size_t)sides->n - 1);
    node->ops = copy;
    tree_seal(node);
    return node;
}

// "3 \pmod 7": the class of a value, of what is not said; or the value itself.
static struct math_node *residue(struct parser *p, struct math_node *value) {
    static const uint8_t OPS[] = {MATH_CONGRUENT, MATH_MODULO};
    struct parse_nodes sides = {0};
    const bool over = p->over;
    struct math_node *mod = modulus(p);
    if (!mod) {
        p->over = p->over || over;
        return p->over ? NULL : value;
    }
    struct math_node *name = hole(p);
    if (!name) return NULL;
    parse_add(p, &sides, name);
    parse_add(p, &sides, value);
    parse_add(p, &sides, mod);
    return with_relations(p, &sides, OPS);
}

// \not= and its kin. MATH_MODULO, which nobody writes, where it has no name.
static uint8_t negated(uint8_t op) {
    static const uint8_t PAIRS[][2] = {{MATH_EQ, MATH_NE},     {MATH_LT, MATH_GE},
                                       {MATH_GT, MATH_LE},     {MATH_LE, MATH_GT},
                                       {MATH_GE, MATH_LT},     {MATH_CONGRUENT, MATH_INCONGRUENT},
                                       {MATH_IN, MATH_NOT_IN}, {MATH_DIVIDES, MATH_DIVIDES_NOT}};
    for (size_t i = 0; i < sizeof PAIRS / sizeof *PAIRS; i++)
        if (op == PAIRS[i][0]) return PAIRS[i][1];
    return MATH_MODULO;
}

// The relation at the parser, or MATH_MODULO. A \mid that is no condition divides.
static uint8_t next_relation(const struct parser *p) {
    const bool not = parse_is_command(p, "not");
    const struct token *t = parse_peek(p) + not ;
    const bool divides = t->c == '|' && t->op == 3 && p->brackets == 0 && p->bars == 0 && !p->set;
    if (p->inside || (t->kind != TOKEN_RELATION && !divides)) return MATH_MODULO;
    const uint8_t op = divides ? MATH_DIVIDES : t->op;
    return not ? negated(op) : op;
}

static struct math_node *read_relation(struct parser *p, int below) {
    enum { MAX_SIDES = 32 };
    struct parse_nodes sides = {0};
    uint8_t ops[MAX_SIDES], op;
    struct math_node *side = left_out(p, &op);
    bool congruent = op == MATH_CONGRUENT;
    if (side) {
        parse_add(p, &sides, side);
        ops[0] = op;
    }
    side = p->over ? NULL : parse_level(p, below);
    if (!side) return NULL;
    parse_add(p, &sides, side);
    if (sides.n == 1 && next_relation(p) == MATH_MODULO) return residue(p, side);
    while ((op = next_relation(p)) != MATH_MODULO) {
        if (sides.n >= MAX_SIDES - 2) return NULL;
        ops[sides.n - 1] = op;
        congruent |= op == MATH_CONGRUENT || op == MATH_INCONGRUENT || op == MATH_EQ;
        if (parse_is_command(p, "not")) parse_next(p);
        parse_next(p);
        side = parse_level(p, below);
        if (!side) return NULL;
        parse_add(p, &sides, side);
    }
    struct math_node *mod = congruent ? modulus(p) : NULL;
    const struct math_node *last = sides.list[sides.n - 1];
    if (congruent && !mod && ops[0] == MATH_CONGRUENT && last->kind == MATH_FUNCTION &&
        last->op == MATH_MOD) { // n \equiv 1 \mod 2
        sides.list[sides.n - 1] = last->kids[0];
        mod = last->kids[1];
    }
    if (mod) {
        ops[sides.n - 1] = MATH_MODULO;
        parse_add(p, &sides, mod);
    }
    return with_relations(p, &sides, ops);
}

static const struct math_node *difference(struct comparison *c, const struct math_node *relation) {
    const struct math_node *const pair[] = {relation->kids[0], kind_negated(c, relation->kids[1])};
    return kind_node(c, MATH_ADD, 0, 2, pair);
}

static int flipped(int op) {
    switch (op) {
    case MATH_LT:
        return MATH_GT;
    case MATH_LE:
        return MATH_GE;
    case MATH_GT:
        return MATH_LT;
    case MATH_GE:
        return MATH_LE;
    default:
        return op;
    }
}

// a > b > c as c < b < a. NULL where a sign has no mirror.
static const struct math_node *turned(struct comparison *c, const struct math_node *chain) {
    const struct math_node **kids = arena_take(c->arena, (size_t)chain->n, sizeof *kids);
    uint8_t *ops = arena_take(c->arena, (size_t)chain->n, sizeof *ops);
    for (int i = 0; i < chain->n; i++) kids[i] = chain->kids[chain->n - 1 - i];
    for (int i = 0; i + 1 < chain->n; i++) {
        const uint8_t op = chain->ops[chain->n - 2 - i];
        if (op != MATH_EQ && flipped(op) == op) return NULL;
        ops[i] = (uint8_t)flipped(op);
    }
    struct math_node *node = kind_node(c, MATH_RELATION, chain->op, chain->n, kids);
    node->ops = ops;
    tree_seal(node);
    return node;
}

static bool is_symmetric(int op) {
    return op == MATH_PARALLEL || op == MATH_PERPENDICULAR || op == MATH_SIMILAR ||
           op == MATH_CONGRUENT;
}

static enum math_verdict side_by_side(struct comparison *c, const struct math_node *gold,
                                      const struct math_node *answer) {
    enum math_verdict all = MATH_EQUAL;
    if (gold->n != answer->n) return kind_said(c, "count", MATH_DIFFERENT);
    const bool opposed = gold->n > 2 && gold->ops[0] != answer->ops[0];
    const struct math_node *other = opposed ? turned(c, answer) : NULL;
    if (other) answer = other;
    for (int i = 0; i + 1 < gold->n; i++)
        if (gold->ops[i] != answer->ops[i]) return kind_said(c, "relation", MATH_DIFFERENT);
    for (int i = 0; i < gold->n && all != MATH_DIFFERENT; i++)
        all = kind_worst(all, kinds_compare(c, gold->kids[i], answer->kids[i]));
    if (all > MATH_EQUAL_NUM && gold->n == 2 && is_symmetric(gold->ops[0]) &&
        tree_same(gold->kids[0], answer->kids[1]) && tree_same(gold->kids[1], answer->kids[0]))
        return kind_said(c, "relation", MATH_EQUAL);
    return all;
}

// Two sides each: the same up to a factor, which for an inequality has a sign.
static enum math_verdict scaled(struct comparison *c, const struct math_node *gold,
                                const struct math_node *answer) {
    int sign = 0;
    const char *rule = "relation";
    const enum exact found =
        exact_proportional(difference(c, gold), difference(c, answer), c->budget, &rule, &sign);
    const int op = gold->ops[0], other = answer->ops[0];
    c->rule = rule;
    if (found == EXACT_LIMIT) return MATH_LIMIT;
    if (found == EXACT_UNKNOWN) return MATH_UNKNOWN;
    if (found == EXACT_NO) return MATH_DIFFERENT;
    const bool ordered = op != MATH_EQ && op != MATH_NE;
    if (ordered && sign == 0) return kind_said(c, "relation", MATH_UNKNOWN);
    if (ordered && other != (sign > 0 ? op : flipped(op)))
        return kind_said(c, "relation", MATH_DIFFERENT);
    if ((op == MATH_EQ || op == MATH_NE) && other != op)
        return kind_said(c, "relation", MATH_DIFFERENT);
    return found == EXACT_YES ? MATH_EQUAL : MATH_EQUAL_NUM;
}

// r(t), which is read as a product, and r.
static bool is_call_of(const struct math_node *call, const struct math_node *name) {
    return call->kind == MATH_MUL && relation_is_label(call) && tree_same(call->kids[0], name);
}

// y and f(x) name the same thing, and so do f(x) and g(x), and words. f(x) and f'(x) do not, nor
// a_n and S_n.
static bool same_meaning(const struct math_node *a, const struct math_node *b) {
    if (tree_same(a, b) || is_call_of(a, b) || is_call_of(b, a)) return true;
    if (a->kind == MATH_APPLY && b->kind == MATH_APPLY) // what is behind the first letter
        return a->text.len == b->text.len &&
               memcmp(a->text.ptr + 1, b->text.ptr + 1, a->text.len - 1) == 0;
    const bool call = a->kind == MATH_APPLY || b->kind == MATH_APPLY;
    const bool subscripts = a->text.len > 0 && b->text.len > 0 &&
                            memchr(a->text.ptr, '_', a->text.len) &&
                            memchr(b->text.ptr, '_', b->text.len);
    const bool words = !subscripts && (a->text.len > 2 || b->text.len > 2);
    return call || words || a->kind == MATH_TUPLE || relation_is_geometry(a) ||
           relation_is_geometry(b);
}

static bool has_scalar_sides(const struct math_node *relation) {
    for (int i = 0; i < relation->n; i++)
        if (!tree_is_scalar(relation->kids[i])) return false;
    return true;
}

static bool is_ordering(int op) {
    return op == MATH_EQ || op == MATH_NE || op == MATH_LT || op == MATH_LE || op == MATH_GT ||
           op == MATH_GE;
}

// f(t) = 2t + 1 for a gold f(x) = 2x + 1: with x in the place of t; else the answer itself.
// NULL where x is something else there.
static const struct math_node *same_argument(struct comparison *c, const struct math_node *gold,
                                             const struct math_node *answer) {
    const struct math_node *g = gold->kids[0], *a = answer->kids[0];
    if (g->kind != MATH_APPLY || a->kind != MATH_APPLY || !slice_equal(g->text, a->text) ||
        g->kids[0]->kind != MATH_SYMBOL || a->kids[0]->kind != MATH_SYMBOL ||
        tree_same(g->kids[0], a->kids[0]))
        return answer;
    if (relation_has_symbol(answer, g->kids[0])) return NULL;
    return kind_replaced(c, answer, a->kids[0], g->kids[0]);
}

enum math_verdict relation_compare(struct comparison *c, const struct math_node *gold,
                                   const struct math_node *answer) {
    enum math_verdict verdict;
    if (congruence_compare(c, gold, answer, &verdict)) return verdict;
    if (relation_is_equation(gold) && relation_is_equation(answer))
        answer = same_argument(c, gold, answer);
    if (!answer) return kind_said(c, "variable", MATH_UNKNOWN);
    if (relation_is_equation(gold) && relation_is_equation(answer)) {
        const struct math_node *value = relation_value(gold);
        const bool named = value && relation_is_label(answer->kids[0]) &&
                           same_meaning(gold->kids[0], answer->kids[0]);
        if (named && answer->n > 2) return relation_chain(c, value, answer);
        if (named && answer->n == 2) {
            verdict = kinds_compare(c, value, answer->kids[1]);
            if (verdict != MATH_DIFFERENT || !tree_same(gold->kids[0], answer->kids[0]))
                return verdict;
        }
    }
    if (gold->n == 2 && answer->n == 2 && gold->free && answer->free && has_scalar_sides(gold) &&
        has_scalar_sides(answer) && is_ordering(gold->ops[0]) && is_ordering(answer->ops[0]))
        return scaled(c, gold, answer);
    return side_by_side(c, gold, answer);
}

static bool compare(struct comparison *c, const struct math_node *gold,
                    const struct math_node *answer, enum math_verdict *out) {
    if (gold->kind == MATH_RELATION && answer->kind == MATH_RELATION) {
        *out = relation_compare(c, gold, answer);
    } else if (gold->kind == MATH_RELATION && !congruence_compare(c, gold, answer, out)) {
        const bool class = gold->n == 3 && gold->ops[0] == MATH_CONGRUENT &&
                           gold->ops[1] == MATH_MODULO && answer->kind == MATH_NUMBER;
        const struct math_node *value = class ? gold->kids[1] : relation_value(gold);
        *out = value ? kinds_compare(c, value, answer) : kind_said(c, "form", MATH_DIFFERENT);
    } else if (gold->kind != MATH_RELATION && answer->kind == MATH_RELATION) {
        *out = relation_chain(c, gold, answer);
    } else {
        return gold->kind == MATH_RELATION;
    }
    return true;
}

static const struct math_node *equation(struct comparison *c, const struct math_node *left,
                                        const struct math_node *right) {
    static const uint8_t OPS[] = {MATH_EQ};
    const struct math_node *const sides[] = {left, right};
    struct math_node *node = kind_node(c, MATH_RELATION, 0, 2, sides);
    node->ops = OPS;
    tree_seal(node);
    return node;
}

// f: x \mapsto x + 1 and x \mapsto x + 1 as f(x) = x + 1; NULL where it is no map.
static const struct math_node *map(struct comparison *c, const struct math_node *node) {
    const struct math_node *left = node->kids[0], *body = node->kids[1];
    const bool named = left->kind == MATH_RATIO && left->n == 2;
    const struct math_node *name = named ? left->kids[0] : NULL;
    const struct math_node *variable = named ? left->kids[1] : left;
    if (variable->kind != MATH_SYMBOL || (named && name->kind != MATH_SYMBOL) ||
        (!named && !relation_has_symbol(body, variable)))
        return NULL;
    struct math_node *call = kind_node(c, MATH_APPLY, 0, 1, &variable);
    call->text = named ? name->text : slice_of("f");
    tree_seal(call);
    return equation(c, call, body);
}

// f \equiv 0: an equation for every argument.
static bool is_everywhere(const struct math_node *node) {
    const struct math_node *name = node->kids[0];
    if (node->ops[0] != MATH_CONGRUENT) return false;
    return name->kind == MATH_APPLY || (name->kind == MATH_SYMBOL && name->text.len == 1 &&
                                        strchr("fghpqFGHPQ", name->text.ptr[0]));
}

static const struct math_node *normal(struct comparison *c, const struct math_node *node) {
    if (node->kind == MATH_RELATION && node->n == 2) {
        const struct math_node *function = node->ops[0] == MATH_TO ? map(c, node) : NULL;
        if (function) return function;
        if (is_everywhere(node)) return equation(c, node->kids[0], node->kids[1]);
    }
    return congruence_normal(c, node);
}

const struct kind relation_kind = {
    .reader = {.level = read_relation}, .normal = normal, .compare = compare};
