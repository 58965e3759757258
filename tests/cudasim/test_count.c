// What the kernels of the backend read and how (tests/cudasim/kernels/count.cu), in the race build.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "tests/cudasim/programs.h"

static void test_counts(void **state) {
    (void)state;
    static const char *const operations[] = {"experts", "out",       "down", "gate", "conv_in",
                                             "qkv",     "attention", "head", "rows"};
    const size_t n = sizeof operations / sizeof *operations;
    if (!programs_exist(NULL)) skip();
    assert_int_equal(programs_check_kernels("race", operations, n, "--count"), 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_counts)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
