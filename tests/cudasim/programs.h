// Runs the programs that make cudasim built, for the tests of this folder.
#ifndef TESTS_CUDASIM_PROGRAMS_H
#define TESTS_CUDASIM_PROGRAMS_H

#include <stdbool.h>
#include <stddef.h>

struct program {
    const char *variant; // "normal", "race", "memory"
    const char *name;    // "cases/streams"
    const char *arguments[4];
    const char *environment[6]; // "CUDASIM_SEED=3"
};

// Whether the programs were built; says why not, once, when they were not. with: a header that some
// need, "cublaslt" or "nccl"; null: none.
bool programs_exist(const char *with);
// Runs it for at most some seconds. Its output (both streams, cut at size) ends with a zero.
// Returns the exit status, 128 + the signal, or -1 when it did not end in time or could not start.
int program_run(const struct program *p, int timeout_s, char *output, size_t size);

// Runs kernel_check of a build for n operations (at most 255), both families, on a device of 3 SMs
// (idle blocks take most of an emulator's time), as many at a time as there are processors. option:
// "--small", "--count" or NULL. Returns how many had a check that failed; prints which.
int programs_check_kernels(const char *variant, const char *const *operations, size_t n,
                           const char *option);

#endif
