// The machine's limits as `bench` measures them: there is a figure on any number of threads. How
// large it is, is not for a test.
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "worker/commands/limits.h"

static void test_figures(void **state) {
    (void)state;
    static const int threads[] = {0, 1, 2, 5};
    for (int i = 0; i < 4; i++) {
        double bytes = limits_read_bandwidth(threads[i]), flops = limits_peak_flops(threads[i]);
        assert_true(isfinite(bytes) && bytes > 1e6);
        assert_true(isfinite(flops) && flops > 1e6);
        flops = limits_peak_int8_flops(threads[i]);
        assert_true(isfinite(flops) && flops > 1e6);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_figures)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
