// The values of templates: what Python's types and Jinja's own objects are to a template.
//
// A value is passed by value; what it points to lies in the arena of a run or of the parsed
// template, and does not change once it is made, but for namespaces, iterators and loops.
#ifndef WORKER_LOAD_JINJA_VALUE_H
#define WORKER_LOAD_JINJA_VALUE_H

#include <stdbool.h>
#include <stdint.h>

#include "protocol/base/json.h"
#include "protocol/base/slice.h"
#include "worker/load/jinja/run.h"

enum value_type {
    VALUE_UNBOUND,   // a variable that nothing was stored in yet; zero, and no value
    VALUE_MISSING,   // a variable that has no value, an argument that was not given
    VALUE_UNDEFINED, // Jinja's Undefined
    VALUE_NONE,
    VALUE_BOOL,
    VALUE_INT,
    VALUE_BIG, // an integer outside of int64: its digits
    VALUE_FLOAT,
    VALUE_STRING,
    VALUE_LIST,
    VALUE_TUPLE,
    VALUE_DICT,
    VALUE_RANGE,
    VALUE_VIEW, // dict.keys(), dict.values(), dict.items()
    VALUE_NAMESPACE,
    VALUE_ITERATOR, // a generator, or what reversed() gives
    VALUE_LOOP,
    VALUE_MACRO,
    VALUE_METHOD,   // a method bound to its object
    VALUE_FUNCTION, // range, dict, raise_exception, ...
};

enum view_kind { VIEW_KEYS, VIEW_VALUES, VIEW_ITEMS };

struct value {
    uint8_t type;  // enum value_type
    uint8_t view;  // of VALUE_VIEW: enum view_kind
    bool markup;   // of VALUE_STRING: markupsafe's Markup, a result of `safe` or `escape`
    uint32_t size; // of VALUE_STRING and VALUE_BIG: bytes
    union {
        bool boolean;
        int64_t integer;
        double real;      // finite
        const char *text; // (size) UTF-8
        const struct list *list;
        const struct dict *dict; // also of VALUE_VIEW and, writable, VALUE_NAMESPACE
        struct dict *space;
        const struct range *range;
        struct iterator *iterator;
        struct loop *loop;
        const struct macro *macro;
        const struct method *method;
        const struct callable *function;
        const struct absent *absent; // why it is undefined
    };
};

struct list { // or tuple
    size_t n;
    const struct value *items; // (n)
};

struct member {
    struct value key, value;
};

// Members in the order in which the keys came first. Keys are strings, numbers, booleans or none.
struct dict {
    size_t n, capacity;
    struct member *members; // (capacity)
    uint32_t *index;        // (n_index) open addressing by hash, place + 1; NULL while small
    size_t n_index;
};

struct range {
    int64_t start, stop, step, n;
};

struct method {
    const struct callable *row;
    struct value self;
};

// Why a value is undefined, for the sentence when something is done with it.
enum absent_why {
    ABSENT_NAME,     // no variable `name`
    ABSENT_MEMBER,   // an object of type `of` has nothing called `name`
    ABSENT_UNSAFE,   // Jinja's sandbox does not give it
    ABSENT_ARGUMENT, // a macro's parameter `name` was not given
    ABSENT_OTHER,    // `name` says it all
};
struct absent {
    enum absent_why why;
    struct slice name;
    const char *of; // of ABSENT_MEMBER: "a list"
};

static inline struct value value_none(void) {
    return (struct value){.type = VALUE_NONE};
}

static inline struct value value_bool(bool boolean) {
    return (struct value){.type = VALUE_BOOL, .boolean = boolean};
}

static inline struct value value_int(int64_t integer) {
    return (struct value){.type = VALUE_INT, .integer = integer};
}

static inline struct value value_string(struct slice s) {
    return (struct value){.type = VALUE_STRING, .size = (uint32_t)s.len, .text = s.ptr};
}

static inline struct slice value_slice(struct value v) { // of a string, or a big integer's digits
    return (struct slice){v.text, v.size};
}

static inline bool value_is_string(struct value v) {
    return v.type == VALUE_STRING;
}

static inline bool value_is_sequence(struct value v) { // a list or a tuple
    return v.type == VALUE_LIST || v.type == VALUE_TUPLE;
}

// True and False are integers too.
static inline bool value_is_integer(struct value v) {
    return v.type == VALUE_INT || v.type == VALUE_BOOL;
}

static inline bool value_is_number(struct value v) {
    return value_is_integer(v) || v.type == VALUE_FLOAT || v.type == VALUE_BIG;
}

static inline int64_t value_integer(struct value v) { // of a value_is_integer
    return v.type == VALUE_BOOL ? v.boolean : v.integer;
}

// "a string", "none", "undefined"
const char *value_type_name(struct value v);

// Undefined values; the second one of an object that has no `name`.
struct value value_undefined(struct run *r, enum absent_why why, struct slice name);
struct value value_absent(struct run *r, struct value object, struct slice name);
// Fails with the sentence for an operation on an undefined value.
int value_fail_undefined(struct run *r, struct value v);

// Makes a list or tuple of `n` values, whose memory is the arena's and stays the caller's to fill
// until it is seen by others. NULL after a failure.
struct value *value_new_list(struct run *r, enum value_type type, size_t n, struct value *out);
int value_new_text(struct run *r, struct slice text, struct value *out); // a copy

// Dicts are built by putting; a key that is there keeps its place. Fails for a key that no dict
// of ours may have.
struct dict *value_new_dict(struct run *r, size_t capacity);
int value_dict_put(struct run *r, struct dict *d, struct value key, struct value value);
const struct value *value_dict_get(const struct dict *d, struct value key); // NULL when absent
const struct value *value_dict_find(const struct dict *d, struct slice key);
// Whether Python could hash it; lists and dicts (also inside of tuples) cannot be keys.
bool value_is_hashable(struct value v);

// Python's truth of a value.
int value_truth(struct run *r, struct value v, bool *out);
// len(v); fails for what has none.
int value_length(struct run *r, struct value v, size_t *out);

// a == b, and the order of a and b for < and its kin (fails where Python has none).
int value_equal(struct run *r, struct value a, struct value b, bool *out);
int value_order(struct run *r, struct value a, struct value b, int *out);
// a in b
int value_contains(struct run *r, struct value b, struct value a, bool *out);

// What Python's json.loads gives for it. Of equal keys the last value counts, in the first place.
int value_from_json(struct run *r, const struct json *json, struct value *out);

#endif
