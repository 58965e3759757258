// One rendering of a template: its memory, what it has printed, its bounds, and how it fails.
#ifndef WORKER_LOAD_JINJA_RUN_H
#define WORKER_LOAD_JINJA_RUN_H

#include <stdbool.h>
#include <stdint.h>

#include "protocol/base/buffer.h"
#include "protocol/base/error.h"
#include "protocol/base/memory.h"
#include "protocol/base/slice.h"

// Each bound has its sentence. The longest published templates take some 200 steps a message; the
// depths stay below those at which Python itself gives up.
enum {
    RUN_MAX_STEPS = 10 * 1000 * 1000,  // evaluated nodes, items, and kilobytes of text
    RUN_MAX_BYTES = 256 * 1024 * 1024, // memory of values
    RUN_MAX_TEXT = 16 * 1024 * 1024,   // bytes of one string, and of all that is printed
    RUN_MAX_DEPTH = 1000,              // statements and expressions inside each other
    RUN_MAX_CALLS = 60,                // macros that call macros
    RUN_MAX_NESTING = 200,             // lists and dicts inside each other
};

struct value;
struct activation;

struct run {
    const char *name; // of the template, for sentences
    struct arena arena;
    struct buffer out; // what is printed; what a block or macro captures stands behind it
    struct activation *activation; // of the innermost function; eval.h
    const struct value *names;     // (n) values of the names that come from outside
    int64_t n_steps;
    int depth, n_calls;
    int64_t now;   // seconds since 1970
    int line;      // of the node that is evaluated
    int loop_line; // of the outermost loop that runs, 0 without one
    int64_t round; // of that loop, from 1
    struct error *err;
};

// ERROR_INPUT: "NAME, line N: ", the sentence, and the round of the loop. Returns -1.
int run_fail(struct run *r, const char *format, ...) __attribute__((format(printf, 2, 3)));

// The same for a sentence that is not ours, as it is.
int run_fail_with(struct run *r, struct slice sentence);

// Zeroed memory of the arena, or NULL after run_fail.
void *run_take(struct run *r, size_t n, size_t size);

// Counts `n` steps; fails when there were too many.
int run_spend_many(struct run *r, size_t n);
static inline int run_spend(struct run *r) {
    return ++r->n_steps > RUN_MAX_STEPS ? run_spend_many(r, 0) : 0;
}

int run_print(struct run *r, struct slice text);
// Takes what was printed behind `from` back, as a string of the arena.
int run_take_printed(struct run *r, size_t from, struct value *out);

#endif
