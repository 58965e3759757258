// map, select, reject, selectattr and rejectattr: generators, which look at their object and their
// arguments when the first item is asked for.
#include "worker/load/jinja/filter.h"
#include "worker/load/jinja/iterator.h"
#include "worker/load/jinja/predicate.h"

struct picking {
    struct iterator base, *inner;
    struct value source;
    struct args args; // as they were given
    bool started, finished;
    const struct callable *row; // the filter or test; NULL: the attribute, or the item itself
    struct value attribute, otherwise;
    bool rejects, of_attribute;
};

static int find_row(struct run *r, struct value name, const struct callable *(*find)(struct slice),
                    const struct callable **out) {
    if (!value_is_string(name))
        return run_fail(r, "a filter's or test's name is %s.", value_type_name(name));
    *out = find(value_slice(name));
    if (*out) return 0;
    return run_fail(r, "the filter or test '%.*s' is not known.", SLICE_ARG(value_slice(name)));
}

// Without the first `n` of the arguments by place.
static struct args rest_of(struct args args, int n) {
    args.n -= n;
    args.values += n;
    return args;
}

static int prepare_map(struct run *r, struct picking *p) {
    p->otherwise = value_none();
    if (p->args.n > 0) {
        if (find_row(r, p->args.values[0], filter_find, &p->row)) return -1;
        p->args = rest_of(p->args, 1);
        return 0;
    }
    bool has_attribute = false;
    for (int i = 0; i < p->args.n_named; i++) {
        if (slice_is(p->args.names[i], "attribute")) {
            p->attribute = p->args.values[i];
            has_attribute = true;
        } else if (slice_is(p->args.names[i], "default")) {
            p->otherwise = p->args.values[i];
        } else {
            return run_fail(r, "map has no argument '%.*s'.", SLICE_ARG(p->args.names[i]));
        }
    }
    return has_attribute ? 0 : run_fail(r, "map needs a filter or an attribute.");
}

static int prepare_selection(struct run *r, struct picking *p) {
    p->attribute = value_none();
    if (p->of_attribute) {
        if (p->args.n == 0) return run_fail(r, "the attribute to select by is missing.");
        p->attribute = p->args.values[0];
        p->args = rest_of(p->args, 1);
    }
    if (p->args.n == 0) return 0;
    if (find_row(r, p->args.values[0], predicate_find, &p->row)) return -1;
    p->args = rest_of(p->args, 1);
    return 0;
}

// False objects have no items, whatever they are.
static int start(struct run *r, struct picking *p, int (*prepare)(struct run *, struct picking *)) {
    bool truth;
    p->started = true;
    if (value_truth(r, p->source, &truth)) return -1;
    p->finished = !truth;
    return truth && (prepare(r, p) || iterator_of(r, p->source, &p->inner)) ? -1 : 0;
}

static int next_item(struct run *r, struct picking *p, struct value *out, bool *done) {
    *done = p->finished;
    if (*done) return 0;
    if (iterator_next(r, p->inner, out, done)) return -1;
    p->finished = *done;
    return 0;
}

// The attribute of an item, with what stands for an undefined one.
static int attribute_of(struct run *r, const struct picking *p, struct value item,
                        struct value *out) {
    bool has_default = p->otherwise.type != VALUE_NONE && p->attribute.type != VALUE_NONE;
    if (has_default && value_is_string(p->attribute) &&
        memchr(p->attribute.text, '.', p->attribute.size))
        return run_fail(r, "map with a default for a path of attributes is not supported.");
    if (filter_attribute(r, item, p->attribute, out)) return -1;
    if (has_default && out->type == VALUE_UNDEFINED) *out = p->otherwise;
    return 0;
}

static int next_mapped(struct run *r, struct iterator *it, struct value *out, bool *done) {
    struct picking *p = (struct picking *)it;
    struct value item;
    if (!p->started && start(r, p, prepare_map)) return -1;
    if (next_item(r, p, &item, done)) return -1;
    if (*done) return 0;
    if (p->row) return callable_call(r, p->row, item, &p->args, out);
    return attribute_of(r, p, item, out);
}

static int passes(struct run *r, struct picking *p, struct value item, bool *out) {
    if (p->of_attribute && filter_attribute(r, item, p->attribute, &item)) return -1;
    if (p->row && callable_call(r, p->row, item, &p->args, &item)) return -1;
    if (value_truth(r, item, out)) return -1;
    *out ^= p->rejects;
    return 0;
}

static int next_selected(struct run *r, struct iterator *it, struct value *out, bool *done) {
    struct picking *p = (struct picking *)it;
    if (!p->started && start(r, p, prepare_selection)) return -1;
    for (bool found = false; !found;) {
        if (next_item(r, p, out, done)) return -1;
        if (*done) return 0;
        if (passes(r, p, *out, &found)) return -1;
    }
    return 0;
}

static int pick(struct run *r, struct value self, const struct args *args, struct picking kind,
                struct value *out) {
    struct picking *p = run_take(r, 1, sizeof *p);
    if (!p) return -1;
    *p = kind;
    p->source = self;
    p->args = *args;
    *out = iterator_value(&p->base);
    return 0;
}

int filter_map(struct run *r, struct value self, const struct args *args, struct value *out) {
    return pick(r, self, args, (struct picking){.base = {next_mapped}}, out);
}

int filter_select(struct run *r, struct value self, const struct args *args, struct value *out) {
    return pick(r, self, args, (struct picking){.base = {next_selected}}, out);
}

int filter_reject(struct run *r, struct value self, const struct args *args, struct value *out) {
    return pick(r, self, args, (struct picking){.base = {next_selected}, .rejects = true}, out);
}

int filter_selectattr(struct run *r, struct value self, const struct args *args,
                      struct value *out) {
    return pick(r, self, args, (struct picking){.base = {next_selected}, .of_attribute = true},
                out);
}

int filter_rejectattr(struct run *r, struct value self, const struct args *args,
                      struct value *out) {
    return pick(r, self, args,
                (struct picking){.base = {next_selected}, .of_attribute = true, .rejects = true},
                out);
}
