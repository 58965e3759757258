// Units behind a number: names are brought to one spelling and compared as names.
#include <stdio.h>
#include <strings.h>

#include "verifiers/math/read.h"

// Each line is one unit: its name, then the other spellings.
static const char *const UNITS[] = {
    "mm millimeter millimeters millimetre millimetres",
    "cm centimeter centimeters centimetre centimetres",
    "m meter meters metre metres",
    "km kilometer kilometers kilometre kilometres",
    "inch inches in",
    "foot feet ft",
    "yard yards yd",
    "mile miles mi",
    "mg milligram milligrams",
    "g gram grams",
    "kg kilogram kilograms kgs",
    "ounce ounces oz",
    "pound pounds lb lbs",
    "ton tons tonne tonnes",
    "ml milliliter milliliters millilitre millilitres mL",
    "liter liters litre litres L",
    "gallon gallons gal",
    "quart quarts",
    "pint pints",
    "cup cups",
    "tablespoon tablespoons tbsp",
    "teaspoon teaspoons tsp",
    "second seconds sec secs s",
    "minute minutes min mins",
    "hour hours hr hrs h",
    "day days",
    "week weeks",
    "month months",
    "year years yr yrs",
    "dollar dollars USD usd buck bucks",
    "cent cents",
    "euro euros EUR",
    "yen JPY",
    "rupee rupees",
    "degree degrees deg",
    "radian radians rad",
    "unit units",
    "watt watts W",
    "joule joules J",
    "newton newtons N",
    "volt volts V",
    "mph",
    "point points",
    "person persons people",
    "student students",
    "acre acres",
    "hectare hectares ha",
};

// The unit's name, or NULL.
static const char *look_up(struct slice word, char name[24]) {
    for (size_t i = 0; i < sizeof UNITS / sizeof *UNITS; i++) {
        const char *p = UNITS[i];
        const size_t name_len = strcspn(p, " ");
        while (*p) {
            const size_t len = strcspn(p, " ");
            // Long spellings in any case; short ones as they are ("m" is no "M").
            if (len == word.len &&
                (len > 3 ? strncasecmp(p, word.ptr, len) == 0 : memcmp(p, word.ptr, len) == 0)) {
                snprintf(name, 24, "%.*s", (int)name_len, UNITS[i]);
                return name;
            }
            p += len + (p[len] == ' ');
        }
    }
    return NULL;
}

static bool is_word(const struct read *r, const char *word) {
    const struct slice s = read_peek(r)->text;
    return read_peek(r)->kind == LEX_WORD && s.len == strlen(word) &&
           strncasecmp(s.ptr, word, s.len) == 0;
}

// An exponent of a unit: ^2, ^{2}, **2 is none. Returns 1 when there is none.
static int power(struct read *r) {
    const int start = r->at;
    int value = 1;
    if (!read_take(r, '^')) return 1;
    const bool brace = read_take(r, '{');
    const struct slice s = read_peek(r)->text;
    if (read_peek(r)->kind == LEX_DIGITS && s.len == 1 && (s.ptr[0] == '2' || s.ptr[0] == '3')) {
        value = s.ptr[0] - '0';
        r->at++;
        if (!brace || read_take(r, '}')) return value;
    }
    r->at = start;
    return 1;
}

// One unit word with its power, "square" or "cubic" in front or the power behind. Appends to out.
// Leaves the position alone when there is none.
static bool word(struct read *r, bool in_braces, char *out, size_t size) {
    const int start = r->at;
    char name[24];
    int exponent = 1;
    read_spaces(r);
    if (is_word(r, "square") || is_word(r, "sq")) exponent = 2;
    if (is_word(r, "cubic") || is_word(r, "cu")) exponent = 3;
    if (exponent > 1) {
        r->at++;
        read_take(r, '.');
        read_spaces(r);
    }
    // "5m" is a product; "5 m" and "5\text{m}" are metres.
    const bool product = !in_braces && r->at == start && read_peek(r)->text.len == 1;
    if (read_peek(r)->kind != LEX_WORD || product || !look_up(read_peek(r)->text, name)) {
        r->at = start;
        return false;
    }
    r->at++;
    if (exponent == 1) exponent = power(r);
    const size_t len = strlen(out);
    if (exponent > 1)
        snprintf(out + len, size - len, "%s^%d", name, exponent);
    else
        snprintf(out + len, size - len, "%s", name);
    return true;
}

static bool group(struct read *r, char *out, size_t size);

// A denominator: "/ hour", "per hour".
static void per(struct read *r, bool in_braces, char *out, size_t size) {
    const int start = r->at;
    char name[40] = "";
    read_spaces(r);
    if (is_word(r, "per") || read_is(r, '/')) {
        r->at++;
        if (in_braces ? word(r, true, name, sizeof name) : group(r, name, sizeof name)) {
            const size_t len = strlen(out);
            snprintf(out + len, size - len, "/%s", name);
            return;
        }
    }
    r->at = start;
}

// A unit in braces (of \text) or not: "{ miles per hour}", "{cm}^2", "cm".
static bool group(struct read *r, char *out, size_t size) {
    const int start = r->at;
    read_spaces(r);
    const bool brace = read_take(r, '{');
    if (!brace) r->at = start;
    if (word(r, brace, out, size)) {
        if (!brace) return true;
        per(r, true, out, size);
        read_spaces(r);
        if (read_take(r, '}')) {
            const int exponent = power(r);
            const size_t len = strlen(out);
            if (exponent > 1) snprintf(out + len, size - len, "^%d", exponent);
            return true;
        }
    }
    out[0] = 0;
    r->at = start;
    return false;
}

static bool degrees(struct read *r) {
    const int start = r->at;
    if (read_take_command(r, "degree") || read_take_command(r, "degrees")) return true;
    if (read_take(r, '^')) {
        const bool brace = read_take(r, '{');
        if ((read_take_command(r, "circ") || read_take_command(r, "degree")) &&
            (!brace || read_take(r, '}')))
            return true;
    }
    r->at = start;
    return false;
}

static bool percent(struct read *r) {
    const int start = r->at;
    read_spaces(r);
    const bool brace = read_take(r, '{');
    read_spaces(r);
    bool found = read_take(r, '%');
    if (!found && (is_word(r, "percent") || is_word(r, "pct") || is_word(r, "percentage"))) {
        r->at++;
        found = true;
    }
    read_spaces(r);
    if (found && (!brace || read_take(r, '}'))) return true;
    r->at = start;
    return false;
}

bool unit_read(struct read *r, struct number *number) {
    char name[64] = "";
    if (degrees(r)) {
        snprintf(name, sizeof name, "degree");
    } else if (percent(r)) {
        number->percent = true;
        return true;
    } else {
        group(r, name, sizeof name);
    }
    if (name[0] && number->unit[0] && strcmp(name, number->unit) != 0) return false;
    if (name[0]) snprintf(number->unit, sizeof number->unit, "%s", name);
    if (number->unit[0]) per(r, false, number->unit, sizeof number->unit);
    return true;
}
