// Equations, inequalities, congruences, chains of them.
#include "verifiers/math/kinds/kind.h"
#include "verifiers/math/kinds/unit_letter.h"

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
    struct math_node *hole = parse_node(p, MATH_SYMBOL, TREE_HOLE, 0, NULL);
    if (!hole) return NULL;
    hole->text = slice_of("?");
    tree_seal(hole);
    return hole;
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
    if (sides.n == 1 && (parse_peek(p)->kind != TOKEN_RELATION || p->inside)) return side;
    while (parse_peek(p)->kind == TOKEN_RELATION && p->inside == 0) {
        if (sides.n >= MAX_SIDES - 2) return NULL;
        ops[sides.n - 1] = parse_peek(p)->op;
        congruent |= parse_peek(p)->op == MATH_CONGRUENT || parse_peek(p)->op == MATH_EQ;
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

static bool is_geometry(const struct math_node *node) {
    if (node->kind != MATH_MUL || node->op != TREE_JUXTAPOSED) return false;
    bool mark = false, capitals = true;
    for (int i = 0; i < node->n; i++) {
        const struct math_node *kid = node->kids[i];
        if (kid->kind != MATH_SYMBOL) return false;
        mark |= slice_is(kid->text, "angle") || slice_is(kid->text, "triangle");
        capitals &= kid->text.len == 1 && kid->text.ptr[0] >= 'A' && kid->text.ptr[0] <= 'Z';
    }
    return mark || capitals;
}

bool relation_is_label(const struct math_node *node) {
    if (node->kind == MATH_SYMBOL || node->kind == MATH_APPLY) return true;
    if (node->kind == MATH_TUPLE) {
        for (int i = 0; i < node->n; i++)
            if (!relation_is_label(node->kids[i])) return false;
        return true;
    }
    if (node->kind == MATH_MUL && node->op == TREE_JUXTAPOSED && node->n == 2 &&
        node->kids[0]->kind == MATH_SYMBOL && node->kids[0]->text.len == 1 &&
        node->kids[1]->kind == MATH_SYMBOL && node->kids[1]->bracketed)
        return true; // p(x)
    return is_geometry(node);
}

static bool is_equation(const struct math_node *node) {
    if (node->kind != MATH_RELATION) return false;
    for (int i = 0; i + 1 < node->n; i++)
        if (node->ops[i] != MATH_EQ && node->ops[i] != MATH_APPROX) return false;
    return true;
}

// |PQ|, PQ/RS, m\angle A: what a value may be called besides a label.
static bool is_name(const struct math_node *node) {
    if (relation_is_label(node)) return true;
    if (node->kind == MATH_FUNCTION) return node->op == MATH_ABS && is_name(node->kids[0]);
    if (node->kind == MATH_POW) return node->op == TREE_JUXTAPOSED && is_name(node->kids[0]);
    return node->kind == MATH_MUL && node->n == 2 && is_name(node->kids[0]) &&
           is_name(node->kids[1]) && node->kids[1]->kind == MATH_POW;
}

static bool is_d(const struct math_node *node) {
    return node->kind == MATH_MUL && node->op == TREE_JUXTAPOSED && node->n == 2 &&
           node->kids[0]->kind == MATH_SYMBOL && slice_is(node->kids[0]->text, "d") &&
           node->kids[1]->kind == MATH_SYMBOL;
}

// A^{-1} = a matrix, \frac{dy}{dx} = ...: what is asked for is called by an operation.
static bool is_operation(const struct math_node *gold) {
    const struct math_node *name = gold->kids[0];
    if (name->kind == MATH_POW && name->kids[0]->kind == MATH_SYMBOL && !name->op)
        return tree_has(gold->kids[gold->n - 1], MATH_MATRIX);
    return name->kind == MATH_MUL && name->n == 2 && is_d(name->kids[0]) &&
           name->kids[1]->kind == MATH_POW && name->kids[1]->op == TREE_JUXTAPOSED &&
           is_d(name->kids[1]->kids[0]);
}

// What a gold `x = value` says when the answer is a value, or NULL: 2x + z = 1 is no value.
static const struct math_node *unwrapped(const struct math_node *gold) {
    const struct math_node *value = NULL;
    if (gold->kind == MATH_RELATION && gold->n == 2 && gold->ops[0] == MATH_IN &&
        relation_is_label(gold->kids[0]) && !tree_is_scalar(gold->kids[1]))
        return gold->kids[1];
    if (!is_equation(gold)) return NULL;
    const bool named = is_name(gold->kids[0]) || is_operation(gold);
    for (int i = named; i < gold->n; i++) {
        if (i > named && gold->ops[i - 1] == MATH_APPROX) break;
        if (!named && gold->kids[i]->free && gold->n > 1 && gold->ops[0] != MATH_APPROX)
            return NULL;
        value = gold->kids[i];
    }
    return value;
}

static bool has_symbol(const struct math_node *node, const struct math_node *symbol) {
    if (node->kind == MATH_SYMBOL || node->kind == MATH_APPLY) return tree_same(node, symbol);
    for (int i = 0; i < node->n; i++)
        if (has_symbol(node->kids[i], symbol)) return true;
    return false;
}

// Has the side symbols, none of which is in the gold? Then it only names the value: m + n = 33.
static bool is_foreign(const struct math_node *side, const struct math_node *gold) {
    if (side->kind == MATH_SYMBOL || side->kind == MATH_APPLY) return !has_symbol(gold, side);
    if (side->kind == MATH_BIG || !tree_is_scalar(side)) return false;
    for (int i = 0; i < side->n; i++)
        if (side->kids[i]->free && !is_foreign(side->kids[i], gold)) return false;
    return side->free;
}

// 3x - 13 and 2x are sides of an equation that is to be solved: one symbol and a number.
static bool is_posed(const struct math_node *side) {
    const struct math_node *first = NULL;
    bool number = side->kind == MATH_MUL && side->op == TREE_MINUS;
    if ((side->kind != MATH_ADD && side->kind != MATH_MUL) || kind_has_other_symbol(side, &first))
        return false;
    if (!first || first->text.len != 1) return false; // \frac{AB}{2}, |x|
    for (int i = 0; i < side->n; i++) number |= !side->kids[i]->free;
    return number;
}

static bool is_zero(const struct math_node *node) {
    struct ratio value;
    return ratio_of(node, &value) && value.num == 0;
}

// An equation whose sides do not say what a value is: 3x - 13 = 0 is not 0, 2x + 1 = 5 is not 5.
static bool is_only_equation(const struct math_node *answer, const struct math_node *gold) {
    bool name = false, zero = false;
    for (int i = 0; i < answer->n; i++) {
        const struct math_node *side = answer->kids[i];
        if (!is_foreign(side, gold))
            zero |= is_zero(side);
        else if (is_posed(side))
            return true;
        else
            name |= !is_name(side);
    }
    return name && zero;
}

// One side of a chain against the gold; what stands behind an "approximately" has only to round.
static enum math_verdict chain_side(struct comparison *c, const struct math_node *gold,
                                    const struct math_node *side, bool approximate) {
    const enum math_verdict verdict = kinds_compare(c, gold, side);
    const bool rounds = verdict == MATH_DIFFERENT && approximate && tree_is_scalar(gold) &&
                        side->kind == MATH_NUMBER && side->decimal &&
                        exact_rounds(gold, side, true, c->budget) == EXACT_YES;
    return rounds ? MATH_EQUAL : verdict;
}

// x = 2x + 3 is to be solved for x and names nothing.
static bool is_recursive(const struct math_node *answer) {
    const struct math_node *name = answer->kids[0];
    for (int i = 1; i < answer->n && name->kind == MATH_SYMBOL; i++)
        if (has_symbol(answer->kids[i], name)) return true;
    return false;
}

// z = 3 - 4j beside the gold 3 - 4i.
static const struct math_node *with_imaginary(struct comparison *c, const struct math_node *gold,
                                              const struct math_node *answer) {
    const struct math_node **kids = arena_take(c->arena, (size_t)answer->n, sizeof *kids);
    bool changed = false;
    for (int i = 0; i < answer->n; i++) {
        kids[i] = number_with_imaginary(c, gold, answer->kids[i]);
        changed |= kids[i] != answer->kids[i];
    }
    return changed ? kind_rebuilt(c, answer, kids) : answer;
}

// 450 minutes = 7.5 hours, where only the number is sought: the last of the two, if they agree.
static bool is_conversion(struct comparison *c, const struct math_node *gold,
                          const struct math_node *answer) {
    return !gold->free && gold->kind != MATH_QUANTITY && answer->n == 2 && is_equation(answer) &&
           answer->kids[0]->kind == MATH_QUANTITY && answer->kids[1]->kind == MATH_QUANTITY &&
           kinds_compare(c, answer->kids[0], answer->kids[1]) == MATH_EQUAL;
}

// x = a = b is right when every side is that is decided, and the last is; sides that only name the
// value do not count.
static enum math_verdict chain(struct comparison *c, const struct math_node *gold,
                               const struct math_node *answer) {
    enum math_verdict all = MATH_EQUAL, last = MATH_UNKNOWN;
    int n_sides = 0;
    bool approximate = false;
    const struct math_node *members = answer->ops[0] == MATH_IN ? unwrapped(answer) : NULL;
    if (members) return kinds_compare(c, gold, members);
    if (is_conversion(c, gold, answer)) return kinds_compare(c, gold, answer->kids[1]);
    if (gold->kind == MATH_ADD) answer = with_imaginary(c, gold, answer);
    if (gold->kind == MATH_QUANTITY && answer->n == 2 && is_equation(answer) &&
        relation_is_label(answer->kids[0]) && unit_letter_quantity(c, gold->unit, answer->kids[1]))
        return kinds_compare(c, gold, answer->kids[1]); // F = 5 N
    if (!is_equation(answer) || is_only_equation(answer, gold) || is_recursive(answer))
        return kind_said(c, "form", MATH_DIFFERENT);
    for (int i = 0; i < answer->n; i++) {
        const struct math_node *side = answer->kids[i];
        approximate |= i > 0 && answer->ops[i - 1] == MATH_APPROX && n_sides > 0;
        if ((i == 0 && (relation_is_label(side) || is_operation(answer))) || is_foreign(side, gold))
            continue;
        last = chain_side(c, gold, side, approximate);
        if (last != MATH_UNKNOWN) all = kind_worst(all, last);
        n_sides++;
    }
    if (n_sides == 0) return kind_said(c, "form", MATH_DIFFERENT);
    return last == MATH_UNKNOWN && all != MATH_DIFFERENT ? last : all;
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

// y and f(x) name the same thing, and so do f(x) and g(x), and words. f(x) and f'(x) do not, nor
// a_n and S_n.
static bool same_meaning(const struct math_node *a, const struct math_node *b) {
    if (tree_same(a, b)) return true;
    if (a->kind == MATH_APPLY && b->kind == MATH_APPLY) // what is behind the first letter
        return a->text.len == b->text.len &&
               memcmp(a->text.ptr + 1, b->text.ptr + 1, a->text.len - 1) == 0;
    const bool call = a->kind == MATH_APPLY || b->kind == MATH_APPLY;
    const bool subscripts = a->text.len > 0 && b->text.len > 0 &&
                            memchr(a->text.ptr, '_', a->text.len) &&
                            memchr(b->text.ptr, '_', b->text.len);
    const bool words = !subscripts && (a->text.len > 2 || b->text.len > 2);
    return call || words || a->kind == MATH_TUPLE || is_geometry(a) || is_geometry(b);
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
    if (has_symbol(answer, g->kids[0])) return NULL;
    return kind_replaced(c, answer, a->kids[0], g->kids[0]);
}

enum math_verdict relation_compare(struct comparison *c, const struct math_node *gold,
                                   const struct math_node *answer) {
    enum math_verdict verdict;
    if (congruence_compare(c, gold, answer, &verdict)) return verdict;
    if (is_equation(gold) && is_equation(answer)) answer = same_argument(c, gold, answer);
    if (!answer) return kind_said(c, "variable", MATH_UNKNOWN);
    if (is_equation(gold) && is_equation(answer)) {
        const struct math_node *value = unwrapped(gold);
        const bool named = value && relation_is_label(answer->kids[0]) &&
                           same_meaning(gold->kids[0], answer->kids[0]);
        if (named && answer->n > 2) return chain(c, value, answer);
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
    } else if (gold->kind == MATH_RELATION) {
        const bool class = gold->n == 3 && gold->ops[0] == MATH_CONGRUENT &&
                           gold->ops[1] == MATH_MODULO && answer->kind == MATH_NUMBER;
        const struct math_node *value = class ? gold->kids[1] : unwrapped(gold);
        *out = value ? kinds_compare(c, value, answer) : kind_said(c, "form", MATH_DIFFERENT);
    } else if (answer->kind == MATH_RELATION) {
        *out = chain(c, gold, answer);
    } else {
        return false;
    }
    return true;
}

const struct kind relation_kind = {.reader = {.level = read_relation}, .compare = compare};
