// Products of the CPU backend on one thread, path by path: build/tests/tools/bench_kernels.
//
// Times are the thread's own processor time, so that what else runs here matters less; each figure
// is the best of several. "peak" is what multiply-adds on registers reach in the same seconds.
#include <math.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "kernels/cpu/isa.h"
#include "kernels/cpu/matmul.h"
#include "kernels/cpu/pool.h"
#include "protocol/base/memory.h"
#include "tests/reference.h"

enum { COLUMNS = 2048, N_TRIES = 5 };

static double seconds(void) {
    struct timespec t;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

struct bench {
    struct pool *pool; // of one thread
    struct matrix m;
    float *x, *y;
    size_t x_stride, y_stride;
};

static void fill(struct bench *b, enum dtype t, int rows, int columns, int n) {
    struct reference_random r = {7};
    size_t bytes = (matmul_bytes(t, rows, columns) + 63) & ~(size_t)63, size = dtype_bytes(t);
    b->m = (struct matrix){t, rows, columns, aligned_alloc(64, bytes)};
    for (size_t i = 0; i < bytes / size; i++)
        dtype_put(t, b->m.data, (int64_t)i, (float)(int)(i % 251) - 125.0f);
    b->x_stride = (size_t)matmul_stride(columns);
    b->y_stride = (size_t)matmul_stride(rows);
    b->x = aligned_alloc(64, (size_t)n * b->x_stride * sizeof(float));
    b->y = aligned_alloc(64, (size_t)n * b->y_stride * sizeof(float));
    for (size_t i = 0; i < (size_t)n * b->x_stride; i++) b->x[i] = (float)reference_normal(&r);
}

// GMAC/s of n tokens.
static double rate(const struct bench *b, const struct isa *isa, int n) {
    struct matmul job = {&b->m, b->x, b->y, b->x_stride, b->y_stride, NULL, false, false};
    double macs = (double)b->m.rows * b->m.columns * n, best = 0;
    int repeat = (int)(3e8 / macs) + 1;
    for (int i = 0; i < N_TRIES; i++) {
        double start = seconds();
        for (int k = 0; k < repeat; k++) matmul(isa, b->pool, &job, 1, n);
        double now = macs * repeat / (seconds() - start) / 1e9;
        if (now > best) best = now;
    }
    return best;
}

static void table(struct bench *b, const char *what, enum dtype t, int rows, int columns) {
    static const int counts[] = {1, 2, 4, 8, 12, 16, 64, 128};
    static const char *const paths[] = {"avx2", "avx512", "avx512-bf16", "amx", "neon"};
    fill(b, t, rows, columns, 128);
    for (size_t p = 0; p < sizeof paths / sizeof paths[0]; p++) {
        const struct isa *isa = isa_find(paths[p]);
        if (!isa) continue;
        printf("%-12s %-5s %-12s", what, dtype_name(t), paths[p]);
        for (size_t i = 0; i < sizeof counts / sizeof counts[0]; i++)
            printf(" %7.1f", rate(b, isa, counts[i]));
        printf("\n");
        fflush(stdout);
    }
    free(b->m.data);
    free(b->x);
    free(b->y);
}

int main(void) {
    struct error err;
    struct bench b = {.pool = pool_start(1, &err)};
    printf("GMAC/s of one thread with tokens:    1       2       4       8      12      16      64"
           "     128\n");
    for (int t = 0; t < N_DTYPES; t++) {
        table(&b, "in cache", (enum dtype)t, 64, COLUMNS);
        table(&b, "memory", (enum dtype)t, 16384, COLUMNS);
        table(&b, "10752 wide", (enum dtype)t, 2048, 10752);
    }
    pool_stop(&b.pool);
    return 0;
}
