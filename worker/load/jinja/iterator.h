// Going through values one after the other, as late as Python does it: a generator asks for its
// next item only when somebody wants it, and can be gone through once.
#ifndef WORKER_LOAD_JINJA_ITERATOR_H
#define WORKER_LOAD_JINJA_ITERATOR_H

#include "worker/load/jinja/value.h"

// The first member of each kind of iterator, which lies in the arena.
struct iterator {
    // Stores the next item, or sets `done`; then it stays done.
    int (*next)(struct run *r, struct iterator *it, struct value *out, bool *done);
};

// iter(v): fails for what cannot be iterated. An iterator is its own.
int iterator_of(struct run *r, struct value v, struct iterator **out);
// reversed(v): fails for what is no sequence, dict, view or range.
int iterator_reversed(struct run *r, struct value v, struct iterator **out);

int iterator_next(struct run *r, struct iterator *it, struct value *out, bool *done);

// list(v), or tuple(v).
int iterator_collect(struct run *r, struct value v, enum value_type type, struct value *out);
// The same of an iterator's rest.
int iterator_collect_rest(struct run *r, struct iterator *it, enum value_type type,
                          struct value *out);

// An iterator as a value: what a filter returns.
struct value iterator_value(struct iterator *it);

#endif
