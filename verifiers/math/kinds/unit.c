// Units as they are written: names with powers, products and quotients of them.
#include "verifiers/math/kinds/unit.h"

enum { MAX_NAME = 32 };

static bool scale(int64_t *value, int64_t factor, int times) {
    for (; times > 0; times--)
        if (__builtin_mul_overflow(*value, factor, value)) return false;
    return true;
}

bool unit_combine(struct math_unit *a, const struct math_unit *b, int power) {
    const int times = power < 0 ? -power : power;
    for (int i = 0; i < UNIT_N_DIMENSIONS; i++) {
        const int sum = a->dimension[i] + b->dimension[i] * power;
        if (sum < -100 || sum > 100) return false;
        a->dimension[i] = (int8_t)sum;
    }
    const int ten = a->ten + b->ten * power;
    if (ten < -1000 || ten > 1000) return false;
    a->ten = (int16_t)ten;
    if (b->counted) a->counted = b->counted;
    a->vague |= b->vague;
    a->counter |= b->counter;
    return scale(power > 0 ? &a->num : &a->den, b->num, times) &&
           scale(power > 0 ? &a->den : &a->num, b->den, times);
}

bool unit_same_dimension(const struct math_unit *a, const struct math_unit *b) {
    for (int i = 0; i < UNIT_RADIAN; i++) // rad/s is 1/s
        if (a->dimension[i] != b->dimension[i]) return false;
    return a->counted == b->counted;
}

bool unit_is_angle(const struct math_unit *unit) {
    for (int i = 0; i < UNIT_RADIAN; i++)
        if (unit->dimension[i]) return false;
    return unit->dimension[UNIT_RADIAN] == 1 && !unit->counted && !unit->unknown;
}

bool unit_same(const struct math_unit *a, const struct math_unit *b) {
    return unit_same_dimension(a, b) && a->num == b->num && a->den == b->den && a->ten == b->ten &&
           a->vague == b->vague && !a->unknown && !b->unknown;
}

int unit_power(struct parser *p) {
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
    if (power < 1 || power > 6) return 1;
    for (i += brace ? 2 : 1; i > 0; i--) parse_next(p);
    return minus ? -power : power;
}

// The letters of one name at the parser, written together: "km", "kΩ", "μm".
struct name {
    char text[MAX_NAME];
    size_t ends[3]; // of the name made of the first 1, 2, 3 tokens
    int n;
};

static void read_name(const struct parser *p, struct name *out) {
    const struct token *t = parse_peek(p);
    size_t len = 0;
    out->n = 0;
    for (; out->n < 3; t++) {
        const bool mu = t->kind == TOKEN_NAME && slice_is(t->text, "mu");
        const bool omega = t->kind == TOKEN_NAME && slice_is(t->text, "Omega");
        // A function's name is a unit's only where it is written as a word: 5 min, not 5 \min.
        const bool letters = t->kind == TOKEN_WORD || (t->kind == TOKEN_FUNCTION && t->plain);
        const bool behind_mu = out->n == 1 && t[-1].kind == TOKEN_NAME; // "\mu m"
        if (!mu && !omega && !letters) return;
        if (out->n > 0 && (t->space || t->thin) && !behind_mu) return;
        const struct slice text = mu ? slice_of("u") : omega ? slice_of("Ohm") : t->text;
        if (len + text.len > MAX_NAME) return;
        memcpy(out->text + len, text.ptr, text.len);
        len += text.len;
        out->ends[out->n++] = len;
    }
}

static bool is_ohm(const struct token *t) {
    return t->kind == TOKEN_NAME && slice_is(t->text, "Omega") && !t->space && !t->thin;
}

bool unit_is_ohm_prefix(const struct token *t) {
    const bool font = t->kind == TOKEN_FONT && t[1].c == '{' && t[3].c == '}';
    const struct token *letter = font ? t + 2 : t;
    return letter->kind == TOKEN_WORD && letter->text.len == 1 && is_ohm(font ? t + 4 : t + 1);
}

bool unit_is_with_name(const struct token *t) {
    struct math_unit unit;
    if (unit_is_ohm_prefix(t)) return true;
    const bool over = t[1].kind == TOKEN_CHAR && t[1].c == '/' && !t[2].space;
    const struct token *name = over ? t + 2 : t + 1;
    const bool word = name->kind == TOKEN_WORD || (name->kind == TOKEN_FUNCTION && name->plain);
    const bool raised = name->space && name[1].kind == TOKEN_CHAR && name[1].c == '^';
    return t->space && word && (over || raised) && name->text.len > 1 &&
           unit_find(name->text, &unit);
}

// A named unit, or one that is counted or vague. False leaves the parser alone.
static bool named(struct parser *p, bool in_text, struct math_unit *out) {
    struct name name;
    const struct token *t = parse_peek(p);
    *out = (struct math_unit){.num = 1, .den = 1};
    if (p->inside) return false;
    read_name(p, &name);
    for (int n = name.n; n > 0; n--) {
        const struct slice whole = {name.text, name.ends[n - 1]};
        const bool variable = whole.len == 1 && !in_text && !unit_is_with_name(t);
        if (variable || !unit_find(whole, out)) continue;
        while (n-- > 0) parse_next(p);
        return true;
    }
    *out = (struct math_unit){.num = 1, .den = 1};
    if (parse_is_word(t, "unit") || parse_is_word(t, "units"))
        out->vague = true;
    else if (t->kind != TOKEN_WORD || (t->text.len == 1 && !in_text) ||
             !(unit_find_counted(t->text, out) || unit_counter(t->text, out)))
        return false;
    parse_next(p);
    return true;
}

// `last` is the last factor: a power behind a font is its own, \text{m/s}^2.
static bool product(struct parser *p, bool in_text, struct math_unit *out, struct math_unit *last);

// \frac{m}{s}
static bool fraction(struct parser *p, bool in_text, struct math_unit *out) {
    struct math_unit bottom = {.num = 1, .den = 1}, last;
    if (!parse_take_command(p, "frac")) return false;
    for (int part = 0; part < 2; part++) {
        struct math_unit *unit = part ? &bottom : out;
        if (!parse_take(p, '{') || !product(p, in_text, unit, &last) || !parse_take(p, '}'))
            return false;
    }
    return unit_combine(out, &bottom, -1);
}

// \text{k}\Omega
static bool ohms(struct parser *p, struct math_unit *out) {
    char name[] = "kOhm";
    name[0] = parse_peek(p)[2].text.ptr[0];
    for (int i = 0; i < 5; i++) parse_next(p);
    return unit_find(slice_of(name), out);
}

// What stands in a bracket or a font of its own.
static bool group(struct parser *p, bool in_text, struct math_unit *out, struct math_unit *last) {
    const bool font = parse_peek(p)->kind == TOKEN_FONT;
    char close = '}';
    if (font) parse_next(p);
    if (!font && parse_is(p, '(')) close = ')';
    if (!parse_is(p, close == ')' ? '(' : '{') || parse_peek(p)->op == 9) return false;
    parse_next(p);
    if (!product(p, in_text || font, out, last)) return false;
    if (font) parse_take(p, '.');
    return parse_take(p, close);
}

static bool factor(struct parser *p, bool in_text, struct math_unit *out) {
    const int start = p->at;
    struct math_unit base, last;
    int power = 1;
    if (parse_is_word(parse_peek(p), "square") || parse_is_word(parse_peek(p), "sq")) power = 2;
    if (parse_is_word(parse_peek(p), "cubic") || parse_is_word(parse_peek(p), "cu")) power = 3;
    if (power > 1) {
        parse_next(p);
        parse_take(p, '.');
        in_text = true; // "sq m"
    }
    // \mu\text{m}
    const struct token *t = parse_peek(p);
    const bool micro = t->kind == TOKEN_NAME && slice_is(t->text, "mu") && t[1].kind == TOKEN_FONT;
    if (micro) parse_next(p);
    t = parse_peek(p);
    const bool bracket =
        t->kind == TOKEN_FONT || (t->kind == TOKEN_CHAR && (t->c == '{' || t->c == '('));
    const bool prefix = t->kind == TOKEN_FONT && unit_is_ohm_prefix(t);
    bool good = parse_is_command(p, "frac") ? fraction(p, in_text, &base)
                : prefix                    ? ohms(p, &base)
                : bracket                   ? group(p, in_text, &base, &last)
                                            : named(p, in_text, &base);
    if (good && power == 1) power = unit_power(p);
    *out = (struct math_unit){.num = 1, .den = 1};
    if (good && micro) out->ten = -6;
    if (good && t->kind == TOKEN_FONT && !prefix && power != 1)
        good = unit_combine(out, &base, 1) && unit_combine(out, &last, power - 1);
    else if (good)
        good = unit_combine(out, &base, power);
    if (!good) {
        p->at = start;
        p->inside = 0;
    }
    return good;
}

// "km h^{-1}": behind a unit a letter with a power is one too.
static bool is_raised(const struct parser *p) {
    const struct token *t = parse_peek(p);
    return t->kind == TOKEN_WORD && t->space && t[1].kind == TOKEN_CHAR && t[1].c == '^';
}

// Whether the next factor needs no sign in front of it: within a font a space, outside of one the
// font itself.
static bool is_joined(const struct parser *p, bool in_text) {
    const struct token *t = parse_peek(p);
    if (p->inside) return false;
    if (is_raised(p)) return true;
    return in_text ? t->space || t->thin || t->kind == TOKEN_FONT : t->kind == TOKEN_FONT;
}

static bool product(struct parser *p, bool in_text, struct math_unit *out, struct math_unit *last) {
    if (!parse_enter(p)) return false;
    bool good = factor(p, in_text, out);
    *last = *out;
    while (good) {
        const int start = p->at;
        const bool per = parse_is_word(parse_peek(p), "per") || parse_is(p, '/');
        const bool times = parse_is(p, '*') || (in_text && parse_is(p, '-'));
        struct math_unit next;
        if (!per && !times && !is_joined(p, in_text)) break;
        if (per || times) parse_next(p);
        if (per && (parse_is_word(parse_peek(p), "a") || parse_is_word(parse_peek(p), "an")))
            parse_next(p);
        // A lone letter behind "per" is a unit: km/h.
        if (!factor(p, in_text || per || is_raised(p), &next)) {
            p->at = start;
            break;
        }
        *last = (struct math_unit){.num = 1, .den = 1};
        good = unit_combine(out, &next, per ? -1 : 1) && unit_combine(last, &next, per ? -1 : 1);
    }
    parse_leave(p);
    return good;
}

bool unit_read(struct parser *p, bool in_text, struct math_unit *out) {
    const int start = p->at;
    const struct token *t = parse_peek(p);
    struct math_unit last;
    if (p->inside || !product(p, in_text, out, &last)) {
        p->at = start;
        return false;
    }
    while (t->kind == TOKEN_FONT || (t->kind == TOKEN_CHAR && t->c == '{')) t++;
    size_t len = p->t[p->at].at > t->at ? p->t[p->at].at - t->at : 0;
    while (len > 0 && strchr(" }", p->text.ptr[t->at + len - 1])) len--;
    out->name = arena_copy(p->arena, p->text.ptr + t->at, len);
    return true;
}

// "$", \text{$}, \text{US}$: how many tokens at `t`, or 0. The last of them but the brace is it.
static int currency_sign(const struct token *t) {
    if (t->kind == TOKEN_CURRENCY) return 1;
    if (t->kind != TOKEN_FONT || t[1].c != '{' || t[3].c != '}') return 0;
    if (t[2].kind == TOKEN_CURRENCY) return 4;
    return slice_is(t[2].text, "US") && t[4].kind == TOKEN_CURRENCY ? 5 : 0;
}

int unit_currency(const struct parser *p, struct math_unit *out) {
    const struct token *t = parse_peek(p);
    *out = (struct math_unit){.num = 1, .den = 1};
    if (p->inside) return 0;
    const int sign = currency_sign(t);
    if (sign > 0) {
        const struct slice mark = t[sign == 4 ? 2 : sign - 1].text;
        out->name = arena_copy(p->arena, mark.ptr, mark.len);
        if (slice_is(mark, "dollar"))
            out->dimension[UNIT_DOLLAR] = 1;
        else
            out->counted = unit_hash(mark);
        return sign;
    }
    const bool font = t->kind == TOKEN_FONT && t[1].c == '{';
    const struct token *word = font ? t + 2 : t, *behind = word + 1;
    if (word->kind != TOKEN_WORD || word->text.len < 2) return 0;
    if (behind->c == '.' && (font || behind[1].space)) behind++; // Rs. 42
    if (font && behind++->c != '}') return 0;
    if (behind->kind != TOKEN_DIGITS) return 0;
    const bool dollars = slice_is(word->text, "USD") && unit_find(word->text, out);
    if (!dollars && !unit_find_currency(word->text, out)) return 0;
    out->name = arena_copy(p->arena, word->text.ptr, word->text.len);
    return (int)(behind - t);
}
