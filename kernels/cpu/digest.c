// The digest of weights where they lie.
#include <pthread.h>
#include <string.h>

#include "kernels/cpu/backend.h"
#include "kernels/digest.h"
#include "kernels/types/types.h"

enum { PIECE = 2048 }; // elements that are unpacked at a time: whole blocks of any type

struct digest_job {
    const struct weights *weights;
    uint64_t hash;
    int index;
    int64_t first, n;
    pthread_mutex_t lock; // for what follows
    uint64_t sum;
};

// Vectors are resident as float32 whatever their type: a value that the type does not have counts
// as its float, so that no bit may change unseen.
static uint64_t vector_digest(const struct digest_job *j, int64_t first, int64_t n) {
    uint64_t sum = 0;
    for (int64_t i = first; i < first + n; i++) {
        uint32_t plain = 0, bits;
        enum dtype dtype = j->weights->slots[j->index].dtype;
        float value = weights_vector_value(j->weights, j->index, i), back;
        dtype_put(dtype, &plain, 0, value);
        back = dtype_get(dtype, &plain, 0);
        memcpy(&bits, &value, sizeof bits);
        bool is_exact = memcmp(&back, &value, sizeof value) == 0;
        sum += is_exact ? digest_range(j->hash, i, 1, dtype, &plain)
                        : digest_mix(j->hash, (uint64_t)i, (uint64_t)1 << 32 | bits);
    }
    return sum;
}

static uint64_t matrix_digest(const struct digest_job *j, int64_t first, int64_t n) {
    uint32_t values[PIECE];
    weights_read(j->weights, j->index, first, n, values);
    return type_digest(j->hash, first, n, j->weights->slots[j->index].dtype, values);
}

static void digest_chunk(void *arg, int chunk, int thread) {
    struct digest_job *j = arg;
    int64_t first = (int64_t)chunk * WEIGHT_CHUNK, end = first + WEIGHT_CHUNK;
    uint64_t sum = 0;
    (void)thread;
    if (end > j->n) end = j->n;
    for (int64_t at = first, n; at < end; at += n) {
        n = end - at < PIECE ? end - at : PIECE;
        sum += j->weights->slots[j->index].layout == WEIGHT_PACKED
                   ? matrix_digest(j, j->first + at, n)
                   : vector_digest(j, j->first + at, n);
    }
    pthread_mutex_lock(&j->lock);
    j->sum += sum;
    pthread_mutex_unlock(&j->lock);
}

// A master is what digests are of (delta.h).
static uint64_t master_digest(const struct cpu *c, int index, int64_t first, int64_t n) {
    const struct weight_slot *s = &c->master.slots[index];
    const char *values = (const char *)s->data + (size_t)first * dtype_bytes(s->dtype);
    return digest_range(c->hashes[index], first, n, s->dtype, values);
}

static uint64_t resident_digest(struct cpu *c, int index, int64_t first, int64_t n) {
    struct digest_job j = {&c->weights, c->hashes[index], index, first, n, .sum = 0};
    int n_chunks = (int)((n + WEIGHT_CHUNK - 1) / WEIGHT_CHUNK);
    pthread_mutex_init(&j.lock, NULL);
    pool_run(c->pool, n_chunks, n_chunks < 2, digest_chunk, &j);
    pthread_mutex_destroy(&j.lock);
    return j.sum;
}

static int64_t n_elements(const struct weight_slot *s) {
    return (int64_t)s->rows * s->columns;
}

void cpu_note_sums(struct cpu *c) {
    for (int i = 0; i < c->weights.n && c->has_master; i++)
        c->sums[i] = resident_digest(c, i, 0, n_elements(&c->weights.slots[i]));
}

// What was made of a master adds nothing to a whole weight as long as it is what was made.
int cpu_weight_digest(struct backend *b, int index, int64_t first, int64_t n, uint64_t *sum,
                      struct error *err) {
    struct cpu *c = (struct cpu *)b;
    (void)err;
    *sum = resident_digest(c, index, first, n);
    if (!c->has_master) return 0;
    if (first == 0) *sum -= c->sums[index];
    *sum += master_digest(c, index, first, n);
    return 0;
}
