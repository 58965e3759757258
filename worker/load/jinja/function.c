#include "worker/load/jinja/function.h"

#include "worker/load/jinja/iterator.h"
#include "worker/load/jinja/repr.h"
#include "worker/load/jinja/text_value.h"

enum { MAX_RANGE = 100000 }; // of Jinja's sandbox

static int range_function(struct run *r, struct value self, const struct args *args,
                          struct value *out) {
    const int64_t most = (int64_t)1 << 53;
    int64_t bounds[3] = {0, 0, 1};
    (void)self;
    for (int i = 0; i < 3 && args->values[i].type != VALUE_MISSING; i++) {
        if (text_integer(r, args->values[i], "a bound of range", &bounds[i])) return -1;
        if (bounds[i] > most || bounds[i] < -most) return run_fail(r, "range is too big.");
    }
    if (args->values[1].type == VALUE_MISSING) {
        bounds[1] = bounds[0];
        bounds[0] = 0;
    }
    int64_t step = bounds[2], distance = bounds[1] - bounds[0], n = 0;
    if (step == 0) return run_fail(r, "the step of range is 0.");
    if ((distance > 0) == (step > 0) && distance != 0)
        n = (distance + step - (step > 0 ? 1 : -1)) / step;
    if (n > MAX_RANGE) return run_fail(r, "range has more than %d items.", MAX_RANGE);
    struct range *range = run_take(r, 1, sizeof *range);
    if (!range) return -1;
    *range = (struct range){bounds[0], bounds[1], step, n};
    *out = (struct value){.type = VALUE_RANGE, .range = range};
    return 0;
}

// ---- dict and namespace

static int put_pairs(struct run *r, struct dict *d, struct value pairs) {
    struct iterator *it;
    struct value pair, items;
    bool done;
    if (pairs.type == VALUE_UNDEFINED) return value_fail_undefined(r, pairs);
    if (iterator_of(r, pairs, &it)) return -1;
    for (;;) {
        if (iterator_next(r, it, &pair, &done)) return -1;
        if (done) return 0;
        if (iterator_collect(r, pair, VALUE_LIST, &items)) return -1;
        if (items.list->n != 2) return run_fail(r, "a member of a dict is not a key and a value.");
        if (value_dict_put(r, d, items.list->items[0], items.list->items[1])) return -1;
    }
}

// The members of a mapping or of pairs, then the named arguments.
static struct dict *collect(struct run *r, const struct args *args) {
    struct dict *d = value_new_dict(r, (size_t)args->n_named);
    struct value from = args->n > 0 ? args->values[0] : value_none();
    if (!d) return NULL;
    if (args->n > 1) return run_fail(r, "a dict is made of %d arguments.", args->n), NULL;
    if (from.type == VALUE_DICT) {
        for (size_t i = 0; i < from.dict->n; i++)
            if (value_dict_put(r, d, from.dict->members[i].key, from.dict->members[i].value))
                return NULL;
    } else if (args->n > 0 && put_pairs(r, d, from)) {
        return NULL;
    }
    for (int i = 0; i < args->n_named; i++)
        if (value_dict_put(r, d, value_string(args->names[i]), args->values[args->n + i]))
            return NULL;
    return d;
}

static int dict_function(struct run *r, struct value self, const struct args *args,
                         struct value *out) {
    struct dict *d = collect(r, args);
    (void)self;
    *out = (struct value){.type = VALUE_DICT, .dict = d};
    return d ? 0 : -1;
}

static int namespace_function(struct run *r, struct value self, const struct args *args,
                              struct value *out) {
    struct dict *d = collect(r, args);
    (void)self;
    if (!d) return -1;
    for (size_t i = 0; i < d->n; i++) {
        struct value key = d->members[i].key;
        if (!value_is_string(key) || (key.size && key.text[0] == '_'))
            return run_fail(r, "a namespace's attribute starts with '_' or is no string.");
    }
    *out = (struct value){.type = VALUE_NAMESPACE, .space = d};
    return 0;
}

// ---- transformers' own

static int raise_exception(struct run *r, struct value self, const struct args *args,
                           struct value *out) {
    size_t from = r->out.len;
    (void)self, (void)out;
    if (repr_print(r, args->values[0])) return -1;
    return run_fail_with(r, (struct slice){r->out.ptr + from, r->out.len - from});
}

static int strftime_now(struct run *r, struct value self, const struct args *args,
                        struct value *out) {
    struct slice format;
    (void)self;
    if (text_argument(r, args->values[0], "a format of strftime_now", &format)) return -1;
    return function_strftime(r, format, out);
}

bool function_is_unknown(struct slice name) {
    static const char *const names[] = {"cycler", "joiner", "lipsum", "self"};
    for (int i = 0; i < 4; i++)
        if (slice_is(name, names[i])) return true;
    return false;
}

const struct callable function_rows[] = {
    {.name = "dict", .call = dict_function, .raw = true},
    {.name = "namespace", .call = namespace_function, .raw = true},
    {.name = "raise_exception", .call = raise_exception, .params = {"message"}, .n_required = 1},
    {.name = "range",
     .call = range_function,
     .params = {"start", "stop", "step"},
     .n_required = 1,
     .by_place = true},
    {.name = "strftime_now", .call = strftime_now, .params = {"format"}, .n_required = 1},
    {0},
};
