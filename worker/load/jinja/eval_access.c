// What stands behind a dot or in brackets; jinja2/sandbox.py's getattr and getitem.
#include <inttypes.h>
#include <stdio.h>

#include "worker/load/jinja/eval.h"
#include "worker/load/jinja/method.h"
#include "worker/load/jinja/pystr.h"

// ---- attributes

// An attribute that Python's type has: a method, or nothing a template may touch. `found` is false
// where the type has none of that name.
static int python_attribute(struct run *r, struct value object, struct slice name, bool *found,
                            struct value *out) {
    const struct callable *row = method_find(object.type, name);
    *found = true;
    switch (object.type) {
    case VALUE_LOOP:
        return eval_loop_attribute(r, object.loop, name, out);
    case VALUE_NAMESPACE: {
        const struct value *value = value_dict_find(object.space, name);
        *found = value != NULL;
        if (value) *out = *value;
        return 0;
    }
    case VALUE_ITERATOR:
    case VALUE_MACRO:
    case VALUE_METHOD:
    case VALUE_FUNCTION:
        return run_fail(r, "'%.*s' of %s is not supported.", SLICE_ARG(name),
                        value_type_name(object));
    default:
        break;
    }
    if (object.type == VALUE_STRING && object.markup)
        return run_fail(r, "'%.*s' of text from 'safe' is not supported.", SLICE_ARG(name));
    *found = row != NULL;
    if (!row) return 0;
    if (row->is_unsafe) {
        *out = value_undefined(r, ABSENT_UNSAFE, name);
        return 0;
    }
    if (!row->call)
        return run_fail(r, "'%.*s' of %s is not supported in a chat template.", SLICE_ARG(name),
                        value_type_name(object));
    return method_bind(r, row, object, out);
}

int eval_attribute(struct run *r, struct value object, struct slice name, struct value *out) {
    bool found;
    if (object.type == VALUE_UNDEFINED) return value_fail_undefined(r, object);
    if (python_attribute(r, object, name, &found, out)) return -1;
    if (found) return 0;
    const struct value *value =
        object.type == VALUE_DICT ? value_dict_find(object.dict, name) : NULL;
    *out = value ? *value : value_absent(r, object, name);
    return 0;
}

// ---- items

static int absent_item(struct run *r, struct value object, struct value key, struct value *out) {
    bool found;
    char text[24];
    if (value_is_string(key)) {
        if (python_attribute(r, object, value_slice(key), &found, out)) return -1;
        if (!found) *out = value_absent(r, object, value_slice(key));
        return 0;
    }
    struct slice name = slice_of("that");
    if (key.type == VALUE_INT) {
        snprintf(text, sizeof text, "%" PRId64, key.integer);
        name = (struct slice){arena_copy(&r->arena, text, strlen(text)), strlen(text)};
    }
    *out = value_absent(r, object, name);
    return 0;
}

// The place that an index stands for, from the end when it is negative; false when there is none.
static bool find_place(int64_t index, size_t n, size_t *place) {
    if (index < 0) index += (int64_t)n;
    *place = (size_t)index;
    return index >= 0 && (size_t)index < n;
}

static int sequence_item(struct run *r, struct value object, struct value key, struct value *out) {
    size_t n, place;
    if (value_length(r, object, &n)) return -1;
    if (!find_place(value_integer(key), n, &place)) return absent_item(r, object, key, out);
    if (object.type == VALUE_RANGE) {
        *out = value_int(object.range->start + object.range->step * (int64_t)place);
    } else if (object.type == VALUE_STRING) {
        struct slice s = value_slice(object), rest;
        size_t from = pystr_offset(s, place);
        uint32_t code;
        rest = (struct slice){s.ptr + from, s.len - from};
        pystr_next(&rest, &code);
        *out = value_string((struct slice){s.ptr + from, s.len - from - rest.len});
        out->markup = object.markup;
    } else {
        *out = object.list->items[place];
    }
    return 0;
}

int eval_item(struct run *r, struct value object, struct value key, struct value *out) {
    switch (object.type) {
    case VALUE_UNDEFINED:
        return value_fail_undefined(r, object);
    case VALUE_DICT: {
        const struct value *found =
            value_is_hashable(key) ? value_dict_get(object.dict, key) : NULL;
        if (!found) return absent_item(r, object, key, out);
        *out = *found;
        return 0;
    }
    case VALUE_STRING:
    case VALUE_LIST:
    case VALUE_TUPLE:
    case VALUE_RANGE:
        if (value_is_integer(key)) return sequence_item(r, object, key, out);
        return absent_item(r, object, key, out);
    default:
        return absent_item(r, object, key, out);
    }
}

// ---- slices

// Start, stop and step as Python's slice.indices gives them for a length, and the number of items.
struct steps {
    int64_t start, step, n;
};

static int bound(struct run *r, struct value v, int64_t otherwise, int64_t low, int64_t high,
                 int64_t length, int64_t *out) {
    *out = otherwise;
    if (v.type == VALUE_NONE) return 0;
    if (v.type == VALUE_UNDEFINED) return run_fail(r, "a slice's bound is undefined.");
    if (!value_is_integer(v))
        return run_fail(r, "a slice's bound is %s, expected an integer.", value_type_name(v));
    *out = value_integer(v);
    if (*out < 0) *out = *out < -length ? low : *out + length;
    if (*out < low) *out = low;
    if (*out > high) *out = high;
    return 0;
}

static int find_steps(struct run *r, const struct value bounds[3], size_t length,
                      struct steps *out) {
    int64_t n = (int64_t)length, stop;
    out->step = 1;
    if (bounds[2].type != VALUE_NONE) {
        if (!value_is_integer(bounds[2]))
            return run_fail(r, "a slice's step is %s, expected an integer.",
                            value_type_name(bounds[2]));
        out->step = value_integer(bounds[2]);
        if (out->step == 0) return run_fail(r, "a slice's step is 0.");
        if (out->step > RUN_MAX_BYTES) out->step = RUN_MAX_BYTES; // longer than anything
        if (out->step < -RUN_MAX_BYTES) out->step = -RUN_MAX_BYTES;
    }
    bool back = out->step < 0;
    int64_t low = back ? -1 : 0, high = back ? n - 1 : n;
    if (bound(r, bounds[0], back ? high : low, low, high, n, &out->start) ||
        bound(r, bounds[1], back ? low : high, low, high, n, &stop))
        return -1;
    int64_t distance = back ? out->start - stop : stop - out->start;
    int64_t step = back ? -out->step : out->step;
    out->n = distance > 0 ? (distance + step - 1) / step : 0;
    return 0;
}

static int slice_text(struct run *r, struct value object, const struct steps *steps,
                      struct value *out) {
    struct slice s = value_slice(object);
    bool markup = object.markup;
    if (steps->step == 1) {
        size_t from = pystr_offset(s, (size_t)steps->start);
        struct slice rest = {s.ptr + from, s.len - from};
        rest.len = pystr_offset(rest, (size_t)steps->n);
        *out = value_string(rest);
    } else {
        size_t length = pystr_length(s), at = 0, from = r->out.len;
        uint32_t *starts = run_take(r, length + 1, sizeof *starts);
        if (!starts) return -1;
        for (size_t i = 0; i < s.len; i++)
            if (((unsigned char)s.ptr[i] & 0xc0) != 0x80) starts[at++] = (uint32_t)i;
        starts[length] = (uint32_t)s.len;
        for (int64_t i = 0; i < steps->n; i++) {
            int64_t place = steps->start + i * steps->step;
            struct slice one = {s.ptr + starts[place], starts[place + 1] - starts[place]};
            if (run_print(r, one)) return -1;
        }
        if (run_take_printed(r, from, out)) return -1;
    }
    out->markup = markup;
    return run_spend_many(r, s.len >> 10);
}

int eval_slice(struct run *r, struct value object, const struct value bounds[3],
               struct value *out) {
    struct steps steps;
    size_t length;
    if (object.type == VALUE_UNDEFINED) return value_fail_undefined(r, object);
    if (object.type != VALUE_STRING && !value_is_sequence(object))
        return run_fail(r, "%s cannot be sliced, expected a list or a string.",
                        value_type_name(object));
    if (value_length(r, object, &length) || find_steps(r, bounds, length, &steps)) return -1;
    if (object.type == VALUE_STRING) return slice_text(r, object, &steps, out);
    if (steps.step == 1) { // the same items, seen from another place
        struct list *list = run_take(r, 1, sizeof *list);
        if (!list) return -1;
        *list = (struct list){(size_t)steps.n, object.list->items + steps.start};
        *out = (struct value){.type = object.type, .list = list};
        return 0;
    }
    struct value *items = value_new_list(r, object.type, (size_t)steps.n, out);
    if (!items) return -1;
    for (int64_t i = 0; i < steps.n; i++)
        items[i] = object.list->items[steps.start + i * steps.step];
    return run_spend_many(r, (size_t)steps.n >> 6);
}
