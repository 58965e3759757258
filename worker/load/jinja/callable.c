#include "worker/load/jinja/callable.h"

const struct callable *callable_find(const struct callable *rows, struct slice name) {
    for (const struct callable *row = rows; row->name; row++)
        if (slice_is(name, row->name)) return row;
    return NULL;
}

void callable_list(const struct callable *rows, struct buffer *out) {
    for (const struct callable *row = rows; row->name; row++)
        buffer_printf(out, "%s%s", row == rows ? "" : ", ", row->name);
}

static int n_params(const struct callable *row) {
    int n = 0;
    while (n < CALLABLE_MAX_ARGS && row->params[n]) n++;
    return n;
}

static int place_named(struct run *r, const struct callable *row, struct slice name,
                       struct value value, struct value *ordered) {
    int n = n_params(row);
    for (int i = 0; i < n && !row->by_place; i++) {
        if (!slice_is(name, row->params[i])) continue;
        if (ordered[i].type != VALUE_MISSING)
            return run_fail(r, "%s gets the argument '%s' twice.", row->name, row->params[i]);
        ordered[i] = value;
        return 0;
    }
    return run_fail(r, "%s has no argument '%.*s'.", row->name, SLICE_ARG(name));
}

int callable_call(struct run *r, const struct callable *row, struct value self,
                  const struct args *args, struct value *out) {
    struct value ordered[CALLABLE_MAX_ARGS];
    int n = n_params(row);
    if (!row->call) return run_fail(r, "'%s' is not supported in a chat template.", row->name);
    if (row->raw) return row->call(r, self, args, out);
    if (args->n > n)
        return run_fail(r, "%s gets %d arguments, expected at most %d.", row->name, args->n, n);
    for (int i = 0; i < n; i++)
        ordered[i] = i < args->n ? args->values[i] : (struct value){.type = VALUE_MISSING};
    for (int i = 0; i < args->n_named; i++)
        if (place_named(r, row, args->names[i], args->values[args->n + i], ordered)) return -1;
    for (int i = 0; i < row->n_required; i++)
        if (ordered[i].type == VALUE_MISSING)
            return run_fail(r, "%s needs the argument '%s'.", row->name, row->params[i]);
    return row->call(r, self, &(struct args){.n = n, .values = ordered}, out);
}
