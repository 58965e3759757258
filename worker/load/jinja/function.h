// The functions that every chat template has: Jinja's, as far as they are used, and transformers'.
#ifndef WORKER_LOAD_JINJA_FUNCTION_H
#define WORKER_LOAD_JINJA_FUNCTION_H

#include "worker/load/jinja/callable.h"

extern const struct callable function_rows[];

// A name that Jinja gives a meaning which we do not have.
bool function_is_unknown(struct slice name);

// datetime.now().strftime(format), in English whatever the locale is; fails for fields that are
// not known. strftime.c
int function_strftime(struct run *r, struct slice format, struct value *out);

#endif
