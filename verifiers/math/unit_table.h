// Units, currencies and counted things by their names.
#ifndef VERIFIERS_MATH_UNIT_TABLE_H
#define VERIFIERS_MATH_UNIT_TABLE_H

#include "verifiers/math/parse.h"

// num / den * 10^ten base units.
struct unit_row {
    const char *words; // spellings
    int8_t dimension[UNIT_N_DIMENSIONS];
    int64_t num, den;
    int16_t ten;
};

const struct unit_row *unit_look_up(const struct token *t); // or NULL
bool unit_is_counted(struct slice word);                    // "students", "euro"
uint32_t unit_hash(struct slice words);                     // the same with and without a plural s

#endif
