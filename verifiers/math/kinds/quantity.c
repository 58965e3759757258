// Values with a mark: a unit, a currency, a percent sign, degrees.
#include <stdlib.h>

#include "verifiers/math/kinds/measure.h"
#include "verifiers/math/kinds/unit_letter.h"
#include "verifiers/math/kinds/unit_prime.h"

#define N(list) (sizeof(list) / sizeof *(list))

// ---- Reading ---------------------------------------------------------------------------------

static struct math_node *with_unit(struct parser *p, struct math_node *value,
                                   const struct math_unit *unit) {
    struct math_node *node = value ? parse_node(p, MATH_QUANTITY, 0, 1, &value) : NULL;
    if (!node) return NULL;
    struct math_unit *copy = arena_take(p->arena, 1, sizeof *copy);
    *copy = *unit;
    node->unit = copy;
    tree_seal(node);
    return node;
}

// "million" behind a value, inside its currency where it has one. NULL: none is there.
static struct math_node *multiplied(struct parser *p, struct math_node *value) {
    static const struct {
        const char *word;
        long value;
    } WORDS[] = {{"hundred", 100},
                 {"thousand", 1000},
                 {"million", 1000000},
                 {"billion", 1000000000},
                 {"trillion", 1000000000000},
                 {"dozen", 12},
                 {"lakh", 100000},
                 {"crore", 10000000},
                 {"万", 10000},
                 {"萬", 10000},
                 {"亿", 100000000},
                 {"億", 100000000},
                 {"만", 10000},
                 {"억", 100000000}};
    for (size_t i = 0; i < N(WORDS); i++) {
        if (!parse_is_word(parse_peek(p), WORDS[i].word)) continue;
        const bool money = value->kind == MATH_QUANTITY;
        parse_next(p);
        struct math_node *const pair[] = {money ? value->kids[0] : value,
                                          tree_number(WORDS[i].value, p->arena)};
        struct math_node *product = parse_node(p, MATH_MUL, 0, 2, pair);
        return product && money ? with_unit(p, product, value->unit) : product;
    }
    return NULL;
}

static bool is_multiplier(const struct token *t) {
    static const char *const WORDS[] = {"hundred", "thousand", "million", "billion", "trillion",
                                        "dozen",   "lakh",     "crore",   "万",      "萬",
                                        "亿",      "億",       "만",      "억"};
    for (size_t i = 0; i < N(WORDS); i++)
        if (parse_is_word(t, WORDS[i])) return true;
    return false;
}

// How many tokens at `t` say percent (*kind is MATH_PERCENT) or degrees, or 0.
static int mark_tokens(const struct token *t, enum math_kind *kind) {
    *kind = MATH_PERCENT;
    if (t->kind == TOKEN_CHAR && t->c == '%') return 1;
    if (parse_is_word(t, "percent") || parse_is_word(t, "pct") || parse_is_word(t, "percentage"))
        return parse_is_word(&t[1], "points") || parse_is_word(&t[1], "point") ? 2 : 1;
    if (parse_is_word(t, "per") && parse_is_word(&t[1], "cent")) return 2;
    *kind = MATH_DEGREE;
    if (parse_is_word(t, "degrees") || parse_is_word(t, "degree") || parse_is_word(t, "deg"))
        return 1;
    return t->kind == TOKEN_COMMAND && slice_is(t->text, "degree") ? 1 : 0;
}

// Only words and the marks of a sentence, none of which joins, negates or goes on.
static bool is_plain_words(const struct parser *p, int from, int to) {
    bool any = false;
    for (int i = from; i < to; i++) {
        const struct token *t = &p->t[i];
        if (t->kind == TOKEN_WORD)
            any = true;
        else if (t->kind != TOKEN_NAME && !(t->kind == TOKEN_CHAR && strchr(".,'()-/", t->c)) &&
                 !(t->kind == TOKEN_RELATION))
            return false;
        if (parse_is_word(t, "and") || parse_is_word(t, "or") || parse_is_word(t, "not"))
            return false;
    }
    return any;
}

// C or F behind a degree sign: its name, or NULL.
static const char *temperature(struct parser *p) {
    const struct token *t = parse_peek(p);
    const bool font = t->kind == TOKEN_FONT && t[1].c == '{' && t[3].c == '}';
    const struct token *letter = font ? t + 2 : t;
    if (p->inside || letter->kind != TOKEN_WORD) return NULL;
    const bool celsius = slice_is(letter->text, "C") || parse_is_word(letter, "celsius");
    if (!celsius && !slice_is(letter->text, "F") && !parse_is_word(letter, "fahrenheit"))
        return NULL;
    for (int i = 0; i < (font ? 4 : 1); i++) parse_next(p);
    return celsius ? "celsius" : "fahrenheit";
}

// \text{...} or \mathrm{...} behind a value. NULL where it cannot be understood at all.
static struct math_node *in_font(struct parser *p, struct math_node *value) {
    const int start = p->at, end = parse_group_end(p, start + 1);
    enum math_kind kind;
    struct math_unit unit;
    if (end < 0) return value;
    p->at = start + 2;
    struct math_node *bigger = multiplied(p, value);
    if (p->over) return NULL;
    const int n = mark_tokens(parse_peek(p), &kind);
    if (n == 1 && kind == MATH_DEGREE && p->at + 2 == end) { // degrees Celsius
        parse_next(p);
        const char *scale = temperature(p);
        unit = (struct math_unit){.num = 1, .den = 1, .name = scale};
        if (scale) {
            unit.counted = unit_hash(slice_of(scale));
            parse_next(p);
            return with_unit(p, value, &unit);
        }
        p->at = start + 2;
    }
    if (p->at + n == end) { // \text{}, \text{million}, \text{percent}
        struct math_node *inner = bigger ? bigger : value;
        p->at = end;
        parse_next(p);
        return n ? parse_node(p, kind, 0, 1, &inner) : inner;
    }
    if (bigger) {
        const bool known = unit_read(p, true, &unit) && p->at == end;
        if (known) parse_next(p);
        return known && value->kind != MATH_QUANTITY ? with_unit(p, bigger, &unit) : NULL;
    }
    p->at = start + 3; // \text{ US dollars}
    const bool american = parse_is_word(&p->t[start + 2], "US") && unit_read(p, true, &unit) &&
                          p->at == end && unit.dimension[UNIT_DOLLAR];
    if (american) {
        parse_next(p);
        return with_unit(p, value, &unit);
    }
    p->at = start;
    if (unit_read(p, false, &unit)) return with_unit(p, value, &unit);
    if (!is_plain_words(p, start + 2, end)) return NULL;
    const size_t from = p->t[start + 1].at + 1;
    const struct slice raw = {p->text.ptr + from, p->t[end].at - from};
    unit = (struct math_unit){.num = 1, .den = 1, .unknown = true};
    unit.name = arena_copy(p->arena, raw.ptr, raw.len);
    unit.counted = unit_hash(parse_plain(p, raw));
    p->at = end;
    parse_next(p);
    return with_unit(p, value, &unit);
}

// 45', 45'', 45", 45^{\prime}, 45^\prime at the digits `t`: 1 for minutes, 2 for seconds, 0 for
// none; `*n`: how many tokens the marks are.
static int arc_marks(const struct token *t, int *n) {
    *n = 1;
    if (t[1].kind == TOKEN_CHAR && t[1].c == '"') return 2;
    if (t[1].kind == TOKEN_CHAR && t[1].c == '\'') {
        *n = t[2].kind == TOKEN_CHAR && t[2].c == '\'' ? 2 : 1;
        return *n;
    }
    if (t[1].kind != TOKEN_CHAR || t[1].c != '^') return 0;
    const bool brace = t[2].c == '{';
    int primes = 0;
    while (primes < 2 && t[2 + brace + primes].kind == TOKEN_NAME &&
           slice_is(t[2 + brace + primes].text, "prime"))
        primes++;
    *n = 1 + 2 * brace + primes;
    return brace && t[*n].c != '}' ? 0 : brace || primes < 2 ? primes : 0;
}

// 63^\circ 45', 63° 45' 30": the minutes and seconds of an angle, added to its degrees.
static struct math_node *with_minutes(struct parser *p, struct math_node *degrees) {
    struct math_node *terms[3] = {degrees->kids[0]};
    int n = 1;
    for (; n < 3; n++) {
        const struct token *t = parse_peek(p);
        int marks = 0;
        if (p->inside || t->kind != TOKEN_DIGITS || t->text.len > 2 || arc_marks(t, &marks) != n)
            break;
        const long value = strtol(arena_copy(p->arena, t->text.ptr, t->text.len), NULL, 10);
        if (value > 59) return degrees;
        for (int i = 0; i <= marks; i++) parse_next(p);
        terms[n] = parse_quotient(p, tree_number(value, p->arena),
                                  tree_number(n == 1 ? 60 : 3600, p->arena));
        if (!terms[n]) return NULL;
    }
    if (n == 1) return degrees;
    struct math_node *sum = parse_node(p, MATH_ADD, 0, n, terms);
    return sum ? parse_node(p, MATH_DEGREE, 0, 1, &sum) : NULL;
}

// min and sec are functions where an argument stands behind them: 2 sec x, 3 min(4, 5).
static bool is_argument(const struct token *t) {
    if (t->kind == TOKEN_CHAR) return t->c == '(' || t->c == '{' || t->c == '^' || t->c == '_';
    return t->kind == TOKEN_NAME || t->kind == TOKEN_FUNCTION || t->kind == TOKEN_CONSTANT ||
           t->kind == TOKEN_COMMAND || (t->kind == TOKEN_WORD && t->text.len == 1) ||
           (t->kind == TOKEN_DIGITS && t[1].kind != TOKEN_WORD && t[1].kind != TOKEN_FONT);
}

static bool is_call(const struct token *name) {
    return name->kind == TOKEN_FUNCTION && is_argument(name + 1);
}

static bool font_follows(const struct parser *p, const struct math_node *value) {
    const struct token *t = parse_peek(p), *inner = t + 2;
    struct math_unit unit;
    const int end = t[1].c == '{' ? parse_group_end(p, p->at + 1) : -1;
    if (end < 0 || (parse_is_word(inner, "to") && t[3].c == '}')) return false; // a ratio
    if (unit_is_ohm_prefix(t)) return true;
    if (inner->kind == TOKEN_FUNCTION) {
        if (!inner->plain || value->free || !unit_find(inner->text, &unit)) return false;
        if (slice_is(t->text, "operatorname") && t[3].c == '}' && is_argument(&t[4])) return false;
        return t[3].c != '}' || !is_call(&p->t[end - 1]);
    }
    while (inner->kind == TOKEN_FONT && inner->op != 1 && inner[1].c == '{') inner += 2;
    const bool letter = inner[1].c == '}' && (inner->kind == TOKEN_CONSTANT ||
                                              (inner->kind == TOKEN_WORD && inner->text.len == 1));
    if (!letter) return true;
    // \text{m} behind a number; \mathrm{x} is a variable, and so is \mathrm{m} without a space.
    return (t->op == 1 || t->space || t->thin) && unit_find(inner->text, &unit);
}

static bool follows(const struct parser *p, const struct math_node *value) {
    static const char *const OTHER[] = {"square", "cubic", "sq", "cu", "unit", "units"};
    const struct token *t = parse_peek(p);
    enum math_kind kind;
    struct math_unit unit;
    if (p->inside || !tree_is_scalar(value)) return false;
    if (t->kind == TOKEN_FONT) return font_follows(p, value);
    if (value->free) return false;
    if (unit_prime_follows(p, value)) return true;
    if (t->kind == TOKEN_CURRENCY) return true;
    if (value->kind == MATH_DEGREE && t->kind == TOKEN_DIGITS) {
        int n;
        return arc_marks(t, &n) == 1;
    }
    const bool apart = t->space || t->thin;
    if (t->kind == TOKEN_NAME && slice_is(t->text, "mu"))
        return t[1].kind == TOKEN_FONT || (apart && t[1].kind == TOKEN_WORD);
    if (t->kind == TOKEN_NAME) return apart && slice_is(t->text, "Omega");
    if (t->kind == TOKEN_COMMAND)
        return (slice_is(t->text, "frac") && t[1].c == '{' && t[2].kind == TOKEN_FONT && apart);
    if (t->kind == TOKEN_FUNCTION && (!t->plain || is_call(t))) return false;
    if (t->kind != TOKEN_WORD && t->kind != TOKEN_FUNCTION) return false;
    if (t->text.len < 2) return unit_is_with_name(t);
    if (mark_tokens(t, &kind) || is_multiplier(t)) return true;
    for (size_t i = 0; i < N(OTHER); i++)
        if (parse_is_word(t, OTHER[i])) return true;
    if ((unsigned char)t->text.ptr[0] >= 0x80 && unit_counter(t->text, &unit)) return true;
    return (t->space && unit_find_counted(t->text, &unit)) || unit_find(t->text, &unit);
}

static struct math_node *one(struct parser *p, struct math_node *value) {
    struct math_unit unit = {.num = 1, .den = 1};
    const struct token *t = parse_peek(p);
    enum math_kind kind;
    if (value->kind == MATH_DEGREE) {
        const char *scale = temperature(p);
        unit.name = scale;
        if (scale) unit.counted = unit_hash(slice_of(scale));
        if (scale) return with_unit(p, value->kids[0], &unit);
    }
    if (parse_separator_is_next(p) || !follows(p, value)) return value;
    if (t->kind == TOKEN_FONT && !unit_is_ohm_prefix(t)) return in_font(p, value);
    if (unit_prime_follows(p, value)) return unit_prime(p, value);
    if (value->kind == MATH_DEGREE && t->kind == TOKEN_DIGITS) return with_minutes(p, value);
    if (t->kind == TOKEN_CURRENCY) {
        if (value->kind == MATH_QUANTITY) return value;
        parse_next(p);
        unit.name = arena_copy(p->arena, t->text.ptr, t->text.len);
        const bool dollar = slice_is(t->text, "dollar"), cent = slice_is(t->text, "cent");
        if (dollar || cent) unit.dimension[UNIT_DOLLAR] = 1;
        unit.ten = cent ? -2 : 0;
        if (!dollar && !cent) unit.counted = unit_hash(t->text);
        return with_unit(p, value, &unit);
    }
    struct math_node *bigger = multiplied(p, value);
    if (bigger || p->over) return bigger;
    for (int n = mark_tokens(t, &kind); n > 0; n--) {
        parse_next(p);
        if (n == 1) return parse_node(p, kind, 0, 1, &value);
    }
    if (value->kind == MATH_QUANTITY) return value;
    return unit_read(p, false, &unit) ? with_unit(p, value, &unit) : value;
}

// "5 ft 3 in", "2 hours and 30 minutes": another quantity of the same dimension, to be added.
static struct math_node *composed(struct parser *p, struct math_node *value) {
    const struct parser start = *p;
    uint8_t words = 0;
    if (value->kind != MATH_QUANTITY || value->unit->unknown || value->unit->vague) return value;
    if (parse_is_word(parse_peek(p), "and")) parse_separator(p, &words);
    if (p->inside || parse_peek(p)->kind != TOKEN_DIGITS) {
        *p = start;
        return value;
    }
    struct math_node *number = parse_number(p), *next = number ? one(p, number) : NULL;
    if (next && next->kind == MATH_QUANTITY && !next->unit->unknown && !next->unit->counted &&
        unit_same_dimension(next->unit, value->unit) && !unit_same(next->unit, value->unit)) {
        struct math_node *const pair[] = {value, next};
        return parse_node(p, MATH_ADD, 0, 2, pair);
    }
    const bool over = p->over;
    *p = start;
    p->over = over;
    return value;
}

static struct math_node *behind(struct parser *p, struct math_node *value) {
    for (;;) {
        struct math_node *node = one(p, value);
        if (!node) return NULL;
        if (node == value) return composed(p, value);
        value = node;
    }
}

static bool starts(const struct parser *p) {
    struct math_unit unit;
    return unit_currency(p, &unit) > 0;
}

// $70k, $3M: behind an amount of money.
static struct math_node *abbreviated(struct parser *p, struct math_node *value) {
    const struct token *t = parse_peek(p);
    if (p->inside || t->kind != TOKEN_WORD || t->space || t->thin || t->text.len != 1) return NULL;
    const char c = t->text.ptr[0];
    if (value->kind != MATH_NUMBER || (c != 'k' && c != 'K' && c != 'M')) return NULL;
    parse_next(p);
    struct math_node *const pair[] = {value, tree_number(c == 'M' ? 1000000 : 1000, p->arena)};
    return parse_node(p, MATH_MUL, 0, 2, pair);
}

static struct math_node *atom(struct parser *p) {
    struct math_unit unit;
    for (int n = unit_currency(p, &unit); n > 0; n--) parse_next(p);
    const bool minus = parse_take(p, '-');
    struct math_node *value = parse_power(p);
    if (value && minus) value = parse_node(p, MATH_MUL, TREE_MINUS, 1, &value);
    if (!value) return NULL;
    struct math_node *bigger = multiplied(p, value);
    if (!bigger && !p->over) bigger = abbreviated(p, value);
    return p->over ? NULL : with_unit(p, bigger ? bigger : value, &unit);
}

// ---- Normal form -----------------------------------------------------------------------------

// The mark of a scalar is outermost: -5 cm is (-5) cm, 8 * 5 cm is (8 * 5) cm, 50% + 20% no mark.
static const struct math_node *normal(struct comparison *c, const struct math_node *node) {
    struct measured all;
    if (node->kind == MATH_MUL && node->n == 1 &&
        (node->kids[0]->kind == MATH_PERCENT || node->kids[0]->kind == MATH_DEGREE)) {
        const struct math_node *const inner[] = {kind_negated(c, node->kids[0]->kids[0])};
        return kind_rebuilt(c, node->kids[0], inner);
    }
    if (!tree_is_scalar(node) || node->kind == MATH_QUANTITY || !measure_has_unit(node))
        return node;
    if (!measure(c, node, &all)) return node;
    struct math_unit *unit = arena_take(c->arena, 1, sizeof *unit);
    *unit = all.unit;
    struct math_node *quantity = kind_node(c, MATH_QUANTITY, 0, 1, &all.value);
    quantity->unit = unit;
    tree_seal(quantity);
    return quantity;
}

// ---- Comparison ------------------------------------------------------------------------------

enum mark { NO_MARK, UNIT, PERCENT, DEGREE };

static enum mark mark_of(const struct math_node *node) {
    return node->kind == MATH_QUANTITY  ? UNIT
           : node->kind == MATH_PERCENT ? PERCENT
           : node->kind == MATH_DEGREE  ? DEGREE
                                        : NO_MARK;
}

static enum math_verdict quantities(struct comparison *c, const struct math_node *gold,
                                    const struct math_node *answer) {
    const struct math_unit *g = gold->unit, *a = answer->unit;
    const struct math_node *left = gold->kids[0], *right = answer->kids[0];
    if ((measure_is_temperature(g) && (measure_is_temperature(a) || measure_is_kelvin(a))) ||
        (measure_is_temperature(a) && measure_is_kelvin(g)))
        return g->counted == a->counted ? number_compare(c, left, right)
                                        : number_compare(c, measure_in_kelvin(c, left, g),
                                                         measure_in_kelvin(c, right, a));
    if (g->vague || a->vague) return number_compare(c, left, right);
    if ((g->counter && (a->counter || a->counted)) || (a->counter && g->counted))
        return number_compare(c, left, right);
    if (!unit_same_dimension(g, a) || g->counter != a->counter) {
        const bool open = g->unknown || a->unknown || unit_prime_marks(answer) > 0;
        return kind_said(c, "unit", open ? MATH_UNKNOWN : MATH_DIFFERENT);
    }
    if (g->num != a->num || g->den != a->den || g->ten != a->ten) {
        left = measure_in_base_units(c, left, g);
        right = measure_in_base_units(c, right, a);
    }
    return number_compare(c, left, right);
}

// Degrees on one side only: 90 degrees is 90, and pi/2.
static enum math_verdict half_degree(struct comparison *c, const struct math_node *gold,
                                     const struct math_node *answer) {
    const bool on_gold = gold->kind == MATH_DEGREE;
    const enum math_verdict bare =
        number_compare(c, on_gold ? gold->kids[0] : gold, on_gold ? answer : answer->kids[0]);
    return bare <= MATH_EQUAL_NUM ? bare : number_compare(c, gold, answer);
}

// A percent sign on one side only: 50% is 0.5. Besides, a gold with the sign takes the bare number,
// and a gold without it that is greater than one takes the signed one.
static enum math_verdict half_percent(struct comparison *c, const struct math_node *gold,
                                      const struct math_node *answer) {
    const enum math_verdict exact = number_compare(c, gold, answer);
    if (exact <= MATH_EQUAL_NUM || c->options->strict_percent) return exact;
    if (gold->kind == MATH_PERCENT) return number_compare(c, gold->kids[0], answer);
    int high = 0, low = 0;
    const bool large = exact_order(gold, tree_number(1, c->arena), c->budget, &high) == EXACT_YES &&
                       exact_order(gold, tree_number(-1, c->arena), c->budget, &low) == EXACT_YES &&
                       (high > 0 || low < 0);
    return large ? number_compare(c, gold, answer->kids[0]) : exact;
}

// A unit on one side only.
static enum math_verdict half_unit(struct comparison *c, const struct math_node *gold,
                                   const struct math_node *answer) {
    if (c->options->strict_units) return kind_said(c, "unit", MATH_DIFFERENT);
    if (gold->kind == MATH_QUANTITY) {
        const struct math_node *quantity = unit_letter_quantity(c, gold->unit, answer);
        return quantity ? quantities(c, gold, quantity) : number_compare(c, gold->kids[0], answer);
    }
    const enum math_verdict verdict = number_compare(c, gold, answer->kids[0]);
    const bool unknown = answer->unit->unknown && verdict <= MATH_EQUAL_NUM;
    return unknown ? kind_said(c, "unit", MATH_UNKNOWN) : verdict;
}

// Two marks, neither of which may stand for the other. Radians and degrees are both angles.
static enum math_verdict clash(struct comparison *c, const struct math_node *gold,
                               const struct math_node *answer) {
    const struct math_node *quantity = gold->kind == MATH_QUANTITY ? gold : answer;
    const struct math_node *other = quantity == gold ? answer : gold;
    if (quantity->kind != MATH_QUANTITY) return kind_said(c, "mark", MATH_DIFFERENT);
    if (other->kind == MATH_DEGREE && unit_prime_marks(quantity) > 0) {
        const struct math_node *degrees = unit_prime_degrees(c, quantity);
        return quantity == gold ? number_compare(c, degrees, other->kids[0])
                                : number_compare(c, other->kids[0], degrees);
    }
    if (other->kind == MATH_DEGREE && unit_is_angle(quantity->unit)) {
        const struct math_node *radians =
            measure_in_base_units(c, quantity->kids[0], quantity->unit);
        return quantity == gold ? number_compare(c, radians, other)
                                : number_compare(c, other, radians);
    }
    if (other->kind == MATH_DEGREE && measure_is_temperature(quantity->unit))
        return number_compare(c, gold->kids[0], answer->kids[0]);
    return kind_said(c, "mark", quantity->unit->unknown ? MATH_UNKNOWN : MATH_DIFFERENT);
}

static bool compare(struct comparison *c, const struct math_node *gold,
                    const struct math_node *answer, enum math_verdict *out) {
    if (!tree_is_scalar(gold) || !tree_is_scalar(answer)) return false;
    const enum mark g = mark_of(gold), a = mark_of(answer);
    if (g == NO_MARK && a == NO_MARK) {
        struct math_unit unit;
        const struct math_node *bare = gold->free ? NULL : unit_letter(answer, &unit);
        if (!bare && !gold->free) bare = unit_letters(answer);
        if (!bare || c->options->strict_units) return false;
        *out = number_compare(c, gold, bare);
    } else if (g == a) {
        *out = g == UNIT ? quantities(c, gold, answer)
                         : number_compare(c, gold->kids[0], answer->kids[0]);
    } else if (g == NO_MARK && gold->kind == MATH_BASED) {
        // 33_7 is not 33%: a base that is left out is one mark, and the answer has another.
        const struct math_node *value = kind_node(c, MATH_ADD, 0, 1, &gold);
        *out = a == UNIT ? half_unit(c, value, answer) : number_compare(c, value, answer);
    } else if (g != NO_MARK && a != NO_MARK) {
        *out = clash(c, gold, answer);
    } else {
        const enum mark mark = g == NO_MARK ? a : g;
        *out = mark == UNIT      ? half_unit(c, gold, answer)
               : mark == PERCENT ? half_percent(c, gold, answer)
                                 : half_degree(c, gold, answer);
    }
    return true;
}

const struct kind quantity_kind = {
    .reader = {.starts = starts, .atom = atom, .follows = follows, .behind = behind},
    .normal = normal,
    .compare = compare,
};
