#include "kernels/cpu/matmul_blocks.h"

#include <assert.h>
#include <string.h>

#include "kernels/cpu/pool.h"

enum { ROWS_CHUNK = 4, MOST_TOKENS = 512 };

static_assert((int)TYPE_ROWS == (int)MATMUL_ROWS, "a group of rows is a block of rows");

// ------------------------------------------------------------------ the layout

static int row_blocks(const struct matrix *m) {
    return m->columns / type_elements(m->dtype);
}

size_t matmul_blocks_bytes(enum dtype dtype, int rows, int columns) {
    const struct block_type *t = type_find(dtype);
    assert(columns % t->elements == 0);
    return (size_t)(matmul_pad(rows) / MATMUL_ROWS) * (size_t)(columns / t->elements) *
           (size_t)(t->quant_bytes + t->scale_bytes);
}

static char *group_at(const struct matrix *m, int group) {
    const struct block_type *t = type_find(m->dtype);
    return (char *)m->data +
           (size_t)group * (size_t)row_blocks(m) * (size_t)(t->quant_bytes + t->scale_bytes);
}

// The tiles of a row's group: of its first block, others follow by quant_bytes and scale_bytes.
static void tiles_of(const struct matrix *m, int row, char **quants, char **scales) {
    const struct block_type *t = type_find(m->dtype);
    *scales = group_at(m, row / MATMUL_ROWS);
    *quants = *scales + (size_t)row_blocks(m) * (size_t)t->scale_bytes;
}

// Blocks of one row from block `b` on.
static void put_row(const struct matrix *m, int row, int b, int n, const char *blocks) {
    const struct block_type *t = type_find(m->dtype);
    char *quants, *scales;
    tiles_of(m, row, &quants, &scales);
    for (int end = b + n; b < end; b++, blocks += t->bytes)
        t->put(quants + (size_t)b * (size_t)t->quant_bytes,
               scales + (size_t)b * (size_t)t->scale_bytes, row % MATMUL_ROWS, blocks);
}

static void get_row(const struct matrix *m, int row, int b, int n, char *blocks) {
    const struct block_type *t = type_find(m->dtype);
    char *quants, *scales;
    tiles_of(m, row, &quants, &scales);
    for (int end = b + n; b < end; b++, blocks += t->bytes)
        t->get(quants + (size_t)b * (size_t)t->quant_bytes,
               scales + (size_t)b * (size_t)t->scale_bytes, row % MATMUL_ROWS, blocks);
}

// The blocks of at .. end - 1, numbered over all rows, that lie in one row with the first.
struct part {
    int row, b, n;
};
static struct part part_at(const struct matrix *m, int64_t at, int64_t end) {
    int n = row_blocks(m), b = (int)(at % n);
    int64_t left = end - at;
    return (struct part){(int)(at / n), b, left < n - b ? (int)left : n - b};
}

void matmul_blocks_put(const struct matrix *m, int64_t first, int64_t n, const void *blocks) {
    const struct block_type *t = type_find(m->dtype);
    int64_t begin = first / t->elements, end = begin + n / t->elements;
    assert(first % t->elements == 0 && n % t->elements == 0);
    struct part p;
    for (int64_t i = begin; i < end; i += p.n) {
        p = part_at(m, i, end);
        put_row(m, p.row, p.b, p.n, (const char *)blocks + (i - begin) * t->bytes);
    }
}

void matmul_blocks_get(const struct matrix *m, int64_t first, int64_t n, void *blocks) {
    const struct block_type *t = type_find(m->dtype);
    int64_t begin = first / t->elements, end = begin + n / t->elements;
    assert(first % t->elements == 0 && n % t->elements == 0);
    struct part p;
    for (int64_t i = begin; i < end; i += p.n) {
        p = part_at(m, i, end);
        get_row(m, p.row, p.b, p.n, (char *)blocks + (i - begin) * t->bytes);
    }
}

void matmul_blocks_row(const struct matrix *m, int row, float *out) {
    const struct block_type *t = type_find(m->dtype);
    char block[TYPE_MAX_BYTES];
    for (int b = 0; b < row_blocks(m); b++) {
        get_row(m, row, b, 1, block);
        type_unpack(m->dtype, block, t->elements, out + b * t->elements);
    }
}

// ------------------------------------------------------------------ activations

struct activate_run {
    enum type_path path;
    float *x;
    size_t stride;
    int columns, n;
};

static void activate_chunk(void *arg, int chunk, int thread) {
    (void)thread;
    const struct activate_run *r = arg;
    int end = (chunk + 1) * ROWS_CHUNK < r->n ? (chunk + 1) * ROWS_CHUNK : r->n;
    for (int i = chunk * ROWS_CHUNK; i < end; i++) {
        float *x = r->x + (size_t)i * r->stride;
        type_activate(r->path, x, r->columns, (struct activation *)(void *)x);
    }
}

void matmul_blocks_activate(struct pool *pool, enum type_path path, float *x, size_t stride,
                            int columns, int n) {
    struct activate_run r = {path, x, stride, columns, n};
    bool is_small = matmul_is_small((double)n * columns * 4);
    pool_run(pool, (n + ROWS_CHUNK - 1) / ROWS_CHUNK, is_small, activate_chunk, &r);
}

// ------------------------------------------------------------------ products

// Loops without conditions, which compilers make vectors of.
static void add(float *restrict to, const float *restrict v) {
    for (int i = 0; i < MATMUL_ROWS; i++) to[i] += v[i];
}

static void store(const struct matmul_blocks_tile *t, int block, int token,
                  float sums[MATMUL_ROWS]) {
    float *y = t->y[token] + block * MATMUL_ROWS;
    if (t->bias) add(sums, t->bias + block * MATMUL_ROWS);
    if (t->add)
        add(y, sums);
    else
        memcpy(y, sums, MATMUL_ROWS * sizeof *y);
}

void matmul_blocks_tile(const struct matmul_blocks_tile *t) {
    const struct block_type *type = type_find(t->m->dtype);
    _Alignas(64) float sums[TYPE_TOKENS][MATMUL_ROWS];
    struct type_dot d = {.n_blocks = row_blocks(t->m), .y = sums};
    int most = type_tokens(t->m->path), n_tiles = (t->n + most - 1) / most;
    for (int b = 0; b < t->n_blocks; b++) {
        char *group = group_at(t->m, t->block + b);
        d.scales = group;
        d.quants = group + (size_t)d.n_blocks * (size_t)type->scale_bytes;
        for (int i = 0, first = 0; i < n_tiles; i++, first += d.n) {
            d.n = (t->n - first + n_tiles - i - 1) / (n_tiles - i);
            for (int k = 0; k < d.n; k++) d.x[k] = (const void *)t->x[first + k];
            type_dot(type, t->m->path, &d);
            for (int k = 0; k < d.n; k++) store(t, b, first + k, sums[k]);
        }
    }
}

struct run {
    const struct matmul *jobs[MATMUL_MAX_JOBS];
    int first_chunk[MATMUL_MAX_JOBS + 1];
    int step[MATMUL_MAX_JOBS]; // groups of a chunk
    int n;
};

static void chunk_of(void *arg, int chunk, int thread) {
    (void)thread;
    const struct run *r = arg;
    int j = 0;
    while (chunk >= r->first_chunk[j + 1]) j++;
    const struct matmul *job = r->jobs[j];
    int step = r->step[j], block = (chunk - r->first_chunk[j]) * step;
    int left = matmul_blocks(job->m) - block;
    const float *x[MOST_TOKENS];
    float *y[MOST_TOKENS];
    struct matmul_blocks_tile t = {.m = job->m, .block = block, .add = job->add, .x = x, .y = y};
    t.n_blocks = left < step ? left : step;
    t.bias = job->bias ? job->bias + block * MATMUL_ROWS : NULL;
    for (int first = 0; first < r->n; first += t.n) {
        t.n = r->n - first < MOST_TOKENS ? r->n - first : MOST_TOKENS;
        for (int k = 0; k < t.n; k++) {
            x[k] = job->x + (size_t)(first + k) * job->x_stride;
            y[k] = job->y + (size_t)(first + k) * job->y_stride + (size_t)block * MATMUL_ROWS;
        }
        matmul_blocks_tile(&t);
    }
}

void matmul_blocks_run(struct pool *pool, const struct matmul *jobs, int n_jobs, int n) {
    struct run r = {.n = n};
    int n_run = 0;
    double work = 0;
    for (int j = 0; j < n_jobs; j++) {
        const struct matrix *m = jobs[j].m;
        if (!dtype_is_block(m->dtype)) continue;
        if (n_run == 0 || jobs[j].x != r.jobs[n_run - 1]->x)
            matmul_blocks_activate(pool, m->path, (float *)jobs[j].x, jobs[j].x_stride, m->columns,
                                   n);
        int step = r.step[n_run] = matmul_share_blocks(m, pool_n_threads(pool));
        r.jobs[n_run] = &jobs[j];
        r.first_chunk[n_run + 1] = r.first_chunk[n_run] + (matmul_blocks(m) + step - 1) / step;
        n_run++;
        work += (double)m->rows * m->columns * n;
    }
    pool_run(pool, r.first_chunk[n_run], matmul_is_small(work), chunk_of, &r);
}
