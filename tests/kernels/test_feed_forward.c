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

// silu(gate) * up: the same bits on both paths, float64 within a few roundings.
static void test_swiglu(void **state) {
    (void)state;
    struct reference_random r = {1};
    enum { N = 1003 };
    float gate[N], up[N], first[N], out[N];
    for (int i = 0; i < N; i++) {
        gate[i] = (float)(i % 3 ? 4 * reference_normal(&r) : 60 * reference_normal(&r));
        up[i] = (float)reference_normal(&r);
    }
    for (int path = 0; harness_isa(path); path++) {
        isa_find(harness_isa(path))->swiglu(N, gate, up, path == 0 ? first : out);
        if (path > 0) assert_memory_equal(first, out, sizeof out);
    }
    for (int i = 0; i < N; i++) {
        double want = reference_silu((double)gate[i]) * (double)up[i];
        assert_true(fabs((double)first[i] - want) <= 5e-7 * fabs(want) + 1e-37);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_swiglu)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
