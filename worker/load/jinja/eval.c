#include "worker/load/jinja/eval.h"

#include "worker/load/jinja/arith.h"
#include "worker/load/jinja/repr.h"

struct activation *eval_activation(struct run *r, struct activation *outer, size_t n_slots) {
    struct activation *a = run_take(r, 1, sizeof *a + n_slots * sizeof(struct value));
    if (a) a->outer = outer;
    return a;
}

// ---- names

static struct value *place_of(struct run *r, struct reference ref) {
    struct activation *a = r->activation;
    for (int i = 0; i < ref.hops; i++) a = a->outer;
    return &a->slots[ref.slot];
}

int eval_variable(struct run *r, const struct node *n, struct value **out) {
    *out = place_of(r, n->reference);
    if ((*out)->type > VALUE_MISSING) return 0;
    return run_fail(r, "'%.*s' has no value here.", SLICE_ARG(n->name));
}

static int name(struct run *r, const struct node *n, struct value *out) {
    *out = *place_of(r, n->reference);
    if (out->type > VALUE_MISSING) return 0;
    if (out->type == VALUE_UNBOUND || n->is_param)
        return run_fail(r, "'%.*s' has no value here.", SLICE_ARG(n->name));
    *out = value_undefined(r, ABSENT_NAME, n->name);
    return 0;
}

void eval_enter(struct run *r, const struct scope *scope) {
    for (int i = 0; i < scope->n; i++) {
        const struct load *load = &scope->loads[i];
        struct value *slot = &r->activation->slots[load->slot];
        if (load->how == LOAD_MISSING)
            *slot = (struct value){.type = VALUE_MISSING};
        else if (load->how == LOAD_RESOLVE)
            *slot = r->names[load->name];
        else if (load->how == LOAD_ALIAS)
            *slot = *place_of(r, load->source);
    }
}

void eval_leave(struct run *r, const struct scope *scope) {
    for (int i = 0; i < scope->n; i++)
        r->activation->slots[scope->loads[i].slot] = (struct value){.type = VALUE_MISSING};
}

// ---- arguments and calls

static int arguments(struct run *r, const struct node *n, const struct value *caller,
                     struct args *args) {
    int total = n->n_args + n->n_named;
    int all = total + (caller ? 1 : 0);
    struct value *values = all ? run_take(r, (size_t)all, sizeof *values) : NULL;
    struct slice *names =
        all > n->n_args ? run_take(r, (size_t)(all - n->n_args), sizeof *names) : NULL;
    if ((all && !values) || (all > n->n_args && !names)) return -1;
    for (int i = 0; i < total; i++) {
        const struct node *kid = n->kids[1 + i];
        if (kid->kind == NODE_KEYWORD) names[i - n->n_args] = kid->name;
        if (kid->kind == NODE_KEYWORD) kid = kid->kids[0];
        if (eval_expression(r, kid, &values[i])) return -1;
    }
    if (caller) {
        values[total] = *caller;
        names[n->n_named] = slice_of("caller");
    }
    *args =
        (struct args){.n = n->n_args, .n_named = all - n->n_args, .values = values, .names = names};
    return 0;
}

int eval_filter(struct run *r, const struct node *n, struct value object, struct value *out) {
    struct args args;
    if (arguments(r, n, NULL, &args)) return -1;
    r->line = n->line;
    return callable_call(r, n->callable, object, &args, out);
}

int eval_call(struct run *r, const struct node *n, const struct value *caller, struct value *out) {
    struct value callee;
    struct args args;
    if (eval_expression(r, n->kids[0], &callee) || arguments(r, n, caller, &args)) return -1;
    r->line = n->line;
    switch (callee.type) {
    case VALUE_FUNCTION:
        return callable_call(r, callee.function, value_none(), &args, out);
    case VALUE_METHOD:
        return callable_call(r, callee.method->row, callee.method->self, &args, out);
    case VALUE_MACRO:
        return eval_macro_call(r, callee.macro, &args, out);
    case VALUE_UNDEFINED:
        return value_fail_undefined(r, callee);
    default:
        return run_fail(r, "%s is called, expected a function or macro.", value_type_name(callee));
    }
}

// ---- expressions

static int list(struct run *r, const struct node *n, struct value *out) {
    struct value made, *items;
    items = value_new_list(r, n->kind == NODE_LIST ? VALUE_LIST : VALUE_TUPLE, (size_t)n->n, &made);
    if (!items) return -1;
    for (int i = 0; i < n->n; i++)
        if (eval_expression(r, n->kids[i], &items[i])) return -1;
    *out = made;
    return 0;
}

static int dict(struct run *r, const struct node *n, struct value *out) {
    struct dict *d = value_new_dict(r, (size_t)n->n / 2);
    if (!d) return -1;
    for (int i = 0; i < n->n; i += 2) {
        struct value key, value;
        if (eval_expression(r, n->kids[i], &key) || eval_expression(r, n->kids[i + 1], &value))
            return -1;
        if (value_dict_put(r, d, key, value)) return -1;
    }
    *out = (struct value){.type = VALUE_DICT, .dict = d};
    return 0;
}

static int item(struct run *r, const struct node *n, struct value *out) {
    struct value object, key, bounds[3];
    const struct node *inside = n->kids[1];
    if (eval_expression(r, n->kids[0], &object)) return -1;
    if (inside->kind != NODE_SLICE) {
        if (eval_expression(r, inside, &key)) return -1;
        r->line = n->line;
        return eval_item(r, object, key, out);
    }
    for (int i = 0; i < 3; i++) {
        bounds[i] = value_none();
        if (inside->kids[i] && eval_expression(r, inside->kids[i], &bounds[i])) return -1;
    }
    r->line = n->line;
    return eval_slice(r, object, bounds, out);
}

static int either(struct run *r, const struct node *n, struct value *out) {
    bool truth;
    if (eval_expression(r, n->kids[0], out) || value_truth(r, *out, &truth)) return -1;
    return truth == (n->kind == NODE_OR) ? 0 : eval_expression(r, n->kids[1], out);
}

static int conditional(struct run *r, const struct node *n, struct value *out) {
    bool truth;
    if (eval_truth(r, n->kids[0], &truth)) return -1;
    if (truth) return eval_expression(r, n->kids[1], out);
    if (n->kids[2]) return eval_expression(r, n->kids[2], out);
    *out = value_undefined(r, ABSENT_OTHER, slice_of("the value of an 'if' without an 'else'"));
    return 0;
}

static int sign(struct run *r, const struct node *n, struct value *out) {
    bool truth;
    struct value v;
    if (eval_expression(r, n->kids[0], &v)) return -1;
    r->line = n->line;
    if (n->kind == NODE_NEGATIVE) return arith_negative(r, v, out);
    if (n->kind == NODE_POSITIVE) return arith_positive(r, v, out);
    if (value_truth(r, v, &truth)) return -1;
    *out = value_bool(!truth);
    return 0;
}

static int arithmetic(struct run *r, const struct node *n, struct value *out) {
    struct value left, right;
    if (eval_expression(r, n->kids[0], &left) || eval_expression(r, n->kids[1], &right)) return -1;
    r->line = n->line;
    return arith_binary(r, n->op, left, right, out);
}

static int concat(struct run *r, const struct node *n, struct value *out) {
    struct value *operands = run_take(r, (size_t)n->n, sizeof *operands);
    size_t from = r->out.len;
    if (!operands) return -1;
    for (int i = 0; i < n->n; i++)
        if (eval_expression(r, n->kids[i], &operands[i])) return -1;
    r->line = n->line;
    for (int i = 0; i < n->n; i++)
        if (repr_print(r, operands[i])) return -1;
    return run_take_printed(r, from, out);
}

static int compare_one(struct run *r, enum node_compare op, struct value a, struct value b,
                       bool *out) {
    int order, failed;
    *out = false;
    if (op <= COMPARE_NE) {
        failed = value_equal(r, a, b, out);
        *out ^= op == COMPARE_NE;
        return failed;
    }
    if (op >= COMPARE_IN) {
        failed = value_contains(r, b, a, out);
        *out ^= op == COMPARE_NOT_IN;
        return failed;
    }
    if (value_order(r, a, b, &order)) return -1;
    *out = op == COMPARE_LT   ? order < 0
           : op == COMPARE_LE ? order <= 0
           : op == COMPARE_GT ? order > 0
                              : order >= 0;
    return 0;
}

static int compare(struct run *r, const struct node *n, struct value *out) {
    struct value left, right;
    bool holds = true;
    if (eval_expression(r, n->kids[0], &left)) return -1;
    for (int i = 1; i < n->n && holds; i++, left = right) {
        if (eval_expression(r, n->kids[i]->kids[0], &right)) return -1;
        r->line = n->line;
        if (compare_one(r, n->kids[i]->op, left, right, &holds)) return -1;
    }
    *out = value_bool(holds);
    return 0;
}

static int filter_or_test(struct run *r, const struct node *n, struct value *out) {
    struct value object;
    return eval_expression(r, n->kids[0], &object) || eval_filter(r, n, object, out) ? -1 : 0;
}

static int attribute(struct run *r, const struct node *n, struct value *out) {
    struct value object;
    if (eval_expression(r, n->kids[0], &object)) return -1;
    r->line = n->line;
    return eval_attribute(r, object, n->name, out);
}

static int expression(struct run *r, const struct node *n, struct value *out) {
    switch (n->kind) {
    case NODE_CONST:
        *out = n->constant;
        return 0;
    case NODE_NAME:
        return name(r, n, out);
    case NODE_GETATTR:
        return attribute(r, n, out);
    case NODE_GETITEM:
        return item(r, n, out);
    case NODE_CALL:
        return eval_call(r, n, NULL, out);
    case NODE_FILTER:
    case NODE_TEST:
        return filter_or_test(r, n, out);
    case NODE_COND:
        return conditional(r, n, out);
    case NODE_AND:
    case NODE_OR:
        return either(r, n, out);
    case NODE_ARITH:
        return arithmetic(r, n, out);
    case NODE_CONCAT:
        return concat(r, n, out);
    case NODE_COMPARE:
        return compare(r, n, out);
    case NODE_LIST:
    case NODE_TUPLE:
        return list(r, n, out);
    case NODE_DICT:
        return dict(r, n, out);
    default: // NODE_NOT, NODE_NEGATIVE, NODE_POSITIVE
        return sign(r, n, out);
    }
}

int eval_expression(struct run *r, const struct node *n, struct value *out) {
    r->line = n->line;
    if (run_spend(r)) return -1;
    if (r->depth == RUN_MAX_DEPTH)
        return run_fail(r, "the template is nested deeper than %d levels.", RUN_MAX_DEPTH);
    r->depth++;
    int failed = expression(r, n, out);
    r->depth--;
    return failed;
}

int eval_truth(struct run *r, const struct node *n, bool *out) {
    struct value v;
    return eval_expression(r, n, &v) || value_truth(r, v, out) ? -1 : 0;
}
