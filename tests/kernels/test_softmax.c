#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "kernels/cpu/softmax.h"
#include "protocol/base/memory.h"
#include "tests/kernels/harness.h"

enum { N = 3001 };

// Log-probabilities against float64, and the same bits on both paths, for any length.
static void test_softmax(void **state) {
    (void)state;
    struct reference_random r = {1};
    static float x[N];
    static double x64[N], want[N];
    for (int n = 1; n <= N; n = n * 2 + n % 3) {
        for (int i = 0; i < n; i++) x64[i] = (double)(x[i] = (float)(5 * reference_normal(&r)));
        reference_log_softmax(n, x64, want);
        struct softmax first;
        for (int path = 0; harness_isa(path); path++) {
            struct softmax s = softmax_of(isa_find(harness_isa(path)), n, x);
            if (path == 0) first = s;
            assert_true(s.max == first.max && s.log_sum == first.log_sum);
            for (int i = 0; i < n; i++) // exps in float32, sums in float64, rounded once
                assert_true(fabs((double)softmax_log(&s, x[i]) - want[i]) < 2e-7 - 1e-7 * want[i]);
        }
    }
}

static void test_finite(void **state) {
    (void)state;
    static const float bad[] = {NAN, INFINITY, -INFINITY};
    float x[37] = {0};
    for (int path = 0; harness_isa(path); path++) {
        const struct isa *isa = isa_find(harness_isa(path));
        for (int n = 1; n <= 37; n++) {
            x[0] = 3e38f;
            assert_true(isa->softmax_is_finite(n, x));
            for (int i = 0; i < n; i++)
                for (int k = 0; k < 3; k++) {
                    float old = x[i];
                    x[i] = bad[k];
                    assert_false(isa->softmax_is_finite(n, x));
                    x[i] = old;
                }
        }
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_softmax),
        cmocka_unit_test(test_finite),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
