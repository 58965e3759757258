#include "verifiers/math/equal.h"
#include "verifiers/math/unit_table.h"

enum { MIN_SIGNIFICANT = 6, MIN_GOLD_SIGNIFICANT = 3 };

int equal_infinity(const struct math_node *node) {
    if (node->kind == MATH_CONSTANT && node->op == MATH_INFINITY) return 1;
    if (node->kind == MATH_MUL && node->n == 1) return -equal_infinity(node->kids[0]);
    return 0;
}

// A literal, or minus one; NULL otherwise.
static const struct math_node *literal(const struct math_node *node) {
    if (node->kind == MATH_MUL && node->n == 1) node = node->kids[0];
    return node->kind == MATH_NUMBER ? node : NULL;
}

static const struct math_node *decimal_literal(const struct math_node *node) {
    const struct math_node *number = literal(node);
    return number && number->decimal && !number->repeat ? number : NULL;
}

static int significant(const struct math_node *number) {
    size_t zeros = 0;
    while (zeros < number->text.len && number->text.ptr[zeros] == '0') zeros++;
    return (int)(number->text.len - zeros);
}

static enum math_verdict from_exact(struct comparison_context *c, enum exact answer,
                                    const char *rule) {
    c->rule = rule;
    switch (answer) {
    case EXACT_YES:
        return MATH_EQUAL;
    case EXACT_AGREE:
        return c->options->no_points ? MATH_UNKNOWN : MATH_EQUAL_NUM;
    case EXACT_NO:
        return MATH_DIFFERENT;
    case EXACT_LIMIT:
        return MATH_LIMIT;
    default:
        return MATH_UNKNOWN;
    }
}

// Two constants that are not equal: does a decimal stand for the other one?
static enum math_verdict rounded(struct comparison_context *c, const struct math_node *gold,
                                 const struct math_node *answer) {
    const struct math_node *g = decimal_literal(gold), *a = decimal_literal(answer);
    if (c->options->no_rounding) return MATH_DIFFERENT;
    if (a && !g) {
        if (significant(a) < MIN_SIGNIFICANT) return MATH_DIFFERENT;
        if (exact_is_terminating(gold, c->budget) == EXACT_YES) return MATH_DIFFERENT;
        if (exact_rounds(gold, answer, true, c->budget) == EXACT_YES)
            return equal_said(c, "decimal", MATH_EQUAL_NUM);
    } else if (g && !a) {
        if (exact_is_terminating(answer, c->budget) == EXACT_YES) return MATH_DIFFERENT;
        if (exact_rounds(answer, gold, false, c->budget) == EXACT_YES)
            return equal_said(c, "decimal", MATH_EQUAL_NUM);
    } else if (g && a && c->options->long_decimals && significant(g) >= MIN_GOLD_SIGNIFICANT &&
               a->n_decimals > g->n_decimals) {
        if (exact_rounds(answer, gold, false, c->budget) == EXACT_YES)
            return equal_said(c, "decimal", MATH_EQUAL_NUM);
    }
    return MATH_DIFFERENT;
}

// 204_5 is 54, and is also met by 204, which leaves the base to the question.
static bool same_digits(const struct math_node *based, const struct math_node *number) {
    return number->kind == MATH_NUMBER && !number->decimal && number->exponent == 0 &&
           slice_equal(based->text, number->text);
}

static enum math_verdict constants(struct comparison_context *c, const struct math_node *gold,
                                   const struct math_node *answer) {
    struct ratio g, a;
    const char *rule = "rational";
    if (equal_infinity(gold) || equal_infinity(answer))
        return equal_said(c, "infinity",
                          equal_infinity(gold) == equal_infinity(answer) ? MATH_EQUAL
                                                                         : MATH_DIFFERENT);
    if (gold->kind == MATH_BASED && same_digits(gold, answer))
        return equal_said(c, "base", MATH_EQUAL);
    enum math_verdict verdict;
    if (ratio_of(gold, &g) && ratio_of(answer, &a)) {
        c->rule = rule;
        verdict = g.num == a.num && g.den == a.den ? MATH_EQUAL : MATH_DIFFERENT;
    } else {
        const enum exact answered = exact_equal(gold, answer, c->budget, &rule);
        verdict = from_exact(c, answered, rule);
    }
    if ((verdict == MATH_DIFFERENT || verdict == MATH_UNKNOWN) &&
        rounded(c, gold, answer) == MATH_EQUAL_NUM)
        return MATH_EQUAL_NUM;
    return verdict;
}

static enum math_verdict values(struct comparison_context *c, const struct math_node *gold,
                                const struct math_node *answer) {
    if (tree_same(gold, answer)) return equal_said(c, "same", MATH_EQUAL);
    if (!math_step(c->budget, 1)) return equal_said(c, "budget", MATH_LIMIT);
    if (!gold->free && !answer->free) return constants(c, gold, answer);
    if (equal_infinity(gold) || equal_infinity(answer))
        return equal_said(c, "infinity", MATH_DIFFERENT);
    const char *rule;
    const enum exact answered = exact_identity(gold, answer, c->budget, &rule);
    return from_exact(c, answered, rule);
}

static struct math_node *power_of_ten(struct comparison_context *c, int exponent) {
    const struct math_node *const pair[] = {tree_number(10, c->arena),
                                            tree_number(exponent, c->arena)};
    return equal_node(c, MATH_POW, 0, 2, pair);
}

// The value in base units.
static const struct math_node *in_base_units(struct comparison_context *c,
                                             const struct math_node *value,
                                             const struct math_unit *unit) {
    if (unit->num == 1 && unit->den == 1 && unit->ten == 0) return value;
    const struct math_node *const inverse[] = {tree_number((long)unit->den, c->arena),
                                               tree_number(-1, c->arena)};
    const struct math_node *const factors[] = {value, tree_number((long)unit->num, c->arena),
                                               equal_node(c, MATH_POW, 0, 2, inverse),
                                               power_of_ten(c, unit->ten)};
    return equal_node(c, MATH_MUL, 0, 4, factors);
}

static enum math_verdict quantities(struct comparison_context *c, const struct math_node *gold,
                                    const struct math_node *answer) {
    const struct math_unit *g = gold->unit, *a = answer->unit;
    const struct math_node *left = gold->kids[0], *right = answer->kids[0];
    if (!g->vague && !a->vague) {
        if (g->counted != a->counted ||
            memcmp(g->dimension, a->dimension, sizeof g->dimension) != 0)
            return equal_said(c, "unit", a->unknown && !g->unknown ? MATH_UNKNOWN : MATH_DIFFERENT);
        if (g->num != a->num || g->den != a->den || g->ten != a->ten) {
            left = in_base_units(c, left, g);
            right = in_base_units(c, right, a);
        }
    }
    return equal_scalars(c, left, right);
}

static const struct math_node *without_letter_unit(const struct math_node *gold,
                                                   const struct math_node *answer);

// For a gold with a unit, 5 m is a quantity too: its letter is the unit of that name. NULL where
// the answer has none.
static const struct math_node *letter_quantity(struct comparison_context *c,
                                               const struct math_node *gold,
                                               const struct math_node *answer) {
    const struct math_node *bare = without_letter_unit(gold->kids[0], answer);
    if (!bare) return NULL;
    const struct math_node *letter = answer->kids[1];
    int power = 1;
    if (letter->kind == MATH_POW) {
        power = tree_is_integer(letter->kids[1], 2) ? 2 : 3;
        letter = letter->kids[0];
    }
    const struct token word = {.kind = TOKEN_WORD, .text = letter->text};
    const struct unit_row *row = unit_look_up(&word);
    if (!row) return NULL;
    struct math_unit *unit = arena_take(c->arena, 1, sizeof *unit);
    *unit = (struct math_unit){.name = row->words, .num = row->num, .den = row->den};
    unit->ten = row->ten; // powers are of metres alone, whose scale is 1
    for (int i = 0; i < UNIT_N_DIMENSIONS; i++)
        unit->dimension[i] = (int8_t)(row->dimension[i] * power);
    struct math_node *quantity = arena_take(c->arena, 1, sizeof *quantity);
    *quantity = *equal_node(c, MATH_QUANTITY, 0, 1, &bare);
    quantity->unit = unit;
    return quantity;
}

// A unit on one side only.
static enum math_verdict half_quantity(struct comparison_context *c, const struct math_node *gold,
                                       const struct math_node *answer) {
    if (c->options->strict_units) return equal_said(c, "unit", MATH_DIFFERENT);
    if (gold->kind == MATH_QUANTITY) {
        const struct math_node *quantity = letter_quantity(c, gold, answer);
        if (quantity) return quantities(c, gold, quantity);
        return equal_scalars(c, gold->kids[0], answer);
    }
    const enum math_verdict verdict = equal_scalars(c, gold, answer->kids[0]);
    if (answer->unit->unknown && verdict <= MATH_EQUAL_NUM)
        return equal_said(c, "unit", MATH_UNKNOWN);
    return verdict;
}

// 50% is 0.5. Besides, a gold with the sign takes the bare number, and a gold without it that is
// greater than one takes the signed one.
static enum math_verdict percents(struct comparison_context *c, const struct math_node *gold,
                                  const struct math_node *answer) {
    if (gold->kind == MATH_PERCENT && answer->kind == MATH_PERCENT)
        return equal_scalars(c, gold->kids[0], answer->kids[0]);
    const enum math_verdict exact = values(c, gold, answer);
    if (exact <= MATH_EQUAL_NUM || c->options->strict_percent) return exact;
    if (gold->kind == MATH_PERCENT) return equal_scalars(c, gold->kids[0], answer);
    int high = 0, low = 0;
    const bool large = exact_order(gold, tree_number(1, c->arena), c->budget, &high) == EXACT_YES &&
                       exact_order(gold, tree_number(-1, c->arena), c->budget, &low) == EXACT_YES &&
                       (high > 0 || low < 0);
    return large ? equal_scalars(c, gold, answer->kids[0]) : exact;
}

// 90 degrees is 90, and pi/2.
static enum math_verdict degrees(struct comparison_context *c, const struct math_node *gold,
                                 const struct math_node *answer) {
    const struct math_node *g = gold->kind == MATH_DEGREE ? gold->kids[0] : gold;
    const struct math_node *a = answer->kind == MATH_DEGREE ? answer->kids[0] : answer;
    const enum math_verdict bare = equal_scalars(c, g, a);
    if (bare <= MATH_EQUAL_NUM || (g != gold && a != answer)) return bare;
    return values(c, gold, answer);
}

// 5 m with a space: metres where the gold is a number, though m is a variable as it is written.
static const struct math_node *without_letter_unit(const struct math_node *gold,
                                                   const struct math_node *answer) {
    if (gold->free || answer->kind != MATH_MUL || answer->n != 2) return NULL;
    const struct math_node *letter = answer->kids[1];
    const bool power = letter->kind == MATH_POW &&
                       (tree_is_integer(letter->kids[1], 2) || tree_is_integer(letter->kids[1], 3));
    if (power) letter = letter->kids[0];
    if (letter->kind != MATH_SYMBOL || letter->text.len != 1) return NULL;
    if (power) return letter->text.ptr[0] == 'm' ? answer->kids[0] : NULL;
    if (!letter->spaced) return NULL;
    return strchr("mgsLhlNJWVAK", letter->text.ptr[0]) ? answer->kids[0] : NULL;
}

enum math_verdict equal_scalars(struct comparison_context *c, const struct math_node *gold,
                                const struct math_node *answer) {
    if (gold->kind == MATH_QUANTITY && answer->kind == MATH_QUANTITY)
        return quantities(c, gold, answer);
    if (gold->kind == MATH_QUANTITY || answer->kind == MATH_QUANTITY)
        return half_quantity(c, gold, answer);
    if (gold->kind == MATH_DEGREE || answer->kind == MATH_DEGREE) return degrees(c, gold, answer);
    if (gold->kind == MATH_PERCENT || answer->kind == MATH_PERCENT)
        return percents(c, gold, answer);
    const struct math_node *bare = without_letter_unit(gold, answer);
    return values(c, gold, bare ? bare : answer);
}
