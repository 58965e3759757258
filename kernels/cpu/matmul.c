#include "kernels/cpu/matmul.h"

#include <assert.h>

#include "kernels/cpu/isa.h"
#include "kernels/cpu/matmul_blocks.h"
#include "kernels/cpu/pool.h"

enum { CHUNK_BYTES = 512 * 1024 };

static void block_of(const struct matmul_tile *t, int block, float *sum) {
    const struct matrix *m = t->m;
    size_t size = dtype_bytes(m->dtype);
    const char *w = (const char *)m->data + matmul_at(m, block * MATMUL_ROWS, 0) * size;
    int64_t step = m->dtype == DTYPE_BF16 ? 2 : 1;
    for (int i = 0; i < t->n * MATMUL_ROWS; i++) sum[i] = 0;
    for (int c = 0; c < m->columns; c++) {
        float row[MATMUL_ROWS];
        const char *at = w + matmul_column(m->dtype, c) * size;
        for (int i = 0; i < MATMUL_ROWS; i++) row[i] = dtype_get(m->dtype, at, i * step);
        for (int k = 0; k < t->n; k++) {
            float x = t->x[k][c], *s = sum + k * MATMUL_ROWS;
            for (int i = 0; i < MATMUL_ROWS; i++) s[i] += row[i] * x;
        }
    }
}

void matmul_tile_portable(const struct matmul_tile *t) {
    for (int b = 0; b < t->n_blocks; b++) {
        float sum[MATMUL_TOKENS * MATMUL_ROWS];
        block_of(t, t->block + b, sum);
        const float *bias = t->bias ? t->bias + b * MATMUL_ROWS : NULL;
        for (int k = 0; k < t->n; k++) {
            float *y = t->y[k] + b * MATMUL_ROWS;
            const float *s = sum + k * MATMUL_ROWS;
            for (int i = 0; i < MATMUL_ROWS; i++) {
                float v = bias ? s[i] + bias[i] : s[i];
                y[i] = t->add ? y[i] + v : v;
            }
        }
    }
}

int matmul_chunk_blocks(const struct matrix *m) {
    size_t block = type_size(m->dtype, (int64_t)m->columns * MATMUL_ROWS);
    size_t n = CHUNK_BYTES / block;
    return n < 4 ? 4 : n > 64 ? 64 : (int)(n & ~(size_t)3);
}

int matmul_share_blocks(const struct matrix *m, int n_threads) {
    int chunk = matmul_chunk_blocks(m), share = matmul_blocks(m) / (4 * n_threads) & ~3;
    if (share >= 4) return share < chunk ? share : chunk;
    int even = matmul_blocks(m) / n_threads; // a router's
    return even < 1 ? 1 : even < 4 ? even : 4;
}

// Weights of fewer bytes come from memory in a few microseconds.
enum { SMALL_BYTES = 128 << 10 };

struct run {
    const struct isa *isa;
    const struct matmul *jobs;
    int first_chunk[MATMUL_MAX_JOBS + 1];
    int step[MATMUL_MAX_JOBS]; // blocks of a chunk
    int n_jobs, n;
};

static void chunk_of(void *arg, int chunk, int thread) {
    (void)thread;
    const struct run *r = arg;
    int j = 0;
    while (chunk >= r->first_chunk[j + 1]) j++;
    const struct matmul *job = &r->jobs[j];
    int step = r->step[j], block = (chunk - r->first_chunk[j]) * step;
    int left = matmul_blocks(job->m) - block;
    struct matmul_tile t = {.m = job->m, .block = block, .n_blocks = left < step ? left : step};
    void (*run_tile)(const struct matmul_tile *) =
        job->exact ? r->isa->matmul_exact : r->isa->matmul_tile;
    t.add = job->add;
    t.bias = job->bias ? job->bias + block * MATMUL_ROWS : NULL;
    for (int i = 0; i < matmul_n_tiles(r->n); i++) {
        int first;
        matmul_split(r->n, i, &first, &t.n);
        for (int k = 0; k < t.n; k++) {
            size_t token = (size_t)(first + k);
            t.x[k] = job->x + token * job->x_stride;
            t.y[k] = job->y + token * job->y_stride + (size_t)block * MATMUL_ROWS;
        }
        run_tile(&t);
    }
}

void matmul(const struct isa *isa, struct pool *pool, const struct matmul *jobs, int n_jobs,
            int n) {
    assert(n_jobs <= MATMUL_MAX_JOBS);
    if (n == 0 || n_jobs == 0) return;
    struct matmul floats[MATMUL_MAX_JOBS];
    int n_floats = 0;
    for (int j = 0; j < n_jobs; j++)
        if (!dtype_is_block(jobs[j].m->dtype)) floats[n_floats++] = jobs[j];
    if (n_floats < n_jobs) {
        matmul(isa, pool, floats, n_floats, n);
        matmul_blocks_run(pool, jobs, n_jobs, n);
        return;
    }
    struct run r = {.isa = isa, .jobs = jobs, .n_jobs = n_jobs, .n = n};
    double work = 0, bytes = 0;
    for (int j = 0; j < n_jobs; j++) {
        const struct matrix *m = jobs[j].m;
        int step = r.step[j] = matmul_share_blocks(m, pool_n_threads(pool));
        r.first_chunk[j + 1] = r.first_chunk[j] + (matmul_blocks(m) + step - 1) / step;
        work += (double)m->rows * m->columns * n;
        bytes += (double)matmul_bytes(m->dtype, m->rows, m->columns);
    }
    bool is_small = matmul_is_small(work) && bytes < SMALL_BYTES;
    pool_run(pool, r.first_chunk[n_jobs], is_small, chunk_of, &r);
}
