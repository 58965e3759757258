#include "worker/load/jinja/symbols.h"

struct symbols *symbols_new(struct symbols *parent, struct function *function, struct arena *arena,
                            bool *too_large) {
    struct symbols *s = arena_take(arena, 1, sizeof *s);
    *s = (struct symbols){.parent = parent,
                          .function = function,
                          .arena = arena,
                          .level = parent ? parent->level + 1 : 0,
                          .too_large = too_large};
    return s;
}

struct symbol *symbols_find(struct symbols *s, struct slice name) {
    for (int i = 0; i < s->n; i++)
        if (slice_equal(s->list[i].name, name)) return &s->list[i];
    return NULL;
}

struct symbols *symbols_owner(struct symbols *s, struct slice name) {
    while (s && !symbols_find(s, name)) s = s->parent;
    return s;
}

static struct symbol *define(struct symbols *s, struct slice name, uint8_t how) {
    struct symbol *found = symbols_find(s, name);
    if (!found) {
        if (s->n == SYMBOLS_MAX_NAMES) {
            *s->too_large = true;
            return &s->list[0];
        }
        if (s->n == s->capacity) {
            s->capacity = s->capacity ? 2 * s->capacity : 8;
            struct symbol *list = arena_take(s->arena, (size_t)s->capacity, sizeof *list);
            if (s->n) memcpy(list, s->list, (size_t)s->n * sizeof *list);
            s->list = list;
        }
        found = &s->list[s->n++];
        *found = (struct symbol){.name = name};
    }
    found->how = how;
    return found;
}

void symbols_declare(struct symbols *s, struct slice name) {
    define(s, name, LOAD_PARAMETER)->is_stored = true;
}

static void store(struct symbols *s, struct slice name) {
    struct symbol *found = symbols_find(s, name);
    if (!found) found = define(s, name, symbols_owner(s->parent, name) ? LOAD_ALIAS : LOAD_MISSING);
    found->is_stored = true;
}

static void load(struct symbols *s, struct slice name) {
    if (!symbols_owner(s, name)) define(s, name, LOAD_RESOLVE);
}

static struct symbols *copy(const struct symbols *s) {
    struct symbols *c = arena_take(s->arena, 1, sizeof *c);
    *c = *s;
    if (s->arena->n_bytes > SYMBOLS_MAX_BYTES) *s->too_large = true;
    if (*s->too_large) c->n = 0;
    c->capacity = c->n;
    c->list = arena_take(s->arena, (size_t)c->n, sizeof *c->list);
    if (c->n) memcpy(c->list, s->list, (size_t)c->n * sizeof *c->list);
    return c;
}

// What a branch stores may not be stored: its name starts with the value that it has outside.
static void analyze_if(struct symbols *s, const struct node *n) {
    struct symbols *branches[3];
    symbols_analyze(s, n->kids[0]);
    for (int i = 0; i < 3; i++) {
        branches[i] = copy(s);
        if (n->kids[i + 1]) symbols_analyze(branches[i], n->kids[i + 1]);
    }
    const struct symbols *before = copy(s);
    for (int i = 0; i < 3; i++)
        for (int j = 0; j < branches[i]->n; j++) {
            const struct symbol *branch = &branches[i]->list[j];
            struct symbol *found = define(s, branch->name, branch->how);
            found->is_stored |= branch->is_stored;
        }
    for (int i = 0; i < s->n; i++) {
        struct symbol *old = symbols_find((struct symbols *)before, s->list[i].name);
        if (!s->list[i].is_stored || (old && old->is_stored)) continue;
        s->list[i].how = symbols_owner(s->parent, s->list[i].name) ? LOAD_ALIAS : LOAD_RESOLVE;
    }
}

void symbols_analyze_targets(struct symbols *s, const struct node *target) {
    if (target->kind == NODE_NAME) symbols_declare(s, target->name);
    for (int i = 0; i < target->n; i++) symbols_analyze_targets(s, target->kids[i]);
}

static void analyze_name(struct symbols *s, const struct node *n) {
    if (n->op == CONTEXT_PARAM)
        symbols_declare(s, n->name);
    else if (n->op == CONTEXT_STORE)
        store(s, n->name);
    else
        load(s, n->name);
}

void symbols_analyze(struct symbols *s, const struct node *n) {
    switch (n->kind) {
    case NODE_NAME:
        analyze_name(s, n);
        return;
    case NODE_NSREF:
        load(s, n->name);
        return;
    case NODE_IF:
        analyze_if(s, n);
        return;
    case NODE_MACRO:
        store(s, n->name);
        return;
    case NODE_ASSIGN:
        symbols_analyze(s, n->kids[1]);
        symbols_analyze(s, n->kids[0]);
        return;
    case NODE_ASSIGN_BLOCK: // not its filter
        symbols_analyze(s, n->kids[0]);
        return;
    case NODE_FOR:
    case NODE_FILTER_BLOCK: // what is iterated, the filter
        symbols_analyze(s, n->kids[1]);
        return;
    case NODE_CALL_BLOCK:
        if (n->kids[0]) symbols_analyze(s, n->kids[0]);
        return;
    case NODE_WITH:
        for (int i = 0; i < n->n_args; i++) symbols_analyze(s, n->kids[n->n_args + i]);
        return;
    default:
        for (int i = 0; i < n->n; i++)
            if (n->kids[i]) symbols_analyze(s, n->kids[i]);
    }
}

// 1: read first, -1: written first, 0: neither.
static int first_use(const struct node *n, struct slice name) {
    if (n->kind == NODE_NAME && slice_equal(n->name, name)) return n->op == CONTEXT_LOAD ? 1 : -1;
    for (int i = 0; i < n->n; i++) {
        int use = n->kids[i] ? first_use(n->kids[i], name) : 0;
        if (use) return use;
    }
    return 0;
}

bool symbols_reads(const struct node *n, const char *name) {
    return first_use(n, slice_of(name)) > 0;
}

int symbols_slot(struct function *f, int level, struct slice name, struct arena *arena) {
    for (int i = 0; i < f->n; i++)
        if (f->variables[i].level == level && slice_equal(f->variables[i].name, name)) return i;
    if (f->n == f->capacity) {
        f->capacity = f->capacity ? 2 * f->capacity : 8;
        struct variable *more = arena_take(arena, (size_t)f->capacity, sizeof *more);
        if (f->n) memcpy(more, f->variables, (size_t)f->n * sizeof *more);
        f->variables = more;
    }
    f->variables[f->n] = (struct variable){level, name};
    return f->n++;
}
