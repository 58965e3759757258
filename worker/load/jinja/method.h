// The methods of Python's str, list, tuple and dict; names of other attributes that Python's types
// have and a template does not get.
#ifndef WORKER_LOAD_JINJA_METHOD_H
#define WORKER_LOAD_JINJA_METHOD_H

#include "worker/load/jinja/callable.h"
#include "worker/load/jinja/pystr.h"

// The attribute `name` of a type, or NULL when Python's type has none.
const struct callable *method_find(enum value_type type, struct slice name);

int method_bind(struct run *r, const struct callable *row, struct value self, struct value *out);

extern const struct callable method_string_rows[]; // method_string.c

// s.isupper() or s.islower(); fails for letters beyond ASCII.
int method_is_case(struct run *r, struct slice s, enum pystr_case which, struct value *out);

// method_split.c
int method_split(struct run *r, struct value self, const struct args *args, struct value *out);
int method_rsplit(struct run *r, struct value self, const struct args *args, struct value *out);
int method_splitlines(struct run *r, struct value self, const struct args *args, struct value *out);
int method_format(struct run *r, struct value self, const struct args *args, struct value *out);

#endif
