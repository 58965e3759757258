// Calls of macros, and blocks that are passed to them as `caller`.
#include "worker/load/jinja/eval.h"

static int take_named(const struct args *args, bool *taken, struct slice name, struct value *out) {
    for (int i = 0; i < args->n_named; i++) {
        if (taken[i] || !slice_equal(args->names[i], name)) continue;
        taken[i] = true;
        *out = args->values[args->n + i];
        return 1;
    }
    return 0;
}

// Parameters that have no argument keep no value; their defaults come later.
static void place_parameters(struct run *r, const struct node *n, const struct args *args,
                             bool *taken, bool *found_caller) {
    struct node *const *parameters = n->kids + (n->kind == NODE_CALL_BLOCK);
    *found_caller = args->n >= n->n_args && n->macro->explicit_caller;
    for (int i = 0; i < n->n_args; i++) {
        struct value *slot = &r->activation->slots[n->macro->arg_slots[i]];
        *slot = (struct value){.type = VALUE_MISSING};
        if (i < args->n) {
            *slot = args->values[i];
            continue;
        }
        take_named(args, taken, parameters[i]->name, slot);
        if (slice_is(parameters[i]->name, "caller")) *found_caller = true;
    }
}

static int place_kwargs(struct run *r, const struct node *n, const struct args *args,
                        const bool *taken) {
    struct dict *rest = NULL;
    if (n->macro->kwargs_slot >= 0) {
        rest = value_new_dict(r, (size_t)args->n_named);
        if (!rest) return -1;
        r->activation->slots[n->macro->kwargs_slot] =
            (struct value){.type = VALUE_DICT, .dict = rest};
    }
    for (int i = 0; i < args->n_named; i++) {
        if (taken[i]) continue;
        if (!rest)
            return run_fail(r, "the macro '%.*s' has no parameter '%.*s'.", SLICE_ARG(n->name),
                            SLICE_ARG(args->names[i]));
        if (value_dict_put(r, rest, value_string(args->names[i]), args->values[args->n + i]))
            return -1;
    }
    return 0;
}

static int place_varargs(struct run *r, const struct node *n, const struct args *args) {
    int rest = args->n > n->n_args ? args->n - n->n_args : 0;
    if (n->macro->varargs_slot < 0) {
        if (rest == 0) return 0;
        return run_fail(r, "the macro '%.*s' gets %d arguments, expected at most %d.",
                        SLICE_ARG(n->name), args->n, n->n_args);
    }
    struct value *items =
        value_new_list(r, VALUE_TUPLE, (size_t)rest, &r->activation->slots[n->macro->varargs_slot]);
    if (!items) return -1;
    for (int i = 0; i < rest; i++) items[i] = args->values[n->n_args + i];
    return 0;
}

static int place_arguments(struct run *r, const struct node *n, const struct args *args) {
    bool found_caller, *taken = run_take(r, (size_t)args->n_named, sizeof *taken);
    struct value caller;
    if (!taken) return -1;
    place_parameters(r, n, args, taken, &found_caller);
    if (n->macro->reads_caller && !found_caller) {
        if (!take_named(args, taken, slice_of("caller"), &caller) || caller.type == VALUE_NONE)
            caller = value_undefined(r, ABSENT_NAME, slice_of("caller"));
        r->activation->slots[n->macro->caller_slot] = caller;
    }
    return place_kwargs(r, n, args, taken) || place_varargs(r, n, args) ? -1 : 0;
}

static int work_out_defaults(struct run *r, const struct node *n) {
    struct node *const *parameters = n->kids + (n->kind == NODE_CALL_BLOCK);
    for (int i = 0; i < n->n_args; i++) {
        struct value *slot = &r->activation->slots[n->macro->arg_slots[i]];
        int at = i - (n->n_args - n->n_named);
        if (slot->type != VALUE_MISSING) continue;
        if (at >= 0) {
            if (eval_expression(r, parameters[n->n_args + at], slot)) return -1;
        } else {
            *slot = value_undefined(r, ABSENT_ARGUMENT, parameters[i]->name);
        }
    }
    return 0;
}

static int run_body(struct run *r, const struct node *n, const struct args *args,
                    struct value *out) {
    enum flow flow = FLOW_ON;
    size_t from = r->out.len;
    if (place_arguments(r, n, args)) return -1;
    eval_enter(r, &n->macro->scope);
    if (work_out_defaults(r, n) || eval_body(r, node_body(n), &flow)) return -1;
    return run_take_printed(r, from, out);
}

int eval_macro_call(struct run *r, const struct macro *macro, const struct args *args,
                    struct value *out) {
    struct activation *before = r->activation;
    struct activation *a = eval_activation(r, macro->outer, macro->node->macro->n_slots);
    if (!a) return -1;
    if (r->n_calls == RUN_MAX_CALLS)
        return run_fail(r, "macros call each other deeper than %d times.", RUN_MAX_CALLS);
    r->n_calls++;
    r->activation = a;
    int failed = run_body(r, macro->node, args, out);
    r->activation = before;
    r->n_calls--;
    return failed;
}

int eval_call_block(struct run *r, const struct node *n) {
    struct macro *macro = run_take(r, 1, sizeof *macro);
    struct value result;
    if (!macro) return -1;
    *macro = (struct macro){n, r->activation};
    struct value caller = {.type = VALUE_MACRO, .macro = macro};
    struct args none = {0};
    int failed = n->kids[0] ? eval_call(r, n->kids[0], &caller, &result)
                            : eval_macro_call(r, macro, &none, &result);
    if (failed) return -1;
    r->line = n->line;
    if (!value_is_string(result))
        return run_fail(r, "a call block's call gives %s, expected a string.",
                        value_type_name(result));
    return run_print(r, value_slice(result));
}
