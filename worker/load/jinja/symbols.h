// The names of one part of a template, while it is resolved; jinja2/idtracking.py's Symbols.
#ifndef WORKER_LOAD_JINJA_SYMBOLS_H
#define WORKER_LOAD_JINJA_SYMBOLS_H

#include "worker/load/jinja/node.h"

struct variable {
    int level;
    struct slice name;
};

// One of Python's functions: its variables are told apart by level and name.
struct function {
    struct function *outer;
    int n, capacity;
    struct variable *variables; // (n); a place here is a slot
};

struct symbol {
    struct slice name;
    uint8_t how; // what of struct load happens to it
    bool is_stored;
};

struct symbols {
    struct symbols *parent;
    struct function *function;
    int level;
    int n, capacity;
    struct symbol *list; // (n)
    struct arena *arena;
    bool *too_large;
};

enum { SYMBOLS_MAX_NAMES = 500, SYMBOLS_MAX_SLOTS = 4000, SYMBOLS_MAX_BYTES = 64 * 1024 * 1024 };

// `too_large` is set when there are more names, or names in more branches, than any real template
// has; what is found from then on is wrong.
struct symbols *symbols_new(struct symbols *parent, struct function *function, struct arena *arena,
                            bool *too_large);

// The part that has the name, `s` itself or one around it; NULL when none has.
struct symbols *symbols_owner(struct symbols *s, struct slice name);
struct symbol *symbols_find(struct symbols *s, struct slice name); // in `s` alone

void symbols_declare(struct symbols *s, struct slice name); // a parameter
// What reading and writing in `n` does to the names, without what stands in loops and blocks.
void symbols_analyze(struct symbols *s, const struct node *n);
// The same for the targets of a loop, which are its parameters.
void symbols_analyze_targets(struct symbols *s, const struct node *target);

// Whether `name` is read in `n` before it is written there, in the order of Jinja's visitors.
bool symbols_reads(const struct node *n, const char *name);

int symbols_slot(struct function *f, int level, struct slice name, struct arena *arena);

#endif
