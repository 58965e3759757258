// The exit status of each kind of error, as README has them.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "worker/commands/setup.h"
#include "worker/session/link.h"

static int status_of(enum error_code code) {
    const struct error err = {.code = code};
    return exit_status(&err);
}

static void test_statuses(void **state) {
    (void)state;
    assert_int_equal(status_of(ERROR_INPUT), 1);
    assert_int_equal(status_of(ERROR_USAGE), 2);
    assert_int_equal(status_of(ERROR_UNAVAILABLE), 69);
    assert_int_equal(status_of(ERROR_INTERNAL), 70);
    assert_int_equal(status_of(ERROR_IO), 74);
    assert_int_equal(status_of(ERROR_CONFIG), 78);
    assert_int_equal(status_of(ERROR_MEMORY), 78);
    assert_int_equal(LINK_RUN_COMPLETE, 0);
    assert_int_equal(LINK_NO_TRAINER, 69);
    assert_int_equal(LINK_IO, 74);
    assert_int_equal(LINK_DRAINED, 75);
    assert_int_equal(LINK_REFUSED, 78);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_statuses)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
