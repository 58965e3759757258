// The order of tiles: each comes once, and what a product of many tokens moves from memory, by a
// model of an H100: blocks in step along the columns, an L2 cache that forgets what was used
// longest ago. It has 50 MB in two halves; what both halves' SMs read may lie in each of them, and
// other traffic takes its share, so the model is asked for 20 MB as well.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "kernels/cuda/raster.h"
#include "protocol/base/memory.h"

enum { K_TILE = 64, LEAST_CACHE = 20 << 20, WHOLE_CACHE = 50 << 20 };

// ------------------------------------------------------------------ the cache

// Pieces of memory in the order of their last use, as a ring through entry n.
struct cache {
    int *before, *after, n;
    int64_t *bytes; // of pieces that are there
    int64_t room, held, missed;
};

static void cache_open(struct cache *c, int n, int64_t room) {
    *c = (struct cache){.n = n, .room = room};
    c->before = memory_new((size_t)n + 1, sizeof *c->before);
    c->after = memory_new((size_t)n + 1, sizeof *c->after);
    c->bytes = memory_new((size_t)n, sizeof *c->bytes);
    c->before[n] = c->after[n] = n;
}

static void cache_close(struct cache *c) {
    free(c->before);
    free(c->after);
    free(c->bytes);
}

static void cache_unlink(struct cache *c, int i) {
    c->after[c->before[i]] = c->after[i];
    c->before[c->after[i]] = c->before[i];
}

static void cache_read(struct cache *c, int i, int64_t bytes) {
    if (c->bytes[i]) {
        cache_unlink(c, i);
    } else {
        c->missed += bytes;
        c->held += bytes;
        c->bytes[i] = bytes;
    }
    c->before[i] = c->n;
    c->after[i] = c->after[c->n];
    c->before[c->after[i]] = i;
    c->after[c->n] = i;
    while (c->held > c->room) {
        int last = c->before[c->n];
        cache_unlink(c, last);
        c->held -= c->bytes[last];
        c->bytes[last] = 0;
    }
}

// ------------------------------------------------------------------ products

struct product {
    const char *name;
    int n_rows, n_columns, n_tokens; // of the weights; of the step
    int rows, tokens;                // of a tile
    int n_at_once;                   // blocks, or clusters
};

// Bytes that come from memory.
static int64_t moved_bytes(const struct product *p, int group, int64_t room) {
    int n_k = p->n_columns / K_TILE, n_rows = p->n_rows / p->rows;
    int n_columns = (p->n_tokens + p->tokens - 1) / p->tokens, n_tiles = n_rows * n_columns;
    struct cache c;
    cache_open(&c, (n_rows + n_columns) * n_k, room);
    for (int first = 0; first < n_tiles; first += p->n_at_once)
        for (int k = 0; k < n_k; k++)
            for (int i = first; i < n_tiles && i < first + p->n_at_once; i++) {
                struct raster_place at = raster_tile(i, n_rows, n_columns, group);
                cache_read(&c, at.row * n_k + k, (int64_t)p->rows * K_TILE * 2);
                cache_read(&c, (n_rows + at.column) * n_k + k, (int64_t)p->tokens * K_TILE * 2);
            }
    int64_t missed = c.missed;
    cache_close(&c);
    return missed;
}

// The 24B's products of 8,192 tokens, in the tiles of an H100.
static const struct product PRODUCTS[] = {
    {"conv_in", 6144, 2048, 8192, 192, 128, 132}, {"out", 2048, 2048, 8192, 256, 256, 66},
    {"qkv", 3072, 2048, 8192, 256, 256, 66},      {"gate", 23552, 2048, 8192, 256, 256, 66},
    {"down", 2048, 11776, 8192, 256, 256, 66},
};

static void test_bytes(void **state) {
    (void)state;
    for (size_t i = 0; i < sizeof PRODUCTS / sizeof *PRODUCTS; i++) {
        const struct product *p = &PRODUCTS[i];
        int all = p->n_tokens / p->tokens, group = RASTER_TOKENS / p->tokens;
        int64_t least = 2 * (int64_t)p->n_columns * (p->n_rows + p->n_tokens);
        int64_t plain = moved_bytes(p, all, LEAST_CACHE);
        int64_t grouped = moved_bytes(p, group, LEAST_CACHE);
        int64_t plain_whole = moved_bytes(p, all, WHOLE_CACHE);
        int64_t grouped_whole = moved_bytes(p, group, WHOLE_CACHE);
        printf("# %-8s %4.0f MB once; 20 MB of cache: %5.0f without groups, %4.0f with; "
               "50 MB: %4.0f, %4.0f\n",
               p->name, (double)least * 1e-6, (double)plain * 1e-6, (double)grouped * 1e-6,
               (double)plain_whole * 1e-6, (double)grouped_whole * 1e-6);
        assert_true(grouped_whole >= least && plain_whole >= least);
        assert_true(grouped <= 4 * least && grouped_whole <= 4 * least);
        assert_true(grouped * 10 <= plain * 6);
    }
}

// ------------------------------------------------------------------ places

static void test_every_tile_once(void **state) {
    (void)state;
    for (int n_rows = 1; n_rows <= 9; n_rows++)
        for (int n_columns = 1; n_columns <= 20; n_columns++)
            for (int group = 1; group <= 8; group++) {
                char seen[9 * 20] = {0};
                for (int i = 0; i < n_rows * n_columns; i++) {
                    struct raster_place p = raster_tile(i, n_rows, n_columns, group);
                    assert_in_range(p.row, 0, n_rows - 1);
                    assert_in_range(p.column, 0, n_columns - 1);
                    assert_int_equal(seen[p.row * n_columns + p.column]++, 0);
                }
            }
}

static void test_order(void **state) {
    (void)state;
    // 2 rows x 3 columns in groups of 2: both of the first group for row 0, for row 1, the rest.
    static const struct raster_place want[] = {{0, 0}, {0, 1}, {1, 0}, {1, 1}, {0, 2}, {1, 2}};
    for (int i = 0; i < 6; i++) {
        struct raster_place p = raster_tile(i, 2, 3, 2);
        assert_int_equal(p.row, want[i].row);
        assert_int_equal(p.column, want[i].column);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_bytes),
                                       cmocka_unit_test(test_every_tile_once),
                                       cmocka_unit_test(test_order)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
