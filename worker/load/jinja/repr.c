#include "worker/load/jinja/repr.h"

#include <inttypes.h>
#include <stdio.h>

#include "worker/load/jinja/pystr.h"

static int print_text(struct run *r, const char *text) {
    return run_print(r, slice_of(text));
}

static int print_integer(struct run *r, int64_t integer) {
    char text[24];
    snprintf(text, sizeof text, "%" PRId64, integer);
    return print_text(r, text);
}

static int print_real(struct run *r, double real) {
    json_add_double(&r->out, real);
    return 0;
}

static int too_deep(struct run *r) {
    return run_fail(r, "values are nested deeper than %d levels.", RUN_MAX_NESTING);
}

static int not_printed(struct run *r, struct value v) {
    return run_fail(r, "%s is printed, expected text or data.", value_type_name(v));
}

// ---- repr

static int quoted(struct run *r, struct value v, int nesting);

static int quoted_string(struct run *r, struct value v) {
    if (v.markup) return run_fail(r, "a list with text from 'safe' is printed.");
    if (v.size > (RUN_MAX_TEXT - r->out.len) / 10) // of the longest escape
        return run_fail(r, "the template prints more than %d MiB.", RUN_MAX_TEXT >> 20);
    if (pystr_add_repr(&r->out, value_slice(v)))
        return run_fail(r, "a list with a character that is printed as a code by some versions of "
                           "Python is printed; expected tojson.");
    return run_spend_many(r, v.size >> 10);
}

static int quoted_items(struct run *r, struct value v, int nesting) {
    bool tuple = v.type == VALUE_TUPLE;
    if (print_text(r, tuple ? "(" : "[")) return -1;
    for (size_t i = 0; i < v.list->n; i++)
        if ((i && print_text(r, ", ")) || quoted(r, v.list->items[i], nesting)) return -1;
    if (tuple && v.list->n == 1 && print_text(r, ",")) return -1;
    return print_text(r, tuple ? ")" : "]");
}

static int quoted_members(struct run *r, const struct dict *d, int nesting) {
    if (print_text(r, "{")) return -1;
    for (size_t i = 0; i < d->n; i++) {
        if (i && print_text(r, ", ")) return -1;
        if (quoted(r, d->members[i].key, nesting) || print_text(r, ": ") ||
            quoted(r, d->members[i].value, nesting))
            return -1;
    }
    return print_text(r, "}");
}

static int quoted_view(struct run *r, struct value v, int nesting) {
    static const char *const heads[] = {"dict_keys([", "dict_values([", "dict_items(["};
    if (print_text(r, heads[v.view])) return -1;
    for (size_t i = 0; i < v.dict->n; i++) {
        const struct member *m = &v.dict->members[i];
        if (i && print_text(r, ", ")) return -1;
        if (v.view == VIEW_ITEMS && print_text(r, "(")) return -1;
        if (v.view != VIEW_VALUES && quoted(r, m->key, nesting)) return -1;
        if (v.view == VIEW_ITEMS && print_text(r, ", ")) return -1;
        if (v.view != VIEW_KEYS && quoted(r, m->value, nesting)) return -1;
        if (v.view == VIEW_ITEMS && print_text(r, ")")) return -1;
    }
    return print_text(r, "])");
}

static int print_range(struct run *r, const struct range *range) {
    if (print_text(r, "range(") || print_integer(r, range->start) || print_text(r, ", ") ||
        print_integer(r, range->stop))
        return -1;
    if (range->step != 1 && (print_text(r, ", ") || print_integer(r, range->step))) return -1;
    return print_text(r, ")");
}

static int quoted(struct run *r, struct value v, int nesting) {
    if (nesting > RUN_MAX_NESTING) return too_deep(r);
    if (run_spend(r)) return -1;
    switch (v.type) {
    case VALUE_UNDEFINED:
        return print_text(r, "Undefined");
    case VALUE_NONE:
        return print_text(r, "None");
    case VALUE_BOOL:
        return print_text(r, v.boolean ? "True" : "False");
    case VALUE_INT:
        return print_integer(r, v.integer);
    case VALUE_BIG:
        return run_print(r, value_slice(v));
    case VALUE_FLOAT:
        return print_real(r, v.real);
    case VALUE_STRING:
        return quoted_string(r, v);
    case VALUE_LIST:
    case VALUE_TUPLE:
        return quoted_items(r, v, nesting + 1);
    case VALUE_DICT:
        return quoted_members(r, v.dict, nesting + 1);
    case VALUE_VIEW:
        return quoted_view(r, v, nesting + 1);
    case VALUE_RANGE:
        return print_range(r, v.range);
    default:
        return not_printed(r, v);
    }
}

int repr_print_quoted(struct run *r, struct value v) {
    return quoted(r, v, 0);
}

int repr_print(struct run *r, struct value v) {
    if (v.type == VALUE_STRING) return run_print(r, value_slice(v));
    return v.type == VALUE_UNDEFINED ? 0 : quoted(r, v, 0);
}

// ---- JSON

static int dump(struct run *r, struct value v, const struct json_style *style, int nesting);

static int dump_string(struct run *r, struct value v, const struct json_style *style) {
    if (v.size > (RUN_MAX_TEXT - r->out.len) / 6)
        return run_fail(r, "the template prints more than %d MiB.", RUN_MAX_TEXT >> 20);
    if (style->ascii)
        pystr_add_ascii_json(&r->out, value_slice(v));
    else
        json_add_string(&r->out, value_slice(v));
    return run_spend_many(r, v.size >> 10);
}

static int new_line(struct run *r, const struct json_style *style, int nesting) {
    if (!style->indent) return 0;
    if (print_text(r, "\n")) return -1;
    for (int i = 0; i < nesting * style->n_indent; i++)
        if (print_text(r, style->indent)) return -1;
    return 0;
}

static int dump_items(struct run *r, const struct list *list, const struct json_style *style,
                      int nesting) {
    if (list->n == 0) return print_text(r, "[]");
    if (print_text(r, "[")) return -1;
    for (size_t i = 0; i < list->n; i++) {
        if (i && run_print(r, style->comma)) return -1;
        if (new_line(r, style, nesting) || dump(r, list->items[i], style, nesting)) return -1;
    }
    return new_line(r, style, nesting - 1) || print_text(r, "]") ? -1 : 0;
}

// Keys that are no strings become strings.
static int dump_key(struct run *r, struct value key, const struct json_style *style) {
    if (value_is_string(key)) return dump_string(r, key, style);
    return print_text(r, "\"") || dump(r, key, style, 0) || print_text(r, "\"") ? -1 : 0;
}

static const struct member **sort_members(struct run *r, const struct dict *d) {
    const struct member **sorted = run_take(r, d->n, sizeof *sorted);
    for (size_t i = 0; sorted && i < d->n; i++) {
        size_t at = i;
        for (; at > 0; at--) {
            int order;
            if (run_spend(r) || value_order(r, sorted[at - 1]->key, d->members[i].key, &order))
                return NULL;
            if (order <= 0) break;
            sorted[at] = sorted[at - 1];
        }
        sorted[at] = &d->members[i];
    }
    return sorted;
}

static int dump_members(struct run *r, const struct dict *d, const struct json_style *style,
                        int nesting) {
    if (d->n == 0) return print_text(r, "{}");
    const struct member **sorted = style->sorted ? sort_members(r, d) : NULL;
    if ((style->sorted && !sorted) || print_text(r, "{")) return -1;
    for (size_t i = 0; i < d->n; i++) {
        const struct member *m = sorted ? sorted[i] : &d->members[i];
        if (i && run_print(r, style->comma)) return -1;
        if (new_line(r, style, nesting) || dump_key(r, m->key, style) ||
            run_print(r, style->colon) || dump(r, m->value, style, nesting))
            return -1;
    }
    return new_line(r, style, nesting - 1) || print_text(r, "}") ? -1 : 0;
}

static int dump(struct run *r, struct value v, const struct json_style *style, int nesting) {
    if (nesting > RUN_MAX_NESTING) return too_deep(r);
    if (run_spend(r)) return -1;
    switch (v.type) {
    case VALUE_NONE:
        return print_text(r, "null");
    case VALUE_BOOL:
        return print_text(r, v.boolean ? "true" : "false");
    case VALUE_INT:
        return print_integer(r, v.integer);
    case VALUE_BIG:
        return run_print(r, value_slice(v));
    case VALUE_FLOAT:
        return print_real(r, v.real);
    case VALUE_STRING:
        return dump_string(r, v, style);
    case VALUE_LIST:
    case VALUE_TUPLE:
        return dump_items(r, v.list, style, nesting + 1);
    case VALUE_DICT:
        return dump_members(r, v.dict, style, nesting + 1);
    case VALUE_UNDEFINED:
        return value_fail_undefined(r, v);
    default:
        return run_fail(r, "%s is written as JSON, expected data.", value_type_name(v));
    }
}

int repr_print_json(struct run *r, struct value v, const struct json_style *style) {
    return dump(r, v, style, 0);
}
