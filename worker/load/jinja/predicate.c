#include "worker/load/jinja/predicate.h"

#include "worker/load/jinja/arith.h"
#include "worker/load/jinja/method.h"
#include "worker/load/jinja/repr.h"

#define TEST(name)                                                                                 \
    static int name(struct run *r, struct value self, const struct args *args, struct value *out)

// Of a type, or one of several: no argument, and no failure.
#define TYPE_TEST(name, condition)                                                                 \
    TEST(name) {                                                                                   \
        (void)r, (void)args;                                                                       \
        *out = value_bool(condition);                                                              \
        return 0;                                                                                  \
    }

TYPE_TEST(defined, self.type != VALUE_UNDEFINED)
TYPE_TEST(undefined, self.type == VALUE_UNDEFINED)
TYPE_TEST(none, self.type == VALUE_NONE)
TYPE_TEST(boolean, self.type == VALUE_BOOL)
TYPE_TEST(is_true, self.type == VALUE_BOOL && self.boolean)
TYPE_TEST(is_false, self.type == VALUE_BOOL && !self.boolean)
TYPE_TEST(integer, self.type == VALUE_INT || self.type == VALUE_BIG)
TYPE_TEST(is_float, self.type == VALUE_FLOAT)
TYPE_TEST(number, value_is_number(self))
TYPE_TEST(string, value_is_string(self))
TYPE_TEST(mapping, self.type == VALUE_DICT)
TYPE_TEST(escaped, value_is_string(self) && self.markup)

// What has a length and items; for Jinja that is so for undefined values too.
static bool has_items(struct value v) {
    return value_is_string(v) || value_is_sequence(v) || v.type == VALUE_DICT ||
           v.type == VALUE_RANGE || v.type == VALUE_UNDEFINED;
}

static bool is_callable(struct value v) {
    return v.type == VALUE_MACRO || v.type == VALUE_METHOD || v.type == VALUE_FUNCTION ||
           v.type == VALUE_LOOP || v.type == VALUE_UNDEFINED;
}

TYPE_TEST(sequence, has_items(self))
TYPE_TEST(iterable, has_items(self) || self.type == VALUE_VIEW || self.type == VALUE_ITERATOR ||
                        self.type == VALUE_LOOP)
TYPE_TEST(callable, is_callable(self))

// ---- numbers

static int remainder_is(struct run *r, struct value self, struct value divisor, int64_t rest,
                        struct value *out) {
    struct value remainder;
    bool same;
    if (self.type == VALUE_UNDEFINED) return value_fail_undefined(r, self);
    if (!value_is_number(self))
        return run_fail(r, "%s is divided by a test, expected a number.", value_type_name(self));
    if (arith_binary(r, ARITH_MOD, self, divisor, &remainder) ||
        value_equal(r, remainder, value_int(rest), &same))
        return -1;
    *out = value_bool(same);
    return 0;
}

TEST(odd) {
    (void)args;
    return remainder_is(r, self, value_int(2), 1, out);
}

TEST(even) {
    (void)args;
    return remainder_is(r, self, value_int(2), 0, out);
}

TEST(divisible_by) {
    return remainder_is(r, self, args->values[0], 0, out);
}

// ---- comparisons

static int is_equal(struct run *r, struct value a, struct value b, bool expected,
                    struct value *out) {
    bool same;
    if (value_equal(r, a, b, &same)) return -1;
    *out = value_bool(same == expected);
    return 0;
}

TEST(equal) {
    return is_equal(r, self, args->values[0], true, out);
}

TEST(not_equal) {
    return is_equal(r, self, args->values[0], false, out);
}

TEST(less) {
    int order;
    if (value_order(r, self, args->values[0], &order)) return -1;
    *out = value_bool(order < 0);
    return 0;
}

TEST(less_or_equal) {
    int order;
    if (value_order(r, self, args->values[0], &order)) return -1;
    *out = value_bool(order <= 0);
    return 0;
}

TEST(greater) {
    int order;
    if (value_order(r, self, args->values[0], &order)) return -1;
    *out = value_bool(order > 0);
    return 0;
}

TEST(greater_or_equal) {
    int order;
    if (value_order(r, self, args->values[0], &order)) return -1;
    *out = value_bool(order >= 0);
    return 0;
}

TEST(in) {
    bool found;
    if (value_contains(r, args->values[0], self, &found)) return -1;
    *out = value_bool(found);
    return 0;
}

// Python's "is" is known for True, False and None, and for values of different types.
TEST(same_as) {
    struct value other = args->values[0];
    if (self.type == other.type && self.type != VALUE_BOOL && self.type != VALUE_NONE)
        return run_fail(r, "sameas of two values of one type is not supported.");
    return is_equal(r, self, other, true, out) || self.type == other.type
               ? 0
               : (*out = value_bool(false), 0);
}

// ---- case

static int has_case(struct run *r, struct value self, enum pystr_case which, struct value *out) {
    size_t from = r->out.len;
    struct value text = self;
    if (!value_is_string(self) && (repr_print(r, self) || run_take_printed(r, from, &text)))
        return -1;
    return method_is_case(r, value_slice(text), which, out);
}

TEST(upper) {
    (void)args;
    return has_case(r, self, PYSTR_UPPER, out);
}

TEST(lower) {
    (void)args;
    return has_case(r, self, PYSTR_LOWER, out);
}

const struct callable *predicate_find(struct slice name) {
    return callable_find(predicate_rows, name);
}

#define COMPARISON(label, function)                                                                \
    { .name = label, .call = function, .params = {"other"}, .n_required = 1, .by_place = true }

const struct callable predicate_rows[] = {
    {.name = "boolean", .call = boolean},
    {.name = "callable", .call = callable},
    {.name = "defined", .call = defined},
    {.name = "divisibleby", .call = divisible_by, .params = {"num"}, .n_required = 1},
    {.name = "escaped", .call = escaped},
    {.name = "even", .call = even},
    {.name = "false", .call = is_false},
    {.name = "float", .call = is_float},
    {.name = "in", .call = in, .params = {"seq"}, .n_required = 1},
    {.name = "integer", .call = integer},
    {.name = "iterable", .call = iterable},
    {.name = "lower", .call = lower},
    {.name = "mapping", .call = mapping},
    {.name = "none", .call = none},
    {.name = "number", .call = number},
    {.name = "odd", .call = odd},
    {.name = "sameas", .call = same_as, .params = {"other"}, .n_required = 1},
    {.name = "sequence", .call = sequence},
    {.name = "string", .call = string},
    {.name = "true", .call = is_true},
    {.name = "undefined", .call = undefined},
    {.name = "upper", .call = upper},
    COMPARISON("==", equal),
    COMPARISON("eq", equal),
    COMPARISON("equalto", equal),
    COMPARISON("!=", not_equal),
    COMPARISON("ne", not_equal),
    COMPARISON("<", less),
    COMPARISON("lt", less),
    COMPARISON("lessthan", less),
    COMPARISON("<=", less_or_equal),
    COMPARISON("le", less_or_equal),
    COMPARISON(">", greater),
    COMPARISON("gt", greater),
    COMPARISON("greaterthan", greater),
    COMPARISON(">=", greater_or_equal),
    COMPARISON("ge", greater_or_equal),
    {0},
};
