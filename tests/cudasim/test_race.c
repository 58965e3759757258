// The kernels of the backend in the race build: no two accesses that nothing orders.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "tests/cudasim/programs.h"

static void test_races(void **state) {
    (void)state;
    static const char *const operations[] = {"products", "experts", "conv", "qkv",    "attention",
                                             "router",   "head",    "rows", "weights"};
    const size_t n = sizeof operations / sizeof *operations;
    if (!programs_exist(NULL)) skip();
    assert_int_equal(programs_check_kernels("race", operations, n, "--small"), 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_races)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
