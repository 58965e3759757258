// str.split and its kin, and str.format.
#include "worker/load/jinja/iterator.h"
#include "worker/load/jinja/method.h"
#include "worker/load/jinja/repr.h"
#include "worker/load/jinja/text_value.h"

// Parts of a text that grow into a list.
struct parts {
    struct value *items;
    size_t n, capacity;
};

static int add_part(struct run *r, struct parts *parts, struct slice s) {
    if (parts->n == parts->capacity) {
        size_t capacity = parts->capacity ? 2 * parts->capacity : 4;
        struct value *more = run_take(r, capacity, sizeof *more);
        if (!more) return -1;
        if (parts->n) memcpy(more, parts->items, parts->n * sizeof *more);
        parts->items = more;
        parts->capacity = capacity;
    }
    parts->items[parts->n++] = value_string(s);
    return run_spend(r);
}

static int finish(struct run *r, const struct parts *parts, bool reversed, struct value *out) {
    struct value *items = value_new_list(r, VALUE_LIST, parts->n, out);
    if (!items) return -1;
    for (size_t i = 0; i < parts->n; i++) items[i] = parts->items[reversed ? parts->n - 1 - i : i];
    return 0;
}

static struct slice part(struct slice s, size_t from, size_t to) {
    return (struct slice){s.ptr + from, to - from};
}

static size_t length_behind_word(struct slice s) {
    struct slice rest = s;
    uint32_t code;
    while (pystr_next(&rest, &code) && !pystr_is_space(code)) s = rest;
    return s.len;
}

static size_t length_before_word(struct slice s) {
    struct slice rest = s;
    uint32_t code;
    while (pystr_last(&rest, &code) && !pystr_is_space(code)) s = rest;
    return s.len;
}

static int split_words(struct run *r, struct slice s, int64_t most, struct parts *parts) {
    for (s = pystr_strip(s, PYSTR_LEFT, NULL); s.len; s = pystr_strip(s, PYSTR_LEFT, NULL)) {
        size_t word = most-- == 0 ? s.len : s.len - length_behind_word(s);
        if (add_part(r, parts, part(s, 0, word))) return -1;
        s = part(s, word, s.len);
    }
    return 0;
}

static int split_words_back(struct run *r, struct slice s, int64_t most, struct parts *parts) {
    for (s = pystr_strip(s, PYSTR_RIGHT, NULL); s.len; s = pystr_strip(s, PYSTR_RIGHT, NULL)) {
        size_t start = most-- == 0 ? 0 : length_before_word(s);
        if (add_part(r, parts, part(s, start, s.len))) return -1;
        s.len = start;
    }
    return 0;
}

static int split_at(struct run *r, struct slice s, struct slice at, int64_t most,
                    struct parts *parts) {
    size_t from = 0;
    for (ptrdiff_t found; most != 0 && (found = pystr_find(s, at, from)) != PYSTR_NONE; most--) {
        if (add_part(r, parts, part(s, from, (size_t)found))) return -1;
        from = (size_t)found + at.len;
    }
    return add_part(r, parts, part(s, from, s.len));
}

static int split_at_back(struct run *r, struct slice s, struct slice at, int64_t most,
                         struct parts *parts) {
    ptrdiff_t found;
    for (; most != 0 && (found = pystr_find_last(s, at, s.len)) != PYSTR_NONE; most--) {
        if (add_part(r, parts, part(s, (size_t)found + at.len, s.len))) return -1;
        s.len = (size_t)found;
    }
    return add_part(r, parts, s);
}

static int split(struct run *r, struct value self, const struct args *args, bool back,
                 struct value *out) {
    struct value separator = callable_argument(args, 0, value_none());
    struct slice s = value_slice(self), at;
    struct parts parts = {0};
    int64_t most;
    int failed;
    if (text_integer(r, callable_argument(args, 1, value_int(-1)), "maxsplit", &most)) return -1;
    if (run_spend_many(r, s.len >> 8)) return -1;
    if (separator.type == VALUE_NONE) {
        failed = back ? split_words_back(r, s, most, &parts) : split_words(r, s, most, &parts);
    } else {
        if (text_argument(r, separator, "a separator", &at)) return -1;
        if (at.len == 0) return run_fail(r, "a text is split at an empty one.");
        failed = back ? split_at_back(r, s, at, most, &parts) : split_at(r, s, at, most, &parts);
    }
    return failed ? -1 : finish(r, &parts, back, out);
}

int method_split(struct run *r, struct value self, const struct args *args, struct value *out) {
    return split(r, self, args, false, out);
}

int method_rsplit(struct run *r, struct value self, const struct args *args, struct value *out) {
    return split(r, self, args, true, out);
}

int method_splitlines(struct run *r, struct value self, const struct args *args,
                      struct value *out) {
    struct slice s = value_slice(self), line, end;
    struct parts parts = {0};
    int64_t keep;
    if (text_integer(r, callable_argument(args, 0, value_bool(false)), "keepends", &keep))
        return -1;
    while (pystr_next_line(&s, &line, &end)) {
        if (keep) line.len += end.len;
        if (add_part(r, &parts, line)) return -1;
    }
    return finish(r, &parts, false, out);
}

// ---- str.format

struct fields {
    const struct args *args;
    int next;             // of {}
    bool counts, numbers; // {} and {0} have been seen; they do not go together
};

static int numbered_field(struct run *r, struct fields *f, struct slice name, struct value *out) {
    int64_t at = 0;
    f->numbers = true;
    for (size_t i = 0; i < name.len && at < INT32_MAX; i++) at = 10 * at + (name.ptr[i] - '0');
    if (at >= f->args->n) return run_fail(r, "a format has a place without a value.");
    *out = f->args->values[at];
    return 0;
}

static int field(struct run *r, struct fields *f, struct slice name) {
    struct value v = {0};
    bool digits = true, word = true;
    for (size_t i = 0; i < name.len; i++) {
        char c = name.ptr[i], letter = (char)(c | 0x20);
        bool digit = c >= '0' && c <= '9';
        digits &= digit;
        word &= digit || c == '_' || (letter >= 'a' && letter <= 'z');
    }
    if (!word) return run_fail(r, "a format's field is neither a name nor a number.");
    if (name.len == 0) {
        f->counts = true;
        if (f->next >= f->args->n) return run_fail(r, "a format has more places than values.");
        v = f->args->values[f->next++];
    } else if (digits) {
        if (numbered_field(r, f, name, &v)) return -1;
    } else {
        for (int i = 0; i < f->args->n_named; i++)
            if (slice_equal(f->args->names[i], name)) v = f->args->values[f->args->n + i];
        if (v.type == VALUE_UNBOUND) return run_fail(r, "a format has a name without a value.");
    }
    if (f->counts && f->numbers) return run_fail(r, "a format has {} and {0}.");
    return repr_print(r, v);
}

int method_format(struct run *r, struct value self, const struct args *args, struct value *out) {
    struct slice s = value_slice(self);
    struct fields f = {.args = args};
    size_t from = r->out.len;
    for (size_t i = 0; i < s.len; i++) {
        char c = s.ptr[i];
        struct slice one = {s.ptr + i, 1};
        bool twice = i + 1 < s.len && s.ptr[i + 1] == c;
        if (c == '{' && !twice) {
            const char *end = memchr(s.ptr + i, '}', s.len - i);
            if (!end) return run_fail(r, "a format's { is not closed.");
            struct slice name = {s.ptr + i + 1, (size_t)(end - s.ptr) - i - 1};
            if (field(r, &f, name)) return -1;
            i = (size_t)(end - s.ptr);
            continue;
        }
        if (c == '}' && !twice) return run_fail(r, "a format has a } that is not open.");
        if (run_print(r, one)) return -1;
        if (c == '{' || c == '}') i++;
    }
    return run_take_printed(r, from, out);
}
