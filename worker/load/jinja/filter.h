// Jinja's filters, and transformers' own tojson.
#ifndef WORKER_LOAD_JINJA_FILTER_H
#define WORKER_LOAD_JINJA_FILTER_H

#include "worker/load/jinja/callable.h"

extern const struct callable filter_rows[];
const struct callable *filter_find(struct slice name);

typedef int filter_call(struct run *r, struct value self, const struct args *args,
                        struct value *out);

// filter_number.c
filter_call filter_abs, filter_int, filter_float, filter_round, filter_sum;
// filter_text.c
filter_call filter_capitalize, filter_center, filter_escape, filter_format, filter_indent,
    filter_lower, filter_replace, filter_safe, filter_string, filter_title, filter_tojson,
    filter_trim, filter_upper;
// filter_sequence.c
filter_call filter_default, filter_dictsort, filter_first, filter_items, filter_join, filter_last,
    filter_length, filter_list, filter_max, filter_min, filter_reverse, filter_sort, filter_unique;
// filter_select.c
filter_call filter_map, filter_reject, filter_rejectattr, filter_select, filter_selectattr;

// The value that `attribute` ("a.b.0", an integer, or none for the item itself) names in `item`.
int filter_attribute(struct run *r, struct value item, struct value attribute, struct value *out);

#endif
