#include "worker/load/jinja/value.h"

#include <math.h>

#include "protocol/base/hash.h"

enum { INDEX_FROM = 8, MAX_INTEGER_DIGITS = 4300 }; // digits: what Python's int() reads

const char *value_type_name(struct value v) {
    static const char *const names[] = {
        [VALUE_UNBOUND] = "nothing",       [VALUE_MISSING] = "nothing",
        [VALUE_UNDEFINED] = "undefined",   [VALUE_NONE] = "none",
        [VALUE_BOOL] = "a boolean",        [VALUE_INT] = "an integer",
        [VALUE_BIG] = "an integer",        [VALUE_FLOAT] = "a float",
        [VALUE_STRING] = "a string",       [VALUE_LIST] = "a list",
        [VALUE_TUPLE] = "a tuple",         [VALUE_DICT] = "a dict",
        [VALUE_RANGE] = "a range",         [VALUE_VIEW] = "a view of a dict",
        [VALUE_NAMESPACE] = "a namespace", [VALUE_ITERATOR] = "an iterator",
        [VALUE_LOOP] = "the loop",         [VALUE_MACRO] = "a macro",
        [VALUE_METHOD] = "a method",       [VALUE_FUNCTION] = "a function"};
    return names[v.type];
}

static struct value undefined(struct run *r, struct absent why) {
    struct absent *absent = arena_take(&r->arena, 1, sizeof *absent);
    *absent = why;
    return (struct value){.type = VALUE_UNDEFINED, .absent = absent};
}

struct value value_undefined(struct run *r, enum absent_why why, struct slice name) {
    return undefined(r, (struct absent){.why = why, .name = name});
}

struct value value_absent(struct run *r, struct value object, struct slice name) {
    return undefined(
        r, (struct absent){.why = ABSENT_MEMBER, .name = name, .of = value_type_name(object)});
}

int value_fail_undefined(struct run *r, struct value v) {
    const struct absent *a = v.absent;
    switch (a->why) {
    case ABSENT_NAME:
        return run_fail(r, "'%.*s' is undefined.", SLICE_ARG(a->name));
    case ABSENT_MEMBER:
        return run_fail(r, "%s has nothing called '%.*s'.", a->of, SLICE_ARG(a->name));
    case ABSENT_UNSAFE:
        return run_fail(r, "'%.*s' is not allowed in a chat template.", SLICE_ARG(a->name));
    case ABSENT_ARGUMENT:
        return run_fail(r, "the parameter '%.*s' was not given.", SLICE_ARG(a->name));
    default:
        return run_fail(r, "%.*s is undefined.", SLICE_ARG(a->name));
    }
}

struct value *value_new_list(struct run *r, enum value_type type, size_t n, struct value *out) {
    struct list *list = run_take(r, 1, sizeof *list);
    struct value *items = list ? run_take(r, n, sizeof *items) : NULL;
    if (!items) return NULL;
    *list = (struct list){n, items};
    *out = (struct value){.type = (uint8_t)type, .list = list};
    return items;
}

int value_new_text(struct run *r, struct slice text, struct value *out) {
    if (text.len > RUN_MAX_TEXT)
        return run_fail(r, "a string has more than %d MiB.", RUN_MAX_TEXT >> 20);
    char *copy = run_take(r, text.len, 1);
    if (!copy) return -1;
    if (text.len) memcpy(copy, text.ptr, text.len);
    *out = value_string((struct slice){copy, text.len});
    return 0;
}

// ---- dicts

// 1, 1.0 and True are one key, as in Python.
static bool same_key(struct value a, struct value b) {
    if (value_is_string(a) || value_is_string(b))
        return a.type == b.type && slice_equal(value_slice(a), value_slice(b));
    if (value_is_integer(a) && value_is_integer(b)) return value_integer(a) == value_integer(b);
    if (a.type == VALUE_FLOAT && b.type == VALUE_FLOAT) return a.real == b.real;
    if (a.type == VALUE_FLOAT && value_is_integer(b)) return same_key(b, a);
    if (value_is_integer(a) && b.type == VALUE_FLOAT)
        return fabs(b.real) < 0x1p62 && (double)value_integer(a) == b.real &&
               (int64_t)b.real == value_integer(a);
    return a.type == VALUE_NONE && b.type == VALUE_NONE;
}

static uint64_t hash_key(struct value key) {
    if (value_is_string(key)) return hash_bytes(key.text, key.size);
    double real = key.type == VALUE_FLOAT ? key.real : 0.5;
    if (value_is_integer(key)) real = (double)value_integer(key);
    if (real == 0) real = 0; // of two zeros one
    return hash_bytes(&real, sizeof real);
}

static bool is_key(struct value v) {
    return value_is_string(v) || value_is_integer(v) || v.type == VALUE_FLOAT ||
           v.type == VALUE_NONE;
}

struct dict *value_new_dict(struct run *r, size_t capacity) {
    struct dict *d = run_take(r, 1, sizeof *d);
    if (!d) return NULL;
    d->capacity = capacity;
    d->members = run_take(r, capacity, sizeof *d->members);
    return d->members ? d : NULL;
}

static void index_place(struct dict *d, size_t place) {
    uint64_t at = hash_key(d->members[place].key);
    while (d->index[at & (d->n_index - 1)]) at++;
    d->index[at & (d->n_index - 1)] = (uint32_t)place + 1;
}

static int index_all(struct run *r, struct dict *d) {
    size_t n = 4 * INDEX_FROM;
    while (n < 2 * d->capacity) n *= 2;
    d->index = run_take(r, n, sizeof *d->index);
    if (!d->index) return -1;
    d->n_index = n;
    for (size_t i = 0; i < d->n; i++) index_place(d, i);
    return 0;
}

static int grow(struct run *r, struct dict *d) {
    size_t capacity = d->capacity < 4 ? 4 : 2 * d->capacity;
    struct member *members = run_take(r, capacity, sizeof *members);
    if (!members) return -1;
    if (d->n) memcpy(members, d->members, d->n * sizeof *members);
    d->members = members;
    d->capacity = capacity;
    return d->index ? index_all(r, d) : 0;
}

const struct value *value_dict_get(const struct dict *d, struct value key) {
    if (!d->index) {
        for (size_t i = 0; i < d->n; i++)
            if (same_key(d->members[i].key, key)) return &d->members[i].value;
        return NULL;
    }
    for (uint64_t at = hash_key(key);; at++) {
        uint32_t place = d->index[at & (d->n_index - 1)];
        if (!place) return NULL;
        if (same_key(d->members[place - 1].key, key)) return &d->members[place - 1].value;
    }
}

const struct value *value_dict_find(const struct dict *d, struct slice key) {
    return value_dict_get(d, value_string(key));
}

int value_dict_put(struct run *r, struct dict *d, struct value key, struct value value) {
    if (!is_key(key))
        return run_fail(r, "%s is a key of a dict, expected a string or a number.",
                        value_type_name(key));
    if (key.markup) return run_fail(r, "text from 'safe' is a key of a dict.");
    struct value *found = (struct value *)value_dict_get(d, key);
    if (found) {
        *found = value;
        return 0;
    }
    if (d->n == d->capacity && grow(r, d)) return -1;
    d->members[d->n++] = (struct member){key, value};
    if (d->index)
        index_place(d, d->n - 1);
    else if (d->n > INDEX_FROM)
        return index_all(r, d);
    return 0;
}

bool value_is_hashable(struct value v) {
    if (v.type == VALUE_TUPLE)
        for (size_t i = 0; i < v.list->n; i++)
            if (!value_is_hashable(v.list->items[i])) return false;
    return v.type != VALUE_LIST && v.type != VALUE_DICT;
}

// ---- JSON

static bool has_fraction(struct slice s) {
    for (size_t i = 0; i < s.len; i++)
        if (s.ptr[i] == '.' || s.ptr[i] == 'e' || s.ptr[i] == 'E') return true;
    return false;
}

static int from_number(struct run *r, const struct json *json, struct value *out) {
    int64_t integer;
    double real;
    if (has_fraction(json->text)) {
        if (json_double(json, &real))
            return run_fail(r, "the number %.*s is too large.", SLICE_ARG(json->text));
        *out = (struct value){.type = VALUE_FLOAT, .real = real};
    } else if (json_int64(json, &integer) == 0) {
        *out = value_int(integer);
    } else {
        if (json->text.len > MAX_INTEGER_DIGITS)
            return run_fail(r, "an integer has more than %d digits.", MAX_INTEGER_DIGITS);
        if (value_new_text(r, json->text, out)) return -1;
        out->type = VALUE_BIG;
    }
    return 0;
}

static int from_array(struct run *r, const struct json *json, struct value *out) {
    struct value *items = value_new_list(r, VALUE_LIST, (size_t)json->n_children, out);
    if (!items) return -1;
    for (const struct json *c = json->first; c; c = c->next)
        if (value_from_json(r, c, items++)) return -1;
    return 0;
}

static int from_object(struct run *r, const struct json *json, struct value *out) {
    struct dict *d = value_new_dict(r, (size_t)json->n_children);
    if (!d) return -1;
    for (const struct json *c = json->first; c; c = c->next) {
        struct value value;
        if (value_from_json(r, c, &value)) return -1;
        if (value_dict_put(r, d, value_string(c->key), value)) return -1;
    }
    *out = (struct value){.type = VALUE_DICT, .dict = d};
    return 0;
}

int value_from_json(struct run *r, const struct json *json, struct value *out) {
    if (run_spend(r)) return -1;
    switch (json->type) {
    case JSON_NULL:
        *out = value_none();
        return 0;
    case JSON_FALSE:
    case JSON_TRUE:
        *out = value_bool(json->type == JSON_TRUE);
        return 0;
    case JSON_NUMBER:
        return from_number(r, json, out);
    case JSON_STRING:
        if (json->text.len > RUN_MAX_TEXT)
            return run_fail(r, "a string has more than %d MiB.", RUN_MAX_TEXT >> 20);
        *out = value_string(json_string(json, &r->arena));
        return 0;
    case JSON_ARRAY:
        return from_array(r, json, out);
    default:
        return from_object(r, json, out);
    }
}
