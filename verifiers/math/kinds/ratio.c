// Ratios: 7 : 32.
#include "verifiers/math/kinds/kind.h"

// ':' or the word "to", also in a font: 2 \text{ to } 3.
static bool take_sign(struct parser *p) {
    const struct token *t = parse_peek(p);
    int n = 0;
    if (p->inside) return false;
    if (parse_is(p, ':') || parse_is_word(t, "to")) n = 1;
    if (t->kind == TOKEN_FONT && t[1].c == '{' && parse_is_word(&t[2], "to") && t[3].c == '}')
        n = 4;
    for (int i = 0; i < n; i++) parse_next(p);
    return n > 0;
}

static struct math_node *read_ratio(struct parser *p, int below) {
    struct parse_nodes parts = {0};
    struct math_node *part = parse_level(p, below);
    while (part && !p->set && take_sign(p)) {
        if (parts.n == 0) parse_add(p, &parts, part);
        part = parse_level(p, below);
        if (part) parse_add(p, &parts, part);
    }
    if (!part || parts.n < 2) return part;
    return parse_node(p, MATH_RATIO, 0, parts.n, parts.list);
}

static enum math_verdict ratios(struct comparison *c, const struct math_node *gold,
                                const struct math_node *answer) {
    if (gold->n != answer->n) return kind_said(c, "count", MATH_DIFFERENT);
    if (time_is_clock(gold) && time_is_clock(answer)) return kind_in_order(c, gold, answer);
    enum math_verdict all = MATH_EQUAL;
    for (int i = 1; i < gold->n; i++) { // g0 a_i = a0 g_i
        const struct math_node *const left[] = {gold->kids[0], answer->kids[i]};
        const struct math_node *const right[] = {answer->kids[0], gold->kids[i]};
        all = kind_worst(all, kinds_compare(c, kind_node(c, MATH_MUL, 0, 2, left),
                                            kind_node(c, MATH_MUL, 0, 2, right)));
    }
    if (tree_is_integer(gold->kids[0], 0) != tree_is_integer(answer->kids[0], 0))
        return kind_said(c, "ratio", MATH_DIFFERENT);
    return all;
}

static const struct math_node *as_quotient(struct comparison *c, const struct math_node *ratio) {
    return kind_quotient(c, ratio->kids[0], ratio->kids[1]);
}

static bool compare(struct comparison *c, const struct math_node *gold,
                    const struct math_node *answer, enum math_verdict *out) {
    if (gold->kind != MATH_RATIO && answer->kind != MATH_RATIO) return false;
    const struct math_node *ratio = gold->kind == MATH_RATIO ? gold : answer;
    if (gold->kind == MATH_RATIO && answer->kind == MATH_RATIO)
        *out = ratios(c, gold, answer);
    else if (tree_is_integer(ratio->kids[1], 0))
        *out = kind_said(c, "ratio", MATH_DIFFERENT);
    else if (gold->kind == MATH_RATIO && gold->n == 2 && tree_is_scalar(answer))
        *out = kinds_compare(c, as_quotient(c, gold), answer);
    else if (answer->kind == MATH_RATIO && answer->n == 2 && tree_is_scalar(gold))
        *out = kinds_compare(c, gold, as_quotient(c, answer));
    else
        return false;
    return true;
}

const struct kind ratio_kind = {.reader = {.level = read_ratio}, .compare = compare};
