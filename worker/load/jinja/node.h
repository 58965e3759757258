// The tree of a parsed template. It is written by the parser and the resolver (resolve.h) and
// read-only from then on, so that threads share it.
#ifndef WORKER_LOAD_JINJA_NODE_H
#define WORKER_LOAD_JINJA_NODE_H

#include "worker/load/jinja/value.h"

// The children of each kind, in the order in which Jinja's own visitors see them, which decides
// what a name means. [x] may be NULL.
enum node_kind {
    NODE_BODY,         // statements
    NODE_OUTPUT,       // expressions; texts between tags are NODE_CONST
    NODE_IF,           // test, body, elifs (a body of NODE_IF), [else]
    NODE_FOR,          // target, iterated, body, [else], [test]
    NODE_MACRO,        // n_args parameters, n_named defaults of the last ones, body
    NODE_CALL_BLOCK,   // [call], n_args parameters, n_named defaults, body; no call: generation
    NODE_FILTER_BLOCK, // body, filter (whose first child is NULL)
    NODE_ASSIGN,       // target, expression
    NODE_ASSIGN_BLOCK, // target, [filter], body
    NODE_WITH,         // n_args targets, n_args values, body
    NODE_BREAK,
    NODE_CONTINUE,

    NODE_NAME,    // context says whether it is read or written
    NODE_NSREF,   // name.attribute as a target
    NODE_CONST,   // constant
    NODE_TUPLE,   // items
    NODE_LIST,    // items
    NODE_DICT,    // key, value, key, value ...
    NODE_GETATTR, // object
    NODE_GETITEM, // object, key or NODE_SLICE
    NODE_SLICE,   // [start], [stop], [step]
    NODE_CALL,    // callee, n_args arguments, n_named NODE_KEYWORD
    NODE_FILTER,  // [object], n_args arguments, n_named NODE_KEYWORD
    NODE_TEST,    // object, n_args arguments, n_named NODE_KEYWORD
    NODE_KEYWORD, // value
    NODE_COND,    // test, value, [other value]
    NODE_AND,     // left, right
    NODE_OR,      // left, right
    NODE_NOT,     // operand
    NODE_NEGATIVE,
    NODE_POSITIVE,
    NODE_ARITH,   // left, right
    NODE_CONCAT,  // operands of ~
    NODE_COMPARE, // left, NODE_OPERAND ...
    NODE_OPERAND, // right
};

enum node_context { CONTEXT_LOAD, CONTEXT_STORE, CONTEXT_PARAM };
enum node_compare {
    COMPARE_EQ,
    COMPARE_NE,
    COMPARE_LT,
    COMPARE_LE,
    COMPARE_GT,
    COMPARE_GE,
    COMPARE_IN,
    COMPARE_NOT_IN,
};

// A variable: `hops` functions further out, at `slot` of its variables.
struct reference {
    uint16_t hops, slot;
};

// What happens to a variable when the part of the template that it belongs to is entered.
struct load {
    enum { LOAD_PARAMETER, LOAD_RESOLVE, LOAD_ALIAS, LOAD_MISSING } how;
    uint16_t slot;           // of the running function
    struct reference source; // LOAD_ALIAS
    int name;                // LOAD_RESOLVE: index into the names from outside
};

struct scope { // of a loop, block or function
    int n;
    struct load *loads; // (n)
};

struct for_plan {
    struct scope body, other, test;
    bool has_loop; // the body reads `loop`
    uint16_t loop_slot;
    uint16_t n_test_slots;    // the test runs as a function of its own,
    struct node *test_target; // with targets of its own
};

struct macro_plan { // also of NODE_CALL_BLOCK
    struct scope scope;
    uint16_t n_slots;
    uint16_t *arg_slots;                        // (n_args)
    int caller_slot, kwargs_slot, varargs_slot; // -1: not used
    bool reads_caller, explicit_caller;         // explicit: it is among the parameters
};

struct callable;

struct node {
    uint8_t kind;  // enum node_kind
    uint8_t op;    // enum node_context, node_compare or arith_op
    bool is_param; // NODE_NAME: read as a parameter, which is never without a value
    uint8_t depth; // of an expression
    int line;
    int n, n_args, n_named;
    struct node **kids;     // (n)
    struct slice name;      // of a name, attribute, keyword, macro, filter, test
    struct slice attribute; // NODE_NSREF
    union {
        struct value constant;           // NODE_CONST
        struct reference reference;      // NODE_NAME, NODE_NSREF, NODE_MACRO
        const struct callable *callable; // NODE_FILTER, NODE_TEST
    };
    union {
        struct for_plan *loop;
        struct macro_plan *macro;
        struct scope *scope; // NODE_ASSIGN_BLOCK, NODE_FILTER_BLOCK, NODE_WITH
    };
};

static inline struct node *node_body(const struct node *n) { // of a macro or call block
    return n->kids[n->n - 1];
}

#endif
