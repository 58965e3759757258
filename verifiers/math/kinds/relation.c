// Equations, inequalities, congruences, chains of them.
#include "verifiers/math/kinds/kind.h"

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

static struct math_node *read_relation(struct parser *p, int below) {
    struct parse_nodes sides = {0};
    uint8_t ops[32];
    struct math_node *side = parse_level(p, below);
    if (!side || parse_peek(p)->kind != TOKEN_RELATION || p->inside) return side;
    parse_add(p, &sides, side);
    bool congruent = false;
    while (parse_peek(p)->kind == TOKEN_RELATION) {
        if (sides.n >= (int)sizeof ops - 1) return NULL;
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
        ops[sides.n - 1] = MATH_OTHER;
        parse_add(p, &sides, mod);
    }
    struct math_node *node = parse_node(p, MATH_RELATION, 0, sides.n, sides.list);
    if (!node) return NULL;
    uint8_t *copy = arena_take(p->arena, sizeof ops, 1);
    memcpy(copy, ops, (size_t)sides.n - 1);
    node->ops = copy;
    tree_seal(node);
    return node;
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
    return is_geometry(node);
}

static bool is_equation(const struct math_node *node) {
    if (node->kind != MATH_RELATION) return false;
    for (int i = 0; i + 1 < node->n; i++)
        if (node->ops[i] != MATH_EQ && node->ops[i] != MATH_APPROX) return false;
    return true;
}

static const struct math_node *unwrapped(const struct math_node *gold) {
    if (gold->kind == MATH_RELATION && gold->n == 2 && gold->ops[0] == MATH_IN &&
        relation_is_label(gold->kids[0]))
        return gold->kids[1];
    if (!is_equation(gold)) return NULL;
    if (gold->ops[0] == MATH_APPROX && !relation_is_label(gold->kids[0])) return gold->kids[0];
    if (gold->n == 2 && relation_is_label(gold->kids[0])) return gold->kids[1];
    if (gold->n == 3 && relation_is_label(gold->kids[0]) && gold->ops[1] == MATH_APPROX)
        return gold->kids[1];
    return NULL;
}

// x = a = b is right when every side is, but for sides with symbols where the gold has none; what
// stands behind an "approximately" has only to round to it.
static enum math_verdict chain(struct comparison *c, const struct math_node *gold,
                               const struct math_node *answer) {
    enum math_verdict all = MATH_EQUAL;
    int n_sides = 0;
    bool approximate = false;
    const struct math_node *members = answer->ops[0] == MATH_IN ? unwrapped(answer) : NULL;
    if (members) return kinds_compare(c, gold, members);
    if (!is_equation(answer)) return kind_said(c, "form", MATH_DIFFERENT);
    const int first = relation_is_label(answer->kids[0]) ? 1 : 0;
    // 3x - 13 = 0 is an equation, and not the value 0.
    if (!first && answer->kids[0]->free && !gold->free) return kind_said(c, "form", MATH_DIFFERENT);
    for (int i = 0; i < answer->n; i++) {
        const struct math_node *side = answer->kids[i];
        if (i > 0 && answer->ops[i - 1] == MATH_APPROX && i > first) approximate = true;
        if (i < first || (side->free && !gold->free && i + 1 < answer->n)) continue;
        enum math_verdict verdict = kinds_compare(c, gold, side);
        if (verdict == MATH_DIFFERENT && approximate && n_sides > 0 && tree_is_scalar(gold) &&
            side->kind == MATH_NUMBER && side->decimal &&
            exact_rounds(gold, side, true, c->budget) == EXACT_YES)
            verdict = MATH_EQUAL;
        all = kind_worst(all, verdict);
        n_sides++;
    }
    return n_sides ? all : kind_said(c, "form", MATH_DIFFERENT);
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

static enum math_verdict side_by_side(struct comparison *c, const struct math_node *gold,
                                      const struct math_node *answer) {
    enum math_verdict all = MATH_EQUAL;
    if (gold->n != answer->n) return kind_said(c, "count", MATH_DIFFERENT);
    for (int i = 0; i + 1 < gold->n; i++)
        if (gold->ops[i] != answer->ops[i]) return kind_said(c, "relation", MATH_DIFFERENT);
    for (int i = 0; i < gold->n && all != MATH_DIFFERENT; i++)
        all = kind_worst(all, kinds_compare(c, gold->kids[i], answer->kids[i]));
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
    if (op != MATH_EQ && op != MATH_NE && other != (sign > 0 ? op : sign < 0 ? flipped(op) : -1))
        return kind_said(c, "relation", MATH_DIFFERENT);
    if ((op == MATH_EQ || op == MATH_NE) && other != op)
        return kind_said(c, "relation", MATH_DIFFERENT);
    return found == EXACT_YES ? MATH_EQUAL : MATH_EQUAL_NUM;
}

// y and f(x) name the same thing; so do words.
static bool same_meaning(const struct math_node *a, const struct math_node *b) {
    if (tree_same(a, b)) return true;
    const bool call = a->kind == MATH_APPLY || b->kind == MATH_APPLY;
    const bool words = a->text.len > 2 || b->text.len > 2;
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

enum math_verdict relation_compare(struct comparison *c, const struct math_node *gold,
                                   const struct math_node *answer) {
    if (is_equation(gold) && is_equation(answer)) {
        const struct math_node *value = unwrapped(gold);
        const bool named = value && relation_is_label(answer->kids[0]) &&
                           same_meaning(gold->kids[0], answer->kids[0]);
        if (named && answer->n > 2) return chain(c, value, answer);
        if (named && answer->n == 2) {
            const enum math_verdict verdict = kinds_compare(c, value, answer->kids[1]);
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
        const struct math_node *value = unwrapped(gold);
        *out = value ? kinds_compare(c, value, answer) : kind_said(c, "form", MATH_DIFFERENT);
    } else if (answer->kind == MATH_RELATION) {
        *out = chain(c, gold, answer);
    } else {
        return false;
    }
    return true;
}

const struct kind relation_kind = {.reader = {.level = read_relation}, .compare = compare};
