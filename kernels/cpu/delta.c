#include "kernels/cpu/delta.h"

#include <assert.h>

#include "kernels/cpu/backend.h"
#include "kernels/cpu/delta_job.h"
#include "kernels/cpu/delta_run.h"
#include "kernels/cpu/remake.h"
#include "kernels/digest.h"

// The weight that updates are of.
static const struct weight_slot *slot_of(const struct cpu *c, const struct weight_change *change) {
    const struct weight_slot *slots = c->has_master ? c->master.slots : c->weights.slots;
    return &slots[change->weight];
}

static bool fits(const struct cpu *c, uint64_t at, int64_t n, size_t size) {
    return n >= 0 && at % DELTA_ALIGN == 0 && at <= c->staging.bytes &&
           (uint64_t)n <= (c->staging.bytes - at) / size;
}

static void assert_change(const struct cpu *c, const struct weight_change *change) {
    assert(change->weight >= 0 && change->weight < c->weights.n);
    const struct weight_slot *s = slot_of(c, change);
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

static void assert_changes(const struct cpu *c, const struct weight_change *changes, int n) {
    for (int i = 0; i < n; i++) assert_change(c, &changes[i]);
}

// Of a change: blocks of codes, or pieces of a dense one.
static int64_t n_pieces(const struct cpu *c, const struct weight_change *change) {
    return delta_n_pieces(slot_of(c, change), change);
}

// ------------------------------------------------------------------ check

static void add_sums(struct delta_job *j, int change, struct change_sums sums) {
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
    const struct weight_slot *s = slot_of(c, change);
    int64_t first, n = delta_piece(s, change, piece, &first);
    const char *values = c->staging.data + change->values + (size_t)first * dtype_bytes(s->dtype);
    if (check_finite(s, values, n, err)) return -1;
    sums->staged = digest_range(c->hashes[change->weight], first, n, s->dtype, values);
    return 0;
}

static int check_sparse(struct cpu *c, const struct weight_change *change, int64_t block,
                        struct change_sums *sums, struct error *err) {
    const struct weight_slot *s = slot_of(c, change);
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
    struct delta_job *j = arg;
    int64_t piece;
    int i = delta_change_of(j, chunk, &piece);
    const struct weight_change *change = &j->changes[i];
    struct change_sums sums = {0};
    struct error why = {0};
    if (change->code_bytes ? check_sparse(j->c, change, piece, &sums, &why)
                           : check_dense(j->c, change, piece, &sums, &why))
        delta_note_bad(j, i, &why);
    add_sums(j, i, sums);
}

int cpu_check(struct backend *b, const struct weight_change *changes, int n,
              struct change_sums *sums, int *bad, struct error *err) {
    struct cpu *c = (struct cpu *)b;
    struct delta_job j;
    assert_changes(c, changes, n);
    delta_job_open(&j, c, changes, n, n_pieces);
    j.sums = sums;
    memset(sums, 0, (size_t)n * sizeof *sums);
    delta_job_run(&j, c->check_pool, check_piece);
    return delta_job_close(&j, bad, err);
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
    struct delta_job *j = arg;
    int64_t piece;
    const struct weight_change *change = &j->changes[delta_change_of(j, chunk, &piece)];
    const struct weight_slot *s = slot_of(j->c, change);
    struct delta_walk walk;
    struct delta_run run;
    run.n = 0;
    if (!change->code_bytes) {
        int64_t first, size = delta_piece(s, change, piece, &first);
        delta_exchange_rows(s, first, size, j->c->staging.data + change->values);
        return;
    }
    if (delta_begin(&walk, s, change, j->c->staging.data, piece, NULL)) return;
    while (delta_next(&walk, &run)) delta_exchange(s, &run, walk.values);
}

// With the values of the master, or of the weights where they have no second place.
static void exchange_values(struct cpu *c, const struct weight_change *changes, int n) {
    struct delta_job j;
    int bad;
    delta_job_open(&j, c, changes, n, n_pieces);
    delta_job_run(&j, c->pool, apply_piece);
    delta_job_close(&j, &bad, NULL);
}

int cpu_apply(struct backend *b, const struct weight_change *changes, int n, struct error *err) {
    struct cpu *c = (struct cpu *)b;
    (void)err;
    assert_changes(c, changes, n);
    if (c->has_master || !c->has_next) exchange_values(c, changes, n);
    if (c->has_next) remake_exchange(c, changes, n);
    return 0;
}
