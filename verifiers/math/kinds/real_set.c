#include "verifiers/math/kinds/real_set.h"

#include <assert.h>

bool real_set_add(struct real_set *set, struct piece piece) {
    if (set->n == REAL_SET_MAX_PIECES) return false;
    if (piece.low && kind_infinity(piece.low) < 0) piece.low = NULL;
    if (piece.high && kind_infinity(piece.high) > 0) piece.high = NULL;
    if ((piece.low && (!tree_is_scalar(piece.low) || piece.low->free)) ||
        (piece.high && (!tree_is_scalar(piece.high) || piece.high->free)))
        return false;
    if ((piece.low && kind_infinity(piece.low)) || (piece.high && kind_infinity(piece.high)))
        return false;
    set->pieces[set->n++] = piece;
    return true;
}

// -1, 0, 1; 2 when it is not known.
static int order(struct comparison *c, const struct math_node *a, const struct math_node *b) {
    int result = 0;
    return exact_order(a, b, c->budget, &result) == EXACT_YES ? result : 2;
}

static bool is_empty(struct comparison *c, const struct piece *p) {
    if (!p->low || !p->high) return false;
    const int o = order(c, p->low, p->high);
    return o == 1 || (o == 0 && (p->low_open || p->high_open));
}

// Which of two lower ends comes first. An open end comes behind a closed one.
static int order_low(struct comparison *c, const struct piece *a, const struct piece *b) {
    if (!a->low || !b->low) return a->low ? 1 : b->low ? -1 : 0;
    const int o = order(c, a->low, b->low);
    return o ? o : (int)a->low_open - (int)b->low_open;
}

static int order_high(struct comparison *c, const struct piece *a, const struct piece *b) {
    if (!a->high || !b->high) return a->high ? -1 : b->high ? 1 : 0;
    const int o = order(c, a->high, b->high);
    return o ? o : (int)b->high_open - (int)a->high_open;
}

// Sorted, disjoint, without empty pieces. False where the order of two ends is not known.
bool real_set_normalise(struct comparison *c, struct real_set *set) {
    int n = 0;
    for (int i = 0; i < set->n; i++)
        if (!is_empty(c, &set->pieces[i])) set->pieces[n++] = set->pieces[i];
    set->n = n;
    for (int i = 1; i < n; i++) {
        const struct piece piece = set->pieces[i];
        int j = i;
        for (; j > 0; j--) {
            const int o = order_low(c, &piece, &set->pieces[j - 1]);
            if (o == 2) return false;
            if (o >= 0) break;
            set->pieces[j] = set->pieces[j - 1];
        }
        set->pieces[j] = piece;
    }
    int last = 0;
    for (int i = 1; i < n; i++) {
        struct piece *a = &set->pieces[last];
        const struct piece *b = &set->pieces[i];
        const int o = a->high && b->low ? order(c, a->high, b->low) : 1;
        if (o == 2) return false;
        if (o == 1 || (o == 0 && !(a->high_open && b->low_open))) {
            const int h = order_high(c, a, b);
            if (h == 2) return false;
            if (h < 0) {
                a->high = b->high;
                a->high_open = b->high_open;
            }
        } else {
            set->pieces[++last] = *b;
        }
    }
    if (n) set->n = last + 1;
    assert(set->n >= 0 && set->n <= REAL_SET_MAX_PIECES);
    return true;
}

bool real_set_intersect(struct comparison *c, struct real_set *a, const struct real_set *b) {
    struct real_set both = {.variable = a->variable ? a->variable : b->variable};
    for (int i = 0; i < a->n; i++)
        for (int j = 0; j < b->n; j++) {
            const struct piece *p = &a->pieces[i], *q = &b->pieces[j];
            const int low = order_low(c, p, q), high = order_high(c, p, q);
            if (low == 2 || high == 2) return false;
            struct piece piece = low >= 0 ? *p : *q;
            piece.high = high <= 0 ? p->high : q->high;
            piece.high_open = high <= 0 ? p->high_open : q->high_open;
            if (!is_empty(c, &piece) && !real_set_add(&both, piece)) return false;
        }
    *a = both;
    return real_set_normalise(c, a);
}

bool real_set_complement(struct comparison *c, struct real_set *set) {
    struct real_set out = {.variable = set->variable};
    const struct math_node *low = NULL;
    bool low_open = true, ended = false;
    if (!real_set_normalise(c, set)) return false;
    for (int i = 0; i < set->n; i++) {
        const struct piece *p = &set->pieces[i];
        if (p->low && !real_set_add(&out, (struct piece){low, p->low, low_open, !p->low_open}))
            return false;
        low = p->high;
        low_open = !p->high_open;
        ended = !p->high;
    }
    if (!ended && !real_set_add(&out, (struct piece){low, NULL, low_open, true})) return false;
    *set = out;
    return real_set_normalise(c, set);
}

bool real_set_unite(struct comparison *c, struct real_set *a, const struct real_set *b) {
    for (int i = 0; i < b->n; i++)
        if (!real_set_add(a, b->pieces[i])) return false;
    if (!a->variable) a->variable = b->variable;
    return real_set_normalise(c, a);
}

static enum math_verdict end_equal(struct comparison *c, const struct math_node *gold,
                                   const struct math_node *answer) {
    if (!gold || !answer)
        return kind_said(c, "interval", gold == answer ? MATH_EQUAL : MATH_DIFFERENT);
    return kinds_compare(c, gold, answer);
}

enum math_verdict real_set_compare(struct comparison *c, const struct real_set *gold,
                                   const struct real_set *answer) {
    enum math_verdict all = MATH_EQUAL;
    if (gold->n != answer->n) return kind_said(c, "interval", MATH_DIFFERENT);
    if (gold->n == 0) return kind_said(c, "interval", MATH_EQUAL);
    for (int i = 0; i < gold->n && all != MATH_DIFFERENT; i++) {
        const struct piece *p = &gold->pieces[i], *q = &answer->pieces[i];
        assert(i == 0 || (gold->pieces[i - 1].high && p->low)); // normal: only ends are endless
        if ((p->low && p->low_open != q->low_open) || (p->high && p->high_open != q->high_open))
            return kind_said(c, "interval", MATH_DIFFERENT);
        all = kind_worst(all, end_equal(c, p->low, q->low));
        all = kind_worst(all, end_equal(c, p->high, q->high));
    }
    return all;
}
