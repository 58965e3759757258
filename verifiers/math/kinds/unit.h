// Units behind a value, and their names. The quantity kind (quantity.c) makes answers of them.
#ifndef VERIFIERS_MATH_KINDS_UNIT_H
#define VERIFIERS_MATH_KINDS_UNIT_H

#include "verifiers/math/read/parse.h"

// num / den * 10^ten base units: metre, kilogram, second, ampere, kelvin, mole, candela, US dollar,
// bit, radian.
struct unit_row {
    const char *words; // spellings; up to three letters are compared as they are written
    int8_t dimension[UNIT_N_DIMENSIONS];
    int64_t num, den;
    int16_t ten;
    bool prefixes; // takes those of the SI: "km", "kilometers"
};

// unit_table.c: by name. False: there is none of that name.
bool unit_find(struct slice name, struct math_unit *out);
bool unit_find_currency(struct slice word, struct math_unit *out); // "euro", but no dollars
bool unit_find_counted(struct slice word, struct math_unit *out);  // that, and "students"
uint32_t unit_hash(struct slice words); // the same with and without a plural s

// A word of a script that writes no spaces, behind a number: how many bytes of it are a counter or
// unit and what is counted ("个苹果"), 0 where it may say something else ("万", "或13").
size_t unit_counter(struct slice word, struct math_unit *out);

// unit.c: a unit, alone or composed ("kg·m/s^2", "\mathrm{m\,s^{-1}}", "miles per hour"), at the
// parser. `in_text`: within \text{} or the like, where a lone letter is a unit and no variable.
// False leaves the parser alone.
bool unit_read(struct parser *p, bool in_text, struct math_unit *out);
// A currency in front of its amount: "$", "USD", \text{EUR }. How many tokens, or 0.
int unit_currency(const struct parser *p, struct math_unit *out);
// "72 g/mol", "72 g mol^{-1}": whether the letter at t, behind a number, goes on to the name of a
// unit and so is one.
bool unit_is_with_name(const struct token *t);
// "kΩ", \text{k}\Omega: whether a prefix with an ohm behind it begins at t.
bool unit_is_ohm_prefix(const struct token *t);
// ^2, ^{-1}, "squared" behind a unit or a group of units; 1 where there is none.
int unit_power(struct parser *p);
// a = a * b^power; false when it is too large.
bool unit_combine(struct math_unit *a, const struct math_unit *b, int power);
bool unit_same_dimension(const struct math_unit *a, const struct math_unit *b);
bool unit_is_angle(const struct math_unit *unit); // radians
bool unit_same(const struct math_unit *a, const struct math_unit *b);

#endif
