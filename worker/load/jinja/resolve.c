#include "worker/load/jinja/resolve.h"

#include <stdio.h>

#include "worker/load/jinja/function.h"
#include "worker/load/jinja/symbols.h"

struct resolver {
    struct arena *arena, scratch; // of the tree; of what is only needed here
    struct resolved *out;
    int name_capacity;
    bool too_large;
    const char *name;
    struct error *err;
};

// Where a statement stands.
struct place {
    struct symbols *symbols;
    bool in_loop;             // break and continue may stand there
    int n_stored;             // while defaults are worked out: the parameters that have their
    const struct node *macro; // values by then, of this macro; else NULL
};

static int fail(struct resolver *r, int line, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

static int fail(struct resolver *r, int line, const char *format, ...) {
    char text[sizeof r->err->text];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    return error_set(r->err, ERROR_CONFIG, "%s, line %d: %s", r->name, line, text);
}

static struct symbols *inner(struct resolver *r, struct symbols *outer, struct function *f) {
    return symbols_new(outer, f, &r->scratch, &r->too_large);
}

static struct function *new_function(struct resolver *r, struct function *outer) {
    struct function *f = arena_take(&r->scratch, 1, sizeof *f);
    f->outer = outer;
    return f;
}

static uint16_t slot(struct resolver *r, struct symbols *owner, struct slice name) {
    int at = symbols_slot(owner->function, owner->level, name, &r->scratch);
    if (at >= SYMBOLS_MAX_SLOTS) r->too_large = true;
    return (uint16_t)at;
}

static struct reference reference(struct resolver *r, const struct function *from,
                                  struct symbols *owner, struct slice name) {
    struct reference ref = {.slot = slot(r, owner, name)};
    for (; from != owner->function; from = from->outer) ref.hops++;
    return ref;
}

// ---- names from outside

static int outside_name(struct resolver *r, struct slice name) {
    struct resolved *out = r->out;
    for (int i = 0; i < out->n_names; i++)
        if (slice_equal(out->names[i], name)) return i;
    if (out->n_names == r->name_capacity) {
        r->name_capacity = r->name_capacity ? 2 * r->name_capacity : 16;
        struct slice *more = arena_take(r->arena, (size_t)r->name_capacity, sizeof *more);
        if (out->n_names) memcpy(more, out->names, (size_t)out->n_names * sizeof *more);
        out->names = more;
    }
    out->names[out->n_names] = name;
    return out->n_names++;
}

// The loads of a part, after it was analyzed and everything in it was resolved.
static struct scope loads_of(struct resolver *r, struct symbols *s) {
    struct scope scope = {.n = s->n};
    if (r->too_large) return (struct scope){0};
    scope.loads = arena_take(r->arena, (size_t)s->n, sizeof *scope.loads);
    for (int i = 0; i < s->n; i++) {
        const struct symbol *symbol = &s->list[i];
        struct load *load = &scope.loads[i];
        load->how = symbol->how;
        load->slot = slot(r, s, symbol->name);
        if (symbol->how == LOAD_RESOLVE) load->name = outside_name(r, symbol->name);
        if (symbol->how == LOAD_ALIAS)
            load->source =
                reference(r, s->function, symbols_owner(s->parent, symbol->name), symbol->name);
    }
    return scope;
}

// ---- expressions

static bool has_its_value(const struct place *p, struct slice name) {
    for (int i = p->n_stored; p->macro && i < p->macro->n_args; i++)
        if (slice_equal(p->macro->kids[p->macro->kind == NODE_CALL_BLOCK ? i + 1 : i]->name, name))
            return false;
    return true;
}

static int resolve_name(struct resolver *r, const struct place *p, struct node *n) {
    struct symbols *owner = symbols_owner(p->symbols, n->name);
    if (!owner || r->too_large)
        return fail(r, n->line, "the meaning of the name '%.*s' is not known.", SLICE_ARG(n->name));
    const struct symbol *symbol = symbols_find(owner, n->name);
    n->reference = reference(r, p->symbols->function, owner, n->name);
    n->is_param =
        symbol->how == LOAD_PARAMETER && (owner != p->symbols || has_its_value(p, n->name));
    if (symbol->how == LOAD_RESOLVE && function_is_unknown(n->name))
        return fail(r, n->line, "'%.*s' is not supported in a chat template.", SLICE_ARG(n->name));
    return 0;
}

static int resolve_expression(struct resolver *r, const struct place *p, struct node *n) {
    if (!n) return 0;
    if (n->kind == NODE_NAME || n->kind == NODE_NSREF) return resolve_name(r, p, n);
    for (int i = 0; i < n->n; i++)
        if (resolve_expression(r, p, n->kids[i])) return -1;
    return 0;
}

// ---- statements

static int resolve_body(struct resolver *r, const struct place *p, struct node *body);

static bool writes_loop(const struct node *n) {
    if (n->kind == NODE_NAME) return n->op == CONTEXT_STORE && slice_is(n->name, "loop");
    for (int i = 0; i < n->n; i++)
        if (n->kids[i] && writes_loop(n->kids[i])) return true;
    return false;
}

// The targets once more, for the function that the loop's test is.
static struct node *copy_target(struct resolver *r, const struct node *n) {
    struct node *copy = arena_take(r->arena, 1, sizeof *copy);
    *copy = *n;
    copy->kids = arena_take(r->arena, (size_t)n->n, sizeof(struct node *));
    for (int i = 0; i < n->n; i++) copy->kids[i] = copy_target(r, n->kids[i]);
    return copy;
}

static int resolve_test(struct resolver *r, const struct place *p, struct node *n) {
    struct for_plan *plan = n->loop;
    struct function *f = new_function(r, p->symbols->function);
    struct symbols *s = inner(r, p->symbols, f);
    struct place at = {.symbols = s};
    symbols_analyze_targets(s, n->kids[0]);
    symbols_analyze(s, n->kids[4]);
    plan->test_target = copy_target(r, n->kids[0]);
    if (resolve_expression(r, &at, plan->test_target)) return -1;
    if (resolve_expression(r, &at, n->kids[4])) return -1;
    plan->test = loads_of(r, s);
    plan->n_test_slots = (uint16_t)f->n;
    return 0;
}

static int resolve_for(struct resolver *r, const struct place *p, struct node *n) {
    struct function *f = p->symbols->function;
    struct symbols *s = inner(r, p->symbols, f), *other = inner(r, p->symbols, f);
    struct for_plan *plan = n->loop = arena_take(r->arena, 1, sizeof *plan);
    if (writes_loop(n)) return fail(r, n->line, "a loop's inside assigns to 'loop'.");
    plan->has_loop = symbols_reads(n->kids[2], "loop");
    if (plan->has_loop) {
        symbols_declare(s, slice_of("loop"));
        plan->loop_slot = slot(r, s, slice_of("loop"));
    }
    symbols_analyze_targets(s, n->kids[0]);
    symbols_analyze(s, n->kids[2]);
    if (n->kids[3]) symbols_analyze(other, n->kids[3]);
    if (n->kids[4] && resolve_test(r, p, n)) return -1;
    struct place inside = {.symbols = s, .in_loop = true};
    struct place behind = {.symbols = other, .in_loop = p->in_loop};
    if (resolve_expression(r, &inside, n->kids[0]) || resolve_expression(r, p, n->kids[1]))
        return -1;
    if (resolve_body(r, &inside, n->kids[2])) return -1;
    if (n->kids[3] && resolve_body(r, &behind, n->kids[3])) return -1;
    plan->body = loads_of(r, s);
    plan->other = loads_of(r, other);
    return 0;
}

static void analyze_macro(struct symbols *s, const struct node *n) {
    for (int i = n->kind == NODE_CALL_BLOCK; i < n->n; i++) symbols_analyze(s, n->kids[i]);
}

// A special name that the body reads becomes a parameter behind the others.
static int special(struct resolver *r, struct symbols *s, const struct node *n, const char *name) {
    if (!symbols_reads(node_body(n), name)) return -1;
    symbols_declare(s, slice_of(name));
    return slot(r, s, slice_of(name));
}

static int special_parameters(struct resolver *r, struct symbols *s, struct node *n,
                              struct node *const *parameters) {
    struct macro_plan *plan = n->macro;
    bool kwargs = false, varargs = false;
    for (int i = 0; i < n->n_args; i++) {
        struct slice name = parameters[i]->name;
        if (slice_is(name, "kwargs")) kwargs = true;
        if (slice_is(name, "varargs")) varargs = true;
        if (!slice_is(name, "caller")) continue;
        plan->explicit_caller = true;
        if (symbols_reads(node_body(n), "caller") && n->n_args - i > n->n_named)
            return fail(r, n->line, "the parameter 'caller' has no default.");
    }
    plan->reads_caller = symbols_reads(node_body(n), "caller");
    plan->caller_slot = plan->explicit_caller ? -1 : special(r, s, n, "caller");
    plan->kwargs_slot = kwargs ? -1 : special(r, s, n, "kwargs");
    plan->varargs_slot = varargs ? -1 : special(r, s, n, "varargs");
    return 0;
}

// The body of a macro or call block, as a function of its own.
static int resolve_function(struct resolver *r, const struct place *p, struct node *n) {
    struct function *f = new_function(r, p->symbols->function);
    struct symbols *s = inner(r, p->symbols, f);
    struct macro_plan *plan = n->macro = arena_take(r->arena, 1, sizeof *plan);
    struct node **parameters = n->kids + (n->kind == NODE_CALL_BLOCK);
    analyze_macro(s, n);
    if (special_parameters(r, s, n, parameters)) return -1;
    analyze_macro(s, n);
    plan->arg_slots = arena_take(r->arena, (size_t)n->n_args, sizeof *plan->arg_slots);
    for (int i = 0; i < n->n_args; i++) {
        plan->arg_slots[i] = slot(r, s, parameters[i]->name);
        int at_default = i - (n->n_args - n->n_named);
        struct place at = {.symbols = s, .macro = n, .n_stored = i};
        if (at_default >= 0 && resolve_expression(r, &at, parameters[n->n_args + at_default]))
            return -1;
    }
    struct place inside = {.symbols = s};
    if (resolve_body(r, &inside, node_body(n))) return -1;
    plan->scope = loads_of(r, s);
    plan->n_slots = (uint16_t)f->n;
    return 0;
}

static int resolve_macro(struct resolver *r, const struct place *p, struct node *n) {
    struct symbols *owner = symbols_owner(p->symbols, n->name);
    if (!owner) return fail(r, n->line, "the macro '%.*s' has no place.", SLICE_ARG(n->name));
    n->reference = reference(r, p->symbols->function, owner, n->name);
    return resolve_function(r, p, n);
}

static int resolve_call_block(struct resolver *r, const struct place *p, struct node *n) {
    return resolve_function(r, p, n) || resolve_expression(r, p, n->kids[0]) ? -1 : 0;
}

// A block with variables of its own in the same function.
static int resolve_block(struct resolver *r, const struct place *p, struct node *n) {
    struct symbols *s = inner(r, p->symbols, p->symbols->function);
    struct place inside = {.symbols = s, .in_loop = p->in_loop};
    n->scope = arena_take(r->arena, 1, sizeof *n->scope);
    if (n->kind == NODE_WITH) {
        for (int i = 0; i < n->n_args; i++) symbols_analyze(s, n->kids[i]);
        symbols_analyze(s, node_body(n));
        for (int i = 0; i < n->n_args; i++)
            if (resolve_expression(r, &inside, n->kids[i]) ||
                resolve_expression(r, p, n->kids[n->n_args + i]))
                return -1;
        if (resolve_body(r, &inside, node_body(n))) return -1;
    } else if (n->kind == NODE_FILTER_BLOCK) {
        symbols_analyze(s, n->kids[0]);
        symbols_analyze(s, n->kids[1]);
        if (resolve_body(r, &inside, n->kids[0])) return -1;
        if (resolve_expression(r, &inside, n->kids[1])) return -1;
    } else {
        symbols_analyze(s, n->kids[2]);
        if (resolve_body(r, &inside, n->kids[2])) return -1;
        if (resolve_expression(r, p, n->kids[0])) return -1;
        if (resolve_expression(r, &inside, n->kids[1])) return -1;
    }
    *n->scope = loads_of(r, s);
    return 0;
}

static int resolve_if(struct resolver *r, const struct place *p, struct node *n) {
    if (resolve_expression(r, p, n->kids[0])) return -1;
    for (int i = 1; i < 4; i++)
        if (n->kids[i] && resolve_body(r, p, n->kids[i])) return -1;
    return 0;
}

static int resolve_statement(struct resolver *r, const struct place *p, struct node *n) {
    switch (n->kind) {
    case NODE_IF:
        return resolve_if(r, p, n);
    case NODE_FOR:
        return resolve_for(r, p, n);
    case NODE_MACRO:
        return resolve_macro(r, p, n);
    case NODE_CALL_BLOCK:
        return resolve_call_block(r, p, n);
    case NODE_FILTER_BLOCK:
    case NODE_ASSIGN_BLOCK:
    case NODE_WITH:
        return resolve_block(r, p, n);
    case NODE_BREAK:
    case NODE_CONTINUE:
        return p->in_loop ? 0 : fail(r, n->line, "'break' or 'continue' stands outside of a loop.");
    default: // output, assignments
        return resolve_expression(r, p, n);
    }
}

static int resolve_body(struct resolver *r, const struct place *p, struct node *body) {
    for (int i = 0; i < body->n; i++)
        if (resolve_statement(r, p, body->kids[i])) return -1;
    return 0;
}

int resolve_template(struct node *body, const char *name, struct arena *arena, struct resolved *out,
                     struct error *err) {
    struct resolver r = {.arena = arena, .out = out, .name = name, .err = err};
    struct function *f = new_function(&r, NULL);
    struct symbols *s = inner(&r, NULL, f);
    struct place at = {.symbols = s};
    *out = (struct resolved){0};
    symbols_analyze(s, body);
    int failed = resolve_body(&r, &at, body);
    out->scope = loads_of(&r, s);
    out->n_slots = f->n;
    if (r.too_large) failed = fail(&r, 1, "the template has too many names.");
    arena_clear(&r.scratch);
    return failed;
}
