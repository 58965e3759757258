// The kernels of the backend in the race build: no two accesses that nothing orders, and what they
// read and how (tests/cudasim/kernels/count.cu).
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "tests/cudasim/programs.h"

static void check_all(const char *const *operations, size_t n, const char *option) {
    if (!programs_exist(NULL)) skip();
    assert_int_equal(programs_check_kernels("race", operations, n, option), 0);
}

static void test_races(void **state) {
    (void)state;
    static const char *const operations[] = {"products", "experts", "conv", "qkv",    "attention",
                                             "router",   "head",    "rows", "weights"};
    check_all(operations, sizeof operations / sizeof *operations, "--small");
}

static void test_counts(void **state) {
    (void)state;
    static const char *const operations[] = {"experts", "out",       "down", "gate", "conv_in",
                                             "qkv",     "attention", "head", "rows"};
    check_all(operations, sizeof operations / sizeof *operations, "--count");
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_races), cmocka_unit_test(test_counts)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
