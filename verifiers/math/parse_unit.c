// What stands behind a value: units with their dimensions, percent, degrees, money, counted things.
#include <ctype.h>
#include <strings.h>

#include "verifiers/math/parse.h"

// A unit is num / den * 10^ten base units: metre, kilogram, second, ampere, kelvin, mole, candela,
// US dollar, bit. Spellings of up to three letters are compared as they are written.
static const struct row {
    const char *words;
    int8_t dimension[UNIT_N_DIMENSIONS];
    int64_t num, den;
    int16_t ten;
} ROWS[] = {
    {"m meter meters metre metres", {1}, 1, 1, 0},
    {"cm centimeter centimeters centimetre centimetres", {1}, 1, 1, -2},
    {"mm millimeter millimeters millimetre millimetres", {1}, 1, 1, -3},
    {"km kilometer kilometers kilometre kilometres", {1}, 1, 1, 3},
    {"dm decimeter decimeters", {1}, 1, 1, -1},
    {"nm nanometer nanometers", {1}, 1, 1, -9},
    {"in inch inches", {1}, 254, 1, -4},
    {"ft foot feet", {1}, 3048, 1, -4},
    {"yd yard yards", {1}, 9144, 1, -4},
    {"mi mile miles", {1}, 1609344, 1, -3},
    {"kg kgs kilogram kilograms", {0, 1}, 1, 1, 0},
    {"g gm gram grams", {0, 1}, 1, 1, -3},
    {"mg milligram milligrams", {0, 1}, 1, 1, -6},
    {"ton tons", {0, 1}, 90718474, 1, -5},
    {"tonne tonnes", {0, 1}, 1, 1, 3},
    {"lb lbs pound pounds", {0, 1}, 45359237, 1, -8},
    {"oz ounce ounces", {0, 1}, 45359237, 16, -8},
    {"s sec secs second seconds", {0, 0, 1}, 1, 1, 0},
    {"ms millisecond milliseconds", {0, 0, 1}, 1, 1, -3},
    {"min mins minute minutes", {0, 0, 1}, 60, 1, 0},
    {"h hr hrs hour hours", {0, 0, 1}, 3600, 1, 0},
    {"day days", {0, 0, 1}, 86400, 1, 0},
    {"week weeks", {0, 0, 1}, 604800, 1, 0},
    {"month months", {0, 0, 1}, 2629746, 1, 0},
    {"yr yrs year years", {0, 0, 1}, 31556952, 1, 0},
    {"L l liter liters litre litres", {3}, 1, 1, -3},
    {"mL ml milliliter milliliters millilitre millilitres", {3}, 1, 1, -6},
    {"gal gallon gallons", {3}, 3785411784, 1, -12},
    {"qt quart quarts", {3}, 946352946, 1, -12},
    {"pt pint pints", {3}, 473176473, 1, -12},
    {"cup cups", {3}, 473176473, 2, -12},
    {"tbsp tablespoon tablespoons", {3}, 473176473, 32, -12},
    {"tsp teaspoon teaspoons", {3}, 473176473, 96, -12},
    {"acre acres", {2}, 40468564, 1, -4},
    {"ha hectare hectares", {2}, 1, 1, 4},
    {"mph", {1, 0, -1}, 44704, 1, -5},
    {"kph kmh", {1, 0, -1}, 10, 36, 0},
    {"A amp amps ampere amperes", {0, 0, 0, 1}, 1, 1, 0},
    {"K kelvin kelvins", {0, 0, 0, 0, 1}, 1, 1, 0},
    {"mol mole moles", {0, 0, 0, 0, 0, 1}, 1, 1, 0},
    {"N newton newtons", {1, 1, -2}, 1, 1, 0},
    {"J joule joules", {2, 1, -2}, 1, 1, 0},
    {"kJ kilojoule kilojoules", {2, 1, -2}, 1, 1, 3},
    {"W watt watts", {2, 1, -3}, 1, 1, 0},
    {"kW kilowatt kilowatts", {2, 1, -3}, 1, 1, 3},
    {"V volt volts", {2, 1, -3, -1}, 1, 1, 0},
    {"Pa pascal pascals", {-1, 1, -2}, 1, 1, 0},
    {"Hz hertz", {0, 0, -1}, 1, 1, 0},
    {"ohm ohms", {2, 1, -3, -2}, 1, 1, 0},
    {"dollar dollars USD usd buck bucks", {0, 0, 0, 0, 0, 0, 0, 1}, 1, 1, 0},
    {"cent cents", {0, 0, 0, 0, 0, 0, 0, 1}, 1, 1, -2},
    {"bit bits", {0, 0, 0, 0, 0, 0, 0, 0, 1}, 1, 1, 0},
    {"byte bytes", {0, 0, 0, 0, 0, 0, 0, 0, 1}, 8, 1, 0},
    {"rad radian radians", {0}, 1, 1, 0},
};

// Currencies without a rate of exchange, and things that are counted; singular and plural agree.
static const char *const COUNTED[] = {"euro",
                                      "sterling",
                                      "yen",
                                      "rupee",
                                      "yuan",
                                      "peso",
                                      "point",
                                      "student",
                                      "person",
                                      "people",
                                      "child",
                                      "children",
                                      "man",
                                      "men",
                                      "woman",
                                      "women",
                                      "boy",
                                      "girl",
                                      "way",
                                      "integer",
                                      "number",
                                      "digit",
                                      "edge",
                                      "side",
                                      "vertex",
                                      "vertices",
                                      "face",
                                      "multiple",
                                      "meal",
                                      "teacher",
                                      "ticket",
                                      "apple",
                                      "orange",
                                      "banana",
                                      "egg",
                                      "cookie",
                                      "cake",
                                      "book",
                                      "page",
                                      "car",
                                      "coin",
                                      "marble",
                                      "ball",
                                      "box",
                                      "bag",
                                      "card",
                                      "game",
                                      "pair",
                                      "piece",
                                      "slice",
                                      "tile",
                                      "tree",
                                      "flower",
                                      "dog",
                                      "cat",
                                      "fish",
                                      "bird",
                                      "cow",
                                      "chicken",
                                      "horse",
                                      "sheep",
                                      "toy",
                                      "pencil",
                                      "pen",
                                      "friend",
                                      "team",
                                      "player",
                                      "member",
                                      "worker",
                                      "employee",
                                      "customer",
                                      "triangle",
                                      "square",
                                      "circle",
                                      "rectangle",
                                      "cube",
                                      "solution",
                                      "value",
                                      "element",
                                      "subset",
                                      "path",
                                      "step",
                                      "term",
                                      "factor",
                                      "divisor",
                                      "prime",
                                      "root",
                                      "word",
                                      "letter",
                                      "question",
                                      "problem",
                                      "answer",
                                      "test",
                                      "room",
                                      "house",
                                      "bottle",
                                      "glass",
                                      "shirt",
                                      "shoe",
                                      "mile",
                                      "trip",
                                      "block",
                                      "row",
                                      "column",
                                      "seat",
                                      "chair",
                                      "table",
                                      "stamp",
                                      "sticker",
                                      "flight",
                                      "bus",
                                      "arrangement",
                                      "combination",
                                      "permutation",
                                      "possibility",
                                      "outcome",
                                      "case",
                                      "pizza",
                                      "bead",
                                      "rose",
                                      "plant",
                                      "cup",
                                      "bushel",
                                      "carton",
                                      "crayon",
                                      "candy",
                                      "revolution",
                                      "rotation",
                                      "calorie",
                                      "vote",
                                      "percentage point",
                                      "truck",
                                      "guest",
                                      "adult"};

static bool is_word(const struct token *t, const char *word) {
    return t->kind == TOKEN_WORD && t->text.len == strlen(word) &&
           strncasecmp(t->text.ptr, word, t->text.len) == 0;
}

static bool spelled(struct slice word, const char *words) {
    for (const char *w = words; *w;) {
        const size_t len = strcspn(w, " ");
        if (len == word.len &&
            (len > 3 ? strncasecmp(w, word.ptr, len) == 0 : memcmp(w, word.ptr, len) == 0))
            return true;
        w += len + (w[len] == ' ');
    }
    return false;
}

static const struct row *look_up(const struct token *t) {
    if (t->kind != TOKEN_WORD && t->kind != TOKEN_FUNCTION) return NULL;
    for (size_t i = 0; i < sizeof ROWS / sizeof *ROWS; i++)
        if (spelled(t->text, ROWS[i].words)) return &ROWS[i];
    return NULL;
}

static uint32_t hash_word(struct slice word) {
    uint32_t h = 2166136261u;
    size_t len = word.len;
    if (len > 3 && tolower((unsigned char)word.ptr[len - 1]) == 's') len--;
    for (size_t i = 0; i < len; i++)
        h = (h ^ (uint32_t)tolower((unsigned char)word.ptr[i])) * 16777619u;
    return h ? h : 1;
}

static bool is_counted(struct slice word) {
    for (size_t i = 0; i < sizeof COUNTED / sizeof *COUNTED; i++)
        if (hash_word(slice_of(COUNTED[i])) == hash_word(word)) return true;
    return false;
}

static bool scale(int64_t *value, int64_t factor, int times) {
    for (; times > 0; times--)
        if (__builtin_mul_overflow(*value, factor, value)) return false;
    return true;
}

static bool multiply(struct math_unit *unit, const struct row *row, int power) {
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
    if (is_word(t, "squared") || is_word(t, "cubed")) {
        const int power = is_word(t, "squared") ? 2 : 3;
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
    if (is_word(parse_peek(p), "square") || is_word(parse_peek(p), "sq")) power = 2;
    if (is_word(parse_peek(p), "cubic") || is_word(parse_peek(p), "cu")) power = 3;
    if (power > 1) {
        parse_next(p);
        parse_take(p, '.');
    }
    const struct token *t = parse_peek(p);
    const struct row *row = look_up(t);
    const bool vague = is_word(t, "unit") || is_word(t, "units");
    const bool counted = !row && t->kind == TOKEN_WORD && is_counted(t->text);
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
        unit->counted = hash_word(t->text);
        return true;
    }
    return multiply(unit, row, sign * power);
}

// Units joined by "per", '/', '*' up to where nothing known follows.
static bool several(struct parser *p, bool in_text, struct math_unit *unit) {
    if (!one(p, 1, in_text, unit)) return false;
    for (;;) {
        const int start = p->at;
        const bool per = is_word(parse_peek(p), "per") || parse_is(p, '/');
        const bool times = parse_is(p, '*') || parse_is(p, '-');
        if (per || times) parse_next(p);
        if (per && is_word(parse_peek(p), "a")) parse_next(p);
        const bool group =
            !in_text && parse_peek(p)->kind == TOKEN_FONT && p->t[p->at + 1].c == '{';
        if ((per || times) && group) {
            parse_next(p);
            parse_next(p);
        }
        if ((!per && !times) || !one(p, per ? -1 : 1, in_text || group, unit) ||
            (group && !parse_take(p, '}'))) {
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
        if (is_word(t, "and") || is_word(t, "or") || is_word(t, "not")) return false;
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
        if (!is_word(parse_peek(p), WORDS[i].word)) continue;
        const bool money = value->kind == MATH_QUANTITY;
        parse_next(p);
        struct math_node *const pair[] = {money ? value->kids[0] : value,
                                          tree_number(WORDS[i].value, p->arena)};
        struct math_node *product = parse_node(p, MATH_MUL, 0, 2, pair);
        return product && money ? quantity(p, product, value->unit) : product;
    }
    return NULL;
}

// A group of \text{} or \mathrm{} behind a value.
static struct math_node *text_unit(struct parser *p, struct math_node *value) {
    struct math_unit unit = {.num = 1, .den = 1};
    const int end = parse_group_end(p, p->at + 1), start = p->at;
    if (end < 0) return value;
    const size_t from = p->t[p->at + 1].at + 1;
    const struct slice raw = {p->text.ptr + from, p->t[end].at - from};
    unit.name = arena_copy(p->arena, raw.ptr, raw.len);
    p->at += 2;
    if (end == p->at) { // \text{}
        parse_next(p);
        return parse_unit(p, value);
    }
    const bool percent = is_word(parse_peek(p), "percent") || parse_is(p, '%');
    const bool degree = is_word(parse_peek(p), "degrees") || is_word(parse_peek(p), "degree");
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
    bool known = several(p, true, &unit);
    if (known) parse_take(p, '.');
    if (known && p->at == end) {
        parse_next(p);
        const int power = power_behind(p);
        for (int i = 0; i < UNIT_N_DIMENSIONS; i++)
            unit.dimension[i] = (int8_t)(unit.dimension[i] * power);
        const int64_t num = unit.num, den = unit.den;
        if (power > 1) known = scale(&unit.num, num, power - 1) && scale(&unit.den, den, power - 1);
        unit.ten = (int16_t)(unit.ten * power);
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
    unit.counted = hash_word(parse_plain(p, raw));
    p->at = end;
    parse_next(p);
    return quantity(p, value, &unit);
}

static bool is_named_degree(const struct token *t) {
    return is_word(t, "degrees") || is_word(t, "degree") || is_word(t, "deg");
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
        return !(letter && (t->op == 0 || !look_up(&t[2])) && !(look_up(&t[2]) && t->space)) &&
               t[2].kind != TOKEN_FUNCTION;
    }
    if (value->free || (t->kind != TOKEN_WORD && !look_up(t)) || t->text.len < 2) return false;
    for (size_t i = 0; i < sizeof OTHER / sizeof *OTHER; i++)
        if (is_word(t, OTHER[i])) return true;
    return look_up(t) || (t->space && is_counted(t->text));
}

struct math_node *parse_unit(struct parser *p, struct math_node *value) {
    struct math_unit unit = {.num = 1, .den = 1};
    const struct token *t = parse_peek(p);
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
        if (!dollar && !cent) unit.counted = hash_word(t->text);
        return quantity(p, value, &unit);
    }
    struct math_node *bigger = multiplier(p, value);
    if (bigger || p->over) return bigger ? parse_unit(p, bigger) : NULL;
    if (is_word(t, "percent") || is_word(t, "pct") || is_word(t, "percentage")) {
        parse_next(p);
        return parse_node(p, MATH_PERCENT, 0, 1, &value);
    }
    if (is_named_degree(t)) {
        parse_next(p);
        return parse_node(p, MATH_DEGREE, 0, 1, &value);
    }
    if (!several(p, false, &unit)) return value;
    unit.name = arena_copy(p->arena, t->text.ptr, t->text.len);
    return quantity(p, value, &unit);
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
        unit.counted = hash_word(t->text);
    struct math_node *bigger = multiplier(p, value);
    if (p->over) return NULL;
    return quantity(p, bigger ? bigger : value, &unit);
}
