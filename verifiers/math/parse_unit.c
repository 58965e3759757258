// What stands behind a value: units with their dimensions, percent, degrees, money, counted things.
#include <ctype.h>
#include <strings.h>

#include "verifiers/math/unit_table.h"

static bool scale(int64_t *value, int64_t factor, int times) {
    for (; times > 0; times--)
        if (__builtin_mul_overflow(*value, factor, value)) return false;
    return true;
}

static bool multiply(struct math_unit *unit, const struct unit_row *row, int power) {
    const int times = power < 0 ? -power : power;
    for (int i = 0; i < UNIT_N_DIMENSIONS; i++)
        unit->dimension[i] = (int8_t)(unit->dimension[i] + row->dimension[i] * power);
    unit->ten = (int16_t)(unit->ten + row->ten * power);
    return scale(power > 0 ? &unit->num : &unit->den, row->num, times) &&
           scale(power > 0 ? &unit->den : &unit->num, row->den, times);
}

// ^2, ^{3}, "squared" behind a unit; 1 where there is none.
static int power_behind(struct parser *p) {
    const struct token *t = parse_peek(p);
    if (parse_is_word(t, "squared") || parse_is_word(t, "cubed")) {
        const int power = parse_is_word(t, "squared") ? 2 : 3;
        parse_next(p);
        return power;
    }
    if (t->c != '^' || t->kind != TOKEN_CHAR) return 1;
    const bool brace = t[1].c == '{';
    int i = brace ? 2 : 1;
    const bool minus = t[i].c == '-';
    if (minus) i++;
    const struct token *digit = &t[i];
    if (digit->kind != TOKEN_DIGITS || digit->text.len != 1 || (brace && digit[1].c != '}'))
        return 1;
    const int power = digit->text.ptr[0] - '0';
    for (i += brace ? 2 : 1; i > 0; i--) parse_next(p);
    if (power < 1 || power > 4) return 1;
    return minus ? -power : power;
}

// One unit with its power; `sign` is -1 behind a "per". False leaves the position alone.
static bool one(struct parser *p, int sign, bool in_text, struct math_unit *unit) {
    const int start = p->at;
    int power = 1;
    if (parse_is_word(parse_peek(p), "square") || parse_is_word(parse_peek(p), "sq")) power = 2;
    if (parse_is_word(parse_peek(p), "cubic") || parse_is_word(parse_peek(p), "cu")) power = 3;
    if (power > 1) {
        parse_next(p);
        parse_take(p, '.');
    }
    const struct token *t = parse_peek(p);
    const struct unit_row *row = unit_look_up(t);
    const bool vague = parse_is_word(t, "unit") || parse_is_word(t, "units");
    const bool counted = !row && t->kind == TOKEN_WORD && unit_is_counted(t->text);
    // A lone letter outside \text is a variable.
    if ((!row && !vague && !counted) || (!in_text && t->text.len == 1)) {
        p->at = start;
        return false;
    }
    parse_next(p);
    if (power == 1) power = power_behind(p);
    if (vague) {
        unit->vague = true;
        return true;
    }
    if (counted) {
        unit->counted = unit_hash(t->text);
        return true;
    }
    return multiply(unit, row, sign * power);
}

static bool combine(struct math_unit *unit, const struct math_unit *part) {
    for (int i = 0; i < UNIT_N_DIMENSIONS; i++)
        unit->dimension[i] = (int8_t)(unit->dimension[i] + part->dimension[i]);
    unit->ten = (int16_t)(unit->ten + part->ten);
    if (part->counted) unit->counted = part->counted;
    unit->vague |= part->vague;
    return scale(&unit->num, part->num, 1) && scale(&unit->den, part->den, 1);
}

static struct math_unit inverted(const struct math_unit *unit) {
    struct math_unit inverse = {.num = unit->den, .den = unit->num, .ten = (int16_t)-unit->ten};
    for (int i = 0; i < UNIT_N_DIMENSIONS; i++) inverse.dimension[i] = (int8_t)-unit->dimension[i];
    return inverse;
}

// Units joined by "per", '/', '*' up to where nothing known follows. `last` is the last of them. A
// lone letter behind "per" is a unit: km/h.
static bool several(struct parser *p, bool in_text, struct math_unit *unit,
                    struct math_unit *last) {
    if (!one(p, 1, in_text, last) || !combine(unit, last)) return false;
    for (;;) {
        const int start = p->at;
        const bool per = parse_is_word(parse_peek(p), "per") || parse_is(p, '/');
        const bool times = parse_is(p, '*') || parse_is(p, '-');
        if (per || times) parse_next(p);
        if (per && parse_is_word(parse_peek(p), "a")) parse_next(p);
        const bool group =
            !in_text && parse_peek(p)->kind == TOKEN_FONT && p->t[p->at + 1].c == '{';
        if ((per || times) && group) {
            parse_next(p);
            parse_next(p);
        }
        struct math_unit next = {.num = 1, .den = 1};
        const bool good = (per || times) && one(p, per ? -1 : 1, in_text || group || per, &next) &&
                          (!group || parse_take(p, '}')) && combine(unit, &next);
        if (good) *last = next;
        if (!good) {
            p->at = start;
            return true;
        }
    }
}

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

static struct math_node *quantity(struct parser *p, struct math_node *value,
                                  const struct math_unit *unit) {
    struct math_node *node = parse_node(p, MATH_QUANTITY, 0, 1, &value);
    if (!node) return NULL;
    struct math_unit *copy = arena_take(p->arena, 1, sizeof *copy);
    *copy = *unit;
    node->unit = copy;
    tree_seal(node);
    return node;
}

// "million" behind a value, inside its currency where it has one. NULL: none is there.
static struct math_node *multiplier(struct parser *p, struct math_node *value) {
    static const struct {
        const char *word;
        long value;
    } WORDS[] = {{"hundred", 100},        {"thousand", 1000},          {"million", 1000000},
                 {"billion", 1000000000}, {"trillion", 1000000000000}, {"dozen", 12}};
    for (size_t i = 0; i < sizeof WORDS / sizeof *WORDS; i++) {
        if (!parse_is_word(parse_peek(p), WORDS[i].word)) continue;
        const bool money = value->kind == MATH_QUANTITY;
        parse_next(p);
        struct math_node *const pair[] = {money ? value->kids[0] : value,
                                          tree_number(WORDS[i].value, p->arena)};
        struct math_node *product = parse_node(p, MATH_MUL, 0, 2, pair);
        return product && money ? quantity(p, product, value->unit) : product;
    }
    return NULL;
}

static struct math_node *one_unit(struct parser *p, struct math_node *value);

// A group of \text{} or \mathrm{} behind a value.
static struct math_node *text_unit(struct parser *p, struct math_node *value) {
    struct math_unit unit = {.num = 1, .den = 1}, last = unit;
    const int end = parse_group_end(p, p->at + 1), start = p->at;
    if (end < 0) return value;
    const size_t from = p->t[p->at + 1].at + 1;
    const struct slice raw = {p->text.ptr + from, p->t[end].at - from};
    unit.name = arena_copy(p->arena, raw.ptr, raw.len);
    p->at += 2;
    if (end == p->at) { // \text{}
        parse_next(p);
        return one_unit(p, value);
    }
    const bool percent = parse_is_word(parse_peek(p), "percent") || parse_is(p, '%');
    const bool degree =
        parse_is_word(parse_peek(p), "degrees") || parse_is_word(parse_peek(p), "degree");
    if ((percent || degree) && end == p->at + 1) {
        p->at = end;
        parse_next(p);
        return parse_node(p, percent ? MATH_PERCENT : MATH_DEGREE, 0, 1, &value);
    }
    struct math_node *bigger = multiplier(p, value);
    if (bigger && p->at == end) {
        parse_next(p);
        return bigger;
    }
    if (bigger && value->kind != MATH_QUANTITY) value = bigger;
    bool known = several(p, true, &unit, &last);
    if (known) parse_take(p, '.');
    if (known && p->at == end) {
        parse_next(p);
        const int power = power_behind(p);
        // The power is the last unit's: \text{m/s}^2.
        const struct math_unit inverse = inverted(&last);
        for (int i = 1; i < power && known; i++) known = combine(&unit, &last);
        for (int i = 1; i > power && known; i--) known = combine(&unit, &inverse);
        const int at = p->at;
        if (power > 0 && parse_is(p, '/')) {
            parse_next(p);
            const bool group = parse_peek(p)->kind == TOKEN_FONT && p->t[p->at + 1].c == '{';
            if (group) p->at += 2;
            if (!one(p, -1, group, &unit) || (group && !parse_take(p, '}'))) p->at = at;
        }
        if (known) return quantity(p, value, &unit);
    }
    if (bigger || !is_plain_words(p, start + 2, end)) {
        p->at = start;
        return NULL;
    }
    unit = (struct math_unit){.num = 1, .den = 1, .name = unit.name, .unknown = true};
    unit.counted = unit_hash(parse_plain(p, raw));
    p->at = end;
    parse_next(p);
    return quantity(p, value, &unit);
}

static bool is_named_degree(const struct token *t) {
    return parse_is_word(t, "degrees") || parse_is_word(t, "degree") || parse_is_word(t, "deg");
}

bool parse_unit_is_next(const struct parser *p, const struct math_node *value) {
    static const char *const OTHER[] = {"percent", "pct",      "percentage", "degrees", "degree",
                                        "hundred", "thousand", "million",    "billion", "trillion",
                                        "dozen",   "square",   "cubic",      "sq",      "unit",
                                        "units",   "deg"};
    const struct token *t = parse_peek(p);
    if (p->inside || !tree_is_scalar(value)) return false;
    if (t->kind == TOKEN_CURRENCY) return !value->free;
    if (t->kind == TOKEN_FONT) {
        if (t[1].c != '{' || parse_group_end(p, p->at + 1) < 0) return false;
        const bool letter = t[3].c == '}' && (t[2].kind == TOKEN_CONSTANT ||
                                              (t[2].kind == TOKEN_WORD && t[2].text.len == 1));
        return !(letter && (t->op == 0 || !unit_look_up(&t[2])) &&
                 !(unit_look_up(&t[2]) && (t->space || t->thin))) &&
               t[2].kind != TOKEN_FUNCTION;
    }
    if (value->free || (t->kind != TOKEN_WORD && !unit_look_up(t)) || t->text.len < 2) return false;
    for (size_t i = 0; i < sizeof OTHER / sizeof *OTHER; i++)
        if (parse_is_word(t, OTHER[i])) return true;
    return unit_look_up(t) || (t->space && unit_is_counted(t->text));
}

// C or F behind a degree sign.
static bool temperature(struct parser *p) {
    const struct token *t = parse_peek(p);
    const bool font = t->kind == TOKEN_FONT && t[1].c == '{' && t[3].c == '}';
    const struct token *letter = font ? t + 2 : t;
    if (p->inside || letter->kind != TOKEN_WORD) return false;
    if (!slice_is(letter->text, "C") && !slice_is(letter->text, "F")) return false;
    for (int i = 0; i < (font ? 4 : 1); i++) parse_next(p);
    return true;
}

static struct math_node *one_unit(struct parser *p, struct math_node *value) {
    struct math_unit unit = {.num = 1, .den = 1};
    const struct token *t = parse_peek(p);
    if (value->kind == MATH_DEGREE && temperature(p)) {
        unit.name = "degrees of temperature";
        unit.counted = unit_hash(slice_of(unit.name));
        return quantity(p, value->kids[0], &unit);
    }
    if (parse_separator_is_next(p) || !parse_unit_is_next(p, value)) return value;
    if (t->kind == TOKEN_FONT) {
        const int at = p->at;
        struct math_node *with_unit = text_unit(p, value);
        if (!with_unit || p->at == at) return with_unit;
        return with_unit;
    }
    if (t->kind == TOKEN_CURRENCY) {
        unit.name = arena_copy(p->arena, t->text.ptr, t->text.len);
        parse_next(p);
        const bool dollar = slice_is(t->text, "dollar"), cent = slice_is(t->text, "cent");
        if (dollar || cent) unit.dimension[7] = 1;
        unit.ten = cent ? -2 : 0;
        if (!dollar && !cent) unit.counted = unit_hash(t->text);
        return quantity(p, value, &unit);
    }
    struct math_node *bigger = multiplier(p, value);
    if (bigger || p->over) return bigger ? one_unit(p, bigger) : NULL;
    if (parse_is_word(t, "percent") || parse_is_word(t, "pct") || parse_is_word(t, "percentage")) {
        parse_next(p);
        return parse_node(p, MATH_PERCENT, 0, 1, &value);
    }
    if (is_named_degree(t)) {
        parse_next(p);
        return parse_node(p, MATH_DEGREE, 0, 1, &value);
    }
    struct math_unit last = unit;
    if (!several(p, false, &unit, &last)) return value;
    unit.name = arena_copy(p->arena, t->text.ptr, t->text.len);
    return quantity(p, value, &unit);
}

// 9.8\,\mathrm{m}\,\mathrm{s}^{-2}: several groups are one unit.
struct math_node *parse_unit(struct parser *p, struct math_node *value) {
    struct math_node *node = one_unit(p, value);
    while (node && node != value && node->kind == MATH_QUANTITY && !node->unit->unknown &&
           parse_peek(p)->kind == TOKEN_FONT && unit_look_up(&p->t[p->at + 2])) {
        struct math_node *more = one_unit(p, node->kids[0]);
        if (!more || more->kind != MATH_QUANTITY || more->unit->unknown) return NULL;
        struct math_unit unit = *node->unit;
        if (!combine(&unit, more->unit)) return NULL;
        node = quantity(p, node->kids[0], &unit);
    }
    return node;
}

struct math_node *parse_money(struct parser *p) {
    const struct token *t = parse_peek(p);
    struct math_unit unit = {.num = 1, .den = 1};
    parse_next(p);
    const bool minus = parse_take(p, '-');
    struct math_node *value = parse_power(p);
    if (value && minus) value = parse_node(p, MATH_MUL, TREE_MINUS, 1, &value);
    if (!value) return NULL;
    unit.name = arena_copy(p->arena, t->text.ptr, t->text.len);
    if (slice_is(t->text, "dollar"))
        unit.dimension[7] = 1;
    else
        unit.counted = unit_hash(t->text);
    struct math_node *bigger = multiplier(p, value);
    if (p->over) return NULL;
    return quantity(p, bigger ? bigger : value, &unit);
}
