// Jinja's tests: what stands behind "is".
#ifndef WORKER_LOAD_JINJA_PREDICATE_H
#define WORKER_LOAD_JINJA_PREDICATE_H

#include "worker/load/jinja/callable.h"

extern const struct callable predicate_rows[]; // each gives a boolean
const struct callable *predicate_find(struct slice name);

#endif
