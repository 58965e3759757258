// Lists: items with commas, "and" or "or" between them, in no bracket or in braces.
#include "verifiers/math/kinds/kind.h"

// What stands between items: `words` for each gap, TREE_AND, TREE_OR, both or none.
struct gaps {
    uint8_t words[MATH_MAX_ITEMS];
    uint8_t all;
    bool bare; // a gap without a word
};

// "a and b or c": the "and" binds more than the "or". NULL where commas leave it open.
static struct math_node *by_precedence(struct parser *p, const struct parse_nodes *items,
                                       const struct gaps *gaps) {
    struct parse_nodes parts = {0};
    if (gaps->bare || items->n > MATH_MAX_ITEMS) return NULL;
    for (int from = 0, i = 0; i < items->n; i++) {
        if (i + 1 < items->n && gaps->words[i] == TREE_AND) continue;
        struct math_node *part =
            i == from ? items->list[i]
                      : parse_node(p, MATH_LIST, TREE_AND, i - from + 1, items->list + from);
        if (!part) return NULL;
        parse_add(p, &parts, part);
        from = i + 1;
    }
    return parse_node(p, MATH_LIST, TREE_OR, parts.n, parts.list);
}

// Items up to a ';', which binds less than the other separators.
static struct math_node *without_semicolon(struct parser *p, int below) {
    struct parse_nodes items = {0};
    struct gaps gaps = {.all = 0};
    for (;;) {
        struct math_node *item = parse_level(p, below);
        if (!item) return NULL;
        parse_add(p, &items, item);
        if (parse_is(p, ';') || !parse_separator_is_next(p)) break;
        const int at = p->at;
        uint8_t words = 0;
        bool more = false;
        while (!parse_is(p, ';') && parse_separator(p, &words)) more = true;
        const enum token_kind kind = parse_peek(p)->kind;
        const bool cell =
            parse_is(p, '&') || parse_is_command(p, "\\") || parse_is_command(p, "end");
        if (!more || kind == TOKEN_END || cell) { // "1, 2," ends a sentence
            if (kind != TOKEN_END) p->at = at;
            break;
        }
        if (items.n <= MATH_MAX_ITEMS) gaps.words[items.n - 1] = words;
        gaps.all |= words;
        gaps.bare |= words == 0;
    }
    if (items.n == 1) return items.list[0];
    if (gaps.all == (TREE_AND | TREE_OR)) return by_precedence(p, &items, &gaps);
    return parse_node(p, MATH_LIST, gaps.all, items.n, items.list);
}

static struct math_node *read_list(struct parser *p, int below) {
    struct parse_nodes items = {0};
    uint8_t words = 0;
    if (!parse_enter(p)) return NULL;
    struct math_node *first = without_semicolon(p, below);
    while (first && parse_is(p, ';')) {
        if (items.n == 0) parse_add(p, &items, first);
        parse_next(p);
        while (parse_separator(p, &words)) {
        }
        if (parse_peek(p)->kind == TOKEN_END) break;
        struct math_node *item = without_semicolon(p, below);
        if (!item) return NULL;
        item->spaced = true; // "2;500" is not 2,500
        parse_add(p, &items, item);
    }
    parse_leave(p);
    if (!first || items.n < 2) return first;
    return parse_node(p, MATH_LIST, 0, items.n, items.list);
}

// ---- Normal form -----------------------------------------------------------------------------

bool list_is_assignment(const struct math_node *node) {
    return node->kind == MATH_RELATION && node->n == 2 && node->ops[0] == MATH_EQ &&
           relation_is_label(node->kids[0]);
}

// The node with plus-minus taken as plus, or as minus. Nothing else changes.
static const struct math_node *with_sign(struct comparison *c, const struct math_node *node,
                                         bool minus) {
    if (node->kind == MATH_PLUS_MINUS) {
        const bool subtract = minus != (node->op == 1);
        const struct math_node *last = with_sign(c, node->kids[node->n - 1], minus);
        if (subtract) last = kind_negated(c, last);
        if (node->n == 1) return last;
        const struct math_node *const pair[] = {with_sign(c, node->kids[0], minus), last};
        return kind_node(c, MATH_ADD, 0, 2, pair);
    }
    bool changed = false;
    const struct math_node *kids[MATH_MAX_ITEMS];
    if (node->n > MATH_MAX_ITEMS) return node;
    for (int i = 0; i < node->n; i++) {
        kids[i] = with_sign(c, node->kids[i], minus);
        changed |= kids[i] != node->kids[i];
    }
    if (!changed) return node;
    return kind_rebuilt(c, node, kids);
}

struct items {
    const struct math_node *list[MATH_MAX_ITEMS + 2];
    int n;
    bool over;
};

static void add(struct items *items, const struct math_node *node) {
    if (items->n >= MATH_MAX_ITEMS)
        items->over = true;
    else
        items->list[items->n++] = node;
}

// One item, as two where it has a plus-minus.
static void add_signed(struct comparison *c, struct items *items, const struct math_node *node) {
    const struct math_node *plus = with_sign(c, node, false);
    add(items, plus);
    if (plus != node) add(items, with_sign(c, node, true));
}

// x = 1, x = 2 and k = 1, 2: true when all items speak of one label.
static bool one_label(const struct math_node *list) {
    const struct math_node *first = list->kids[0];
    if (!list_is_assignment(first)) return false;
    for (int i = 1; i < list->n; i++) {
        const struct math_node *item = list->kids[i];
        if (item->kind != MATH_RELATION) {
            if (!tree_is_scalar(item)) return false;
        } else if (!list_is_assignment(item) || !tree_same(item->kids[0], first->kids[0])) {
            return false;
        }
    }
    return true;
}

// p = 5, q = 2, p = 7, q = 2: a label that comes again begins the next group.
static const struct math_node *grouped(struct comparison *c, const struct math_node *list) {
    struct items groups = {0};
    const struct math_node *const *kids = (const struct math_node *const *)list->kids;
    int period = 0;
    for (int i = 0; i < list->n; i++) {
        if (!list_is_assignment(kids[i])) return list;
        if (i > 0 && !period && tree_same(kids[i]->kids[0], kids[0]->kids[0])) period = i;
    }
    if (period < 2 || list->n % period != 0) return list;
    for (int i = 0; i < list->n; i += period)
        add(&groups, kind_node(c, MATH_LIST, 0, period, kids + i));
    return groups.over ? list : kind_node(c, MATH_LIST, 0, groups.n, groups.list);
}

// "①③④": the statements that hold, as a list; NULL where a symbol is none of that.
static const struct math_node *statements(struct comparison *c, const struct math_node *node) {
    enum { BYTES = 3 }; // of U+2460 to U+2473
    struct items items = {0};
    if (node->text.len < 2 * BYTES || node->text.len % BYTES) return NULL;
    for (size_t i = 0; i < node->text.len; i += BYTES) {
        const unsigned char *s = (const unsigned char *)node->text.ptr + i;
        if (s[0] != 0xE2 || s[1] != 0x91 || s[2] < 0xA0 || s[2] > 0xB3) return NULL;
        struct math_node *one = kind_node(c, MATH_SYMBOL, 0, 0, NULL);
        one->text = (struct slice){node->text.ptr + i, BYTES};
        tree_seal(one);
        add(&items, one);
    }
    return items.over ? NULL : kind_node(c, MATH_LIST, 0, items.n, items.list);
}

// 1, 2, \ldots, 5 with the integers that the dots stand for: those in front of them go up by one,
// or three of them by another step. NULL where they do not, or there are no dots.
static const struct math_node *without_dots(struct comparison *c, const struct math_node *node) {
    struct items items = {0};
    struct ratio values[2], last;
    int dots = 0;
    while (dots < node->n && node->kids[dots]->kind != MATH_DOTS) dots++;
    if (dots < 2 || dots + 1 >= node->n || !ratio_of(node->kids[dots + 1], &last)) return NULL;
    for (int i = 0; i < 2; i++)
        if (!ratio_of(node->kids[dots - 2 + i], &values[i]) || values[i].den != 1) return NULL;
    const int64_t step = values[1].num - values[0].num;
    if (step <= 0 || last.den != 1 || last.num <= values[1].num + step ||
        (last.num - values[1].num) % step != 0 || (dots < 3 && step != 1))
        return NULL;
    for (int i = 0; i + 1 < dots; i++) { // all in front keep the step
        struct ratio value;
        if (!ratio_of(node->kids[i], &value) || value.den != 1 ||
            value.num != values[1].num - step * (dots - 1 - i))
            return NULL;
    }
    for (int i = 0; i < dots; i++) add(&items, node->kids[i]);
    for (int64_t k = values[1].num + step; k <= last.num && !items.over; k += step)
        add(&items, tree_number((long)k, c->arena));
    for (int i = dots + 2; i < node->n; i++) {
        if (node->kids[i]->kind == MATH_DOTS) return NULL;
        add(&items, node->kids[i]);
    }
    return items.over ? NULL : kind_node(c, node->kind, node->op, items.n, items.list);
}

// x \ne 1, 2: the other values are excluded too. NULL where the list is none of that.
static const struct math_node *exclusions(struct comparison *c, const struct math_node *list) {
    struct items items = {0};
    const struct math_node *first = list->n > 1 ? list->kids[0] : list;
    if (first->kind != MATH_RELATION || first->n != 2 || first->ops[0] != MATH_NE ||
        !relation_is_label(first->kids[0]) || (list->op & TREE_OR))
        return NULL;
    add(&items, first);
    for (int i = 1; i < list->n; i++) {
        const struct math_node *const pair[] = {first->kids[0], list->kids[i]};
        if (!tree_is_scalar(list->kids[i])) return NULL;
        add(&items, kind_rebuilt(c, first, pair));
    }
    return items.over ? NULL : kind_node(c, MATH_LIST, TREE_AND, items.n, items.list);
}

// a < b, b < c as a < b < c; NULL where one does not go on with what another ends with.
static const struct math_node *joined(struct comparison *c, const struct math_node *list) {
    const struct math_node *sides[MATH_MAX_ITEMS];
    int n = 0;
    if (list->n < 2 || list->n >= MATH_MAX_ITEMS || (list->op & TREE_OR)) return NULL;
    uint8_t *ops = arena_take(c->arena, (size_t)list->n, 1);
    for (int i = 0; i < list->n; i++) {
        const struct math_node *item = list->kids[i];
        if (item->kind != MATH_RELATION || item->n != 2) return NULL;
        const int op = item->ops[0];
        const bool up = op == MATH_LT || op == MATH_LE, down = op == MATH_GT || op == MATH_GE;
        const bool same_way =
            i == 0 || (up == (ops[0] == MATH_LT || ops[0] == MATH_LE)); // as the first one
        if ((!up && !down) || !same_way || (n > 0 && !tree_same(sides[n - 1], item->kids[0])))
            return NULL;
        if (n == 0) sides[n++] = item->kids[0];
        ops[n - 1] = (uint8_t)op;
        sides[n++] = item->kids[1];
    }
    struct math_node *chain = kind_node(c, MATH_RELATION, 0, n, sides);
    chain->ops = ops;
    tree_seal(chain);
    return chain;
}

// What a list says in another form, or the node itself.
static const struct math_node *other_form(struct comparison *c, const struct math_node *node) {
    const struct math_node *other = NULL;
    if (node->kind == MATH_SYMBOL || node->kind == MATH_TEXT) other = statements(c, node);
    if (node->kind == MATH_LIST || node->kind == MATH_SET) other = without_dots(c, node);
    if (node->kind == MATH_LIST && !other) other = exclusions(c, node);
    if (node->kind == MATH_LIST && !other) other = joined(c, node);
    return other ? other : node;
}

static const struct math_node *normal(struct comparison *c, const struct math_node *node) {
    struct items items = {0};
    node = other_form(c, node);
    if (node->kind == MATH_LIST && node->n <= MATH_MAX_ITEMS) {
        const bool one = one_label(node);
        if (!one) node = grouped(c, node);
        for (int i = 0; i < node->n; i++) {
            const struct math_node *item = node->kids[i];
            add_signed(c, &items, one && item->kind == MATH_RELATION ? item->kids[1] : item);
        }
        // Several values of one unknown are no tuple.
        const uint8_t op = one ? node->op | TREE_OR : node->op;
        return items.over ? node : kind_node(c, MATH_LIST, op, items.n, items.list);
    }
    if (node->kind == MATH_SET && node->n <= MATH_MAX_ITEMS) {
        for (int i = 0; i < node->n; i++) add_signed(c, &items, node->kids[i]);
        return items.over ? node : kind_node(c, MATH_SET, node->op, items.n, items.list);
    }
    const bool excluded = node->kind == MATH_RELATION && node->n == 2 && node->ops[0] == MATH_NE;
    if (tree_is_scalar(node) || list_is_assignment(node) || excluded) {
        add_signed(c, &items, node);
        if (items.n == 1 || items.over) return node;
        // x is neither of both
        const struct math_node *list =
            kind_node(c, MATH_LIST, excluded ? TREE_AND : 0, items.n, items.list);
        return list_is_assignment(node) ? normal(c, list) : list;
    }
    return node;
}

// ---- Comparison ------------------------------------------------------------------------------

// Within a set, {1} is not 1.
static bool differ_in_depth(const struct math_node *set, const struct math_node *a,
                            const struct math_node *b) {
    const bool one = a->kind == MATH_SET && a->op == 0, two = b->kind == MATH_SET && b->op == 0;
    return set->kind == MATH_SET && ((one && tree_is_scalar(b)) || (two && tree_is_scalar(a)));
}

// Each of `from` has a partner of its own in `to`, or with `reuse` any partner.
static enum math_verdict matched(struct comparison *c, const struct math_node *gold,
                                 const struct math_node *answer, bool reuse, bool swap) {
    bool used[MATH_MAX_ITEMS] = {false};
    enum math_verdict all = MATH_EQUAL;
    if (gold->n > MATH_MAX_ITEMS || answer->n > MATH_MAX_ITEMS)
        return kind_said(c, "count", MATH_LIMIT);
    const struct math_node *from = swap ? answer : gold, *to = swap ? gold : answer;
    for (int i = 0; i < from->n; i++) {
        enum math_verdict best = MATH_DIFFERENT;
        int partner = -1;
        for (int j = 0; j < to->n && best != MATH_EQUAL; j++) {
            if (used[j] && !reuse) continue;
            const struct math_node *g = gold->kids[swap ? j : i], *a = answer->kids[swap ? i : j];
            const enum math_verdict verdict = differ_in_depth(gold, g, a)
                                                  ? kind_said(c, "form", MATH_DIFFERENT)
                                                  : kinds_compare(c, g, a);
            if (verdict == MATH_LIMIT) return verdict;
            const bool better = verdict <= MATH_EQUAL_NUM ? verdict < best : best == MATH_DIFFERENT;
            if (!better) continue;
            best = verdict;
            partner = verdict <= MATH_EQUAL_NUM ? j : -1;
        }
        if (partner >= 0) used[partner] = true;
        all = kind_worst(all, best);
        if (all == MATH_DIFFERENT) return kind_said(c, "items", all);
    }
    return all;
}

static bool has_dots(const struct math_node *node) {
    for (int i = 0; i < node->n; i++)
        if (node->kids[i]->kind == MATH_DOTS) return true;
    return false;
}

static enum math_verdict any_order(struct comparison *c, const struct math_node *gold,
                                   const struct math_node *answer) {
    if (has_dots(gold) || has_dots(answer)) return kind_in_order(c, gold, answer);
    if (gold->kind == MATH_SET && answer->kind == MATH_SET)
        return kind_worst(matched(c, gold, answer, true, false),
                          matched(c, gold, answer, true, true));
    if (gold->n != answer->n) return kind_said(c, "count", MATH_DIFFERENT);
    if (c->options->ordered_lists && gold->kind == MATH_LIST) return kind_in_order(c, gold, answer);
    return matched(c, gold, answer, false, false);
}

static bool is_many(const struct math_node *node) {
    return node->kind == MATH_LIST || node->kind == MATH_SET ||
           (node->kind == MATH_BRACKETS && node->n != 2 && !node->open[0] && !node->open[1]);
}

// x + 11 or 11 + x: one answer in several forms, right when each of them is.
static enum math_verdict repeated(struct comparison *c, const struct math_node *gold,
                                  const struct math_node *answer) {
    enum math_verdict all = MATH_EQUAL;
    if (answer->n > 1 && !(answer->kind == MATH_LIST && (answer->op & TREE_OR)))
        return kind_said(c, "count", MATH_DIFFERENT);
    for (int i = 0; i < answer->n && all != MATH_DIFFERENT; i++)
        all = kind_worst(all, kinds_compare(c, gold, answer->kids[i]));
    return all;
}

// x = 4, y = 5 says which is which; x_1 = 4, x_2 = 5 does not.
static bool names_each(const struct math_node *list) {
    if (list->kind != MATH_LIST) return false;
    for (int i = 0; i < list->n; i++) {
        const struct math_node *item = list->kids[i];
        if (!list_is_assignment(item) || item->kids[0]->kind != MATH_SYMBOL) return false;
        if (i > 0 && item->kids[0]->text.ptr[0] == list->kids[0]->kids[0]->text.ptr[0])
            return false;
    }
    return list->n > 1;
}

// "x = k\pi, k \in \mathbb{Z}": the letter that runs through a set, and the set; else NULL.
static const struct math_node *runner(const struct math_node *list, uint8_t *set) {
    if (list->kind != MATH_LIST || list->n != 2 || (list->op & TREE_OR)) return NULL;
    const struct math_node *in = list->kids[1];
    if (in->kind != MATH_RELATION || in->n != 2 || in->ops[0] != MATH_IN ||
        in->kids[0]->kind != MATH_SYMBOL || in->kids[1]->kind != MATH_SET_NAME)
        return NULL;
    *set = in->kids[1]->op;
    return in->kids[0];
}

static bool mentions(const struct math_node *node, const struct math_node *symbol) {
    if (tree_same(node, symbol)) return true;
    for (int i = 0; i < node->n; i++)
        if (mentions(node->kids[i], symbol)) return true;
    return false;
}

// Families of values with another letter. That they differ for one k proves nothing.
static bool families(struct comparison *c, const struct math_node *gold,
                     const struct math_node *answer, enum math_verdict *out) {
    uint8_t g_set = 0, a_set = 0;
    const struct math_node *g = runner(gold, &g_set), *a = runner(answer, &a_set);
    if (!g || !a || g_set != a_set || !mentions(gold->kids[0], g) || !mentions(answer->kids[0], a))
        return false;
    if (!tree_same(g, a) && mentions(answer->kids[0], g)) return false;
    *out = kinds_compare(c, gold->kids[0], kind_replaced(c, answer->kids[0], a, g));
    if (*out == MATH_DIFFERENT) *out = kind_said(c, "family", MATH_UNKNOWN);
    return true;
}

// The same where only one side says that its letter is an integer.
static bool half_family(struct comparison *c, const struct math_node *gold,
                        const struct math_node *answer, enum math_verdict *out) {
    uint8_t set = 0;
    const struct math_node *g = runner(gold, &set), *a = g ? NULL : runner(answer, &set);
    const struct math_node *list = g ? gold : answer, *other = g ? answer : gold;
    const struct math_node *letter = NULL;
    if ((!g && !a) || set != 'Z' || other->kind == MATH_LIST || other->kind == MATH_SET)
        return false;
    const struct math_node *runs = g ? g : a;
    if (mentions(other, runs))
        letter = runs;
    else if (kind_has_other_symbol(other, &letter) || !letter || mentions(list, letter))
        return false;
    if (!mentions(list->kids[0], runs)) return false;
    const struct math_node *family = kind_replaced(c, list->kids[0], runs, letter);
    *out = g ? kinds_compare(c, family, other) : kinds_compare(c, other, family);
    if (*out == MATH_DIFFERENT) *out = kind_said(c, "family", MATH_UNKNOWN);
    return true;
}

static bool compare(struct comparison *c, const struct math_node *gold,
                    const struct math_node *answer, enum math_verdict *out) {
    if (families(c, gold, answer, out) || half_family(c, gold, answer, out)) return true;
    if (names_each(gold) && answer->kind == MATH_SET && answer->op == 0)
        *out = kind_said(c, "form", MATH_DIFFERENT);
    else if (gold->kind == MATH_SET && gold->op == 0 && names_each(answer)) // of one unknown
        *out = kind_said(c, "form", MATH_UNKNOWN);
    else if (is_many(gold) && is_many(answer))
        *out = any_order(c, gold, answer);
    else if (is_many(gold) && gold->n == 1)
        *out = kinds_compare(c, gold->kids[0], answer);
    else if (is_many(answer) && answer->n > 0)
        *out = repeated(c, gold, answer);
    else
        return false;
    return true;
}

const struct kind list_kind = {
    .reader = {.level = read_list}, .normal = normal, .compare = compare};
