// Packed products against float64, and that company does not change bits.
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "kernels/cpu/isa.h"
#include "kernels/cpu/matmul.h"
#include "kernels/cpu/pool.h"
#include "protocol/base/memory.h"
#include "tests/kernels/harness.h"

enum { TOKENS = 37 };

struct problem {
    struct matrix m;
    double *w; // (rows, columns)
    float *x, *y, *bias;
    size_t x_stride, y_stride;
};

static void fill(struct problem *p, enum dtype t, int rows, int columns, uint64_t seed) {
    struct reference_random r = {seed};
    size_t bytes = (matmul_bytes(t, rows, columns) + 63) & ~(size_t)63;
    p->m = (struct matrix){t, rows, columns, aligned_alloc(64, bytes), TYPE_PORTABLE};
    memset(p->m.data, 0, bytes);
    p->w = memory_new((size_t)rows * (size_t)columns, sizeof *p->w);
    p->x_stride = (size_t)matmul_stride(columns);
    p->y_stride = (size_t)matmul_stride(rows);
    p->x = memory_new(TOKENS * p->x_stride, sizeof *p->x);
    p->y = memory_new(TOKENS * p->y_stride, sizeof *p->y);
    p->bias = memory_new((size_t)matmul_pad(rows), sizeof *p->bias);
    for (int i = 0; i < rows; i++) {
        p->bias[i] = (float)reference_normal(&r);
        for (int c = 0; c < columns; c++) {
            int64_t at = (int64_t)matmul_at(&p->m, i, c);
            dtype_put(t, p->m.data, at, (float)(reference_normal(&r) / sqrt(columns)));
            p->w[i * columns + c] = (double)dtype_get(t, p->m.data, at);
        }
    }
    for (int t_i = 0; t_i < TOKENS; t_i++)
        for (int c = 0; c < columns; c++)
            p->x[(size_t)t_i * p->x_stride + (size_t)c] = (float)reference_normal(&r);
}

static void drop(struct problem *p) {
    free(p->m.data);
    free(p->w);
    free(p->x);
    free(p->y);
    free(p->bias);
}

static float rounded(float x, bool rounds) {
    return rounds ? dtype_bf16_to_f32(dtype_f32_to_bf16(x)) : x;
}

// The paths of the products: the exact ones, then those that round activations to bf16.
static const struct isa *path_of(int index) {
    static const char *const names[] = {"portable",    "neon",     "avx2",     "avx512",
                                        "avx512-bf16", "amx-bf16", "neon-bf16"};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
        if (isa_find(names[i]) && index-- == 0) return isa_find(names[i]);
    return NULL;
}

// A sum of n products of size 1/sqrt(n) strays by about n^(1/2) roundings of 6e-8, or a few times
// that, whether its factors were rounded to bf16 before or not.
static void check(const struct problem *p, bool rounds, bool add) {
    double *x = memory_new((size_t)p->m.columns, sizeof *x);
    double *y = memory_new((size_t)p->m.rows, sizeof *y);
    double tolerance = 1e-6 + 2.5e-7 * sqrt(p->m.columns);
    for (int t = 0; t < TOKENS; t++) {
        for (int c = 0; c < p->m.columns; c++)
            x[c] = (double)rounded(p->x[(size_t)t * p->x_stride + (size_t)c], rounds);
        reference_matmul(p->m.rows, p->m.columns, p->w, x, y);
        for (int i = 0; i < p->m.rows; i++) {
            double want = y[i] + (add ? 0.5 + (double)p->bias[i] : 0);
            double got = (double)p->y[(size_t)t * p->y_stride + (size_t)i];
            assert_true(fabs(got - want) < tolerance);
        }
    }
    free(x);
    free(y);
}

static void test_matmul(void **state) {
    (void)state;
    static const int sizes[][2] = {{1, 1},    {16, 64},  {17, 24},   {72, 200},
                                   {131, 96}, {200, 33}, {1024, 72}, {33, 4131}};
    struct error err;
    struct pool *pool = pool_start(2, &err);
    for (int path = 0; path_of(path); path++)
        for (int i = 0; i < 8; i++)
            for (int type = 0; type < N_FLOAT_DTYPES; type++) {
                const struct isa *isa = path_of(path);
                bool rounds = isa->is_bf16 && type == DTYPE_BF16;
                struct problem p;
                fill(&p, (enum dtype)type, sizes[i][0], sizes[i][1], (uint64_t)(i + 1));
                struct matmul job = {&p.m, p.x, p.y, p.x_stride, p.y_stride, NULL, false, false};
                matmul(isa, pool, &job, 1, TOKENS);
                check(&p, rounds, false);
                float *alone = memory_new(p.y_stride, sizeof *alone);
                for (int t = 0; t < TOKENS; t++) { // 1 token alone has the bits of 37
                    struct matmul one = job;
                    one.x = p.x + (size_t)t * p.x_stride;
                    one.y = alone;
                    matmul(isa, pool, &one, 1, 1);
                    assert_memory_equal(alone, p.y + (size_t)t * p.y_stride,
                                        (size_t)p.m.rows * sizeof *alone);
                }
                for (size_t k = 0; k < TOKENS * p.y_stride; k++) p.y[k] = 0.5f;
                job.add = true;
                job.bias = p.bias;
                matmul(isa, pool, &job, 1, TOKENS);
                check(&p, rounds, true);
                free(alone);
                drop(&p);
            }
    pool_stop(&pool);
}

// Every number of tokens gives the bits of one, for the widest groups of rows too.
static void test_counts(void **state) {
    (void)state;
    struct error err;
    struct pool *pool = pool_start(1, &err);
    for (int path = 0; path_of(path); path++) {
        const struct isa *isa = path_of(path);
        struct problem p;
        fill(&p, DTYPE_BF16, 16 * 9, 40, 3);
        struct matmul job = {&p.m, p.x, p.y, p.x_stride, p.y_stride, NULL, false, false};
        for (int t = 0; t < 13; t++) {
            struct matmul one = job;
            one.x += (size_t)t * p.x_stride;
            one.y += (size_t)t * p.y_stride;
            matmul(isa, pool, &one, 1, 1);
        }
        for (int n = 2; n <= 13; n++) {
            float *y = memory_new((size_t)n * p.y_stride, sizeof *y);
            job.y = y;
            matmul(isa, pool, &job, 1, n);
            for (size_t t = 0; t < (size_t)n; t++)
                assert_memory_equal(y + t * p.y_stride, p.y + t * p.y_stride,
                                    (size_t)p.m.rows * sizeof *y);
            free(y);
        }
        drop(&p);
    }
    pool_stop(&pool);
}

// Paths with one name of their bits agree, and a job can ask for exact products on every path.
static void test_bits(void **state) {
    (void)state;
    struct error err;
    struct pool *pool = pool_start(1, &err);
    for (int type = 0; type < N_FLOAT_DTYPES; type++) {
        struct problem p;
        fill(&p, (enum dtype)type, 16 * 9, 77, 5);
        size_t bytes = TOKENS * p.y_stride * sizeof *p.y;
        float *first = NULL;
        for (int path = 0; path_of(path); path++) {
            const struct isa *isa = path_of(path);
            struct matmul job = {&p.m, p.x, p.y, p.x_stride, p.y_stride, NULL, false, true};
            if (strcmp(isa->bits, "fma") != 0 && !isa->is_bf16) continue;
            memset(p.y, 0, bytes);
            matmul(isa, pool, &job, 1, TOKENS);
            if (first) assert_memory_equal(first, p.y, bytes);
            if (first) continue;
            first = memory_new(TOKENS * p.y_stride, sizeof *first);
            memcpy(first, p.y, bytes);
        }
        free(first);
        drop(&p);
    }
    pool_stop(&pool);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_matmul),
        cmocka_unit_test(test_counts),
        cmocka_unit_test(test_bits),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
