// Python's arithmetic on template values. Integers are exact in 64 bits and refused beyond; a
// result that is no finite number is refused.
#ifndef WORKER_LOAD_JINJA_ARITH_H
#define WORKER_LOAD_JINJA_ARITH_H

#include "worker/load/jinja/value.h"

enum arith_op {
    ARITH_ADD,
    ARITH_SUB,
    ARITH_MUL,
    ARITH_DIV,
    ARITH_FLOORDIV,
    ARITH_MOD,
    ARITH_POW,
};

// a OP b: numbers; + of two strings, lists or tuples; * of one of these and an integer; % of a
// string and what it formats.
int arith_binary(struct run *r, enum arith_op op, struct value a, struct value b,
                 struct value *out);
int arith_negative(struct run *r, struct value v, struct value *out); // -v
int arith_positive(struct run *r, struct value v, struct value *out); // +v

// printf-style formatting of %s, %d, %i and %%; anything else is refused.
int arith_format(struct run *r, struct value format, const struct value *values, size_t n,
                 struct value *out);

// markupsafe.escape(v): & < > ' " as entities, but for what is Markup already.
int arith_escape(struct run *r, struct value v, struct value *out);

#endif
