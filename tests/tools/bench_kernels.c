// Products of the CPU backend on one thread, path by path: build/tests/tools/bench_kernels [TYPE];
// with "attention" instead of a type: attention over one KV head, by KV type and positions.
//
// Times are the thread's own processor time, so that what else runs here matters less; each figure
// is the best of several. "peak" is what multiply-adds on registers reach in the same seconds.
#include <math.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>

#include "kernels/cpu/attention.h"
#include "kernels/cpu/isa.h"
#include "kernels/cpu/matmul.h"
#include "kernels/cpu/matmul_blocks.h"
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

// The same row of blocks, again and again.
static void fill_blocks(const struct matrix *m, struct reference_random *r) {
    float *x = memory_new((size_t)m->columns, sizeof *x);
    char *blocks = memory_new(type_size(m->dtype, m->columns), 1);
    for (int i = 0; i < m->columns; i++) x[i] = (float)reference_normal(r);
    type_pack(m->dtype, x, m->columns, blocks);
    for (int row = 0; row < m->rows; row++)
        matmul_blocks_put(m, (int64_t)row * m->columns, m->columns, blocks);
    free(blocks);
    free(x);
}

static void fill(struct bench *b, enum dtype t, int rows, int columns, int n) {
    enum { HUGE = 2 << 20 }; // pages as the backend's weights have
    struct reference_random r = {7};
    size_t bytes = (matmul_bytes(t, rows, columns) + HUGE - 1) & ~(size_t)(HUGE - 1);
    b->m = (struct matrix){t, rows, columns, aligned_alloc(HUGE, bytes), TYPE_PORTABLE};
    madvise(b->m.data, bytes, MADV_HUGEPAGE);
    if (dtype_is_block(t))
        fill_blocks(&b->m, &r);
    else
        for (size_t i = 0; i < bytes / dtype_bytes(t); i++)
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

// x of block types are quantised once: what that costs counts.
static void table(struct bench *b, const char *what, enum dtype t, int rows, int columns) {
    static const int counts[] = {1, 2, 4, 8, 12, 16, 64, 128};
    static const char *const paths[] = {"avx2",     "avx512", "avx512-bf16", "amx",
                                        "amx-bf16", "neon",   "neon-dot",    "neon-bf16"};
    fill(b, t, rows, columns, 128);
    for (size_t p = 0; p < sizeof paths / sizeof paths[0]; p++) {
        const struct isa *isa = isa_find(paths[p]);
        if (!isa || (dtype_is_block(t) && isa->is_bf16)) continue;
        b->m.path = isa->types;
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

// ------------------------------------------------------------------ attention

// Pages of 16 positions as the 350M shape has them: 6 layers of 8 KV heads of 64.
enum { DIM = 64, PAGE = 16, HEADS = 48 };

struct heads {
    char *pages;
    size_t page_bytes, head_bytes;
    int32_t *table;
};

static void fill_pages(struct heads *h, enum dtype kv, int n) {
    enum { HUGE = 2 << 20 };
    float x[2][DIM];
    struct reference_random r = {7};
    h->head_bytes = state_head_bytes(kv, DIM, PAGE);
    h->page_bytes = 2 * HEADS * h->head_bytes;
    size_t bytes = (h->page_bytes * (size_t)(n / PAGE) + HUGE - 1) & ~(size_t)(HUGE - 1);
    h->pages = aligned_alloc(HUGE, bytes);
    h->table = memory_new((size_t)(n / PAGE), sizeof *h->table);
    madvise(h->pages, bytes, MADV_HUGEPAGE);
    for (int i = 0; i < n / PAGE; i++) h->table[i] = i;
    for (int d = 0; d < 2 * DIM; d++) x[d / DIM][d % DIM] = (float)reference_normal(&r);
    for (int i = 0; i < n; i++) {
        char *keys = h->pages + (size_t)(i / PAGE) * h->page_bytes;
        attention_store(kv, DIM, PAGE, i % PAGE, x[0], x[1], keys, keys + h->head_bytes);
    }
}

// GMAC/s of n_rows rows, all of which attend to n positions.
static double attention_rate(const struct heads *h, const struct isa *isa, enum dtype kv, int n,
                             int n_rows) {
    static float q[ATTENTION_ROWS][DIM], out[ATTENTION_ROWS][DIM];
    struct attention_rows a = {.n_rows = n_rows, .head_dim = DIM, .page_tokens = PAGE};
    double macs = 2.0 * DIM * n * n_rows, best = 0;
    a.scale = 0.125f;
    a.kv = kv;
    a.keys = h->pages;
    a.values = a.keys + h->head_bytes;
    a.page_bytes = h->page_bytes;
    a.pages = h->table;
    for (int i = 0; i < n_rows; i++) {
        for (int d = 0; d < DIM; d++) q[i][d] = (float)(i + d) / DIM;
        a.q[i] = q[i];
        a.out[i] = out[i];
        a.position[i] = n - 1;
    }
    for (int i = 0; i < 2 * N_TRIES; i++) {
        double start = seconds();
        isa->attention(&a);
        double now = macs / (seconds() - start) / 1e9;
        if (now > best) best = now;
    }
    return best;
}

static void attention_table(enum dtype kv, int n) {
    static const int rows[] = {2, 4, 64};
    static const char *const paths[] = {"avx2", "avx512", "neon"};
    struct heads h;
    fill_pages(&h, kv, n);
    for (size_t p = 0; p < sizeof paths / sizeof paths[0]; p++) {
        const struct isa *isa = isa_find(paths[p]);
        if (!isa) continue;
        printf("attention %-5s %-7s %6d positions:", dtype_name(kv), paths[p], n);
        for (int i = 0; i < 3; i++) printf(" %6.1f", attention_rate(&h, isa, kv, n, rows[i]));
        printf("\n");
    }
    free(h.pages);
    free(h.table);
}

static void attention_tables(void) {
    static const enum dtype types[] = {DTYPE_F32, DTYPE_BF16, DTYPE_F16, DTYPE_Q8_0};
    printf("GMAC/s of one thread and KV head, with rows (2, 4: a token; 64: a prompt): 2, 4, 64\n");
    for (int n = 1024; n <= 32768; n *= 2)
        for (int i = 0; i < 4; i++) attention_table(types[i], n);
}

int main(int argc, char **argv) {
    if (argc > 1 && strcmp(argv[1], "attention") == 0) {
        attention_tables();
        return 0;
    }
    struct error err;
    struct bench b = {.pool = pool_start(1, &err)};
    printf("GMAC/s of one thread with tokens:    1       2       4       8      12      16      64"
           "     128\n");
    for (int t = 0; t < N_DTYPES; t++) {
        if (argc > 1 && strcmp(argv[1], dtype_name((enum dtype)t)) != 0) continue;
        table(&b, "in cache", (enum dtype)t, 64, COLUMNS);
        // 67 MB and more: no cache holds them.
        int rows = 16384 * 2048 / COLUMNS * (dtype_is_block((enum dtype)t) ? 4 : 1);
        table(&b, "memory", (enum dtype)t, rows, COLUMNS);
        table(&b, "10752 wide", (enum dtype)t, 2048, 10752);
    }
    pool_stop(&b.pool);
    return 0;
}
