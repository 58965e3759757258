#include "worker/load/jinja/method.h"

#include "worker/load/jinja/iterator.h"

int method_bind(struct run *r, const struct callable *row, struct value self, struct value *out) {
    struct method *method = run_take(r, 1, sizeof *method);
    if (!method) return -1;
    *method = (struct method){row, self};
    *out = (struct value){.type = VALUE_METHOD, .method = method};
    return 0;
}

// ---- dicts

static int dict_get(struct run *r, struct value self, const struct args *args, struct value *out) {
    struct value key = args->values[0];
    if (!value_is_hashable(key))
        return run_fail(r, "%s is looked for among the keys of a dict.", value_type_name(key));
    const struct value *found = value_dict_get(self.dict, key);
    *out = found ? *found : callable_argument(args, 1, value_none());
    return 0;
}

static struct value view(struct value dict, enum view_kind kind) {
    return (struct value){.type = VALUE_VIEW, .view = (uint8_t)kind, .dict = dict.dict};
}

static int dict_keys(struct run *r, struct value self, const struct args *args, struct value *out) {
    (void)r, (void)args;
    *out = view(self, VIEW_KEYS);
    return 0;
}

static int dict_values(struct run *r, struct value self, const struct args *args,
                       struct value *out) {
    (void)r, (void)args;
    *out = view(self, VIEW_VALUES);
    return 0;
}

static int dict_items(struct run *r, struct value self, const struct args *args,
                      struct value *out) {
    (void)r, (void)args;
    *out = view(self, VIEW_ITEMS);
    return 0;
}

static int copy(struct run *r, struct value self, const struct args *args, struct value *out) {
    (void)r, (void)args;
    *out = self; // nothing changes it
    return 0;
}

static const struct callable dict_rows[] = {
    {.name = "get",
     .call = dict_get,
     .params = {"key", "default"},
     .n_required = 1,
     .by_place = true},
    {.name = "keys", .call = dict_keys},
    {.name = "values", .call = dict_values},
    {.name = "items", .call = dict_items},
    {.name = "copy", .call = copy},
    {.name = "fromkeys"},
    {.name = "clear", .is_unsafe = true},
    {.name = "pop", .is_unsafe = true},
    {.name = "popitem", .is_unsafe = true},
    {.name = "setdefault", .is_unsafe = true},
    {.name = "update", .is_unsafe = true},
    {0},
};

// ---- lists and tuples

static int sequence_count(struct run *r, struct value self, const struct args *args,
                          struct value *out) {
    int64_t n = 0;
    for (size_t i = 0; i < self.list->n; i++) {
        bool same;
        if (value_equal(r, self.list->items[i], args->values[0], &same)) return -1;
        n += same;
    }
    *out = value_int(n);
    return 0;
}

static int sequence_index(struct run *r, struct value self, const struct args *args,
                          struct value *out) {
    for (size_t i = 0; i < self.list->n; i++) {
        bool same;
        if (value_equal(r, self.list->items[i], args->values[0], &same)) return -1;
        if (!same) continue;
        *out = value_int((int64_t)i);
        return 0;
    }
    return run_fail(r, "a value that is not in the list is looked for by 'index'.");
}

static const struct callable list_rows[] = {
    {.name = "count",
     .call = sequence_count,
     .params = {"value"},
     .n_required = 1,
     .by_place = true},
    {.name = "index",
     .call = sequence_index,
     .params = {"value"},
     .n_required = 1,
     .by_place = true},
    {.name = "copy", .call = copy},
    {.name = "append", .is_unsafe = true},
    {.name = "clear", .is_unsafe = true},
    {.name = "extend", .is_unsafe = true},
    {.name = "insert", .is_unsafe = true},
    {.name = "pop", .is_unsafe = true},
    {.name = "remove", .is_unsafe = true},
    {.name = "reverse", .is_unsafe = true},
    {.name = "sort", .is_unsafe = true},
    {0},
};

static const struct callable tuple_rows[] = {
    {.name = "count",
     .call = sequence_count,
     .params = {"value"},
     .n_required = 1,
     .by_place = true},
    {.name = "index",
     .call = sequence_index,
     .params = {"value"},
     .n_required = 1,
     .by_place = true},
    {0},
};

// ---- what other types have in Python

static const struct callable integer_rows[] = {
    {.name = "as_integer_ratio"},
    {.name = "bit_count"},
    {.name = "bit_length"},
    {.name = "conjugate"},
    {.name = "denominator"},
    {.name = "from_bytes"},
    {.name = "imag"},
    {.name = "is_integer"},
    {.name = "numerator"},
    {.name = "real"},
    {.name = "to_bytes"},
    {0},
};

static const struct callable float_rows[] = {
    {.name = "as_integer_ratio"}, {.name = "conjugate"}, {.name = "fromhex"},
    {.name = "from_number"},      {.name = "hex"},       {.name = "imag"},
    {.name = "is_integer"},       {.name = "real"},      {0},
};

static const struct callable range_rows[] = {
    {.name = "count"}, {.name = "index"}, {.name = "start"},
    {.name = "step"},  {.name = "stop"},  {0},
};

static const struct callable view_rows[] = {
    {.name = "isdisjoint"},
    {.name = "mapping"},
    {0},
};

static const struct callable no_rows[] = {{0}};

static const struct callable *rows_of(enum value_type type) {
    switch (type) {
    case VALUE_STRING:
        return method_string_rows;
    case VALUE_DICT:
        return dict_rows;
    case VALUE_LIST:
        return list_rows;
    case VALUE_TUPLE:
        return tuple_rows;
    case VALUE_BOOL:
    case VALUE_INT:
    case VALUE_BIG:
        return integer_rows;
    case VALUE_FLOAT:
        return float_rows;
    case VALUE_RANGE:
        return range_rows;
    case VALUE_VIEW:
        return view_rows;
    default:
        return no_rows;
    }
}

const struct callable *method_find(enum value_type type, struct slice name) {
    return callable_find(rows_of(type), name);
}
