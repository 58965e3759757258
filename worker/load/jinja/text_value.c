#include "worker/load/jinja/text_value.h"

int text_argument(struct run *r, struct value v, const char *what, struct slice *out) {
    if (!value_is_string(v))
        return run_fail(r, "%s is %s, expected a string.", what, value_type_name(v));
    *out = value_slice(v);
    return 0;
}

int text_integer(struct run *r, struct value v, const char *what, int64_t *out) {
    if (!value_is_integer(v))
        return run_fail(r, "%s is %s, expected an integer.", what, value_type_name(v));
    *out = value_integer(v);
    return 0;
}

int text_fail_case(struct run *r) {
    return run_fail(r, "a letter whose upper and lower case differ between versions of Python is "
                       "changed.");
}

static int has_room(struct run *r, size_t bytes) {
    if (bytes <= RUN_MAX_TEXT - r->out.len) return run_spend_many(r, bytes >> 8);
    return run_fail(r, "a string has more than %d MiB.", RUN_MAX_TEXT >> 20);
}

int text_change_case(struct run *r, struct slice s, enum pystr_case to, struct value *out) {
    size_t from = r->out.len;
    if (has_room(r, 2 * s.len)) return -1;
    if (pystr_add_case(&r->out, s, to)) return text_fail_case(r);
    return run_take_printed(r, from, out);
}

int text_capitalize(struct run *r, struct slice s, struct value *out) {
    size_t from = r->out.len, first = pystr_offset(s, 1);
    if (has_room(r, 2 * s.len)) return -1;
    if (pystr_add_case(&r->out, (struct slice){s.ptr, first}, PYSTR_UPPER) ||
        pystr_add_case(&r->out, (struct slice){s.ptr + first, s.len - first}, PYSTR_LOWER))
        return text_fail_case(r);
    return run_take_printed(r, from, out);
}

int text_title(struct run *r, struct slice s, struct value *out) {
    size_t from = r->out.len;
    if (has_room(r, 2 * s.len)) return -1;
    if (pystr_add_title(&r->out, s)) return text_fail_case(r);
    return run_take_printed(r, from, out);
}

// An empty text stands in front of each character and at the end.
static int replace_empty(struct run *r, struct slice s, struct slice to, int64_t count) {
    uint32_t code;
    for (bool more = true; more && count != 0; count--) {
        struct slice rest = s;
        more = pystr_next(&rest, &code);
        struct slice one = {s.ptr, s.len - rest.len};
        if (run_spend(r) || run_print(r, to) || run_print(r, one)) return -1;
        s = rest;
    }
    return run_print(r, s);
}

int text_replace(struct run *r, struct slice s, struct slice from, struct slice to, int64_t count,
                 struct value *out) {
    size_t start = r->out.len, at = 0;
    if (from.len == 0) {
        if (replace_empty(r, s, to, count)) return -1;
        return run_take_printed(r, start, out);
    }
    for (ptrdiff_t found; count != 0 && (found = pystr_find(s, from, at)) != PYSTR_NONE; count--) {
        struct slice plain = {s.ptr + at, (size_t)found - at};
        if (run_spend(r) || run_print(r, plain) || run_print(r, to)) return -1;
        at = (size_t)found + from.len;
    }
    if (run_print(r, (struct slice){s.ptr + at, s.len - at})) return -1;
    return run_take_printed(r, start, out);
}

int text_pad(struct run *r, struct slice s, int64_t left, int64_t right, struct slice fill,
             struct value *out) {
    size_t from = r->out.len;
    if (left > RUN_MAX_TEXT || right > RUN_MAX_TEXT) return has_room(r, SIZE_MAX);
    for (int64_t i = 0; i < left; i++)
        if (run_spend(r) || run_print(r, fill)) return -1;
    if (run_print(r, s)) return -1;
    for (int64_t i = 0; i < right; i++)
        if (run_spend(r) || run_print(r, fill)) return -1;
    return run_take_printed(r, from, out);
}

int text_center(struct run *r, struct slice s, int64_t width, struct slice fill,
                struct value *out) {
    int64_t pad = width - (int64_t)pystr_length(s);
    if (pad < 0) pad = 0;
    int64_t left = pad / 2 + (pad & width & 1);
    return text_pad(r, s, left, pad - left, fill, out);
}
