#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "kernels/cpu/rope.h"
#include "tests/reference.h"

static void test_rope(void **state) {
    (void)state;
    static const int positions[] = {0, 1, 2, 100, 4097, 32767, 127999};
    static const int dims[] = {2, 10, 24, 64, 128};
    struct reference_random r = {1};
    for (int k = 0; k < 5; k++)
        for (int i = 0; i < 7; i++) {
            int dim = dims[k];
            float frequencies[64], cosine[64], sine[64], x[128];
            double want[128];
            float theta = k % 2 ? 10000.0f : 1e6f;
            rope_frequencies(theta, dim, frequencies);
            rope_table(frequencies, dim, positions[i], cosine, sine);
            for (int d = 0; d < dim; d++) want[d] = (double)(x[d] = (float)reference_normal(&r));
            reference_rope(dim, theta, positions[i], want);
            rope_apply(dim, cosine, sine, x);
            // Two products and a sum of numbers of size 1; the angle is the same float32.
            for (int d = 0; d < dim; d++) assert_true(fabs((double)x[d] - want[d]) < 1e-6);
        }
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_rope)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
