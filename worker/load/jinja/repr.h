// How values are printed: Python's str() and repr(), and its json.dumps().
#ifndef WORKER_LOAD_JINJA_REPR_H
#define WORKER_LOAD_JINJA_REPR_H

#include "worker/load/jinja/value.h"

// Prints str(v): what {{ v }} prints. Refuses what Python prints with an address.
int repr_print(struct run *r, struct value v);
// Prints repr(v): the same with strings quoted.
int repr_print_quoted(struct run *r, struct value v);

struct json_style {
    const char *indent; // repeated for each level on a line of its own; NULL: all on one line
    int n_indent;       // how often, when indent is " "
    struct slice comma, colon;
    bool ascii, sorted; // ensure_ascii, sort_keys
};

// Prints json.dumps(v) in a style; refuses what JSON has not.
int repr_print_json(struct run *r, struct value v, const struct json_style *style);

#endif
