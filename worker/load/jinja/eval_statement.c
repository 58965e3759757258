// Statements.
#include "worker/load/jinja/eval.h"
#include "worker/load/jinja/repr.h"

static int output(struct run *r, const struct node *n) {
    for (int i = 0; i < n->n; i++) {
        const struct node *kid = n->kids[i];
        struct value v;
        if (eval_expression(r, kid, &v)) return -1;
        r->line = kid->line;
        if (repr_print(r, v)) return -1;
    }
    return 0;
}

// ---- assignments

static int assign_attribute(struct run *r, const struct node *target, struct value value) {
    struct value *space;
    if (eval_variable(r, target, &space)) return -1;
    if (space->type != VALUE_NAMESPACE)
        return run_fail(r, "'%.*s' is %s; only a namespace's attributes are assigned to.",
                        SLICE_ARG(target->name), value_type_name(*space));
    if (target->attribute.ptr[0] == '_')
        return run_fail(r, "a namespace's attribute '%.*s' starts with '_'.",
                        SLICE_ARG(target->attribute));
    return value_dict_put(r, space->space, value_string(target->attribute), value);
}

static int unpack(struct run *r, const struct node *target, struct value value) {
    struct iterator *it;
    struct value item, *items = run_take(r, (size_t)target->n, sizeof *items);
    bool done;
    if (!items || iterator_of(r, value, &it)) return -1;
    for (int i = 0; i < target->n; i++) {
        if (iterator_next(r, it, &items[i], &done)) return -1;
        if (done) return run_fail(r, "there are %d values for %d names.", i, target->n);
    }
    if (iterator_next(r, it, &item, &done)) return -1;
    if (!done) return run_fail(r, "there are too many values for %d names.", target->n);
    for (int i = 0; i < target->n; i++)
        if (eval_assign(r, target->kids[i], items[i])) return -1;
    return 0;
}

int eval_assign(struct run *r, const struct node *target, struct value value) {
    if (target->kind == NODE_TUPLE) return unpack(r, target, value);
    if (target->kind == NODE_NSREF) return assign_attribute(r, target, value);
    r->activation->slots[target->reference.slot] = value;
    return 0;
}

static int assign(struct run *r, const struct node *n) {
    struct value value;
    if (eval_expression(r, n->kids[1], &value)) return -1;
    r->line = n->line;
    return eval_assign(r, n->kids[0], value);
}

// ---- blocks

static int if_statement(struct run *r, const struct node *n, enum flow *flow) {
    bool truth;
    if (eval_truth(r, n->kids[0], &truth)) return -1;
    if (truth) return eval_body(r, n->kids[1], flow);
    for (int i = 0; n->kids[2] && i < n->kids[2]->n; i++) {
        const struct node *elif = n->kids[2]->kids[i];
        if (eval_truth(r, elif->kids[0], &truth)) return -1;
        if (truth) return eval_body(r, elif->kids[1], flow);
    }
    return n->kids[3] ? eval_body(r, n->kids[3], flow) : 0;
}

// The filters of a block: the innermost one takes the block's text.
static int filter_text(struct run *r, const struct node *filter, struct value text,
                       struct value *out) {
    if (filter->kids[0] && filter_text(r, filter->kids[0], text, &text)) return -1;
    return eval_filter(r, filter, text, out);
}

// {% set x %} ... {% endset %}. A break inside leaves without a value.
static int assign_block(struct run *r, const struct node *n, enum flow *flow) {
    size_t from = r->out.len;
    struct value value;
    eval_enter(r, n->scope);
    if (eval_body(r, n->kids[2], flow) || run_take_printed(r, from, &value)) return -1;
    if (*flow != FLOW_ON) return 0;
    if (n->kids[1] && filter_text(r, n->kids[1], value, &value)) return -1;
    r->line = n->line;
    if (eval_assign(r, n->kids[0], value)) return -1;
    eval_leave(r, n->scope);
    return 0;
}

static int filter_block(struct run *r, const struct node *n, enum flow *flow) {
    size_t from = r->out.len;
    struct value value;
    eval_enter(r, n->scope);
    if (eval_body(r, n->kids[0], flow) || run_take_printed(r, from, &value)) return -1;
    if (*flow != FLOW_ON) return 0;
    if (filter_text(r, n->kids[1], value, &value)) return -1;
    r->line = n->line;
    if (!value_is_string(value))
        return run_fail(r, "the filter of a block gives %s, expected a string.",
                        value_type_name(value));
    eval_leave(r, n->scope);
    return run_print(r, value_slice(value));
}

static int with_block(struct run *r, const struct node *n, enum flow *flow) {
    eval_enter(r, n->scope);
    for (int i = 0; i < n->n_args; i++) {
        struct value value;
        if (eval_expression(r, n->kids[n->n_args + i], &value)) return -1;
        r->line = n->line;
        if (eval_assign(r, n->kids[i], value)) return -1;
    }
    if (eval_body(r, node_body(n), flow)) return -1;
    if (*flow == FLOW_ON) eval_leave(r, n->scope);
    return 0;
}

static int define_macro(struct run *r, const struct node *n) {
    struct macro *macro = run_take(r, 1, sizeof *macro);
    if (!macro) return -1;
    *macro = (struct macro){n, r->activation};
    r->activation->slots[n->reference.slot] = (struct value){.type = VALUE_MACRO, .macro = macro};
    return 0;
}

static int statement(struct run *r, const struct node *n, enum flow *flow) {
    switch (n->kind) {
    case NODE_OUTPUT:
        return output(r, n);
    case NODE_IF:
        return if_statement(r, n, flow);
    case NODE_FOR:
        return eval_for(r, n, flow);
    case NODE_MACRO:
        return define_macro(r, n);
    case NODE_CALL_BLOCK:
        return eval_call_block(r, n);
    case NODE_FILTER_BLOCK:
        return filter_block(r, n, flow);
    case NODE_ASSIGN:
        return assign(r, n);
    case NODE_ASSIGN_BLOCK:
        return assign_block(r, n, flow);
    case NODE_WITH:
        return with_block(r, n, flow);
    default:
        *flow = n->kind == NODE_BREAK ? FLOW_BREAK : FLOW_CONTINUE;
        return 0;
    }
}

int eval_body(struct run *r, const struct node *body, enum flow *flow) {
    if (r->depth == RUN_MAX_DEPTH)
        return run_fail(r, "the template is nested deeper than %d levels.", RUN_MAX_DEPTH);
    r->depth++;
    int failed = 0;
    for (int i = 0; i < body->n && !failed && *flow == FLOW_ON; i++) {
        r->line = body->kids[i]->line;
        failed = run_spend(r) || statement(r, body->kids[i], flow) ? -1 : 0;
    }
    r->depth--;
    return failed;
}
