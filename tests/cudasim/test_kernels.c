// The kernels of the backend beside their float64 twins, and bit for bit themselves whatever the
// number, order and tile of tokens; in the memory build for few shapes. test_race.c has the race
// build.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "tests/cudasim/programs.h"

// The operations of kernel_check.
static const char *const OPERATIONS[] = {"products", "experts", "conv", "qkv",    "attention",
                                         "router",   "head",    "rows", "weights"};

static void check_all(const char *variant, const char *option) {
    size_t n = sizeof OPERATIONS / sizeof *OPERATIONS;
    if (!programs_exist(NULL)) skip();
    assert_int_equal(programs_check_kernels(variant, OPERATIONS, n, option), 0);
}

static void test_results(void **state) {
    (void)state;
    check_all("normal", NULL);
}

static void test_memory(void **state) {
    (void)state;
    check_all("memory", "--small");
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_results),
                                       cmocka_unit_test(test_memory)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
