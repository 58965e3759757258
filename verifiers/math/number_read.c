#include <stdio.h>
#include <stdlib.h>
#include <strings.h>

#include "verifiers/math/read.h"

static bool value(struct read *r, struct number *out);

static bool add_digits(struct read *r, struct big *to, struct slice digits) {
    for (size_t i = 0; i < digits.len; i++)
        if (!big_scale(to, 10, (uint32_t)(digits.ptr[i] - '0'))) r->limit = true;
    if (!big_is_operand(to)) r->limit = true;
    return !r->limit;
}

// The separator of thousands at the position: the number of tokens it takes, or 0.
// ',' ',\!' '{,}' '\,' and, where nothing else can be meant, a plain space.
static int separator(const struct read *r, int at) {
    const struct lex_token *t = &r->lex.tokens[at];
    if (t->kind == LEX_THIN || (t->kind == LEX_SPACE && t->text.len == 1)) return 1;
    if (t->c == ',') return t[1].kind == LEX_THIN ? 2 : 1;
    if (t->c == '{' && t[1].c == ',' && t[2].c == '}') return 3;
    return 0;
}

// 1 to 3 digits, then groups of exactly 3, all with the same separator.
static bool integer_part(struct read *r, struct number *out, int *n_digits) {
    struct slice digits = read_peek(r)->text;
    const bool can_group = digits.len <= 3 && digits.ptr[0] != '0';
    *n_digits = (int)(digits.len <= NUMBER_MAX_DIGITS ? digits.len : NUMBER_MAX_DIGITS + 1);
    if (!add_digits(r, &out->num, digits)) return false;
    r->at++;
    if (*n_digits > NUMBER_MAX_DIGITS) r->limit = true;
    if (r->limit || !can_group) return !r->limit;
    const enum lex_kind kind = read_peek(r)->kind;
    const char c = read_peek(r)->c;
    for (;;) {
        const struct lex_token *t = read_peek(r);
        const int n = separator(r, r->at);
        if (n == 0 || t->kind != kind || t->c != c) return true;
        const struct lex_token *group = &r->lex.tokens[r->at + n];
        if (group->kind != LEX_DIGITS || group->text.len != 3) return true;
        // "2 100/7" is a mixed number.
        if (kind == LEX_SPACE && group[1].c == '/') return true;
        r->at += n;
        if (!add_digits(r, &out->num, group->text)) return false;
        *n_digits += 3;
        if (*n_digits > NUMBER_MAX_DIGITS) r->limit = true;
        r->at++;
    }
}

// \overline{3} behind the decimals: value = (all digits - digits before) / (10^d (10^r - 1)).
static bool repetend(struct read *r, struct number *out) {
    const int start = r->at;
    if (!read_take_command(r, "overline") && !read_take_command(r, "bar")) return true;
    const bool brace = read_take(r, '{');
    const struct slice digits = read_peek(r)->text;
    if (read_peek(r)->kind != LEX_DIGITS || (!brace && digits.len > 1)) {
        r->at = start;
        return false;
    }
    r->at++;
    if (brace && !read_take(r, '}')) return false;
    const struct big before = out->num;
    struct big nines;
    big_set(&nines, 0);
    if (!add_digits(r, &out->num, digits)) return false;
    big_sub(&out->num, &out->num, &before);
    for (size_t i = 0; i < digits.len; i++) big_scale(&nines, 10, 9);
    const struct big den = out->den;
    if (!big_mul(&out->den, &den, &nines) || !big_is_operand(&out->den)) r->limit = true;
    out->form = NUMBER_FRACTION;
    return !r->limit;
}

// Digits behind the point, in groups of any length with thin spaces between.
static bool decimals(struct read *r, struct number *out) {
    out->form = NUMBER_DECIMAL;
    while (read_peek(r)->kind == LEX_DIGITS) {
        const struct slice digits = read_peek(r)->text;
        if (digits.len > NUMBER_MAX_DIGITS) r->limit = true;
        if (r->limit || !add_digits(r, &out->num, digits)) return false;
        out->n_decimals += (int)digits.len;
        r->at++;
        if (read_peek(r)->kind == LEX_THIN && r->lex.tokens[r->at + 1].kind == LEX_DIGITS) r->at++;
    }
    if (!big_scale_pow10(&out->den, out->n_decimals) || !big_is_operand(&out->den)) r->limit = true;
    return !r->limit && repetend(r, out);
}

static bool small_integer(struct read *r, int *out) {
    const bool minus = read_take(r, '-');
    if (!minus) read_take(r, '+');
    const struct slice digits = read_peek(r)->text;
    if (read_peek(r)->kind != LEX_DIGITS) return false;
    int size = 0;
    for (size_t i = 0; i < digits.len && size <= NUMBER_MAX_EXPONENT; i++)
        size = size * 10 + (digits.ptr[i] - '0');
    if (size > NUMBER_MAX_EXPONENT) {
        r->limit = true;
        return false;
    }
    *out = minus ? -size : size;
    r->at++;
    return true;
}

static bool scale10(struct read *r, struct number *out, int exponent) {
    struct big *side = exponent < 0 ? &out->den : &out->num;
    if (!big_scale_pow10(side, abs(exponent)) || !big_is_operand(side)) r->limit = true;
    if (exponent < 0) out->form = NUMBER_DECIMAL;
    out->n_decimals = out->n_decimals > exponent ? out->n_decimals - exponent : 0;
    return !r->limit;
}

// "\times 10^{3}", "e3", "E-3" behind a decimal. Takes nothing where there is none.
static bool scientific(struct read *r, struct number *out) {
    const int start = r->at;
    int exponent = 0;
    const struct slice word = read_peek(r)->text;
    if (read_peek(r)->kind == LEX_WORD && (slice_is(word, "e") || slice_is(word, "E"))) {
        r->at++;
        if (small_integer(r, &exponent)) return scale10(r, out, exponent);
        r->at = start;
        return !r->limit;
    }
    read_spaces(r);
    if (read_take_command(r, "times") || read_take_command(r, "cdot") || read_take(r, '*')) {
        read_spaces(r);
        if (read_peek(r)->kind == LEX_DIGITS && slice_is(read_peek(r)->text, "10")) {
            r->at++;
            if (read_take(r, '^')) {
                const bool brace = read_take(r, '{');
                if (small_integer(r, &exponent) && (!brace || read_take(r, '}')))
                    return scale10(r, out, exponent);
            }
        }
    }
    r->at = start;
    return !r->limit;
}

static int significant(struct slice first, int n_digits) {
    // Leading zeros of "0.05" are in the first token and in the decimals; counted from the value.
    return slice_is(first, "0") ? n_digits - 1 : n_digits;
}

// An unsigned decimal: digits, groups, point. The caller zeroed `out`.
static bool decimal(struct read *r, struct number *out) {
    int n_digits = 0;
    const struct slice first = read_peek(r)->text;
    const bool has_integer = read_peek(r)->kind == LEX_DIGITS;
    big_set(&out->num, 0);
    big_set(&out->den, 1);
    if (has_integer && !integer_part(r, out, &n_digits)) return false;
    const enum lex_kind behind = r->lex.tokens[r->at + (read_peek(r)->kind != LEX_END)].kind;
    const struct lex_token *next = &r->lex.tokens[r->at + (read_peek(r)->kind != LEX_END)];
    const bool repeats =
        behind == LEX_COMMAND && (slice_is(next->text, "overline") || slice_is(next->text, "bar"));
    if (read_is(r, '.') && (behind == LEX_DIGITS || (has_integer && repeats))) {
        const int start = r->at + 1;
        r->at++;
        if (!decimals(r, out)) return false;
        int zeros = 0; // "0.0012" has 2 significant digits
        const struct slice after = r->lex.tokens[start].text;
        if (!has_integer || slice_is(first, "0"))
            while ((size_t)zeros < after.len && after.ptr[zeros] == '0') zeros++;
        out->n_significant = significant(first, n_digits) + out->n_decimals - zeros;
    } else if (!has_integer) {
        return false;
    } else {
        out->n_significant = n_digits;
    }
    return scientific(r, out);
}

// out = a / b, both unsigned but for their signs. False when b is zero.
static bool divide(struct read *r, struct number *out, const struct number *a,
                   const struct number *b) {
    struct big num, den;
    if (b->num.n == 0) return false;
    if (!big_mul(&num, &a->num, &b->den) || !big_mul(&den, &a->den, &b->num) ||
        !big_is_operand(&num) || !big_is_operand(&den)) {
        r->limit = true;
        return false;
    }
    out->num = num;
    out->den = den;
    out->negative = a->negative != b->negative;
    out->form = NUMBER_FRACTION;
    return true;
}

// An argument of \frac: {signed number} or one digit.
static bool argument(struct read *r, struct number *out) {
    memset(out, 0, sizeof *out);
    read_spaces(r);
    if (read_is(r, '{')) return value(r, out) && out->unit[0] == 0 && !out->percent;
    struct lex_token *t = &r->lex.tokens[r->at];
    if (t->kind != LEX_DIGITS) return false;
    big_set(&out->num, (uint32_t)(t->text.ptr[0] - '0'));
    big_set(&out->den, 1);
    t->text.ptr++;
    if (--t->text.len == 0) r->at++;
    return true;
}

static bool fraction(struct read *r, struct number *out) {
    struct number a, b;
    if (read_peek(r)->kind == LEX_VULGAR) {
        const char *text = read_peek(r)->text.ptr;
        big_set(&out->num, (uint32_t)(text[0] - '0'));
        big_set(&out->den, (uint32_t)(text[2] - '0'));
        out->form = NUMBER_FRACTION;
        r->at++;
        return true;
    }
    return read_take_command(r, "frac") && argument(r, &a) && argument(r, &b) &&
           divide(r, out, &a, &b);
}

static bool is_integer(const struct number *a) {
    return a->form == NUMBER_INTEGER && !a->negative;
}

// whole + part, for a proper fraction behind an integer.
static bool mixed(struct read *r, struct number *out, const struct number *part) {
    struct big scaled, sum;
    if (part->negative || big_compare(&part->num, &part->den) >= 0) return false;
    if (!big_mul(&scaled, &out->num, &part->den) || !big_add(&sum, &scaled, &part->num) ||
        !big_is_operand(&sum)) {
        r->limit = true;
        return false;
    }
    out->num = sum;
    out->den = part->den;
    out->form = NUMBER_FRACTION;
    return true;
}

static bool starts_fraction(const struct read *r) {
    return read_peek(r)->kind == LEX_VULGAR || read_is_command(r, "frac");
}

// What may stand behind a decimal to make it more than that: "/ b", a fraction (a mixed number).
static bool behind_decimal(struct read *r, struct number *out) {
    const int start = r->at;
    struct number b;
    memset(&b, 0, sizeof b);
    read_spaces(r);
    if (starts_fraction(r)) return is_integer(out) && fraction(r, &b) && mixed(r, out, &b);
    if (read_peek(r)->kind == LEX_DIGITS && r->at > start && is_integer(out)) { // "2 1/3"
        struct number c;
        memset(&c, 0, sizeof c);
        if (decimal(r, &b) && is_integer(&b) && read_take(r, '/') && decimal(r, &c) &&
            is_integer(&c))
            return divide(r, &b, &b, &c) && mixed(r, out, &b);
        return false;
    }
    if (read_take(r, '/')) {
        read_spaces(r);
        const bool starts = read_peek(r)->kind == LEX_DIGITS || read_is(r, '{') || read_is(r, '(');
        if (starts) {
            const bool number = read_peek(r)->kind == LEX_DIGITS ? decimal(r, &b) : value(r, &b);
            return number && b.unit[0] == 0 && !b.percent && divide(r, out, out, &b);
        }
    }
    r->at = start;
    return true;
}

// sign? currency? sign? (decimal | fraction | {value} | (value)) unit?
static bool value(struct read *r, struct number *out) {
    bool minus = false, has_sign = false;
    read_spaces(r);
    for (;; read_spaces(r)) {
        if (!has_sign && (read_is(r, '-') || read_is(r, '+'))) {
            minus = read_take(r, '-');
            if (!minus) r->at++;
            has_sign = true;
        } else if (read_peek(r)->kind == LEX_CURRENCY && !out->unit[0]) {
            snprintf(out->unit, sizeof out->unit, "%.*s", SLICE_ARG(read_peek(r)->text));
            r->at++;
        } else {
            break;
        }
    }
    bool ok;
    if (read_is(r, '{') || read_is(r, '(')) {
        const char close = read_is(r, '{') ? '}' : ')';
        if (++r->depth > NUMBER_MAX_DEPTH) r->limit = true;
        r->at++;
        ok = !r->limit && value(r, out);
        read_spaces(r);
        if (ok && close == '}') read_take(r, '.');
        ok = ok && read_take(r, close);
        if (ok && !out->unit[0] && !out->percent) ok = behind_decimal(r, out);
        r->depth--;
    } else if (starts_fraction(r)) {
        ok = fraction(r, out);
    } else {
        ok = decimal(r, out) && behind_decimal(r, out);
    }
    if (!ok || r->limit) return false;
    out->negative = out->negative != minus;
    return unit_read(r, out);
}

// Words that change the number in front of them, or name another one.
static const char *const MEANINGFUL[] = {
    "or",       "and",       "not",       "nor",     "but",      "either",    "hundred",
    "hundreds", "thousand",  "million",   "billion", "trillion", "dozen",     "dozens",
    "half",     "halves",    "third",     "thirds",  "quarter",  "quarters",  "fourths",
    "fifths",   "sixths",    "eighths",   "tenths",  "percent",  "squared",   "cubed",
    "times",    "plus",      "minus",     "over",    "divided",  "to",        "through",
    "between",  "than",      "factorial", "mod",     "modulo",   "zero",      "one",
    "two",      "three",     "four",      "five",    "six",      "seven",     "eight",
    "nine",     "ten",       "eleven",    "twelve",  "wrong",    "incorrect", "more",
    "less",     "remainder", "negative",  "base",    "power",    "root",      "if",
    "unless",   "k",         "i",         "x",       "y",        "n",         "e",
    "pi",       "score",
};

// Whether the rest are words that leave the number as it is.
static bool is_prose(struct read *r) {
    for (; read_peek(r)->kind != LEX_END; r->at++) {
        const struct lex_token *t = read_peek(r);
        if (t->kind == LEX_SPACE) continue;
        if (t->kind == LEX_CHAR && strchr(",.;!'\"*_-", t->c)) continue;
        if (t->kind != LEX_WORD) return false;
        for (size_t i = 0; i < sizeof MEANINGFUL / sizeof *MEANINGFUL; i++)
            if (t->text.len == strlen(MEANINGFUL[i]) &&
                strncasecmp(t->text.ptr, MEANINGFUL[i], t->text.len) == 0)
                return false;
    }
    return true;
}

// Emphasis and quotes around an answer, and its full stop.
static void decoration(struct read *r) {
    while (read_peek(r)->kind == LEX_SPACE || read_peek(r)->kind == LEX_THIN ||
           (read_peek(r)->kind == LEX_CHAR && read_peek(r)->c && strchr("*_\"'", read_peek(r)->c)))
        r->at++;
}

// "x =" in front of a number: one variable, a letter or a command of Greek ones is not told apart.
static void variable(struct read *r) {
    const int start = r->at;
    const struct lex_token *t = read_peek(r);
    if ((t->kind == LEX_WORD && t->text.len == 1) || t->kind == LEX_COMMAND) {
        r->at++;
        read_spaces(r);
        if (read_take(r, '=')) return;
    }
    r->at = start;
}

// The word "and" or "or", in braces (of \text) or not.
static bool conjunction(struct read *r) {
    const int start = r->at;
    read_spaces(r);
    const bool brace = read_take(r, '{');
    read_spaces(r);
    const struct lex_token *t = read_peek(r);
    if (t->kind == LEX_WORD && (slice_is(t->text, "and") || slice_is(t->text, "or"))) {
        r->at++;
        read_spaces(r);
        if (!brace || read_take(r, '}')) return true;
    }
    r->at = start;
    return false;
}

enum number_result number_read(struct slice text, bool prose, struct number_list *out) {
    struct read r;
    memset(&r, 0, sizeof r);
    out->n = 0;
    if (!lex_run(text, &r.lex)) return NUMBER_LIMIT;
    decoration(&r);
    for (;;) {
        if (out->n == NUMBER_MAX_LIST) return NUMBER_LIMIT;
        struct number *item = &out->items[out->n];
        memset(item, 0, sizeof *item);
        variable(&r);
        if (!value(&r, item)) return r.limit ? NUMBER_LIMIT : NUMBER_NONE;
        out->n++;
        const int behind = r.at;
        read_spaces(&r);
        const bool comma = read_take(&r, ',') || read_take(&r, ';');
        if (!conjunction(&r) && !comma) {
            r.at = behind;
            break;
        }
        read_spaces(&r);
        const struct lex_token *t = read_peek(&r);
        if (prose && comma && t->kind == LEX_WORD && t->text.len > 1) {
            r.at = behind; // "42, because ..."
            break;
        }
        if (t->kind == LEX_END) { // a comma at the end
            r.at = behind + 1;
            break;
        }
    }
    decoration(&r);
    if (read_take(&r, '.')) decoration(&r);
    if (read_peek(&r)->kind == LEX_END || (prose && is_prose(&r))) return NUMBER_READ;
    return NUMBER_NONE;
}
