// What each name of a template means: which variable, or which value from outside.
//
// Jinja compiles a template to Python functions, and a name to a local variable of one of them:
// of the template, a macro, a call block or the test of a loop. Loops and blocks have variables of
// their own, which start as copies of those outside of them. The rules are those of
// jinja2/idtracking.py and jinja2/compiler.py, oddities included.
#ifndef WORKER_LOAD_JINJA_RESOLVE_H
#define WORKER_LOAD_JINJA_RESOLVE_H

#include "worker/load/jinja/node.h"

struct resolved {
    struct scope scope; // of the template itself
    int n_slots;
    int n_names;
    struct slice *names; // (n_names) of the names from outside
};

// Writes the variables into the tree. ERROR_CONFIG with "NAME, line N: " for what Jinja or Python
// would not compile (break outside of a loop), and for names that we do not know.
int resolve_template(struct node *body, const char *name, struct arena *arena, struct resolved *out,
                     struct error *err);

#endif
