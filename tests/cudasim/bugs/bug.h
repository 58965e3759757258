// Planted errors. Each program here is correct when it is run with "correct", and has one error when
// it is run with the error's name; "list" prints the names. table.txt says who sees which. What it computes is checked: "wrong result" and exit status 1.
#ifndef TESTS_CUDASIM_BUGS_BUG_H
#define TESTS_CUDASIM_BUGS_BUG_H

#include <math.h>

#include "kernels/cuda/launch.h"
#include "kernels/cuda/ptx.h"
#include "tests/cudasim/cases/check.h"

#define EXPECT(condition)                                                                          \
    do {                                                                                           \
        if (condition) break;                                                                      \
        printf("wrong result: %s\n", #condition);                                                  \
        exit(1);                                                                                   \
    } while (0)

// The number of the name in argv[1] among names; 0 is "correct".
static int bug_number(int argc, char **argv, std::vector<const char *> names) {
    for (size_t i = 0; argc == 2 && i < names.size(); i++)
        if (strcmp(argv[1], names[i]) == 0) return (int)i;
    if (argc == 2 && strcmp(argv[1], "list") == 0) {
        for (const char *name : names) printf("%s\n", name);
        exit(0);
    }
    fprintf(stderr, "usage: %s correct|list|BUG\n", argv[0]);
    exit(2);
}

static inline std::vector<uint16_t> random_bf16(size_t n, uint64_t seed) {
    std::vector<uint16_t> v(n);
    for (uint16_t &h : v) {
        seed = seed * 6364136223846793005ull + 1442695040888963407ull;
        float f = (float)((int)(seed >> 40 & 255) - 128) / 128;
        h = (uint16_t)(__float_as_uint(f) >> 16);
    }
    return v;
}
static inline double bf16_value(uint16_t h) { return __uint_as_float((unsigned)h << 16); }

#endif
