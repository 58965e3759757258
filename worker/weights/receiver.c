#include "worker/weights/receiver.h"

#include <time.h>

#include "protocol/base/clock.h"

enum {
    AHEAD = 2,    // buckets on their way: one fills while the other is proved
    NAP_US = 200, // between two looks
};

bool receiver_can(const struct backend *b) {
    return b->ops->comm != NULL;
}

void receiver_close(struct receiver *r) {
    if (r->has_comm) r->backend->ops->comm->leave(r->backend);
    r->has_comm = false;
}

static bool is_wanted(const struct receiver *r, struct update *u) {
    return !atomic_load(r->is_closing) && update_is_wanted(u);
}

static void nap(void) {
    const struct timespec t = {.tv_nsec = NAP_US * 1000};
    nanosleep(&t, NULL);
}

// Until more than `n` broadcasts have arrived since the join (-1: until all have joined); *arrived:
// how many. -1 also where the update is not wanted any more, without a sentence.
static int wait_for_more(struct receiver *r, struct update *u, int64_t n, int64_t *arrived,
                         struct error *err) {
    struct backend *b = r->backend;
    int64_t until_ms = clock_ms() + r->join.deadline_ms;
    while (is_wanted(r, u)) {
        if (b->ops->comm->poll(b, arrived, err)) return -1;
        if (*arrived > n) return 0;
        if (clock_ms() >= until_ms)
            return error_set(err, ERROR_IO,
                             n < 0 ? "Not all %d ranks joined the communicator in %.1f s."
                                   : "Of %d ranks one stood still: no broadcast came in %.1f s.",
                             r->join.comm.n_ranks, (double)r->join.deadline_ms / 1000);
        nap();
    }
    return -1;
}

static int join(struct receiver *r, struct update *u, const struct receiver_join *j,
                struct error *err) {
    struct backend *b = r->backend;
    int64_t arrived;
    if (!j && !r->has_comm)
        return error_set(err, ERROR_INPUT,
                         "The communicator was left after a failure; a new NCCL_JOIN is needed.");
    if (!j) return 0;
    receiver_close(r);
    r->join = *j;
    if (b->ops->comm->join(b, &j->comm, err)) return -1;
    r->has_comm = true;
    return wait_for_more(r, u, -1, &arrived, err);
}

// Buckets of one update, from the first that is not on its way.
struct buckets {
    uint64_t size, total;
    int64_t before; // broadcasts of earlier updates
    int64_t n, n_listed, n_arrived;
};

static uint64_t bucket_bytes(const struct buckets *k, int64_t i) {
    uint64_t begin = (uint64_t)i * k->size;
    return k->total - begin < k->size ? k->total - begin : k->size;
}

static int receive(struct receiver *r, struct update *u, struct error *err) {
    struct backend *b = r->backend;
    struct buckets k = {.size = update_bucket_bytes(u), .total = update_total_bytes(u)};
    k.n = (int64_t)(k.total / k.size + (k.total % k.size > 0));
    if (b->ops->comm->poll(b, &k.before, err)) return -1;
    update_set_receiving(u);
    r->wake(r->self);
    while (k.n_arrived < k.n) {
        int64_t arrived;
        for (; k.n_listed < k.n && k.n_listed - k.n_arrived < AHEAD; k.n_listed++)
            b->ops->comm->receive(b, (uint64_t)k.n_listed * k.size, bucket_bytes(&k, k.n_listed));
        if (wait_for_more(r, u, k.before + k.n_arrived, &arrived, err)) return -1;
        for (; k.before + k.n_arrived < arrived; k.n_arrived++)
            update_arrived(u, (uint64_t)k.n_arrived * k.size, bucket_bytes(&k, k.n_arrived), b);
    }
    return 0;
}

void receiver_run(struct receiver *r, struct update *u, const struct receiver_join *j) {
    struct error why = {0};
    if (!is_wanted(r, u)) return;
    if (join(r, u, j, &why) || receive(r, u, &why)) {
        if (why.code) update_fail(u, &why);
        if (r->has_comm) atomic_fetch_add(&r->n_aborts, 1);
        receiver_close(r);
    }
    r->wake(r->self);
}
