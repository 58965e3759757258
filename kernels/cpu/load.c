// All weights from their source into the packed layout, on all threads.
#include <pthread.h>
#include <stdlib.h>

#include "kernels/cpu/backend.h"
#include "protocol/base/memory.h"

struct load {
    struct cpu *c;
    const struct weight_source *source;
    bool want_digest;
    int index;            // of the weight
    int64_t size, n;      // its elements; those of one chunk
    uint32_t *rooms;      // (threads, WEIGHT_CHUNK)
    pthread_mutex_t lock; // for what follows
    uint64_t digest;      // of the weight
    int failed;           // the first chunk that failed, -1: none
    struct error failure; // of that chunk
};

// Whole blocks of rows where they fit into a chunk, so that no two chunks write into one of them.
static int64_t chunk_elements(const struct weight_slot *s) {
    int64_t block = (int64_t)MATMUL_ROWS * s->columns;
    if (s->layout == WEIGHT_VECTOR || block > WEIGHT_CHUNK) return WEIGHT_CHUNK;
    return WEIGHT_CHUNK / block * block;
}

static void note_failure(struct load *l, int chunk, const struct error *err) {
    pthread_mutex_lock(&l->lock);
    if (l->failed < 0 || chunk < l->failed) {
        l->failed = chunk;
        l->failure = *err;
    }
    pthread_mutex_unlock(&l->lock);
}

// Fills elements first .. first + n - 1 of the weight, and of its master. Returns those of the one
// that digests are of, and its type; NULL where they are not to be had.
static const void *fill(struct load *l, int64_t first, int64_t n, void *room, enum dtype *dtype,
                        struct error *err) {
    struct cpu *c = l->c;
    const struct weight_source *s = l->source;
    const void *values = s->read(s->self, l->index, first, n, room, err);
    if (!values) return NULL;
    weights_write(&c->weights, l->index, first, n, values);
    *dtype = c->weights.slots[l->index].dtype;
    if (!c->has_master) return values;
    values = s->read_master(s->self, l->index, first, n, room, err);
    if (!values) return NULL;
    master_write(&c->master, l->index, first, n, values);
    *dtype = c->master.slots[l->index].dtype;
    return values;
}

static void load_chunk(void *arg, int chunk, int thread) {
    struct load *l = arg;
    struct error err = {0};
    enum dtype dtype;
    int64_t first = chunk * l->n, n = l->size - first < l->n ? l->size - first : l->n;
    void *room = l->rooms + (size_t)thread * WEIGHT_CHUNK;
    const void *values = fill(l, first, n, room, &dtype, &err);
    if (!values) {
        note_failure(l, chunk, &err);
        return;
    }
    if (!l->want_digest) return;
    uint64_t digest = type_digest(l->c->hashes[l->index], first, n, dtype, values);
    pthread_mutex_lock(&l->lock);
    l->digest += digest;
    pthread_mutex_unlock(&l->lock);
}

static void load_weight(struct load *l, int index) {
    const struct weight_slot *slot = &l->c->weights.slots[index];
    l->index = index;
    l->size = (int64_t)slot->rows * slot->columns;
    l->n = chunk_elements(slot);
    l->digest = 0;
    pool_run(l->c->pool, (int)((l->size + l->n - 1) / l->n), false, load_chunk, l);
}

int cpu_load(struct backend *b, const struct weight_source *source, uint64_t *digests,
             struct error *err) {
    struct cpu *c = (struct cpu *)b;
    struct load l = {.c = c, .source = source, .want_digest = digests, .failed = -1};
    l.rooms = memory_new((size_t)pool_n_threads(c->pool) * WEIGHT_CHUNK, sizeof *l.rooms);
    pthread_mutex_init(&l.lock, NULL);
    for (int i = 0; i < c->weights.n && l.failed < 0; i++) {
        load_weight(&l, i);
        if (digests) digests[i] = l.digest;
    }
    if (l.failed < 0) cpu_note_sums(c);
    if (l.failed >= 0 && err) *err = l.failure;
    pthread_mutex_destroy(&l.lock);
    free(l.rooms);
    return l.failed >= 0 ? -1 : 0;
}
