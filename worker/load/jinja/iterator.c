#include "worker/load/jinja/iterator.h"

#include "worker/load/jinja/pystr.h"

// Of what has its items at hand.
struct plain {
    struct iterator base;
    struct value source;
    struct slice text; // of a string: what is left
    size_t at, n;
    bool reversed;
};

static int next_character(struct plain *p, struct value *out, bool *done) {
    struct slice before = p->text;
    uint32_t code;
    *done = !(p->reversed ? pystr_last(&p->text, &code) : pystr_next(&p->text, &code));
    if (*done) return 0;
    const char *start = p->reversed ? p->text.ptr + p->text.len : before.ptr;
    *out = value_string((struct slice){start, before.len - p->text.len});
    out->markup = p->reversed && p->source.markup; // as Markup.__getitem__ does, and not __iter__
    return 0;
}

static int member_value(struct run *r, struct value view, size_t place, struct value *out) {
    const struct member *m = &view.dict->members[place];
    *out = view.view == VIEW_VALUES ? m->value : m->key;
    if (view.type != VALUE_VIEW || view.view != VIEW_ITEMS) return 0;
    struct value *pair = value_new_list(r, VALUE_TUPLE, 2, out);
    if (!pair) return -1;
    pair[0] = m->key;
    pair[1] = m->value;
    return 0;
}

static int next_plain(struct run *r, struct iterator *it, struct value *out, bool *done) {
    struct plain *p = (struct plain *)it;
    if (p->source.type == VALUE_STRING) return next_character(p, out, done);
    *done = p->at == p->n;
    if (*done) return 0;
    size_t place = p->reversed ? p->n - 1 - p->at : p->at;
    p->at++;
    switch (p->source.type) {
    case VALUE_LIST:
    case VALUE_TUPLE:
        *out = p->source.list->items[place];
        return 0;
    case VALUE_RANGE:
        *out = value_int(p->source.range->start + p->source.range->step * (int64_t)place);
        return 0;
    default:
        return member_value(r, p->source, place, out);
    }
}

static int new_plain(struct run *r, struct value v, bool reversed, struct iterator **out) {
    struct plain *p = run_take(r, 1, sizeof *p);
    if (!p) return -1;
    *p = (struct plain){.base = {next_plain}, .source = v, .reversed = reversed};
    *out = &p->base;
    if (v.type == VALUE_STRING) {
        p->text = value_slice(v);
        return 0;
    }
    return value_length(r, v, &p->n);
}

int iterator_of(struct run *r, struct value v, struct iterator **out) {
    switch (v.type) {
    case VALUE_ITERATOR:
        *out = v.iterator;
        return 0;
    case VALUE_UNDEFINED: // has no items
    case VALUE_STRING:
    case VALUE_LIST:
    case VALUE_TUPLE:
    case VALUE_DICT:
    case VALUE_RANGE:
    case VALUE_VIEW:
        return new_plain(r, v, false, out);
    default:
        return run_fail(r, "%s cannot be iterated.", value_type_name(v));
    }
}

int iterator_reversed(struct run *r, struct value v, struct iterator **out) {
    if (v.type == VALUE_ITERATOR)
        return run_fail(r, "an iterator cannot be reversed; expected a list.");
    if (iterator_of(r, v, out)) return -1;
    ((struct plain *)*out)->reversed = true;
    return 0;
}

int iterator_next(struct run *r, struct iterator *it, struct value *out, bool *done) {
    return run_spend(r) || it->next(r, it, out, done) ? -1 : 0;
}

int iterator_collect_rest(struct run *r, struct iterator *it, enum value_type type,
                          struct value *out) {
    size_t n = 0, capacity = 8;
    struct value *items = run_take(r, capacity, sizeof *items);
    for (bool done = false; items;) {
        struct value item;
        if (iterator_next(r, it, &item, &done)) return -1;
        if (done) break;
        if (n == capacity) {
            struct value *more = run_take(r, capacity *= 2, sizeof *more);
            if (!more) return -1;
            memcpy(more, items, n * sizeof *more);
            items = more;
        }
        items[n++] = item;
    }
    struct value *copy = items ? value_new_list(r, type, n, out) : NULL;
    if (!copy) return -1;
    if (n) memcpy(copy, items, n * sizeof *copy);
    return 0;
}

int iterator_collect(struct run *r, struct value v, enum value_type type, struct value *out) {
    struct iterator *it;
    if (value_is_sequence(v)) {
        *out = v;
        out->type = (uint8_t)type;
        return 0;
    }
    return iterator_of(r, v, &it) || iterator_collect_rest(r, it, type, out) ? -1 : 0;
}

struct value iterator_value(struct iterator *it) {
    return (struct value){.type = VALUE_ITERATOR, .iterator = it};
}
