// Truth, length, equality and order, as Python has them.
#include <math.h>

#include "worker/load/jinja/iterator.h"
#include "worker/load/jinja/pystr.h"
#include "worker/load/jinja/value.h"

int value_truth(struct run *r, struct value v, bool *out) {
    *out = true;
    switch (v.type) {
    case VALUE_UNDEFINED:
    case VALUE_NONE:
        *out = false;
        return 0;
    case VALUE_BOOL:
        *out = v.boolean;
        return 0;
    case VALUE_INT:
        *out = v.integer != 0;
        return 0;
    case VALUE_FLOAT:
        *out = v.real != 0;
        return 0;
    case VALUE_STRING:
        *out = v.size > 0;
        return 0;
    case VALUE_LIST:
    case VALUE_TUPLE:
        *out = v.list->n > 0;
        return 0;
    case VALUE_DICT:
    case VALUE_VIEW:
        *out = v.dict->n > 0;
        return 0;
    case VALUE_RANGE:
        *out = v.range->n > 0;
        return 0;
    case VALUE_LOOP:
        return run_fail(r, "the loop is asked whether it is true.");
    default:
        return 0;
    }
}

int value_length(struct run *r, struct value v, size_t *out) {
    switch (v.type) {
    case VALUE_UNDEFINED:
        *out = 0;
        return 0;
    case VALUE_STRING:
        *out = pystr_length(value_slice(v));
        return run_spend_many(r, v.size >> 10);
    case VALUE_LIST:
    case VALUE_TUPLE:
        *out = v.list->n;
        return 0;
    case VALUE_DICT:
    case VALUE_VIEW:
        *out = v.dict->n;
        return 0;
    case VALUE_RANGE:
        *out = (size_t)v.range->n;
        return 0;
    default:
        return run_fail(r, "%s has no length.", value_type_name(v));
    }
}

// ---- numbers

// An integer against a double, exactly.
static int order_integer_real(int64_t i, double d) {
    if (d >= 0x1p63) return -1;
    if (d < -0x1p63) return 1;
    int64_t whole = (int64_t)d;
    if (i != whole) return i < whole ? -1 : 1;
    double rest = d - (double)whole;
    return rest > 0 ? -1 : rest < 0;
}

static bool is_negative(struct value big) {
    return big.text[0] == '-';
}

// Numbers of which one at least is outside of int64.
static int order_big(struct run *r, struct value a, struct value b, int *out) {
    if (a.type == VALUE_FLOAT || b.type == VALUE_FLOAT)
        return run_fail(r, "a float is compared with an integer of more than 64 bits.");
    if (a.type != VALUE_BIG) {
        *out = is_negative(b) ? 1 : -1;
    } else if (b.type != VALUE_BIG) {
        *out = is_negative(a) ? -1 : 1;
    } else if (is_negative(a) != is_negative(b)) {
        *out = is_negative(a) ? -1 : 1;
    } else {
        int order = a.size != b.size ? (a.size < b.size ? -1 : 1) : memcmp(a.text, b.text, a.size);
        *out = is_negative(a) ? -order : order;
    }
    return 0;
}

static int order_numbers(struct run *r, struct value a, struct value b, int *out) {
    if (a.type == VALUE_BIG || b.type == VALUE_BIG) return order_big(r, a, b, out);
    if (a.type == VALUE_FLOAT && b.type == VALUE_FLOAT)
        *out = a.real < b.real ? -1 : a.real > b.real;
    else if (a.type == VALUE_FLOAT)
        *out = -order_integer_real(value_integer(b), a.real);
    else if (b.type == VALUE_FLOAT)
        *out = order_integer_real(value_integer(a), b.real);
    else
        *out = value_integer(a) < value_integer(b) ? -1 : value_integer(a) > value_integer(b);
    return 0;
}

// ---- equality

static int equal(struct run *r, struct value a, struct value b, int nesting, bool *out);

static int equal_lists(struct run *r, const struct list *a, const struct list *b, int nesting,
                       bool *out) {
    *out = a->n == b->n;
    for (size_t i = 0; *out && i < a->n; i++)
        if (equal(r, a->items[i], b->items[i], nesting, out)) return -1;
    return 0;
}

static int equal_dicts(struct run *r, const struct dict *a, const struct dict *b, int nesting,
                       bool *out) {
    *out = a->n == b->n;
    for (size_t i = 0; *out && i < a->n; i++) {
        const struct value *found = value_dict_get(b, a->members[i].key);
        *out = found != NULL;
        if (found && equal(r, a->members[i].value, *found, nesting, out)) return -1;
    }
    return 0;
}

static int equal(struct run *r, struct value a, struct value b, int nesting, bool *out) {
    if (run_spend(r)) return -1;
    if (nesting > RUN_MAX_NESTING)
        return run_fail(r, "values are nested deeper than %d levels.", RUN_MAX_NESTING);
    if (value_is_number(a) && value_is_number(b)) {
        int order = 0;
        if (order_numbers(r, a, b, &order)) return -1;
        *out = order == 0;
        return 0;
    }
    *out = false;
    if (a.type != b.type) return 0;
    switch (a.type) {
    case VALUE_UNDEFINED:
    case VALUE_NONE:
        *out = true;
        return 0;
    case VALUE_STRING:
        *out = slice_equal(value_slice(a), value_slice(b));
        return 0;
    case VALUE_LIST:
    case VALUE_TUPLE:
        return equal_lists(r, a.list, b.list, nesting + 1, out);
    case VALUE_DICT:
        return equal_dicts(r, a.dict, b.dict, nesting + 1, out);
    case VALUE_NAMESPACE:
        *out = a.space == b.space;
        return 0;
    case VALUE_MACRO:
        *out = a.macro == b.macro;
        return 0;
    default:
        return run_fail(r, "%s is compared with another one.", value_type_name(a));
    }
}

int value_equal(struct run *r, struct value a, struct value b, bool *out) {
    return equal(r, a, b, 0, out);
}

// ---- order

static int order(struct run *r, struct value a, struct value b, int nesting, int *out) {
    if (run_spend(r)) return -1;
    if (nesting > RUN_MAX_NESTING)
        return run_fail(r, "values are nested deeper than %d levels.", RUN_MAX_NESTING);
    if (a.type == VALUE_UNDEFINED || b.type == VALUE_UNDEFINED)
        return value_fail_undefined(r, a.type == VALUE_UNDEFINED ? a : b);
    if (value_is_number(a) && value_is_number(b)) return order_numbers(r, a, b, out);
    if (value_is_string(a) && value_is_string(b)) { // bytes of UTF-8 sort as code points do
        size_t n = a.size < b.size ? a.size : b.size;
        int first = n ? memcmp(a.text, b.text, n) : 0;
        *out = first ? first : a.size < b.size ? -1 : a.size > b.size;
        return 0;
    }
    if (!value_is_sequence(a) || a.type != b.type)
        return run_fail(r, "%s and %s have no order.", value_type_name(a), value_type_name(b));
    for (size_t i = 0; i < a.list->n && i < b.list->n; i++) {
        bool same;
        if (equal(r, a.list->items[i], b.list->items[i], nesting + 1, &same)) return -1;
        if (!same) return order(r, a.list->items[i], b.list->items[i], nesting + 1, out);
    }
    *out = a.list->n < b.list->n ? -1 : a.list->n > b.list->n;
    return 0;
}

int value_order(struct run *r, struct value a, struct value b, int *out) {
    return order(r, a, b, 0, out);
}

// ---- membership

static int contains_key(struct run *r, const struct dict *d, struct value key, bool *out) {
    if (!value_is_hashable(key))
        return run_fail(r, "%s is looked for among the keys of a dict.", value_type_name(key));
    *out = value_dict_get(d, key) != NULL;
    return 0;
}

int value_contains(struct run *r, struct value b, struct value a, bool *out) {
    *out = false;
    if (b.type == VALUE_STRING) {
        if (!value_is_string(a))
            return run_fail(r, "%s is looked for in a string, expected a string.",
                            value_type_name(a));
        *out = pystr_find(value_slice(b), value_slice(a), 0) != PYSTR_NONE;
        return run_spend_many(r, b.size >> 10);
    }
    if (b.type == VALUE_DICT || (b.type == VALUE_VIEW && b.view == VIEW_KEYS))
        return contains_key(r, b.dict, a, out);
    if (b.type == VALUE_VIEW && b.view == VIEW_ITEMS)
        return run_fail(r, "a member is looked for among a dict's items; expected keys.");
    struct iterator *it;
    if (iterator_of(r, b, &it)) return -1;
    for (;;) {
        struct value item;
        bool done;
        if (iterator_next(r, it, &item, &done)) return -1;
        if (done) return 0;
        if (value_equal(r, item, a, out)) return -1;
        if (*out) return 0;
    }
}
