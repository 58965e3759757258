// Products with matrices of block types through matmul(): against float64, beside float matrices,
// and that company does not change bits.
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "kernels/cpu/isa.h"
#include "kernels/cpu/matmul_blocks.h"
#include "kernels/cpu/pool.h"
#include "protocol/base/memory.h"
#include "tests/kernels/harness.h"

enum { TOKENS = 21, COLUMNS = 512 };

static const enum dtype types[] = {DTYPE_Q8_0, DTYPE_Q4_0, DTYPE_Q4_K, DTYPE_Q5_K, DTYPE_Q6_K};

struct problem {
    struct matrix m;
    float *w; // (rows, COLUMNS) as the blocks say
    float *x, *bias;
};

static void fill(struct problem *p, enum dtype t, int rows, uint64_t seed) {
    struct reference_random r = {seed};
    int64_t n = (int64_t)rows * COLUMNS;
    size_t bytes = (matmul_blocks_bytes(t, rows, COLUMNS) + 63) & ~(size_t)63;
    char *blocks = memory_new(type_size(t, n), 1), *got = memory_new(type_size(t, n), 1);
    p->m = (struct matrix){t, rows, COLUMNS, aligned_alloc(64, bytes), isa_find(NULL)->types};
    p->w = memory_new((size_t)n, sizeof *p->w);
    p->x = memory_new(TOKENS * (size_t)matmul_stride(COLUMNS), sizeof *p->x);
    p->bias = memory_new((size_t)matmul_pad(rows), sizeof *p->bias);
    memset(p->m.data, 0, bytes);
    for (int64_t i = 0; i < n; i++) p->w[i] = (float)(reference_normal(&r) / sqrt(COLUMNS));
    type_pack(t, p->w, n, blocks);
    type_unpack(t, blocks, n, p->w);
    matmul_blocks_put(&p->m, COLUMNS, n - COLUMNS, blocks + type_size(t, COLUMNS));
    matmul_blocks_put(&p->m, 0, COLUMNS, blocks);
    matmul_blocks_get(&p->m, 0, n, got);
    assert_memory_equal(got, blocks, type_size(t, n));
    for (int row = 0; row < rows; row += 7) {
        float values[COLUMNS];
        matmul_blocks_row(&p->m, row, values);
        assert_memory_equal(values, p->w + (int64_t)row * COLUMNS, sizeof values);
    }
    for (int i = 0; i < TOKENS * matmul_stride(COLUMNS); i++) p->x[i] = (float)reference_normal(&r);
    for (int i = 0; i < rows; i++) p->bias[i] = (float)reference_normal(&r);
    free(blocks);
    free(got);
}

static void drop(struct problem *p) {
    free(p->m.data);
    free(p->w);
    free(p->x);
    free(p->bias);
}

// The products quantise x where it lies, so each has a copy.
static float *copy_x(const struct problem *p) {
    size_t bytes = TOKENS * (size_t)matmul_stride(COLUMNS) * sizeof(float);
    float *x = aligned_alloc(64, bytes);
    memcpy(x, p->x, bytes);
    return x;
}

// Activations are within half a step of 1/127 of the largest of 32, at most 4.5 here: an error of
// 0.018 uniformly, 0.01 deviations, times 1 / sqrt(512) a weight and sqrt(512) of them.
static void check(const struct problem *p, const float *y, size_t stride, double before) {
    double error = 0;
    for (int t = 0; t < TOKENS; t++)
        for (int i = 0; i < p->m.rows; i++) {
            double want = before > 0 ? before + (double)p->bias[i] : 0;
            for (int c = 0; c < COLUMNS; c++)
                want += (double)p->w[(int64_t)i * COLUMNS + c] *
                        (double)p->x[t * matmul_stride(COLUMNS) + c];
            error += pow((double)y[(size_t)t * stride + (size_t)i] - want, 2);
        }
    assert_true(sqrt(error / (TOKENS * p->m.rows)) < 0.012);
}

static void test_products(void **state) {
    (void)state;
    struct error err;
    struct pool *pool = pool_start(2, &err);
    const struct isa *isa = isa_find(NULL);
    for (size_t i = 0; i < sizeof types / sizeof *types; i++)
        for (int rows = 1; rows <= 200; rows += 83) {
            struct problem p;
            fill(&p, types[i], rows, i + 1);
            size_t stride = (size_t)matmul_stride(rows), n = TOKENS * stride;
            size_t x_stride = (size_t)matmul_stride(COLUMNS);
            float *x = copy_x(&p), *y = memory_new(n, sizeof *y), *one = memory_new(n, sizeof *one);
            struct matmul job = {&p.m, x, y, x_stride, stride, NULL, false, false};
            matmul(isa, pool, &job, 1, TOKENS);
            check(&p, y, stride, 0);
            free(x);
            x = copy_x(&p);
            for (int t = 0; t < TOKENS; t++) { // 1 token alone has the bits of all
                struct matmul alone = job;
                alone.x = x + (size_t)t * x_stride;
                alone.y = one + (size_t)t * stride;
                matmul(isa, pool, &alone, 1, 1);
            }
            for (size_t t = 0; t < TOKENS; t++)
                assert_memory_equal(one + t * stride, y + t * stride, (size_t)rows * sizeof *y);
            free(x);
            job.x = x = copy_x(&p);
            job.add = true;
            job.bias = p.bias;
            for (size_t k = 0; k < n; k++) y[k] = 0.5f;
            matmul(isa, pool, &job, 1, TOKENS);
            check(&p, y, stride, 0.5);
            free(x);
            free(y);
            free(one);
            drop(&p);
        }
    pool_stop(&pool);
}

// Jobs of both kinds that share their activations, in any order.
static void test_mixed_jobs(void **state) {
    (void)state;
    struct error err;
    struct pool *pool = pool_start(2, &err);
    const struct isa *isa = isa_find(NULL);
    struct problem a, b;
    fill(&a, DTYPE_Q4_K, 48, 1);
    fill(&b, DTYPE_Q6_K, 32, 2);
    struct matrix f = {DTYPE_F32, 16, COLUMNS, NULL, TYPE_PORTABLE};
    f.data = aligned_alloc(64, matmul_bytes(DTYPE_F32, 16, COLUMNS));
    for (int i = 0; i < 16; i++)
        for (int c = 0; c < COLUMNS; c++)
            ((float *)f.data)[matmul_at(&f, i, c)] = i == 3 && c == 5 ? 1 : 0;
    size_t x_stride = (size_t)matmul_stride(COLUMNS), stride = (size_t)matmul_stride(48);
    float *y[4], *x = copy_x(&a);
    for (int k = 0; k < 4; k++) y[k] = memory_new(TOKENS * stride, sizeof **y);
    const struct matmul jobs[] = {{&a.m, x, y[0], x_stride, stride, NULL, false, false},
                                  {&f, x, y[1], x_stride, stride, NULL, false, false},
                                  {&b.m, x, y[2], x_stride, stride, NULL, false, false}};
    matmul(isa, pool, jobs, 3, TOKENS);
    for (size_t t = 0; t < TOKENS; t++) assert_true(y[1][t * stride + 3] == a.x[t * x_stride + 5]);
    free(x);
    struct matmul one = jobs[2];
    one.x = x = copy_x(&a);
    one.y = y[3];
    matmul(isa, pool, &one, 1, TOKENS);
    for (size_t t = 0; t < TOKENS; t++)
        assert_memory_equal(y[3] + t * stride, y[2] + t * stride, 32 * sizeof(float));
    free(x);
    for (int k = 0; k < 4; k++) free(y[k]);
    free(f.data);
    drop(&a);
    drop(&b);
    pool_stop(&pool);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_products),
        cmocka_unit_test(test_mixed_jobs),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
