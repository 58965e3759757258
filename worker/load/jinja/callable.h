// Functions, methods, filters and tests as rows of tables, and how arguments reach them.
#ifndef WORKER_LOAD_JINJA_CALLABLE_H
#define WORKER_LOAD_JINJA_CALLABLE_H

#include "worker/load/jinja/value.h"

enum { CALLABLE_MAX_ARGS = 6 };

// Arguments as they are given: n by place, then n_named with names.
struct args {
    int n, n_named;
    const struct value *values; // (n + n_named)
    const struct slice *names;  // (n_named)
};

struct callable {
    const char *name;
    // `self` is the object of a method, filter or test. `args` are as `params` orders them, those
    // that were not given VALUE_MISSING; or, for `raw`, as they were given.
    int (*call)(struct run *r, struct value self, const struct args *args, struct value *out);
    const char *params[CALLABLE_MAX_ARGS]; // their names; NULL where the list ends
    int n_required;
    bool by_place; // no argument may be named
    bool raw;
    // Methods that Python has and a template cannot call: call is NULL. Those that change their
    // object are undefined for Jinja's sandbox.
    bool is_unsafe;
};

// Tables end with a row without a name.
const struct callable *callable_find(const struct callable *rows, struct slice name);
void callable_list(const struct callable *rows, struct buffer *out); // "'abs', 'batch', ..."

// Puts the arguments into order, checks their number and names, and calls.
int callable_call(struct run *r, const struct callable *row, struct value self,
                  const struct args *args, struct value *out);

// The value of an argument, or a default for one that was not given.
static inline struct value callable_argument(const struct args *args, int place,
                                             struct value otherwise) {
    return args->values[place].type == VALUE_MISSING ? otherwise : args->values[place];
}

#endif
