// Tables of instructions, texts and verdicts, as the constraint tests are written.
#ifndef TESTS_VERIFIERS_CONSTRAINTS_IFBENCH_CASES_H
#define TESTS_VERIFIERS_CONSTRAINTS_IFBENCH_CASES_H

#include <stdbool.h>
#include <stddef.h>

struct instruction_case {
    const char *id;
    const char *kwargs; // JSON, or NULL: {}
    const char *text;
    bool follows;
};

// Asserts every verdict; prints each that is wrong first.
void check_instruction_cases(const struct instruction_case *cases, size_t n);

// Asserts that an instruction is refused with a sentence that has `part` in it.
void check_refused(const char *id, const char *kwargs, const char *part);

#endif
