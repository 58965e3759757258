// Filters whose object is a list or the like.
#include "worker/load/jinja/eval.h"
#include "worker/load/jinja/filter.h"
#include "worker/load/jinja/repr.h"
#include "worker/load/jinja/text_value.h"

int filter_default(struct run *r, struct value self, const struct args *args, struct value *out) {
    struct value otherwise = callable_argument(args, 0, value_string(slice_of("")));
    bool also_false, truth = true;
    if (value_truth(r, callable_argument(args, 1, value_bool(false)), &also_false)) return -1;
    if (also_false && value_truth(r, self, &truth)) return -1;
    *out = self.type == VALUE_UNDEFINED || !truth ? otherwise : self;
    return 0;
}

int filter_length(struct run *r, struct value self, const struct args *args, struct value *out) {
    size_t n;
    (void)args;
    if (self.type == VALUE_LOOP) return eval_loop_attribute(r, self.loop, slice_of("length"), out);
    if (value_length(r, self, &n)) return -1;
    *out = value_int((int64_t)n);
    return 0;
}

int filter_list(struct run *r, struct value self, const struct args *args, struct value *out) {
    (void)args;
    return iterator_collect(r, self, VALUE_LIST, out);
}

static int first_of(struct run *r, struct iterator *it, const char *name, struct value *out) {
    bool done;
    if (iterator_next(r, it, out, &done)) return -1;
    if (done) *out = value_undefined(r, ABSENT_OTHER, slice_of(name));
    return 0;
}

int filter_first(struct run *r, struct value self, const struct args *args, struct value *out) {
    struct iterator *it;
    (void)args;
    return iterator_of(r, self, &it) || first_of(r, it, "the first item of nothing", out) ? -1 : 0;
}

int filter_last(struct run *r, struct value self, const struct args *args, struct value *out) {
    struct iterator *it;
    (void)args;
    if (iterator_reversed(r, self, &it)) return -1;
    return first_of(r, it, "the last item of nothing", out);
}

int filter_reverse(struct run *r, struct value self, const struct args *args, struct value *out) {
    struct value all = self;
    struct iterator *it;
    (void)args;
    if (self.type == VALUE_STRING) {
        struct value bounds[3] = {value_none(), value_none(), value_int(-1)};
        return eval_slice(r, self, bounds, out);
    }
    // A generator becomes a list, all else is gone through from its end.
    if (self.type == VALUE_ITERATOR && iterator_collect(r, self, VALUE_LIST, &all)) return -1;
    if (iterator_reversed(r, all, &it)) return -1;
    *out = iterator_value(it);
    if (self.type != VALUE_ITERATOR) return 0;
    return iterator_collect(r, *out, VALUE_LIST, out);
}

int filter_items(struct run *r, struct value self, const struct args *args, struct value *out) {
    struct iterator *it;
    (void)args;
    if (self.type == VALUE_DICT) {
        self.type = VALUE_VIEW;
        self.view = VIEW_ITEMS;
    } else if (self.type != VALUE_UNDEFINED) {
        return run_fail(r, "items of %s, expected a dict.", value_type_name(self));
    }
    if (iterator_of(r, self, &it)) return -1;
    *out = iterator_value(it);
    return 0;
}

// ---- attributes of items

static bool is_index(struct slice s, int64_t *index) {
    *index = 0;
    for (size_t i = 0; i < s.len; i++) {
        if (s.ptr[i] < '0' || s.ptr[i] > '9') return false;
        if (*index <= INT32_MAX) *index = 10 * *index + (s.ptr[i] - '0'); // no list is as long
    }
    return s.len > 0;
}

int filter_attribute(struct run *r, struct value item, struct value attribute, struct value *out) {
    *out = item;
    if (attribute.type == VALUE_NONE) return 0;
    if (!value_is_string(attribute)) return eval_item(r, item, attribute, out);
    struct slice rest = value_slice(attribute);
    if (!pystr_is_ascii(rest)) return run_fail(r, "an attribute's name is not ASCII.");
    for (bool more = true; more;) {
        const char *dot = rest.len ? memchr(rest.ptr, '.', rest.len) : NULL;
        struct slice part = {rest.ptr, dot ? (size_t)(dot - rest.ptr) : rest.len};
        int64_t index;
        struct value key = is_index(part, &index) ? value_int(index) : value_string(part);
        if (eval_item(r, *out, key, out)) return -1;
        more = dot != NULL;
        if (more) rest = (struct slice){dot + 1, rest.len - part.len - 1};
    }
    return 0;
}

int filter_join(struct run *r, struct value self, const struct args *args, struct value *out) {
    struct value between = callable_argument(args, 0, value_string(slice_of(""))), item;
    struct value attribute = callable_argument(args, 1, value_none());
    struct iterator *it;
    size_t from;
    bool done;
    if (iterator_of(r, self, &it)) return -1;
    from = r->out.len;
    for (bool first = true;; first = false) {
        if (iterator_next(r, it, &item, &done)) return -1;
        if (done) return run_take_printed(r, from, out);
        if (filter_attribute(r, item, attribute, &item)) return -1;
        if ((!first && repr_print(r, between)) || repr_print(r, item)) return -1;
    }
}

// What items are compared by: text in lower case unless case matters.
static int comparison_key(struct run *r, struct value item, struct value attribute, bool with_case,
                          struct value *out) {
    if (filter_attribute(r, item, attribute, out)) return -1;
    if (with_case || !value_is_string(*out)) return 0;
    return text_change_case(r, value_slice(*out), PYSTR_LOWER, out);
}

static int extreme(struct run *r, struct value self, const struct args *args, int sign,
                   struct value *out) {
    struct value attribute = callable_argument(args, 1, value_none()), item, key, best = {0};
    struct iterator *it;
    bool done, with_case;
    if (value_truth(r, callable_argument(args, 0, value_bool(false)), &with_case)) return -1;
    if (iterator_of(r, self, &it)) return -1;
    *out = value_undefined(r, ABSENT_OTHER, slice_of("the least or greatest item of nothing"));
    for (bool first = true;; first = false) {
        int order = 0;
        if (iterator_next(r, it, &item, &done)) return -1;
        if (done) return 0;
        if (comparison_key(r, item, attribute, with_case, &key)) return -1;
        if (!first && value_order(r, key, best, &order)) return -1;
        if (!first && order * sign <= 0) continue;
        best = key;
        *out = item;
    }
}

int filter_max(struct run *r, struct value self, const struct args *args, struct value *out) {
    return extreme(r, self, args, 1, out);
}

int filter_min(struct run *r, struct value self, const struct args *args, struct value *out) {
    return extreme(r, self, args, -1, out);
}

// ---- sorting

struct entry {
    struct value key, item;
};

// Merges two sorted runs of entries; of equal ones the left one comes first.
static int merge(struct run *r, const struct entry *left, size_t n_left, const struct entry *right,
                 size_t n_right, int sign, struct entry *out) {
    while (n_left > 0 && n_right > 0) {
        int order;
        if (run_spend(r) || value_order(r, right->key, left->key, &order)) return -1;
        if (order * sign < 0) {
            *out++ = *right++;
            n_right--;
        } else {
            *out++ = *left++;
            n_left--;
        }
    }
    if (n_left) memcpy(out, left, n_left * sizeof *out);
    if (n_right) memcpy(out, right, n_right * sizeof *out);
    return 0;
}

static int sort(struct run *r, struct entry *entries, size_t n, bool reverse) {
    struct entry *from = entries, *to = run_take(r, n, sizeof *to);
    if (!to) return -1;
    for (size_t width = 1; width < n; width *= 2) {
        for (size_t at = 0; at < n; at += 2 * width) {
            size_t left = n - at < width ? n - at : width, right = n - at - left;
            if (right > width) right = width;
            if (merge(r, from + at, left, from + at + left, right, reverse ? -1 : 1, to + at))
                return -1;
        }
        struct entry *other = from;
        from = to;
        to = other;
    }
    if (from != entries && n) memcpy(entries, from, n * sizeof *entries);
    return 0;
}

// The key of `sort` is a list, one item an attribute ("a,b").
static int sort_key(struct run *r, struct value item, struct value attribute, bool with_case,
                    struct value *out) {
    size_t n = 1, at = 0;
    if (value_is_string(attribute))
        for (size_t i = 0; i < attribute.size; i++) n += attribute.text[i] == ',';
    struct value list, *keys = value_new_list(r, VALUE_LIST, n, &list);
    if (!keys) return -1;
    for (size_t i = 0; i < n; i++) {
        struct value one = attribute;
        if (value_is_string(attribute)) {
            const char *start = attribute.text + at,
                       *comma = memchr(start, ',', attribute.size - at);
            size_t len = comma ? (size_t)(comma - start) : attribute.size - at;
            one = value_string((struct slice){start, len});
            at += len + 1;
        }
        if (comparison_key(r, item, one, with_case, &keys[i])) return -1;
    }
    *out = list;
    return 0;
}

static int sorted_items(struct run *r, struct entry *entries, size_t n, bool reverse,
                        struct value *out) {
    if (sort(r, entries, n, reverse)) return -1;
    struct value *items = value_new_list(r, VALUE_LIST, n, out);
    if (!items) return -1;
    for (size_t i = 0; i < n; i++) items[i] = entries[i].item;
    return 0;
}

int filter_sort(struct run *r, struct value self, const struct args *args, struct value *out) {
    struct value attribute = callable_argument(args, 2, value_none()), all;
    bool reverse, with_case;
    if (value_truth(r, callable_argument(args, 0, value_bool(false)), &reverse) ||
        value_truth(r, callable_argument(args, 1, value_bool(false)), &with_case))
        return -1;
    if (iterator_collect(r, self, VALUE_LIST, &all)) return -1;
    struct entry *entries = run_take(r, all.list->n, sizeof *entries);
    if (!entries) return -1;
    for (size_t i = 0; i < all.list->n; i++) {
        entries[i].item = all.list->items[i];
        if (sort_key(r, entries[i].item, attribute, with_case, &entries[i].key)) return -1;
    }
    return sorted_items(r, entries, all.list->n, reverse, out);
}

int filter_dictsort(struct run *r, struct value self, const struct args *args, struct value *out) {
    struct slice by;
    bool with_case, reverse;
    if (text_argument(r, callable_argument(args, 1, value_string(slice_of("key"))), "by", &by))
        return -1;
    bool by_key = slice_is(by, "key");
    if (!by_key && !slice_is(by, "value"))
        return run_fail(r, "dictsort's 'by' is '%.*s', expected key or value.", SLICE_ARG(by));
    if (self.type == VALUE_UNDEFINED) return value_fail_undefined(r, self);
    if (self.type != VALUE_DICT)
        return run_fail(r, "dictsort of %s, expected a dict.", value_type_name(self));
    if (value_truth(r, callable_argument(args, 0, value_bool(false)), &with_case) ||
        value_truth(r, callable_argument(args, 2, value_bool(false)), &reverse))
        return -1;
    size_t n = self.dict->n;
    struct entry *entries = run_take(r, n, sizeof *entries);
    if (!entries) return -1;
    for (size_t i = 0; i < n; i++) {
        const struct member *m = &self.dict->members[i];
        struct value *pair = value_new_list(r, VALUE_TUPLE, 2, &entries[i].item);
        if (!pair) return -1;
        pair[0] = m->key;
        pair[1] = m->value;
        if (comparison_key(r, by_key ? m->key : m->value, value_none(), with_case, &entries[i].key))
            return -1;
    }
    return sorted_items(r, entries, n, reverse, out);
}

// ---- unique

struct unique {
    struct iterator base, *inner;
    struct value attribute;
    struct dict *seen;
    bool with_case;
};

static int next_unique(struct run *r, struct iterator *it, struct value *out, bool *done) {
    struct unique *u = (struct unique *)it;
    for (;;) {
        struct value key;
        if (iterator_next(r, u->inner, out, done)) return -1;
        if (*done) return 0;
        if (comparison_key(r, *out, u->attribute, u->with_case, &key)) return -1;
        key.markup = false;
        if (value_dict_get(u->seen, key)) continue;
        return value_dict_put(r, u->seen, key, value_none());
    }
}

int filter_unique(struct run *r, struct value self, const struct args *args, struct value *out) {
    struct unique *u = run_take(r, 1, sizeof *u);
    if (!u) return -1;
    *u = (struct unique){.base = {next_unique}, .seen = value_new_dict(r, 0)};
    u->attribute = callable_argument(args, 1, value_none());
    if (!u->seen) return -1;
    if (value_truth(r, callable_argument(args, 0, value_bool(false)), &u->with_case)) return -1;
    if (iterator_of(r, self, &u->inner)) return -1;
    *out = iterator_value(&u->base);
    return 0;
}
