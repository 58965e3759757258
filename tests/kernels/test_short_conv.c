#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "kernels/cpu/short_conv.h"
#include "tests/reference.h"

enum { N = 23, HIDDEN = 100, MAX_RING = 16 };

struct data {
    float bcx[N * 3 * HIDDEN], taps[8 * HIDDEN], bias[HIDDEN], out[N * HIDDEN];
    double bcx64[N * 3 * HIDDEN], taps64[HIDDEN * 8], bias64[HIDDEN], want[N * HIDDEN];
};

static void fill(struct data *d, int width, uint64_t seed) {
    struct reference_random r = {seed};
    for (int i = 0; i < N * 3 * HIDDEN; i++)
        d->bcx64[i] = (double)(d->bcx[i] = (float)reference_normal(&r));
    for (int i = 0; i < HIDDEN; i++) {
        d->bias64[i] = (double)(d->bias[i] = (float)reference_normal(&r));
        for (int j = 0; j < width; j++) {
            float tap = (float)reference_normal(&r);
            d->taps[j * HIDDEN + i] = tap;
            d->taps64[i * width + j] = (double)tap;
        }
    }
}

// A ring of n_ring entries that holds junk at first.
static void run(struct data *d, int width, bool bias, enum dtype state_dtype, int chunk, int n_ring,
                float *out) {
    static float state[MAX_RING * HIDDEN];
    memset(state, 0x7f, sizeof state);
    for (int t = 0; t < N; t += chunk) {
        struct short_conv c = {.width = width,
                               .hidden = HIDDEN,
                               .taps = d->taps,
                               .tap_stride = HIDDEN,
                               .bias = bias ? d->bias : NULL,
                               .state_dtype = state_dtype,
                               .state = state,
                               .n_ring = n_ring,
                               .position = t,
                               .bcx = d->bcx + t * 3 * HIDDEN,
                               .out = out + t * HIDDEN,
                               .bcx_stride = 3 * HIDDEN,
                               .out_stride = HIDDEN,
                               .n_tokens = N - t < chunk ? N - t : chunk};
        short_conv(&c, 0, 70); // channels in two parts
        short_conv(&c, 70, HIDDEN - 70);
    }
}

// All widths against float64; any chunks and any ring the same bits, of both types.
static void test_short_conv(void **state) {
    (void)state;
    static struct data d;
    static float whole[N * HIDDEN];
    for (int width = 1; width <= 8; width++)
        for (int bf16 = 0; bf16 < 2; bf16++) {
            bool bias = width % 2;
            enum dtype type = bf16 ? DTYPE_BF16 : DTYPE_F32;
            fill(&d, width, (uint64_t)width);
            reference_short_conv(N, HIDDEN, width, d.bcx64, d.taps64, bias ? d.bias64 : NULL,
                                 d.want);
            run(&d, width, bias, type, N, width - 1, whole);
            // 8 products of size 1 and more in float32; a bf16 state rounds each past one at 2^-9.
            for (int i = 0; i < N * HIDDEN; i++)
                assert_true(fabs((double)whole[i] - d.want[i]) < (bf16 ? 0.4 : 2e-5));
            static const int chunks[] = {1, 2, 5, 16};
            for (int i = 0; i < 4; i++)
                for (int n_ring = width - 1; n_ring <= width + 4; n_ring += 1 + i) {
                    run(&d, width, bias, type, chunks[i], n_ring, d.out);
                    assert_memory_equal(whole, d.out, sizeof whole);
                }
        }
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_short_conv)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
