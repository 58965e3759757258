// Values with units: the unit of a product or a sum, and conversion.
#ifndef VERIFIERS_MATH_KINDS_MEASURE_H
#define VERIFIERS_MATH_KINDS_MEASURE_H

#include "verifiers/math/kinds/kind.h"
#include "verifiers/math/kinds/unit.h"

// A value and the unit of all of it.
struct measured {
    const struct math_node *value;
    struct math_unit unit;
    bool has_unit;
};

bool measure_has_unit(const struct math_node *node); // anywhere below
// The unit of a scalar is taken out of its products, powers and sums. False where it cannot be.
bool measure(struct comparison *c, const struct math_node *node, struct measured *out);
const struct math_node *measure_in_base_units(struct comparison *c, const struct math_node *value,
                                              const struct math_unit *unit);

// Celsius and Fahrenheit have no common zero with kelvin.
bool measure_is_temperature(const struct math_unit *unit);
bool measure_is_kelvin(const struct math_unit *unit);
const struct math_node *measure_in_kelvin(struct comparison *c, const struct math_node *value,
                                          const struct math_unit *unit);

#endif
