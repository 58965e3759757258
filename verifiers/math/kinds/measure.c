// Values with units: what they amount to.
#include "verifiers/math/kinds/measure.h"

static struct math_node *power_of_ten(struct comparison *c, int exponent) {
    const struct math_node *const pair[] = {tree_number(10, c->arena),
                                            tree_number(exponent, c->arena)};
    return kind_node(c, MATH_POW, 0, 2, pair);
}

const struct math_node *measure_in_base_units(struct comparison *c, const struct math_node *value,
                                              const struct math_unit *unit) {
    if (unit->num == 1 && unit->den == 1 && unit->ten == 0) return value;
    const struct math_node *const inverse[] = {tree_number((long)unit->den, c->arena),
                                               tree_number(-1, c->arena)};
    const struct math_node *const factors[] = {value, tree_number((long)unit->num, c->arena),
                                               kind_node(c, MATH_POW, 0, 2, inverse),
                                               power_of_ten(c, unit->ten)};
    return kind_node(c, MATH_MUL, 0, 4, factors);
}

bool measure_has_unit(const struct math_node *node) {
    return tree_has(node, MATH_QUANTITY);
}

static bool product(struct comparison *c, const struct math_node *node, struct measured *out) {
    const struct math_node **kids = arena_take(c->arena, (size_t)node->n, sizeof *kids);
    for (int i = 0; i < node->n; i++) {
        struct measured part;
        if (!measure(c, node->kids[i], &part)) return false;
        kids[i] = part.value;
        if (!part.has_unit) continue;
        if (part.unit.unknown && out->has_unit) return false;
        if (!out->has_unit)
            out->unit = part.unit;
        else if (!unit_combine(&out->unit, &part.unit, 1))
            return false;
        out->has_unit = true;
    }
    out->value = kind_rebuilt(c, node, kids);
    return true;
}

// All terms have one dimension, or only the last has a unit, which is then that of all: 2 + 3 cm.
static bool sum(struct comparison *c, const struct math_node *node, struct measured *out) {
    const struct math_node **kids = arena_take(c->arena, (size_t)node->n, sizeof *kids);
    struct measured *parts = arena_take(c->arena, (size_t)node->n, sizeof *parts);
    int n_units = 0;
    for (int i = 0; i < node->n; i++) {
        if (!measure(c, node->kids[i], &parts[i])) return false;
        n_units += parts[i].has_unit;
        kids[i] = parts[i].value;
    }
    const struct measured *last = &parts[node->n - 1];
    if (!last->has_unit || (n_units != 1 && n_units != node->n)) return false;
    bool convert = false;
    for (int i = 0; i < node->n && n_units > 1; i++) {
        if (last->unit.unknown || parts[i].unit.unknown ||
            !unit_same_dimension(&last->unit, &parts[i].unit))
            return false;
        convert |= !unit_same(&last->unit, &parts[i].unit);
    }
    for (int i = 0; i < node->n && convert; i++)
        kids[i] = measure_in_base_units(c, kids[i], &parts[i].unit);
    out->unit = last->unit;
    if (convert) out->unit.num = out->unit.den = 1, out->unit.ten = 0;
    out->has_unit = true;
    out->value = kind_rebuilt(c, node, kids);
    return true;
}

static bool power(struct comparison *c, const struct math_node *node, struct measured *out) {
    struct ratio exponent;
    struct measured base;
    if (!measure(c, node->kids[0], &base) || !base.has_unit || base.unit.unknown ||
        !ratio_of(node->kids[1], &exponent) || exponent.den != 1 || exponent.num > 6 ||
        exponent.num < -6)
        return false;
    out->unit = (struct math_unit){.num = 1, .den = 1, .name = base.unit.name};
    out->has_unit = true;
    const struct math_node *const pair[] = {base.value, node->kids[1]};
    out->value = kind_rebuilt(c, node, pair);
    return unit_combine(&out->unit, &base.unit, (int)exponent.num);
}

bool measure(struct comparison *c, const struct math_node *node, struct measured *out) {
    *out = (struct measured){.value = node};
    if (!measure_has_unit(node)) return true;
    switch (node->kind) {
    case MATH_QUANTITY:
        out->value = node->kids[0];
        out->unit = *node->unit;
        out->has_unit = true;
        return !measure_has_unit(node->kids[0]);
    case MATH_MUL:
        return product(c, node, out);
    case MATH_ADD:
        return sum(c, node, out);
    case MATH_POW:
        return power(c, node, out);
    default:
        return false;
    }
}

bool measure_is_temperature(const struct math_unit *unit) {
    return unit->counted == unit_hash(slice_of("celsius")) ||
           unit->counted == unit_hash(slice_of("fahrenheit"));
}

const struct math_node *measure_in_kelvin(struct comparison *c, const struct math_node *value,
                                          const struct math_unit *unit) {
    if (!unit->counted) return measure_in_base_units(c, value, unit);
    const bool celsius = unit->counted == unit_hash(slice_of("celsius"));
    const struct math_node *zero = kind_quotient(c, tree_number(celsius ? 27315 : 45967, c->arena),
                                                 tree_number(100, c->arena));
    const struct math_node *const sum[] = {value, zero};
    const struct math_node *kelvin = kind_node(c, MATH_ADD, 0, 2, sum);
    if (celsius) return kelvin;
    const struct math_node *const factors[] = {tree_number(5, c->arena), kelvin};
    return kind_quotient(c, kind_node(c, MATH_MUL, 0, 2, factors), tree_number(9, c->arena));
}

bool measure_is_kelvin(const struct math_unit *unit) {
    const struct math_unit kelvin = {.dimension = {0, 0, 0, 0, 1}};
    return !unit->vague && !unit->unknown && unit_same_dimension(unit, &kelvin);
}
