// The limits of the grader, and the work of one check: counted, never timed.
#ifndef VERIFIERS_MATH_BASE_BUDGET_H
#define VERIFIERS_MATH_BASE_BUDGET_H

#include <stdbool.h>
#include <stdint.h>

enum {
    MATH_MAX_BYTES = 64 << 10, // of a span
    MATH_MAX_TOKENS = 16384,   // of a span
    MATH_MAX_NODES = 4096,     // of a tree
    MATH_MAX_DEPTH = 200,      // of a tree and of brackets
    MATH_MAX_ITEMS = 64,       // of a list or set that is matched in any order
    MATH_MAX_STEPS = 40000,    // of one check; a step is at most about a microsecond of work
};

// The work of one check. Zero-initialise, set max_steps (0 stands for MATH_MAX_STEPS).
struct math_budget {
    int64_t steps, max_steps;
};

// Counts `n` steps; false when the budget is used up.
static inline bool math_step(struct math_budget *budget, int64_t n) {
    if (budget->max_steps == 0) budget->max_steps = MATH_MAX_STEPS;
    budget->steps += n;
    return budget->steps <= budget->max_steps;
}

#endif
