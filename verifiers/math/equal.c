#include <string.h>

#include "verifiers/math/equal.h"

enum { MAX_DEPTH = 24 };

enum math_verdict equal_said(struct comparison_context *c, const char *rule,
                             enum math_verdict verdict) {
    c->rule = rule;
    return verdict;
}

enum math_verdict equal_worst(enum math_verdict a, enum math_verdict b) {
    static const int BADNESS[] = {[MATH_EQUAL] = 0,     [MATH_EQUAL_NUM] = 1, [MATH_UNKNOWN] = 2,
                                  [MATH_NO_ANSWER] = 3, [MATH_LIMIT] = 4,     [MATH_DIFFERENT] = 5};
    return BADNESS[a] >= BADNESS[b] ? a : b;
}

struct math_node *equal_node(struct comparison_context *c, enum math_kind kind, uint8_t op, int n,
                             const struct math_node *const *kids) {
    struct math_node *node = arena_take(c->arena, 1, sizeof *node);
    node->kind = kind;
    node->op = op;
    node->n = n;
    node->kids = arena_take(c->arena, (size_t)(n > 0 ? n : 1), sizeof *node->kids);
    if (n) memcpy(node->kids, kids, (size_t)n * sizeof *node->kids);
    math_step(c->budget, 1);
    if (kind != MATH_RELATION) tree_seal(node);
    return node;
}

struct math_node *equal_negated(struct comparison_context *c, const struct math_node *node) {
    return equal_node(c, MATH_MUL, TREE_MINUS, 1, &node);
}

// The letter that a node may stand for as a choice, or 0.
static char letter_of(const struct math_node *node) {
    if (node->kind == MATH_CHOICE) return (char)node->op;
    if (node->kind != MATH_SYMBOL || node->text.len != 1) return 0;
    const char c = node->text.ptr[0];
    if (c >= 'A' && c <= 'J') return c;
    return node->bracketed && c >= 'a' && c <= 'j' ? (char)(c - 'a' + 'A') : 0;
}

static enum math_verdict choices(struct comparison_context *c, const struct math_node *gold,
                                 const struct math_node *answer) {
    const char g = letter_of(gold), a = letter_of(answer);
    if (g && a) return equal_said(c, "choice", g == a ? MATH_EQUAL : MATH_DIFFERENT);
    const struct math_node *left = gold->kind == MATH_CHOICE && gold->n ? gold->kids[0] : gold;
    const struct math_node *right =
        answer->kind == MATH_CHOICE && answer->n ? answer->kids[0] : answer;
    if (left->kind != MATH_CHOICE && right->kind != MATH_CHOICE) return equal_nodes(c, left, right);
    return equal_said(c, "choice", MATH_DIFFERENT);
}

static enum math_verdict words(struct comparison_context *c, const struct math_node *gold,
                               const struct math_node *answer) {
    if (gold->kind == MATH_TEXT && answer->kind == MATH_TEXT)
        return equal_said(c, "words",
                          slice_equal(gold->text, answer->text) ? MATH_EQUAL : MATH_DIFFERENT);
    if (gold->kind == MATH_TEXT)
        return gold->n ? equal_nodes(c, gold->kids[0], answer)
                       : equal_said(c, "words", MATH_DIFFERENT);
    return answer->n ? equal_nodes(c, gold, answer->kids[0]) : equal_said(c, "words", MATH_UNKNOWN);
}

static enum math_verdict by_kind(struct comparison_context *c, const struct math_node *gold,
                                 const struct math_node *answer) {
    const bool relation = answer->kind == MATH_RELATION;
    if (gold->kind == MATH_CHOICE || answer->kind == MATH_CHOICE) return choices(c, gold, answer);
    if (gold->kind == MATH_TEXT || answer->kind == MATH_TEXT) return words(c, gold, answer);
    gold = equal_normal(c, gold);
    answer = equal_normal(c, answer);
    if (equal_is_real_set(gold, true) && equal_is_real_set(answer, false))
        return equal_real_sets(c, gold, answer);
    if (gold->kind == MATH_TUPLE && equal_is_real_set(answer, true) &&
        equal_is_real_set(gold, false))
        return equal_real_sets(c, gold, answer);
    if (gold->kind == MATH_RELATION && answer->kind == MATH_RELATION)
        return equal_relations(c, gold, answer);
    if (gold->kind == MATH_RELATION) {
        const struct math_node *value = equal_unwrapped(gold);
        return value ? equal_nodes(c, value, answer) : equal_said(c, "form", MATH_DIFFERENT);
    }
    if (relation && answer->kind == MATH_RELATION) return equal_chain(c, gold, answer);
    if (tree_is_scalar(gold) && tree_is_scalar(answer)) return equal_scalars(c, gold, answer);
    if (gold->kind == MATH_SET_NAME || answer->kind == MATH_SET_NAME ||
        gold->kind == MATH_BUILDER || answer->kind == MATH_BUILDER)
        return equal_said(c, "form",
                          gold->kind == answer->kind && gold->kind == MATH_BUILDER
                              ? MATH_UNKNOWN
                              : MATH_DIFFERENT);
    return equal_collections(c, gold, answer);
}

enum math_verdict equal_nodes(struct comparison_context *c, const struct math_node *gold,
                              const struct math_node *answer) {
    if (tree_same(gold, answer)) return equal_said(c, "same", MATH_EQUAL);
    if (c->depth >= MAX_DEPTH || !math_step(c->budget, 1))
        return equal_said(c, "budget", MATH_LIMIT);
    c->depth++;
    const enum math_verdict verdict = by_kind(c, gold, answer);
    c->depth--;
    return verdict;
}

// ---- Readings --------------------------------------------------------------------------------

static bool is_plain_integer(const struct math_node *node) {
    return node->kind == MATH_NUMBER && node->exponent == 0 && !node->decimal;
}

// (10,000), 70,110: items that may be the groups of one number.
static const struct math_node *as_number(struct comparison_context *c,
                                         const struct math_node *node) {
    char digits[64];
    int n = 0;
    if ((node->kind != MATH_TUPLE && node->kind != MATH_LIST) || node->n > 8) return NULL;
    for (int i = 0; i < node->n; i++) {
        const struct math_node *item = node->kids[i];
        if (!is_plain_integer(item) || (i > 0 && item->spaced)) return NULL;
        if (i ? item->n_digits != 3 : item->n_digits > 3) return NULL;
        for (int zeros = item->n_digits - (int)item->text.len; zeros > 0; zeros--)
            digits[n++] = '0';
        memcpy(digits + n, item->text.ptr, item->text.len);
        n += (int)item->text.len;
    }
    if (digits[0] == '0') return NULL;
    struct math_node *number = equal_node(c, MATH_NUMBER, 0, 0, NULL);
    number->text = (struct slice){arena_copy(c->arena, digits, (size_t)n), (size_t)n};
    number->n_digits = n;
    tree_seal(number);
    return number;
}

// 1000,99: two items that may be a decimal with a comma. A gold is read so only with more than one
// digit behind it, for 0,1 is a list.
static const struct math_node *as_decimal(struct comparison_context *c,
                                          const struct math_node *node, bool is_gold) {
    if (node->kind != MATH_LIST || node->n != 2 || node->op) return NULL;
    const struct math_node *whole = node->kids[0], *part = node->kids[1];
    if (!is_plain_integer(whole) || !is_plain_integer(part) || part->spaced) return NULL;
    if (part->n_digits > 9 || whole->n_digits > 9 || (is_gold && part->n_digits < 2)) return NULL;
    char digits[32];
    int n = 0;
    memcpy(digits, whole->text.ptr, whole->text.len);
    n += (int)whole->text.len;
    for (int zeros = part->n_digits - (int)part->text.len; zeros > 0; zeros--) digits[n++] = '0';
    memcpy(digits + n, part->text.ptr, part->text.len);
    n += (int)part->text.len;
    struct math_node *number = equal_node(c, MATH_NUMBER, 0, 0, NULL);
    number->text = (struct slice){arena_copy(c->arena, digits, (size_t)n), (size_t)n};
    number->exponent = -part->n_digits;
    number->n_decimals = number->n_digits = part->n_digits;
    number->decimal = true;
    tree_seal(number);
    return number;
}

// 70,110 as a list.
static const struct math_node *as_list(struct comparison_context *c, const struct math_node *node) {
    const struct math_node *items[16];
    if (node->kind != MATH_NUMBER || !node->columns || node->exponent || node->text.len > 45)
        return NULL;
    int n = 0;
    for (size_t at = 0; at < node->text.len;) {
        const size_t first = node->text.len % 3 ? node->text.len % 3 : 3;
        const size_t len = at == 0 ? first : 3;
        long value = 0;
        for (size_t i = 0; i < len; i++) value = value * 10 + (node->text.ptr[at + i] - '0');
        items[n++] = tree_number(value, c->arena);
        at += len;
    }
    return equal_node(c, MATH_LIST, 0, n, items);
}

// The other way to read commas between digits, on either side.
static enum math_verdict regrouped(struct comparison_context *c, const struct math_node *gold,
                                   const struct math_node *answer) {
    const bool scalar = tree_is_scalar(answer);
    const struct math_node *decimal =
        gold->kind == MATH_NUMBER && gold->decimal ? as_decimal(c, answer, false) : NULL;
    if (decimal) return equal_nodes(c, gold, decimal);
    decimal = answer->kind == MATH_NUMBER && answer->decimal ? as_decimal(c, gold, true) : NULL;
    if (decimal) return equal_nodes(c, decimal, answer);
    const struct math_node *other = scalar ? as_number(c, gold) : as_list(c, gold);
    if (other) return equal_nodes(c, other, answer);
    other = tree_is_scalar(gold) ? as_number(c, answer) : as_list(c, answer);
    return other ? equal_nodes(c, gold, other) : MATH_DIFFERENT;
}

void math_equal(const struct math_node *gold, const struct math_node *answer,
                const struct math_options *options, struct math_budget *budget, struct arena *arena,
                struct math_result *out) {
    struct comparison_context c = {
        .options = options, .budget = budget, .arena = arena, .rule = "form"};
    const int64_t before = budget->steps;
    out->verdict = equal_nodes(&c, gold, answer);
    out->rule = c.rule;
    if (out->verdict == MATH_DIFFERENT || out->verdict == MATH_UNKNOWN) {
        const enum math_verdict other = regrouped(&c, gold, answer);
        if (other <= MATH_EQUAL_NUM) {
            out->verdict = other;
            out->rule = "thousands";
        }
    }
    if (out->verdict <= MATH_EQUAL_NUM && options->policy != MATH_VALUE &&
        !equal_is_allowed(options, gold, answer)) {
        out->verdict = MATH_DIFFERENT;
        out->rule = options->policy == MATH_LITERAL ? "literal" : "simplified";
    }
    if (budget->steps > budget->max_steps && budget->max_steps && out->verdict > MATH_EQUAL_NUM) {
        out->verdict = MATH_LIMIT;
        out->rule = "budget";
    }
    out->steps = budget->steps - before;
}

void math_equal_any(const struct math_node *const *golds, int n, const struct math_node *answer,
                    const struct math_options *options, struct math_budget *budget,
                    struct arena *arena, struct math_result *out) {
    static const int RANK[] = {[MATH_EQUAL] = 0,   [MATH_EQUAL_NUM] = 1, [MATH_LIMIT] = 2,
                               [MATH_UNKNOWN] = 3, [MATH_DIFFERENT] = 4, [MATH_NO_ANSWER] = 5};
    struct math_result result;
    *out = (struct math_result){MATH_NO_ANSWER, "", 0};
    for (int i = 0; i < n && out->verdict != MATH_EQUAL; i++) {
        math_equal(golds[i], answer, options, budget, arena, &result);
        result.steps += out->steps;
        if (RANK[result.verdict] < RANK[out->verdict])
            *out = result;
        else
            out->steps = result.steps;
    }
}
