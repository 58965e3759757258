// Runs a parsed template: expressions give values, statements print and store.
#ifndef WORKER_LOAD_JINJA_EVAL_H
#define WORKER_LOAD_JINJA_EVAL_H

#include "worker/load/jinja/callable.h"
#include "worker/load/jinja/iterator.h"
#include "worker/load/jinja/node.h"

// The variables of a function that runs, or that macros can still see.
struct activation {
    struct activation *outer;
    struct value slots[]; // as the resolver numbered them
};

struct macro {
    const struct node *node; // NODE_MACRO or NODE_CALL_BLOCK
    struct activation *outer;
};

// How a statement ends.
enum flow { FLOW_ON, FLOW_BREAK, FLOW_CONTINUE };

struct activation *eval_activation(struct run *r, struct activation *outer, size_t n_slots);

int eval_expression(struct run *r, const struct node *n, struct value *out);
int eval_truth(struct run *r, const struct node *n, bool *out);
// A filter of an object that is given instead of the node's own.
int eval_filter(struct run *r, const struct node *n, struct value object, struct value *out);
// A call, with one more argument named `caller` unless it is NULL.
int eval_call(struct run *r, const struct node *n, const struct value *caller, struct value *out);
int eval_variable(struct run *r, const struct node *n, struct value **out); // where it lies

int eval_body(struct run *r, const struct node *body, enum flow *flow);
// Stores into a name, a namespace's attribute, or a tuple of these.
int eval_assign(struct run *r, const struct node *target, struct value value);
int eval_for(struct run *r, const struct node *n, enum flow *flow); // eval_loop.c
// Variables at the start and the end of a part of the template.
void eval_enter(struct run *r, const struct scope *scope);
void eval_leave(struct run *r, const struct scope *scope);

// eval_macro.c
int eval_macro_call(struct run *r, const struct macro *macro, const struct args *args,
                    struct value *out);
int eval_call_block(struct run *r, const struct node *n);

// eval_access.c: object.name, object[key], object[start:stop:step]
int eval_attribute(struct run *r, struct value object, struct slice name, struct value *out);
int eval_item(struct run *r, struct value object, struct value key, struct value *out);
int eval_slice(struct run *r, struct value object, const struct value bounds[3], struct value *out);

// eval_loop.c
int eval_loop_attribute(struct run *r, struct loop *loop, struct slice name, struct value *out);

#endif
