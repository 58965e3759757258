#include "kernels/cpu/remake.h"

#include "kernels/cpu/delta_job.h"
#include "kernels/cpu/delta_run.h"
#include "kernels/types/types.h"

enum { COPY_BYTES = 1 << 20 };

// ------------------------------------------------------------------ what stays

static bool is_copied(const struct weight_change *change) {
    return change->code_bytes && change->n_values;
}

static int64_t n_copies(const struct cpu *c, const struct weight_change *change) {
    size_t bytes = weights_slot_bytes(&c->weights.slots[change->weight]);
    return is_copied(change) ? (int64_t)((bytes + COPY_BYTES - 1) / COPY_BYTES) : 0;
}

static void copy_piece(void *arg, int chunk, int thread) {
    (void)thread;
    struct delta_job *j = arg;
    int64_t piece;
    int weight = j->changes[delta_change_of(j, chunk, &piece)].weight;
    const struct weight_slot *from = &j->c->weights.slots[weight];
    size_t at = (size_t)piece * COPY_BYTES, left = weights_slot_bytes(from) - at;
    memcpy((char *)j->c->next.slots[weight].data + at, (const char *)from->data + at,
           left < COPY_BYTES ? left : COPY_BYTES);
}

// ------------------------------------------------------------------ values that are staged

static void lay_dense(struct cpu *c, const struct weight_change *change, int64_t piece) {
    const struct weight_slot *s = &c->next.slots[change->weight];
    int64_t first, n = delta_piece(s, change, piece, &first);
    const char *values = c->staging.data + change->values;
    weights_write(&c->next, change->weight, first, n,
                  values + (size_t)first * dtype_bytes(s->dtype));
}

static int lay_sparse(struct cpu *c, const struct weight_change *change, int64_t piece,
                      struct error *err) {
    const struct weight_slot *s = &c->next.slots[change->weight];
    struct delta_walk walk;
    struct delta_run run;
    run.n = 0;
    if (delta_begin(&walk, s, change, c->staging.data, piece, err)) return -1;
    while (delta_next(&walk, &run)) delta_put(s, &run, walk.values);
    return 0;
}

// ------------------------------------------------------------------ blocks, from the master

// What blocks of a weight add to its sum.
static uint64_t sum_of(const struct cpu *c, int weight, int64_t first, int64_t n,
                       const void *blocks) {
    return type_digest(c->hashes[weight], first, n, c->next.slots[weight].dtype, blocks);
}

// Elements first .. first + n - 1, whole blocks, of at most TYPE_MAX_ELEMENTS values.
static int put(struct cpu *c, int weight, int64_t first, int64_t n, const float *x, uint64_t *sum,
               struct error *err) {
    enum dtype t = c->next.slots[weight].dtype;
    char blocks[TYPE_MAX_ELEMENTS * sizeof *x];
    int64_t bad;
    if (dtype_is_block(t)) {
        bad = type_pack_checked(t, x, n, blocks);
    } else {
        for (int64_t i = 0; i < n; i++) dtype_put(t, blocks, i, x[i]);
        bad = dtype_find_not_finite(t, blocks, n);
    }
    if (bad >= 0)
        return error_set(err, ERROR_INPUT, "It holds a value that is too large for %s.",
                         dtype_name(t));
    weights_write(&c->next, weight, first, n, blocks);
    *sum += sum_of(c, weight, first, n, blocks);
    return 0;
}

// What lay there before adds itself no more.
static void take_off(struct cpu *c, int weight, int64_t first, int64_t n, uint64_t *sum) {
    char blocks[TYPE_MAX_ELEMENTS * sizeof(float)];
    weights_read(&c->weights, weight, first, n, blocks);
    *sum -= sum_of(c, weight, first, n, blocks);
}

static int pack_dense(struct cpu *c, const struct weight_change *change, int64_t piece,
                      uint64_t *sum, struct error *err) {
    const struct weight_slot *s = &c->master.slots[change->weight];
    const char *values = c->staging.data + change->values;
    int64_t first, n = delta_piece(s, change, piece, &first);
    for (int64_t end = first + n, some; first < end; first += some) {
        float x[TYPE_MAX_ELEMENTS];
        some = end - first < TYPE_MAX_ELEMENTS ? end - first : TYPE_MAX_ELEMENTS;
        for (int64_t i = 0; i < some; i++) x[i] = dtype_get(s->dtype, values, first + i);
        if (put(c, change->weight, first, some, x, sum, err)) return -1;
    }
    return 0;
}

// The values of a sparse change from a block of codes on.
struct values {
    const struct weight_slot *slot;
    const struct weight_change *change;
    const struct delta_anchor *anchors;
    char *staging;
    int64_t block, end; // of the codes; elements from which on no value is wanted
    struct delta_walk walk;
    struct delta_run run;
    int at; // of the run
};

// Goes on to the next run where this one is over. False where no value is left.
static bool has_value(struct values *v) {
    while (v->at == v->run.n) {
        v->at = 0;
        if (delta_next(&v->walk, &v->run)) break;
        v->run.n = 0;
        if (++v->block == delta_n_blocks(v->change->n_codes) ||
            (int64_t)v->anchors[v->block].cursor >= v->end ||
            delta_begin(&v->walk, v->slot, v->change, v->staging, v->block, NULL))
            return false;
    }
    return v->run.position[v->at] < v->end;
}

// The first element of a block of `size` elements that does not begin before the block of codes:
// there begins what a piece makes. The codes of its last block may reach into the next piece.
static int64_t begin_of(const struct values *v, int64_t block, int64_t size) {
    int64_t all = (int64_t)v->slot->rows * v->slot->columns;
    if (block == delta_n_blocks(v->change->n_codes)) return all;
    return ((int64_t)v->anchors[block].cursor + size - 1) / size * size;
}

static int pack_sparse(struct cpu *c, const struct weight_change *change, int64_t piece,
                       uint64_t *sum, struct error *err) {
    const struct weight_slot *s = &c->master.slots[change->weight];
    int64_t size = type_elements(c->next.slots[change->weight].dtype);
    struct values v = {.slot = s,
                       .change = change,
                       .anchors = (const void *)(c->staging.data + change->anchors),
                       .staging = c->staging.data,
                       .block = piece};
    v.end = begin_of(&v, piece + 1, size);
    if (delta_begin(&v.walk, s, change, v.staging, piece, err)) return -1;
    for (int64_t begin = begin_of(&v, piece, size); has_value(&v);) {
        float x[TYPE_MAX_ELEMENTS];
        int64_t first = v.run.position[v.at] / size * size;
        if (first < begin) { // of the piece before
            v.at++;
            continue;
        }
        master_floats(&c->master, change->weight, first, size, x);
        for (; has_value(&v) && v.run.position[v.at] < first + size; v.at++)
            x[v.run.position[v.at] - first] = dtype_get(s->dtype, v.walk.values, v.at);
        take_off(c, change->weight, first, size, sum);
        if (put(c, change->weight, first, size, x, sum, err)) return -1;
    }
    return 0;
}

// ------------------------------------------------------------------ an update

static int64_t n_remakes(const struct cpu *c, const struct weight_change *change) {
    return change->n_values ? delta_n_pieces(&c->next.slots[change->weight], change) : 0;
}

// *sum: what the piece adds to that of a weight that is packed.
static int make(struct cpu *c, const struct weight_change *change, int64_t piece, uint64_t *sum,
                struct error *err) {
    if (c->has_master)
        return change->code_bytes ? pack_sparse(c, change, piece, sum, err)
                                  : pack_dense(c, change, piece, sum, err);
    if (change->code_bytes) return lay_sparse(c, change, piece, err);
    lay_dense(c, change, piece);
    return 0;
}

static void remake_piece(void *arg, int chunk, int thread) {
    (void)thread;
    struct delta_job *j = arg;
    int64_t piece;
    int i = delta_change_of(j, chunk, &piece);
    struct error why = {0};
    uint64_t sum = 0;
    if (make(j->c, &j->changes[i], piece, &sum, &why)) delta_note_bad(j, i, &why);
    if (!j->c->has_master) return;
    pthread_mutex_lock(&j->lock);
    j->c->next_sums[j->changes[i].weight] += sum;
    pthread_mutex_unlock(&j->lock);
}

static void begin_sums(struct cpu *c, const struct weight_change *changes, int n) {
    for (int i = 0; i < n && c->has_master; i++)
        c->next_sums[changes[i].weight] = is_copied(&changes[i]) ? c->sums[changes[i].weight] : 0;
}

int cpu_remake(struct backend *b, const struct weight_change *changes, int n, int *bad,
               struct error *err) {
    struct cpu *c = (struct cpu *)b;
    struct delta_job copies, remakes;
    *bad = -1;
    if (!c->has_next) return 0;
    delta_job_open(&copies, c, changes, n, n_copies);
    delta_job_run(&copies, c->check_pool, copy_piece);
    delta_job_close(&copies, bad, NULL);
    begin_sums(c, changes, n);
    delta_job_open(&remakes, c, changes, n, n_remakes);
    delta_job_run(&remakes, c->check_pool, remake_piece);
    return delta_job_close(&remakes, bad, err);
}

void remake_exchange(struct cpu *c, const struct weight_change *changes, int n) {
    for (int i = 0; i < n; i++) {
        int weight = changes[i].weight;
        if (!changes[i].n_values) continue;
        weights_exchange(&c->weights, &c->next, weight);
        if (!c->has_master) continue;
        uint64_t sum = c->sums[weight];
        c->sums[weight] = c->next_sums[weight];
        c->next_sums[weight] = sum;
    }
}
