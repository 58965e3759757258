// What the kernel tests use of cmocka, for check-neon: there is no library of the other machine's.
// A test that fails ends the program, with the place in the last line. NEON_ONLY names the test of
// a program that is wanted.
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static jmp_buf skipped;

static void fail_at(const char *what, const char *file, int line) {
    fprintf(stderr, "%s:%d: %s\n", file, line, what);
    abort();
}

void _assert_true(const LargestIntegralType result, const char *const expression,
                  const char *const file, const int line) {
    if (!result) fail_at(expression, file, line);
}

void _assert_int_equal(const LargestIntegralType a, const LargestIntegralType b,
                       const char *const file, const int line) {
    if (a != b) fail_at("these integers are not equal", file, line);
}

void _assert_int_not_equal(const LargestIntegralType a, const LargestIntegralType b,
                           const char *const file, const int line) {
    if (a == b) fail_at("these integers are equal", file, line);
}

void _assert_in_range(const LargestIntegralType value, const LargestIntegralType minimum,
                      const LargestIntegralType maximum, const char *const file, const int line) {
    if (value < minimum || value > maximum) fail_at("this integer is out of range", file, line);
}

void _assert_string_equal(const char *const a, const char *const b, const char *const file,
                          const int line) {
    if (strcmp(a, b) != 0) fail_at("these texts are not equal", file, line);
}

void _assert_memory_equal(const void *const a, const void *const b, const size_t size,
                          const char *const file, const int line) {
    if (memcmp(a, b, size) != 0) fail_at("these bytes are not equal", file, line);
}

void _fail(const char *const file, const int line) {
    fail_at("failed", file, line);
}

void _skip(const char *const file, const int line) {
    (void)file;
    (void)line;
    longjmp(skipped, 1);
}

void print_message(const char *const format, ...) {
    va_list args;
    va_start(args, format);
    vprintf(format, args);
    va_end(args);
}

void print_error(const char *const format, ...) {
    va_list args;
    va_start(args, format);
    vfprintf(stderr, format, args);
    va_end(args);
}

int _cmocka_run_group_tests(const char *group_name, const struct CMUnitTest *const tests,
                            const size_t num_tests, CMFixtureFunction group_setup,
                            CMFixtureFunction group_teardown) {
    (void)group_name;
    const char *only = getenv("NEON_ONLY");
    if (group_setup) group_setup(NULL);
    for (volatile size_t i = 0; i < num_tests; i++) {
        if (only && strcmp(only, tests[i].name) != 0) continue;
        bool was_skipped = setjmp(skipped) != 0;
        void *state = NULL;
        if (!was_skipped) tests[i].test_func(&state);
        printf("  %s %s\n", was_skipped ? "skipped" : "passed", tests[i].name);
    }
    if (group_teardown) group_teardown(NULL);
    return 0;
}
