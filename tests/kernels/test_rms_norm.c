#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "kernels/cpu/isa.h"
#include "tests/kernels/harness.h"

// Both paths have the same bits, and stray from float64 by a few roundings.
static void test_rms_norm(void **state) {
    (void)state;
    struct reference_random r = {1};
    for (int n = 1; n < 300; n += 1 + n / 7) {
        float x[300], w[300], first[300], out[300];
        double xd[300], wd[300], want[300];
        for (int i = 0; i < n; i++) {
            xd[i] = (double)(x[i] = (float)(3 * reference_normal(&r)));
            wd[i] = (double)(w[i] = (float)reference_normal(&r));
        }
        reference_rms_norm(n, xd, wd, 1e-5, want);
        for (int path = 0; harness_isa(path); path++) {
            const struct isa *isa = isa_find(harness_isa(path));
            isa->rms_norm(n, x, w, 1e-5f, path == 0 ? first : out);
            if (path > 0) assert_memory_equal(first, out, (size_t)n * sizeof *out);
        }
        for (int i = 0; i < n; i++)
            assert_true(fabs((double)first[i] - want[i]) <= 1e-6 * fabs(want[i]) + 1e-12);
        isa_find(NULL)->rms_norm(n, x, w, 1e-5f, x); // in place
        assert_memory_equal(first, x, (size_t)n * sizeof *x);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_rms_norm)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
