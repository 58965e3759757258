#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "kernels/cpu/feed_forward.h"
#include "kernels/cpu/isa.h"
#include "kernels/cpu/matmul_blocks.h"
#include "protocol/base/memory.h"
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

// ------------------------------------------------------------------ block types

enum { SIZE = 256, TOKENS = 11, STRIDE = SIZE + MATMUL_ROWS };

// A matrix (SIZE, SIZE) of a block type, and its values.
static struct matrix random_matrix(enum dtype t, struct reference_random *r, float *w) {
    enum { N = SIZE * SIZE };
    struct matrix m = {t, SIZE, SIZE, NULL, TYPE_PORTABLE};
    m.data = aligned_alloc(64, (matmul_blocks_bytes(t, SIZE, SIZE) + 63) & ~(size_t)63);
    char *blocks = memory_new(type_size(t, N), 1);
    for (int i = 0; i < N; i++) w[i] = (float)(reference_normal(r) / sqrt(SIZE));
    type_pack(t, w, N, blocks);
    type_unpack(t, blocks, N, w);
    matmul_blocks_put(&m, 0, N, blocks);
    free(blocks);
    return m;
}

// Tokens first .. first + n - 1 through the network on a path: y rows, STRIDE floats apart.
static void run_blocks(const struct isa *isa, enum type_path path, struct matrix m[3],
                       const float *x, int first, int n, float *y) {
    static _Alignas(64) float in[TOKENS][STRIDE], mid[TOKENS][STRIDE];
    const float *rows[TOKENS], *acts[TOKENS];
    float *outs[TOKENS], *ys[TOKENS];
    for (int i = 0; i < 3; i++) m[i].path = path;
    for (int k = 0; k < n; k++) {
        type_activate(path, x + (first + k) * SIZE, SIZE, (struct activation *)(void *)in[k]);
        rows[k] = in[k];
        acts[k] = outs[k] = mid[k];
        ys[k] = y + (first + k) * STRIDE;
    }
    struct feed_forward_gate g = {&m[0], &m[1], 0, SIZE / MATMUL_ROWS, n, rows, outs, true};
    feed_forward_gate(isa, &g);
    struct feed_forward_down d = {&m[2], 0, SIZE / MATMUL_ROWS, n, false, acts, ys};
    feed_forward_down(isa, &d);
}

// Activations of 8 bits, twice: each strays by at most 1 / 254 of the largest of 32, about 1% of
// its size in the mean.
static void check_blocks(const float *w[3], const float *x, const float *y) {
    double error = 0, size = 0;
    for (int t = 0; t < TOKENS; t++) {
        double act[SIZE], want[SIZE];
        for (int i = 0; i < SIZE; i++) {
            double gate = 0, up = 0;
            for (int c = 0; c < SIZE; c++) {
                gate += (double)w[0][i * SIZE + c] * (double)x[t * SIZE + c];
                up += (double)w[1][i * SIZE + c] * (double)x[t * SIZE + c];
            }
            act[i] = reference_silu(gate) * up;
        }
        for (int i = 0; i < SIZE; i++) {
            want[i] = 0;
            for (int c = 0; c < SIZE; c++) want[i] += (double)w[2][i * SIZE + c] * act[c];
            error += pow((double)y[t * STRIDE + i] - want[i], 2);
            size += pow(want[i], 2);
        }
    }
    assert_true(sqrt(error / size) < 0.025);
}

static void test_blocks(void **state) {
    (void)state;
    static const enum dtype types[] = {DTYPE_Q8_0, DTYPE_Q4_0, DTYPE_Q4_K, DTYPE_Q5_K, DTYPE_Q6_K};
    static float w[3][SIZE * SIZE], x[TOKENS * SIZE], first[TOKENS * STRIDE], y[TOKENS * STRIDE];
    const float *values[] = {w[0], w[1], w[2]};
    struct reference_random r = {2};
    for (int i = 0; i < TOKENS * SIZE; i++) x[i] = (float)reference_normal(&r);
    for (size_t i = 0; i < sizeof types / sizeof *types; i++) {
        struct matrix m[3];
        for (int k = 0; k < 3; k++) m[k] = random_matrix(types[i], &r, w[k]);
        run_blocks(isa_find("portable"), TYPE_PORTABLE, m, x, 0, TOKENS, first);
        check_blocks(values, x, first);
        for (int path = 0; path <= (int)isa_find(NULL)->types; path++) {
            const struct isa *isa = isa_find(path ? NULL : "portable");
            memset(y, 0, sizeof y);
            run_blocks(isa, (enum type_path)path, m, x, 0, TOKENS, y);
            assert_memory_equal(y, first, sizeof y);
            for (int t = 0; t < TOKENS; t++)
                run_blocks(isa, (enum type_path)path, m, x, t, 1, y); // and alone
            assert_memory_equal(y, first, sizeof y);
        }
        for (int k = 0; k < 3; k++) free(m[k].data);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_swiglu),
                                       cmocka_unit_test(test_blocks)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
