#include "verifiers/math/equal.h"

// ---- Normal form -----------------------------------------------------------------------------

static bool is_assignment(const struct math_node *node) {
    return node->kind == MATH_RELATION && node->n == 2 && node->ops[0] == MATH_EQ &&
           equal_is_label(node->kids[0]);
}

// The node with plus-minus taken as plus, or as minus. Nothing else changes.
static const struct math_node *with_sign(struct comparison_context *c, const struct math_node *node,
                                         bool minus) {
    if (node->kind == MATH_PLUS_MINUS) {
        const bool subtract = minus != (node->op == 1);
        const struct math_node *last = with_sign(c, node->kids[node->n - 1], minus);
        if (subtract) last = equal_negated(c, last);
        if (node->n == 1) return last;
        const struct math_node *const pair[] = {with_sign(c, node->kids[0], minus), last};
        return equal_node(c, MATH_ADD, 0, 2, pair);
    }
    bool changed = false;
    const struct math_node *kids[MATH_MAX_ITEMS];
    if (node->n > MATH_MAX_ITEMS) return node;
    for (int i = 0; i < node->n; i++) {
        kids[i] = with_sign(c, node->kids[i], minus);
        changed |= kids[i] != node->kids[i];
    }
    if (!changed) return node;
    struct math_node *copy = equal_node(c, node->kind, node->op, node->n, kids);
    copy->text = node->text;
    copy->ops = node->ops;
    copy->columns = node->columns;
    copy->unit = node->unit;
    tree_seal(copy);
    return copy;
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
static void add_signed(struct comparison_context *c, struct items *items,
                       const struct math_node *node) {
    const struct math_node *plus = with_sign(c, node, false);
    add(items, plus);
    if (plus != node) add(items, with_sign(c, node, true));
}

// x = 1, x = 2 and k = 1, 2: true when all items speak of one label.
static bool one_label(const struct math_node *list) {
    const struct math_node *first = list->kids[0];
    if (!is_assignment(first)) return false;
    for (int i = 1; i < list->n; i++) {
        const struct math_node *item = list->kids[i];
        if (item->kind != MATH_RELATION) {
            if (!tree_is_scalar(item)) return false;
        } else if (!is_assignment(item) || !tree_same(item->kids[0], first->kids[0])) {
            return false;
        }
    }
    return true;
}

// p = 5, q = 2, p = 7, q = 2: a label that comes again begins the next group.
static const struct math_node *grouped(struct comparison_context *c, const struct math_node *list) {
    struct items groups = {0};
    const struct math_node *const *kids = (const struct math_node *const *)list->kids;
    int period = 0;
    for (int i = 0; i < list->n; i++) {
        if (!is_assignment(kids[i])) return list;
        if (i > 0 && !period && tree_same(kids[i]->kids[0], kids[0]->kids[0])) period = i;
    }
    if (period < 2 || list->n % period != 0) return list;
    for (int i = 0; i < list->n; i += period)
        add(&groups, equal_node(c, MATH_LIST, 0, period, kids + i));
    return groups.over ? list : equal_node(c, MATH_LIST, 0, groups.n, groups.list);
}

static bool is_matrix_product(const struct math_node *node) {
    int n = 0;
    if (node->kind != MATH_MUL || node->n < 2) return false;
    for (int i = 0; i < node->n; i++) n += node->kids[i]->kind == MATH_MATRIX;
    return n == 1;
}

static const struct math_node *scaled_matrix(struct comparison_context *c,
                                             const struct math_node *node) {
    const struct math_node *matrix = NULL, *cells[256];
    for (int i = 0; i < node->n; i++)
        if (node->kids[i]->kind == MATH_MATRIX) matrix = node->kids[i];
    if (!matrix || matrix->n > 256) return node;
    for (int cell = 0; cell < matrix->n; cell++) {
        const struct math_node *factors[MATH_MAX_ITEMS];
        if (node->n > MATH_MAX_ITEMS) return node;
        for (int i = 0; i < node->n; i++)
            factors[i] = node->kids[i] == matrix ? matrix->kids[cell] : node->kids[i];
        cells[cell] = equal_node(c, MATH_MUL, 0, node->n, factors);
    }
    struct math_node *scaled = equal_node(c, MATH_MATRIX, matrix->op, matrix->n, cells);
    scaled->columns = matrix->columns;
    tree_seal(scaled);
    return scaled;
}

const struct math_node *equal_normal(struct comparison_context *c, const struct math_node *node) {
    struct items items = {0};
    if (is_matrix_product(node)) return scaled_matrix(c, node);
    if (node->kind == MATH_LIST && node->n <= MATH_MAX_ITEMS) {
        const bool one = one_label(node);
        if (!one) node = grouped(c, node);
        for (int i = 0; i < node->n; i++) {
            const struct math_node *item = node->kids[i];
            add_signed(c, &items, one && item->kind == MATH_RELATION ? item->kids[1] : item);
        }
        return items.over ? node : equal_node(c, MATH_LIST, node->op, items.n, items.list);
    }
    if (node->kind == MATH_SET && node->n <= MATH_MAX_ITEMS) {
        for (int i = 0; i < node->n; i++) add_signed(c, &items, node->kids[i]);
        return items.over ? node : equal_node(c, MATH_SET, node->op, items.n, items.list);
    }
    if (tree_is_scalar(node) || is_assignment(node)) {
        add_signed(c, &items, node);
        if (items.n == 1 || items.over) return node;
        const struct math_node *list = equal_node(c, MATH_LIST, 0, items.n, items.list);
        return is_assignment(node) ? equal_normal(c, list) : list;
    }
    return node;
}

// ---- Comparison ------------------------------------------------------------------------------

static enum math_verdict in_order(struct comparison_context *c, const struct math_node *gold,
                                  const struct math_node *answer) {
    enum math_verdict verdict = MATH_EQUAL;
    if (gold->n != answer->n) return equal_said(c, "count", MATH_DIFFERENT);
    for (int i = 0; i < gold->n && verdict != MATH_DIFFERENT && verdict != MATH_LIMIT; i++)
        verdict = equal_worst(verdict, equal_nodes(c, gold->kids[i], answer->kids[i]));
    return verdict;
}

// Each of `from` has a partner of its own in `to`, or with `reuse` any partner.
static enum math_verdict matched(struct comparison_context *c, const struct math_node *gold,
                                 const struct math_node *answer, bool reuse, bool swap) {
    bool used[MATH_MAX_ITEMS] = {false};
    enum math_verdict all = MATH_EQUAL;
    if (gold->n > MATH_MAX_ITEMS || answer->n > MATH_MAX_ITEMS)
        return equal_said(c, "count", MATH_LIMIT);
    const struct math_node *from = swap ? answer : gold, *to = swap ? gold : answer;
    for (int i = 0; i < from->n; i++) {
        enum math_verdict best = MATH_DIFFERENT;
        int partner = -1;
        for (int j = 0; j < to->n && best != MATH_EQUAL; j++) {
            if (used[j] && !reuse) continue;
            const enum math_verdict verdict =
                equal_nodes(c, gold->kids[swap ? j : i], answer->kids[swap ? i : j]);
            if (verdict == MATH_LIMIT) return verdict;
            const bool better = verdict <= MATH_EQUAL_NUM ? verdict < best : best == MATH_DIFFERENT;
            if (!better) continue;
            best = verdict;
            partner = verdict <= MATH_EQUAL_NUM ? j : -1;
        }
        if (partner >= 0) used[partner] = true;
        all = equal_worst(all, best);
        if (all == MATH_DIFFERENT) return equal_said(c, "items", all);
    }
    return all;
}

static bool has_dots(const struct math_node *node) {
    for (int i = 0; i < node->n; i++)
        if (node->kids[i]->kind == MATH_DOTS) return true;
    return false;
}

static enum math_verdict any_order(struct comparison_context *c, const struct math_node *gold,
                                   const struct math_node *answer) {
    if (has_dots(gold) || has_dots(answer)) return in_order(c, gold, answer);
    if (gold->kind == MATH_SET && answer->kind == MATH_SET)
        return equal_worst(matched(c, gold, answer, true, false),
                           matched(c, gold, answer, true, true));
    if (gold->n != answer->n) return equal_said(c, "count", MATH_DIFFERENT);
    if (c->options->ordered_lists && gold->kind == MATH_LIST) return in_order(c, gold, answer);
    return matched(c, gold, answer, false, false);
}

// 7:32 is 14:64 and 7/32; what may be a time of day is compared part by part.
static bool is_clock(const struct math_node *ratio) {
    if (ratio->n < 2 || ratio->n > 3) return false;
    for (int i = 0; i < ratio->n; i++) {
        const struct math_node *part = ratio->kids[i];
        if (part->kind != MATH_NUMBER || part->decimal || part->n_digits > 2) return false;
        if (i > 0 && (part->n_digits != 2 || part->text.ptr[0] > '5')) return false;
    }
    return true;
}

static enum math_verdict ratios(struct comparison_context *c, const struct math_node *gold,
                                const struct math_node *answer) {
    if (gold->n != answer->n) return equal_said(c, "count", MATH_DIFFERENT);
    if (is_clock(gold) && is_clock(answer)) return in_order(c, gold, answer);
    enum math_verdict all = MATH_EQUAL;
    for (int i = 1; i < gold->n; i++) { // g0 a_i = a0 g_i
        const struct math_node *const left[] = {gold->kids[0], answer->kids[i]};
        const struct math_node *const right[] = {answer->kids[0], gold->kids[i]};
        all = equal_worst(all, equal_scalars(c, equal_node(c, MATH_MUL, 0, 2, left),
                                             equal_node(c, MATH_MUL, 0, 2, right)));
    }
    if (tree_is_integer(gold->kids[0], 0) != tree_is_integer(answer->kids[0], 0))
        return equal_said(c, "ratio", MATH_DIFFERENT);
    return all;
}

static const struct math_node *as_quotient(struct comparison_context *c,
                                           const struct math_node *ratio) {
    const struct math_node *const power[] = {ratio->kids[1], tree_number(-1, c->arena)};
    const struct math_node *const pair[] = {ratio->kids[0], equal_node(c, MATH_POW, 0, 2, power)};
    return equal_node(c, MATH_MUL, 0, 2, pair);
}

static int clock_minutes(const struct math_node *node) {
    struct ratio hours, minutes = {0, 1};
    if (node->kind == MATH_RATIO && node->n == 2 && is_clock(node)) {
        if (!ratio_of(node->kids[0], &hours) || !ratio_of(node->kids[1], &minutes)) return -1;
    } else if (node->kind != MATH_NUMBER || !ratio_of(node, &hours) || hours.den != 1) {
        return -1;
    }
    return hours.num <= 24 ? (int)(hours.num * 60 + minutes.num) : -1;
}

// 4:30 p.m. and 4:30 or 16:30.
static enum math_verdict times(struct comparison_context *c, const struct math_node *gold,
                               const struct math_node *answer) {
    const bool both = gold->kind == MATH_TIME && answer->kind == MATH_TIME;
    const struct math_node *time = gold->kind == MATH_TIME ? gold : answer;
    if (both)
        return equal_said(c, "time",
                          gold->minutes == answer->minutes ? MATH_EQUAL : MATH_DIFFERENT);
    const int minutes = clock_minutes(time == gold ? answer : gold);
    const bool same = minutes >= 0 && (minutes == time->minutes ||
                                       (minutes < 13 * 60 && minutes % 720 == time->minutes % 720));
    return equal_said(c, "time", same ? MATH_EQUAL : MATH_DIFFERENT);
}

static bool is_vector(const struct math_node *node) {
    return node->kind == MATH_MATRIX && node->op == 0 &&
           (node->columns == 1 || node->columns == node->n);
}

static bool is_many(const struct math_node *node) {
    return node->kind == MATH_LIST || node->kind == MATH_SET ||
           (node->kind == MATH_BRACKETS && node->n != 2 && !node->open[0] && !node->open[1]);
}

// x + 11 or 11 + x: one answer in several forms, right when each of them is.
static enum math_verdict repeated(struct comparison_context *c, const struct math_node *gold,
                                  const struct math_node *answer) {
    enum math_verdict all = MATH_EQUAL;
    if (answer->n > 1 && !(answer->kind == MATH_LIST && (answer->op & TREE_OR)))
        return equal_said(c, "count", MATH_DIFFERENT);
    for (int i = 0; i < answer->n && all != MATH_DIFFERENT; i++)
        all = equal_worst(all, equal_nodes(c, gold, answer->kids[i]));
    return all;
}

enum math_verdict equal_collections(struct comparison_context *c, const struct math_node *gold,
                                    const struct math_node *answer) {
    if (gold->kind == MATH_MATRIX && answer->kind == MATH_MATRIX) {
        if (gold->n != answer->n || gold->columns != answer->columns || gold->op != answer->op)
            return equal_said(c, "shape", MATH_DIFFERENT);
        return in_order(c, gold, answer);
    }
    if ((is_vector(gold) && answer->kind == MATH_TUPLE) ||
        (gold->kind == MATH_TUPLE && is_vector(answer)))
        return in_order(c, gold, answer);
    if (gold->kind == MATH_RATIO && answer->kind == MATH_RATIO) return ratios(c, gold, answer);
    if (gold->kind == MATH_TIME || answer->kind == MATH_TIME) return times(c, gold, answer);
    const struct math_node *ratio = gold->kind == MATH_RATIO ? gold : answer;
    if (ratio->kind == MATH_RATIO && tree_is_integer(ratio->kids[1], 0))
        return equal_said(c, "ratio", MATH_DIFFERENT);
    if (gold->kind == MATH_RATIO && gold->n == 2 && tree_is_scalar(answer))
        return equal_scalars(c, as_quotient(c, gold), answer);
    if (answer->kind == MATH_RATIO && answer->n == 2 && tree_is_scalar(gold))
        return equal_scalars(c, gold, as_quotient(c, answer));
    if (gold->kind == MATH_TUPLE && (answer->kind == MATH_TUPLE || is_many(answer)) &&
        answer->kind != MATH_BRACKETS)
        return in_order(c, gold, answer);
    if (is_many(gold) && is_many(answer)) return any_order(c, gold, answer);
    if (is_many(gold) && answer->kind == MATH_TUPLE && gold->kind != MATH_BRACKETS)
        return in_order(c, gold, answer);
    if (is_many(gold) && gold->n == 1) return equal_nodes(c, gold->kids[0], answer);
    if (is_many(answer) && answer->n > 0) return repeated(c, gold, answer);
    return equal_said(c, "form", MATH_DIFFERENT);
}
