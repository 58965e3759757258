// Strings as arguments and results of methods and filters.
#ifndef WORKER_LOAD_JINJA_TEXT_VALUE_H
#define WORKER_LOAD_JINJA_TEXT_VALUE_H

#include "worker/load/jinja/callable.h"
#include "worker/load/jinja/pystr.h"

// The text of an argument, or its integer; fails with `what` it is for when it is something else.
int text_argument(struct run *r, struct value v, const char *what, struct slice *out);
int text_integer(struct run *r, struct value v, const char *what, int64_t *out);

// s in another case, a word with a capital, with all words so (str.title), or fails.
int text_change_case(struct run *r, struct slice s, enum pystr_case to, struct value *out);
int text_capitalize(struct run *r, struct slice s, struct value *out);
int text_title(struct run *r, struct slice s, struct value *out);
int text_fail_case(struct run *r);

// s.replace(from, to, count); a negative count is all of them.
int text_replace(struct run *r, struct slice s, struct slice from, struct slice to, int64_t count,
                 struct value *out);
// s between fills that make it `width` code points long: `left` of them in front.
int text_pad(struct run *r, struct slice s, int64_t left, int64_t right, struct slice fill,
             struct value *out);
int text_center(struct run *r, struct slice s, int64_t width, struct slice fill, struct value *out);

#endif
