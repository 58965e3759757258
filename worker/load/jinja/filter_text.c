// Filters whose object is text, or becomes it.
#include "worker/load/jinja/arith.h"
#include "worker/load/jinja/filter.h"
#include "worker/load/jinja/iterator.h"
#include "worker/load/jinja/repr.h"
#include "worker/load/jinja/text_value.h"

// str(v)
static int as_text(struct run *r, struct value v, struct value *out) {
    size_t from = r->out.len;
    if (value_is_string(v)) {
        *out = v;
        return 0;
    }
    return repr_print(r, v) || run_take_printed(r, from, out) ? -1 : 0;
}

int filter_string(struct run *r, struct value self, const struct args *args, struct value *out) {
    (void)args;
    return as_text(r, self, out);
}

static int change(struct run *r, struct value self, struct value *out,
                  int (*how)(struct run *r, struct slice s, struct value *out)) {
    struct value text;
    if (as_text(r, self, &text) || how(r, value_slice(text), out)) return -1;
    out->markup = text.markup;
    return 0;
}

static int to_upper(struct run *r, struct slice s, struct value *out) {
    return text_change_case(r, s, PYSTR_UPPER, out);
}

static int to_lower(struct run *r, struct slice s, struct value *out) {
    return text_change_case(r, s, PYSTR_LOWER, out);
}

int filter_upper(struct run *r, struct value self, const struct args *args, struct value *out) {
    (void)args;
    return change(r, self, out, to_upper);
}

int filter_lower(struct run *r, struct value self, const struct args *args, struct value *out) {
    (void)args;
    return change(r, self, out, to_lower);
}

int filter_capitalize(struct run *r, struct value self, const struct args *args,
                      struct value *out) {
    (void)args;
    return change(r, self, out, text_capitalize);
}

// Words begin behind "-", white space, "(", "{", "[" and "<", which is not what str.title does.
static int add_title(struct buffer *out, struct slice s) {
    bool starts = true;
    uint32_t code;
    for (struct slice before = s; pystr_next(&s, &code); before = s) {
        struct slice one = {before.ptr, before.len - s.len};
        if (pystr_add_case(out, one, starts ? PYSTR_UPPER : PYSTR_LOWER)) return -1;
        starts = pystr_is_space(code) || (code < 0x80 && code && strchr("-({[<", (int)code));
    }
    return 0;
}

int filter_title(struct run *r, struct value self, const struct args *args, struct value *out) {
    size_t from = r->out.len;
    struct value text;
    (void)args;
    if (as_text(r, self, &text)) return -1;
    if (text.markup) return run_fail(r, "title of text from 'safe' is not supported.");
    if (run_spend_many(r, text.size >> 8)) return -1;
    if (add_title(&r->out, value_slice(text))) return text_fail_case(r);
    return run_take_printed(r, from, out);
}

int filter_trim(struct run *r, struct value self, const struct args *args, struct value *out) {
    struct value text, chars = callable_argument(args, 0, value_none());
    struct slice set;
    if (as_text(r, self, &text) || run_spend_many(r, text.size >> 8)) return -1;
    if (chars.type != VALUE_NONE && text_argument(r, chars, "what is trimmed", &set)) return -1;
    *out = value_string(pystr_strip(value_slice(text), PYSTR_LEFT | PYSTR_RIGHT,
                                    chars.type == VALUE_NONE ? NULL : &set));
    out->markup = text.markup;
    return 0;
}

int filter_replace(struct run *r, struct value self, const struct args *args, struct value *out) {
    struct value text, from, to, count = callable_argument(args, 2, value_none());
    int64_t n = -1;
    if (as_text(r, self, &text) || as_text(r, args->values[0], &from) ||
        as_text(r, args->values[1], &to))
        return -1;
    if (count.type != VALUE_NONE && text_integer(r, count, "a count", &n)) return -1;
    return text_replace(r, value_slice(text), value_slice(from), value_slice(to), n, out);
}

int filter_center(struct run *r, struct value self, const struct args *args, struct value *out) {
    struct value text;
    int64_t width;
    if (as_text(r, self, &text)) return -1;
    if (text.markup) return run_fail(r, "center of text from 'safe' is not supported.");
    if (text_integer(r, callable_argument(args, 0, value_int(80)), "a width", &width)) return -1;
    return text_center(r, value_slice(text), width, slice_of(" "), out);
}

int filter_escape(struct run *r, struct value self, const struct args *args, struct value *out) {
    (void)args;
    return arith_escape(r, self, out);
}

int filter_safe(struct run *r, struct value self, const struct args *args, struct value *out) {
    (void)args;
    if (as_text(r, self, out)) return -1;
    out->markup = true;
    return 0;
}

int filter_format(struct run *r, struct value self, const struct args *args, struct value *out) {
    struct value text;
    if (args->n_named) return run_fail(r, "format gets a named argument.");
    if (as_text(r, self, &text)) return -1;
    return arith_format(r, text, args->values, (size_t)args->n, out);
}

// ---- indent

struct indent {
    struct slice text;
    int64_t times; // how often it stands there
    bool blank;
};

static int print_indent(struct run *r, const struct indent *by) {
    for (int64_t i = 0; i < by->times; i++)
        if (run_print(r, by->text)) return -1;
    return 0;
}

static int print_lines(struct run *r, struct slice s, const struct indent *by) {
    struct slice line, end = {0};
    bool more = pystr_next_line(&s, &line, &end);
    if (!more) return 0;
    if (run_print(r, line)) return -1;
    // A text that ends with a line break has one more line, which is empty; Jinja puts "\n" behind
    // the text, which makes one break of it and a "\r".
    for (bool last = false; end.len > 0 && !last;) {
        if (s.len == 0 && *end.ptr == '\r' && end.len == 1) break;
        if (!pystr_next_line(&s, &line, &end)) {
            line = (struct slice){0};
            last = true;
        }
        if (run_spend(r) || run_print(r, slice_of("\n"))) return -1;
        if ((line.len || by->blank) && print_indent(r, by)) return -1;
        if (run_print(r, line)) return -1;
    }
    return 0;
}

int filter_indent(struct run *r, struct value self, const struct args *args, struct value *out) {
    struct value width = callable_argument(args, 0, value_int(4));
    struct indent by = {.text = slice_of(" "), .times = 1};
    size_t from = r->out.len;
    bool first;
    if (!value_is_string(self) || self.markup)
        return run_fail(r, "indent of %s is not supported, expected a string.",
                        self.type == VALUE_STRING ? "text from 'safe'" : value_type_name(self));
    if (value_is_string(width))
        by.text = value_slice(width);
    else if (text_integer(r, width, "a width", &by.times))
        return -1;
    if (value_truth(r, callable_argument(args, 1, value_bool(false)), &first) ||
        value_truth(r, callable_argument(args, 2, value_bool(false)), &by.blank))
        return -1;
    if ((first && print_indent(r, &by)) || print_lines(r, value_slice(self), &by)) return -1;
    return run_take_printed(r, from, out);
}

// ---- tojson

static int read_separators(struct run *r, struct value v, struct json_style *style) {
    struct slice parts[2];
    if (!value_is_sequence(v) || v.list->n != 2)
        return run_fail(r, "separators is %s, expected two strings.", value_type_name(v));
    for (int i = 0; i < 2; i++)
        if (text_argument(r, v.list->items[i], "a separator", &parts[i])) return -1;
    style->comma = parts[0];
    style->colon = parts[1];
    return 0;
}

static int read_indent(struct run *r, struct value v, struct json_style *style) {
    int64_t n;
    if (value_is_string(v)) {
        style->indent = arena_copy(&r->arena, v.text, v.size);
        style->n_indent = 1;
        if (strlen(style->indent) < v.size) return run_fail(r, "indent has a character of code 0.");
        return 0;
    }
    if (text_integer(r, v, "indent", &n)) return -1;
    style->indent = " ";
    style->n_indent = n < 0 ? 0 : n > 1000 ? 1000 : (int)n;
    if (n > 1000) return run_fail(r, "indent is more than 1000.");
    return 0;
}

int filter_tojson(struct run *r, struct value self, const struct args *args, struct value *out) {
    struct value indent = callable_argument(args, 1, value_none());
    struct value separators = callable_argument(args, 2, value_none());
    struct json_style style = {.comma = slice_of(", "), .colon = slice_of(": ")};
    size_t from = r->out.len;
    if (value_truth(r, callable_argument(args, 0, value_bool(false)), &style.ascii) ||
        value_truth(r, callable_argument(args, 3, value_bool(false)), &style.sorted))
        return -1;
    if (indent.type != VALUE_NONE) {
        if (read_indent(r, indent, &style)) return -1;
        style.comma = slice_of(",");
    }
    if (separators.type != VALUE_NONE && read_separators(r, separators, &style)) return -1;
    if (repr_print_json(r, self, &style)) return -1;
    return run_take_printed(r, from, out);
}
