// The methods of str.
#include "worker/load/jinja/iterator.h"
#include "worker/load/jinja/method.h"
#include "worker/load/jinja/repr.h"
#include "worker/load/jinja/text_value.h"

#define METHOD(name)                                                                               \
    static int name(struct run *r, struct value self, const struct args *args, struct value *out)

// ---- case

METHOD(upper) {
    (void)args;
    return text_change_case(r, value_slice(self), PYSTR_UPPER, out);
}

METHOD(lower) {
    (void)args;
    return text_change_case(r, value_slice(self), PYSTR_LOWER, out);
}

METHOD(title) {
    (void)args;
    return text_title(r, value_slice(self), out);
}

METHOD(capitalize) {
    (void)args;
    return text_capitalize(r, value_slice(self), out);
}

// ---- both ends

static int strip_sides(struct run *r, struct value self, const struct args *args, int sides,
                       struct value *out) {
    struct value chars = callable_argument(args, 0, value_none());
    struct slice set;
    if (run_spend_many(r, self.size >> 8)) return -1;
    if (chars.type != VALUE_NONE && text_argument(r, chars, "what is stripped", &set)) return -1;
    *out =
        value_string(pystr_strip(value_slice(self), sides, chars.type == VALUE_NONE ? NULL : &set));
    return 0;
}

METHOD(strip) {
    return strip_sides(r, self, args, PYSTR_LEFT | PYSTR_RIGHT, out);
}

METHOD(lstrip) {
    return strip_sides(r, self, args, PYSTR_LEFT, out);
}

METHOD(rstrip) {
    return strip_sides(r, self, args, PYSTR_RIGHT, out);
}

static int has_end(struct run *r, struct value self, struct value end, bool front,
                   struct value *out) {
    const struct value *ends = &end;
    size_t n = 1;
    struct slice text;
    bool found = false;
    if (end.type == VALUE_TUPLE) {
        ends = end.list->items;
        n = end.list->n;
    }
    for (size_t i = 0; i < n && !found; i++) {
        if (text_argument(r, ends[i], front ? "a prefix" : "a suffix", &text)) return -1;
        found = front ? pystr_starts(value_slice(self), text) : pystr_ends(value_slice(self), text);
    }
    *out = value_bool(found);
    return 0;
}

METHOD(startswith) {
    return has_end(r, self, args->values[0], true, out);
}

METHOD(endswith) {
    return has_end(r, self, args->values[0], false, out);
}

METHOD(removeprefix) {
    struct slice s = value_slice(self), prefix;
    if (text_argument(r, args->values[0], "a prefix", &prefix)) return -1;
    if (pystr_starts(s, prefix)) s = (struct slice){s.ptr + prefix.len, s.len - prefix.len};
    *out = value_string(s);
    return 0;
}

METHOD(removesuffix) {
    struct slice s = value_slice(self), suffix;
    if (text_argument(r, args->values[0], "a suffix", &suffix)) return -1;
    if (pystr_ends(s, suffix)) s.len -= suffix.len;
    *out = value_string(s);
    return 0;
}

static int pad(struct run *r, struct value self, const struct args *args, int side,
               struct value *out) {
    int64_t width;
    struct slice s = value_slice(self), fill;
    if (text_integer(r, args->values[0], "a width", &width)) return -1;
    if (text_argument(r, callable_argument(args, 1, value_string(slice_of(" "))), "a fill", &fill))
        return -1;
    if (pystr_length(fill) != 1) return run_fail(r, "a fill has not one character.");
    if (side == 0) return text_center(r, s, width, fill, out);
    int64_t n = width - (int64_t)pystr_length(s);
    return text_pad(r, s, side < 0 ? n : 0, side > 0 ? n : 0, fill, out);
}

METHOD(center) {
    return pad(r, self, args, 0, out);
}

METHOD(ljust) {
    return pad(r, self, args, 1, out);
}

METHOD(rjust) {
    return pad(r, self, args, -1, out);
}

METHOD(zfill) {
    int64_t width;
    struct slice s = value_slice(self), zero = slice_of("0");
    struct value padded;
    if (text_integer(r, args->values[0], "a width", &width)) return -1;
    bool sign = s.len && (s.ptr[0] == '-' || s.ptr[0] == '+');
    struct slice digits = {s.ptr + sign, s.len - sign};
    if (text_pad(r, digits, width - (int64_t)pystr_length(s), 0, zero, &padded)) return -1;
    if (!sign) {
        *out = padded;
        return 0;
    }
    size_t from = r->out.len;
    if (run_print(r, (struct slice){s.ptr, 1}) || run_print(r, value_slice(padded))) return -1;
    return run_take_printed(r, from, out);
}

// ---- parts

static int find_part(struct run *r, struct value self, struct value part, bool last,
                     ptrdiff_t *out) {
    struct slice s = value_slice(self), needle;
    if (text_argument(r, part, "what is looked for", &needle)) return -1;
    if (run_spend_many(r, s.len >> 8)) return -1;
    *out = last ? pystr_find_last(s, needle, s.len) : pystr_find(s, needle, 0);
    return 0;
}

static int place(struct run *r, struct value self, const struct args *args, bool last, bool must,
                 struct value *out) {
    ptrdiff_t at;
    if (find_part(r, self, args->values[0], last, &at)) return -1;
    if (at == PYSTR_NONE && must) return run_fail(r, "a text that is not there is looked for.");
    *out = value_int(
        at == PYSTR_NONE ? -1 : (int64_t)pystr_length((struct slice){self.text, (size_t)at}));
    return 0;
}

METHOD(find) {
    return place(r, self, args, false, false, out);
}

METHOD(rfind) {
    return place(r, self, args, true, false, out);
}

METHOD(index_of) {
    return place(r, self, args, false, true, out);
}

METHOD(last_index_of) {
    return place(r, self, args, true, true, out);
}

METHOD(count) {
    struct slice s = value_slice(self), needle;
    int64_t n = 0;
    if (text_argument(r, args->values[0], "what is counted", &needle)) return -1;
    if (run_spend_many(r, s.len >> 8)) return -1;
    if (needle.len == 0) n = (int64_t)pystr_length(s) + 1;
    for (ptrdiff_t at = 0; needle.len && (at = pystr_find(s, needle, (size_t)at)) != PYSTR_NONE;
         n++)
        at += (ptrdiff_t)needle.len;
    *out = value_int(n);
    return 0;
}

METHOD(replace) {
    struct slice from, to;
    int64_t n;
    if (text_argument(r, args->values[0], "what is replaced", &from) ||
        text_argument(r, args->values[1], "a replacement", &to) ||
        text_integer(r, callable_argument(args, 2, value_int(-1)), "a count", &n))
        return -1;
    return text_replace(r, value_slice(self), from, to, n, out);
}

METHOD(join) {
    struct iterator *it;
    struct value item;
    size_t from = r->out.len;
    bool done;
    if (iterator_of(r, args->values[0], &it)) return -1;
    for (bool first = true;; first = false) {
        struct slice text;
        if (iterator_next(r, it, &item, &done)) return -1;
        if (done) return run_take_printed(r, from, out);
        if (text_argument(r, item, "an item that is joined", &text)) return -1;
        if ((!first && run_print(r, value_slice(self))) || run_print(r, text)) return -1;
    }
}

static int partition_at(struct run *r, struct value self, const struct args *args, bool last,
                        struct value *out) {
    struct value parts, *items = value_new_list(r, VALUE_TUPLE, 3, &parts);
    struct slice s = value_slice(self);
    ptrdiff_t at;
    if (!items || find_part(r, self, args->values[0], last, &at)) return -1;
    size_t n = args->values[0].size;
    if (n == 0) return run_fail(r, "a text is cut at an empty one.");
    *out = parts;
    for (int i = 0; i < 3; i++) items[i] = value_string(slice_of(""));
    if (at == PYSTR_NONE) {
        items[last ? 2 : 0] = value_string(s);
        return 0;
    }
    size_t behind = (size_t)at + n;
    items[0] = value_string((struct slice){s.ptr, (size_t)at});
    items[1] = value_string((struct slice){s.ptr + at, n});
    items[2] = value_string((struct slice){s.ptr + behind, s.len - behind});
    return 0;
}

METHOD(partition) {
    return partition_at(r, self, args, false, out);
}

METHOD(rpartition) {
    return partition_at(r, self, args, true, out);
}

// ---- kinds of characters

enum { KIND_ALPHA = 1, KIND_DIGIT = 2, KIND_SPACE = 4 };

static int only(struct run *r, struct value self, int kinds, struct value *out) {
    struct slice s = value_slice(self);
    bool all = s.len > 0;
    if (!pystr_is_ascii(s)) return run_fail(r, "the kind of characters beyond ASCII is asked for.");
    for (size_t i = 0; i < s.len; i++) {
        char c = s.ptr[i], letter = (char)(c | 0x20);
        int kind = letter >= 'a' && letter <= 'z' ? KIND_ALPHA : 0;
        if (c >= '0' && c <= '9') kind = KIND_DIGIT;
        if (pystr_is_space((uint32_t)c)) kind = KIND_SPACE;
        if (!(kind & kinds)) all = false;
    }
    *out = value_bool(all);
    return 0;
}

METHOD(is_alpha) {
    (void)args;
    return only(r, self, KIND_ALPHA, out);
}

METHOD(is_alnum) {
    (void)args;
    return only(r, self, KIND_ALPHA | KIND_DIGIT, out);
}

METHOD(is_digit) {
    (void)args;
    return only(r, self, KIND_DIGIT, out);
}

METHOD(is_space) {
    (void)args;
    return only(r, self, KIND_SPACE, out);
}

METHOD(is_ascii) {
    (void)r, (void)args;
    *out = value_bool(pystr_is_ascii(value_slice(self)));
    return 0;
}

// A letter of the case, and none of the other one.
int method_is_case(struct run *r, struct slice s, enum pystr_case which, struct value *out) {
    bool has = false, other = false;
    if (!pystr_is_ascii(s)) return text_fail_case(r);
    for (size_t i = 0; i < s.len; i++) {
        bool is_upper = s.ptr[i] >= 'A' && s.ptr[i] <= 'Z';
        bool is_lower = s.ptr[i] >= 'a' && s.ptr[i] <= 'z';
        has |= which == PYSTR_UPPER ? is_upper : is_lower;
        other |= which == PYSTR_UPPER ? is_lower : is_upper;
    }
    *out = value_bool(has && !other);
    return 0;
}

METHOD(is_upper) {
    (void)args;
    return method_is_case(r, value_slice(self), PYSTR_UPPER, out);
}

METHOD(is_lower) {
    (void)args;
    return method_is_case(r, value_slice(self), PYSTR_LOWER, out);
}

#define TEXT_ROW(function, label, ...)                                                             \
    { .name = label, .call = function, .by_place = true, __VA_ARGS__ }

const struct callable method_string_rows[] = {
    {.name = "split", .call = method_split, .params = {"sep", "maxsplit"}},
    {.name = "rsplit", .call = method_rsplit, .params = {"sep", "maxsplit"}},
    {.name = "splitlines", .call = method_splitlines, .params = {"keepends"}},
    {.name = "format", .call = method_format, .raw = true},
    TEXT_ROW(strip, "strip", .params = {"chars"}),
    TEXT_ROW(lstrip, "lstrip", .params = {"chars"}),
    TEXT_ROW(rstrip, "rstrip", .params = {"chars"}),
    TEXT_ROW(startswith, "startswith", .params = {"prefix"}, .n_required = 1),
    TEXT_ROW(endswith, "endswith", .params = {"suffix"}, .n_required = 1),
    TEXT_ROW(removeprefix, "removeprefix", .params = {"prefix"}, .n_required = 1),
    TEXT_ROW(removesuffix, "removesuffix", .params = {"suffix"}, .n_required = 1),
    TEXT_ROW(replace, "replace", .params = {"old", "new", "count"}, .n_required = 2),
    TEXT_ROW(find, "find", .params = {"sub"}, .n_required = 1),
    TEXT_ROW(rfind, "rfind", .params = {"sub"}, .n_required = 1),
    TEXT_ROW(index_of, "index", .params = {"sub"}, .n_required = 1),
    TEXT_ROW(last_index_of, "rindex", .params = {"sub"}, .n_required = 1),
    TEXT_ROW(count, "count", .params = {"sub"}, .n_required = 1),
    TEXT_ROW(join, "join", .params = {"iterable"}, .n_required = 1),
    TEXT_ROW(partition, "partition", .params = {"sep"}, .n_required = 1),
    TEXT_ROW(rpartition, "rpartition", .params = {"sep"}, .n_required = 1),
    TEXT_ROW(center, "center", .params = {"width", "fillchar"}, .n_required = 1),
    TEXT_ROW(ljust, "ljust", .params = {"width", "fillchar"}, .n_required = 1),
    TEXT_ROW(rjust, "rjust", .params = {"width", "fillchar"}, .n_required = 1),
    TEXT_ROW(zfill, "zfill", .params = {"width"}, .n_required = 1),
    TEXT_ROW(upper, "upper", .n_required = 0),
    TEXT_ROW(lower, "lower", .n_required = 0),
    TEXT_ROW(title, "title", .n_required = 0),
    TEXT_ROW(capitalize, "capitalize", .n_required = 0),
    TEXT_ROW(is_alpha, "isalpha", .n_required = 0),
    TEXT_ROW(is_alnum, "isalnum", .n_required = 0),
    TEXT_ROW(is_digit, "isdigit", .n_required = 0),
    TEXT_ROW(is_digit, "isdecimal", .n_required = 0),
    TEXT_ROW(is_digit, "isnumeric", .n_required = 0),
    TEXT_ROW(is_space, "isspace", .n_required = 0),
    TEXT_ROW(is_ascii, "isascii", .n_required = 0),
    TEXT_ROW(is_upper, "isupper", .n_required = 0),
    TEXT_ROW(is_lower, "islower", .n_required = 0),
    {.name = "casefold"},
    {.name = "encode"},
    {.name = "expandtabs"},
    {.name = "format_map"},
    {.name = "isidentifier"},
    {.name = "isprintable"},
    {.name = "istitle"},
    {.name = "maketrans"},
    {.name = "swapcase"},
    {.name = "translate"},
    {0},
};
