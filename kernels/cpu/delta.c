#include "kernels/cpu/delta.h"

#include <assert.h>
#include <pthread.h>
#include <stdlib.h>

#include "kernels/cpu/backend.h"
#include "kernels/cpu/delta_run.h"
#include "kernels/digest.h"
#include "protocol/base/memory.h"

enum { PIECES = 1024 }; // that the pool has at a time: an update may have more than it can number

// A change in pieces for threads: blocks of codes, or rows of a dense weight.
struct job {
    struct cpu *c;
    const struct weight_change *changes; // (n)
    int n;
    int64_t *first_piece; // (n + 1)
    int64_t next_piece;   // the first of those that the pool has
    pthread_mutex_t lock; // for what follows
    struct change_sums *sums;
    int bad; // the first change that is wrong, n: none
    struct error why;
};

static int64_t piece_elements(const struct weight_slot *s) {
    int64_t block = (int64_t)MATMUL_ROWS * s->columns;
    return block < WEIGHT_CHUNK ? WEIGHT_CHUNK / block * block : block;
}

static int64_t n_pieces(const struct cpu *c, const struct weight_change *change) {
    int64_t size = piece_elements(&c->weights.slots[change->weight]);
    if (change->code_bytes) return delta_n_blocks(change->n_codes);
    return (change->n_values + size - 1) / size;
}

static bool fits(const struct cpu *c, uint64_t at, int64_t n, size_t size) {
    return n >= 0 && at % DELTA_ALIGN == 0 && at <= c->staging.bytes &&
           (uint64_t)n <= (c->staging.bytes - at) / size;
}

static void assert_change(const struct cpu *c, const struct weight_change *change) {
    assert(change->weight >= 0 && change->weight < c->weights.n);
    const struct weight_slot *s = &c->weights.slots[change->weight];
    int64_t size = (int64_t)s->rows * s->columns;
    assert(fits(c, change->values, change->n_values, dtype_bytes(s->dtype)));
    if (!change->code_bytes) {
        assert(change->n_values == size);
        return;
    }
    assert(change->code_bytes == 1 || change->code_bytes == 2 || change->code_bytes == 4);
    assert(change->n_values >= 0 && change->n_values <= change->n_codes && change->n_codes <= size);
    assert(fits(c, change->codes, change->n_codes, (size_t)change->code_bytes));
    assert(fits(c, change->anchors, delta_n_blocks(change->n_codes), sizeof(struct delta_anchor)));
}

static void open_job(struct job *j, struct cpu *c, const struct weight_change *changes, int n) {
    *j = (struct job){.c = c, .changes = changes, .n = n, .bad = n};
    j->first_piece = memory_new((size_t)n + 1, sizeof *j->first_piece);
    for (int i = 0; i < n; i++) {
        assert_change(c, &changes[i]);
        j->first_piece[i + 1] = j->first_piece[i] + n_pieces(c, &changes[i]);
    }
    pthread_mutex_init(&j->lock, NULL);
}

static void close_job(struct job *j) {
    pthread_mutex_destroy(&j->lock);
    free(j->first_piece);
}

// Runs `work` on every piece.
static void run_job(struct job *j, struct pool *pool, pool_job *work) {
    for (int64_t n = j->first_piece[j->n]; j->next_piece < n; j->next_piece += PIECES) {
        int64_t left = n - j->next_piece;
        pool_run(pool, (int)(left < PIECES ? left : PIECES), left < 2, work, j);
    }
}

// The change that the piece of a chunk belongs to; *piece: its number within it.
static int change_of(const struct job *j, int chunk, int64_t *piece) {
    int low = 0, high = j->n - 1;
    *piece = j->next_piece + chunk;
    while (low < high) {
        int middle = (low + high + 1) / 2;
        if (j->first_piece[middle] <= *piece)
            low = middle;
        else
            high = middle - 1;
    }
    *piece -= j->first_piece[low];
    return low;
}

// ------------------------------------------------------------------ check

static void note_bad(struct job *j, int change, const struct error *why) {
    pthread_mutex_lock(&j->lock);
    if (change < j->bad) {
        j->bad = change;
        j->why = *why;
    }
    pthread_mutex_unlock(&j->lock);
}

static void add_sums(struct job *j, int change, struct change_sums sums) {
    pthread_mutex_lock(&j->lock);
    j->sums[change].staged += sums.staged;
    j->sums[change].resident += sums.resident;
    pthread_mutex_unlock(&j->lock);
}

static int check_finite(const struct weight_slot *s, const void *values, int64_t n,
                        struct error *err) {
    if (dtype_find_not_finite(s->dtype, values, n) < 0) return 0;
    return error_set(err, ERROR_INPUT, "It holds a value that is not finite.");
}

static int check_dense(struct cpu *c, const struct weight_change *change, int64_t piece,
                       struct change_sums *sums, struct error *err) {
    const struct weight_slot *s = &c->weights.slots[change->weight];
    int64_t size = piece_elements(s), first = piece * size, left = change->n_values - first;
    int64_t n = left < size ? left : size;
    const char *values = c->staging.data + change->values + (size_t)first * dtype_bytes(s->dtype);
    if (check_finite(s, values, n, err)) return -1;
    sums->staged = digest_range(c->hashes[change->weight], first, n, s->dtype, values);
    return 0;
}

static int check_sparse(struct cpu *c, const struct weight_change *change, int64_t block,
                        struct change_sums *sums, struct error *err) {
    const struct weight_slot *s = &c->weights.slots[change->weight];
    struct delta_walk walk;
    struct delta_run run;
    run.n = 0;
    if (delta_begin(&walk, s, change, c->staging.data, block, err)) return -1;
    while (delta_next(&walk, &run)) {
        if (check_finite(s, walk.values, run.n, err)) return -1;
        delta_sum(s, c->hashes[change->weight], &run, walk.values, sums);
    }
    return delta_end(&walk, err);
}

static void check_piece(void *arg, int chunk, int thread) {
    (void)thread;
    struct job *j = arg;
    int64_t piece;
    int i = change_of(j, chunk, &piece);
    const struct weight_change *change = &j->changes[i];
    struct change_sums sums = {0};
    struct error why = {0};
    if (change->code_bytes ? check_sparse(j->c, change, piece, &sums, &why)
                           : check_dense(j->c, change, piece, &sums, &why))
        note_bad(j, i, &why);
    add_sums(j, i, sums);
}

int cpu_check(struct backend *b, const struct weight_change *changes, int n,
              struct change_sums *sums, int *bad, struct error *err) {
    struct cpu *c = (struct cpu *)b;
    struct job j;
    open_job(&j, c, changes, n);
    j.sums = sums;
    memset(sums, 0, (size_t)n * sizeof *sums);
    run_job(&j, c->check_pool, check_piece);
    close_job(&j);
    *bad = j.bad < n ? j.bad : -1;
    if (*bad < 0) return 0;
    if (err) *err = j.why;
    return -1;
}

// ------------------------------------------------------------------ stage, apply

int cpu_stage(struct backend *b, uint64_t offset, uint64_t n_bytes, const void *bytes,
              struct error *err) {
    struct cpu *c = (struct cpu *)b;
    (void)err;
    assert(offset <= c->staging.bytes && n_bytes <= c->staging.bytes - offset);
    memcpy(c->staging.data + offset, bytes, n_bytes);
    return 0;
}

static void apply_piece(void *arg, int chunk, int thread) {
    (void)thread;
    struct job *j = arg;
    int64_t piece;
    const struct weight_change *change = &j->changes[change_of(j, chunk, &piece)];
    const struct weight_slot *s = &j->c->weights.slots[change->weight];
    struct delta_walk walk;
    struct delta_run run;
    run.n = 0;
    if (!change->code_bytes) {
        int64_t size = piece_elements(s), first = piece * size, left = change->n_values - first;
        delta_exchange_rows(s, first, left < size ? left : size,
                            j->c->staging.data + change->values);
        return;
    }
    if (delta_begin(&walk, s, change, j->c->staging.data, piece, NULL)) return;
    while (delta_next(&walk, &run)) delta_exchange(s, &run, walk.values);
}

int cpu_apply(struct backend *b, const struct weight_change *changes, int n, struct error *err) {
    struct cpu *c = (struct cpu *)b;
    struct job j;
    (void)err;
    open_job(&j, c, changes, n);
    run_job(&j, c->pool, apply_piece);
    close_job(&j);
    return 0;
}
