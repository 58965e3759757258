// Loops, and what a template may ask of `loop`; jinja2/runtime.py's LoopContext.
#include "worker/load/jinja/eval.h"
#include "worker/load/jinja/method.h"

struct loop {
    struct iterator *items;
    struct value iterated;
    int64_t index0, length; // length: -1 until somebody asked
    struct value before, current, after;
    bool has_after, is_at_end; // `after` was read ahead; there was none
    struct value changed;      // what loop.changed was last asked with
};

static int peek(struct run *r, struct loop *loop) {
    bool done;
    if (loop->has_after || loop->is_at_end) return 0;
    if (iterator_next(r, loop->items, &loop->after, &done)) return -1;
    loop->has_after = !done;
    loop->is_at_end = done;
    return 0;
}

static int advance(struct run *r, struct loop *loop, struct value *out, bool *done) {
    if (peek(r, loop)) return -1;
    *done = loop->is_at_end;
    if (*done) return 0;
    loop->index0++;
    loop->before = loop->current;
    loop->current = *out = loop->after;
    loop->has_after = false;
    return 0;
}

static int find_length(struct run *r, struct loop *loop) {
    size_t n;
    if (loop->length >= 0) return 0;
    if (loop->iterated.type != VALUE_ITERATOR) {
        if (value_length(r, loop->iterated, &n)) return -1;
        loop->length = (int64_t)n;
        return 0;
    }
    struct value rest; // what has no length is read to its end
    if (iterator_collect_rest(r, loop->items, VALUE_LIST, &rest)) return -1;
    loop->length = (int64_t)rest.list->n + loop->index0 + 1 + loop->has_after;
    return iterator_of(r, rest, &loop->items);
}

static int neighbour(struct run *r, struct loop *loop, bool next, struct value *out) {
    if (next && peek(r, loop)) return -1;
    if (next ? loop->has_after : loop->index0 > 0)
        *out = next ? loop->after : loop->before;
    else
        *out = value_undefined(r, ABSENT_OTHER, slice_of(next ? "loop.nextitem" : "loop.previtem"));
    return 0;
}

static int cycle(struct run *r, struct value self, const struct args *args, struct value *out) {
    if (args->n_named) return run_fail(r, "loop.cycle gets a named argument.");
    if (args->n == 0) return run_fail(r, "loop.cycle needs an argument.");
    *out = args->values[self.loop->index0 % args->n];
    return 0;
}

static int changed(struct run *r, struct value self, const struct args *args, struct value *out) {
    struct value now, *items = value_new_list(r, VALUE_TUPLE, (size_t)args->n, &now);
    bool same = false;
    if (args->n_named) return run_fail(r, "loop.changed gets a named argument.");
    if (!items) return -1;
    for (int i = 0; i < args->n; i++) items[i] = args->values[i];
    if (self.loop->changed.type == VALUE_TUPLE && value_equal(r, self.loop->changed, now, &same))
        return -1;
    if (!same) self.loop->changed = now;
    *out = value_bool(!same);
    return 0;
}

static const struct callable methods[] = {
    {.name = "cycle", .call = cycle, .raw = true},
    {.name = "changed", .call = changed, .raw = true},
    {0},
};

static int with_length(struct run *r, struct loop *loop, struct slice name, struct value *out) {
    if (find_length(r, loop)) return -1;
    int64_t less = slice_is(name, "length") ? 0 : loop->index0 + slice_is(name, "revindex0");
    *out = value_int(loop->length - less);
    return 0;
}

int eval_loop_attribute(struct run *r, struct loop *loop, struct slice name, struct value *out) {
    const struct callable *method = callable_find(methods, name);
    if (slice_is(name, "index0"))
        *out = value_int(loop->index0);
    else if (slice_is(name, "index"))
        *out = value_int(loop->index0 + 1);
    else if (slice_is(name, "first"))
        *out = value_bool(loop->index0 == 0);
    else if (slice_is(name, "depth") || slice_is(name, "depth0"))
        *out = value_int(slice_is(name, "depth"));
    else if (slice_is(name, "previtem") || slice_is(name, "nextitem"))
        return neighbour(r, loop, slice_is(name, "nextitem"), out);
    else if (slice_is(name, "length") || slice_is(name, "revindex") || slice_is(name, "revindex0"))
        return with_length(r, loop, name, out);
    else if (method)
        return method_bind(r, method, (struct value){.type = VALUE_LOOP, .loop = loop}, out);
    else if (slice_is(name, "last")) {
        if (peek(r, loop)) return -1;
        *out = value_bool(!loop->has_after);
    } else if (name.len && name.ptr[0] == '_') {
        return run_fail(r, "loop.%.*s is not allowed in a chat template.", SLICE_ARG(name));
    } else {
        *out = value_absent(r, (struct value){.type = VALUE_LOOP}, name);
    }
    return 0;
}

// ---- the test of a loop

struct filtered {
    struct iterator base, *inner;
    const struct node *loop;
    struct activation *activation;
};

// The values of the targets, which are what a loop with a test goes through.
static int target_value(struct run *r, const struct node *target, struct value *out) {
    if (target->kind != NODE_TUPLE) {
        *out = r->activation->slots[target->reference.slot];
        return 0;
    }
    struct value *items = value_new_list(r, VALUE_TUPLE, (size_t)target->n, out);
    if (!items) return -1;
    for (int i = 0; i < target->n; i++)
        if (target_value(r, target->kids[i], &items[i])) return -1;
    return 0;
}

static int next_filtered_inside(struct run *r, struct filtered *f, struct value *out, bool *done) {
    const struct node *target = f->loop->loop->test_target;
    for (bool passes = false; !passes;) {
        if (iterator_next(r, f->inner, out, done)) return -1;
        if (*done) return 0;
        if (eval_assign(r, target, *out) || eval_truth(r, f->loop->kids[4], &passes)) return -1;
    }
    return target_value(r, target, out);
}

static int next_filtered(struct run *r, struct iterator *it, struct value *out, bool *done) {
    struct filtered *f = (struct filtered *)it;
    struct activation *before = r->activation;
    r->activation = f->activation;
    int failed = next_filtered_inside(r, f, out, done);
    r->activation = before;
    return failed;
}

static int add_test(struct run *r, const struct node *n, struct iterator **items) {
    struct filtered *f = run_take(r, 1, sizeof *f);
    struct activation *before = r->activation;
    if (!f) return -1;
    *f = (struct filtered){.base = {next_filtered}, .inner = *items, .loop = n};
    f->activation = eval_activation(r, before, n->loop->n_test_slots);
    if (!f->activation) return -1;
    r->activation = f->activation;
    eval_enter(r, &n->loop->test);
    r->activation = before;
    *items = &f->base;
    return 0;
}

// ---- the loop

// One round; `ran` says whether one came to its end, which none does that ends with break or
// continue.
static int one_round(struct run *r, const struct node *n, struct loop *loop, struct value item,
                     enum flow *flow, bool *ran) {
    r->line = n->line;
    if (eval_assign(r, n->kids[0], item)) return -1;
    if (n->loop->has_loop)
        r->activation->slots[n->loop->loop_slot] = (struct value){.type = VALUE_LOOP, .loop = loop};
    eval_enter(r, &n->loop->body);
    if (eval_body(r, n->kids[2], flow)) return -1;
    if (*flow == FLOW_ON) *ran = true;
    return 0;
}

static int rounds(struct run *r, const struct node *n, struct loop *loop, bool *ran) {
    bool outermost = r->loop_line == 0;
    if (outermost) r->loop_line = n->line;
    for (enum flow flow = FLOW_ON; flow != FLOW_BREAK;) {
        struct value item;
        bool done;
        flow = FLOW_ON;
        if (outermost) r->round++;
        if (n->loop->has_loop ? advance(r, loop, &item, &done)
                              : iterator_next(r, loop->items, &item, &done))
            return -1;
        if (done) break;
        if (one_round(r, n, loop, item, &flow, ran)) return -1;
    }
    if (outermost) r->loop_line = 0, r->round = 0;
    return 0;
}

int eval_for(struct run *r, const struct node *n, enum flow *flow) {
    struct loop *loop = run_take(r, 1, sizeof *loop);
    bool ran = false;
    if (!loop) return -1;
    loop->index0 = loop->length = -1;
    if (eval_expression(r, n->kids[1], &loop->iterated)) return -1;
    r->line = n->line;
    if (iterator_of(r, loop->iterated, &loop->items)) return -1;
    if (n->kids[4]) {
        if (add_test(r, n, &loop->items)) return -1;
        loop->iterated = iterator_value(loop->items);
    }
    if (rounds(r, n, loop, &ran)) return -1;
    eval_leave(r, &n->loop->body);
    if (!n->kids[3] || ran) return 0;
    eval_enter(r, &n->loop->other);
    if (eval_body(r, n->kids[3], flow)) return -1;
    if (*flow == FLOW_ON) eval_leave(r, &n->loop->other);
    return 0;
}
