#include "worker/weights/update.h"

#include <assert.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>

#include "protocol/base/clock.h"
#include "protocol/base/memory.h"
#include "worker/weights/offer.h"

struct pending {
    bool used;
    uint64_t offset, n_bytes;
    int64_t asked_ms;
};

struct update {
    atomic_int n_references;
    atomic_int state;     // enum update_state
    atomic_bool dropped;  // by the I/O thread
    atomic_int n_waiting; // chunks taken and not staged yet
    atomic_bool is_receiving;
    enum message_transport transport;
    uint64_t bucket_bytes; // TRANSPORT_NCCL
    uint64_t id, base, version;
    const struct names *names;
    struct offer offer;
    uint64_t *former; // (changes) digest of each tensor before the apply

    // The I/O thread's.
    struct pending window[UPDATE_WINDOW];
    uint64_t pulled; // bytes asked for

    // The thread of weights', until the update is verified.
    uint64_t *n_here; // (changes) bytes that are staged
    int n_proved;
    struct change_sums *sums; // (changes)
    int64_t check_us, remake_us;

    int64_t pause_us; // the engine's thread's, until the state tells of it

    pthread_mutex_t lock; // for what follows
    char failed_tensor[NAMES_MAX_BYTES];
    bool differs; // what came is not what was announced
    struct error failure;
};

// ------------------------------------------------------------------ begin and end

int update_begin(const struct message_weights_begin *m, const struct update_target *t,
                 struct update **out, char tensor[NAMES_MAX_BYTES], struct error *err) {
    struct offer offer;
    if (offer_read(&offer, m, t, tensor, err)) return -1;
    struct update *u = memory_new(1, sizeof *u);
    size_t n = (size_t)offer.n;
    u->id = m->update;
    u->base = m->base;
    u->version = m->version;
    u->transport = (enum message_transport)m->transport;
    u->bucket_bytes = m->bucket_bytes;
    u->names = t->resident->names;
    u->offer = offer;
    u->n_here = memory_new(n, sizeof *u->n_here);
    u->sums = memory_new(n, sizeof *u->sums);
    u->former = memory_new(n, sizeof *u->former);
    for (size_t i = 0; i < n; i++)
        u->former[i] = t->resident->tensor_digests[offer.changes[i].weight];
    atomic_init(&u->n_references, 1);
    atomic_init(&u->state, n ? UPDATE_STAGING : UPDATE_VERIFIED);
    atomic_init(&u->dropped, false);
    atomic_init(&u->n_waiting, 0);
    atomic_init(&u->is_receiving, false);
    pthread_mutex_init(&u->lock, NULL);
    *out = u;
    return 0;
}

struct update *update_hold(struct update *u) {
    atomic_fetch_add(&u->n_references, 1);
    return u;
}

void update_release(struct update **update) {
    struct update *u = *update;
    *update = NULL;
    if (!u || atomic_fetch_sub(&u->n_references, 1) > 1) return;
    offer_free(&u->offer);
    pthread_mutex_destroy(&u->lock);
    free(u->n_here);
    free(u->sums);
    free(u->former);
    free(u);
}

uint64_t update_id(const struct update *u) {
    return u->id;
}

uint64_t update_base(const struct update *u) {
    return u->base;
}

uint64_t update_version(const struct update *u) {
    return u->version;
}

enum update_state update_state(struct update *u) {
    return (enum update_state)atomic_load(&u->state);
}

bool update_failure(struct update *u, char tensor[NAMES_MAX_BYTES], struct error *err) {
    pthread_mutex_lock(&u->lock);
    memcpy(tensor, u->failed_tensor, NAMES_MAX_BYTES);
    *err = u->failure;
    bool differs = u->differs;
    pthread_mutex_unlock(&u->lock);
    return differs;
}

// The first failure counts. `change`: of the tensor that is to blame, -1: none is.
static void fail(struct update *u, int change, bool differs, const struct error *why) {
    pthread_mutex_lock(&u->lock);
    if (atomic_load(&u->state) == UPDATE_STAGING) {
        u->failure = *why;
        u->differs = differs;
        if (change >= 0)
            names_write(&u->names->weights[u->offer.changes[change].weight], u->failed_tensor);
        atomic_store(&u->state, UPDATE_FAILED);
    }
    pthread_mutex_unlock(&u->lock);
}

// ------------------------------------------------------------------ the I/O thread

static bool next_chunk(struct update *u, struct pending *p) {
    uint64_t left = u->offer.total_bytes - u->pulled;
    if (!left) return false;
    *p = (struct pending){.used = true, .offset = u->pulled};
    p->n_bytes = left < MESSAGE_MAX_CHUNK ? left : MESSAGE_MAX_CHUNK;
    u->pulled += p->n_bytes;
    return true;
}

// Chunks that may be asked for besides.
static int room_of(struct update *u) {
    int room = UPDATE_WINDOW - atomic_load(&u->n_waiting);
    for (int i = 0; i < UPDATE_WINDOW; i++) room -= u->window[i].used;
    return room;
}

bool update_next_pull(struct update *u, int64_t now_ms, struct message_weights_pull *pull) {
    if (update_state(u) != UPDATE_STAGING || u->transport != TRANSPORT_BULK) return false;
    int room = room_of(u);
    for (int i = 0; i < UPDATE_WINDOW; i++) {
        struct pending *p = &u->window[i];
        bool due = p->used    ? now_ms - p->asked_ms >= UPDATE_PULL_TIMEOUT_MS
                   : room > 0 ? next_chunk(u, p)
                              : false;
        if (!due) continue;
        p->asked_ms = now_ms;
        *pull = (struct message_weights_pull){u->id, p->offset, p->n_bytes};
        return true;
    }
    return false;
}

bool update_take(struct update *u, const struct message_weights_chunk *m) {
    if (update_state(u) != UPDATE_STAGING) return false;
    for (int i = 0; i < UPDATE_WINDOW; i++) {
        struct pending *p = &u->window[i];
        if (!p->used || p->offset != m->offset) continue;
        struct error why = {0};
        p->used = false;
        if (m->data.n == p->n_bytes) {
            atomic_fetch_add(&u->n_waiting, 1);
            return true;
        }
        error_set(&why, ERROR_INPUT, "A chunk has %llu bytes; %llu were asked for.",
                  (unsigned long long)m->data.n, (unsigned long long)p->n_bytes);
        fail(u, -1, false, &why);
        return false;
    }
    return false;
}

void update_drop(struct update *u) {
    atomic_store(&u->dropped, true);
}

// ------------------------------------------------------------------ the thread of weights

static uint64_t begin_of(const struct update *u, int change) {
    return change ? u->offer.ends[change - 1] : 0;
}

// The first change that ends behind `offset`.
static int change_at(const struct update *u, uint64_t offset) {
    int low = 0, high = u->offer.n - 1;
    while (low < high) {
        int middle = (low + high) / 2;
        if (u->offer.ends[middle] > offset)
            high = middle;
        else
            low = middle + 1;
    }
    return low;
}

static void name_wrong(struct update *u, int change, const struct error *why) {
    char name[NAMES_MAX_BYTES];
    struct error err = {0};
    names_write(&u->names->weights[u->offer.changes[change].weight], name);
    error_set(&err, ERROR_INPUT, "Tensor '%s': %s", name, why->text);
    fail(u, change, false, &err);
}

static void compare(struct update *u, int change) {
    const struct change_sums *s = &u->sums[change];
    char name[NAMES_MAX_BYTES];
    struct error err = {0};
    if (s->staged == u->offer.checks[change]) {
        u->n_proved++;
        return;
    }
    names_write(&u->names->weights[u->offer.changes[change].weight], name);
    error_set(&err, ERROR_INPUT, "Tensor '%s' has check value %016llx; %016llx was announced.",
              name, (unsigned long long)s->staged, (unsigned long long)u->offer.checks[change]);
    fail(u, change, true, &err);
}

// Makes what proved changes will make resident. An update that was dropped is never applied.
static void remake(struct update *u, int first, int n, struct backend *b) {
    struct error why = {0};
    int bad = -1;
    if (!b->ops->remake || !update_is_wanted(u)) return;
    int64_t started_us = clock_us();
    int failed = b->ops->remake(b, u->offer.changes + first, n, &bad, &why);
    u->remake_us += clock_us() - started_us;
    if (failed && bad >= 0) name_wrong(u, first + bad, &why);
    if (failed && bad < 0) fail(u, -1, false, &why);
}

// Proves changes first .. end - 1, which are whole.
static void prove(struct update *u, int first, int end, struct backend *b) {
    struct error why = {0};
    int bad = -1;
    if (first == end) return;
    int64_t started_us = clock_us();
    int failed =
        b->ops->check(b, u->offer.changes + first, end - first, u->sums + first, &bad, &why);
    u->check_us += clock_us() - started_us;
    if (failed && bad >= 0) name_wrong(u, first + bad, &why);
    if (failed && bad < 0) fail(u, -1, false, &why);
    for (int i = first; i < end && !failed; i++) compare(u, i);
    if (!failed) remake(u, first, end - first, b);
}

// Counts bytes offset .. end - 1 as staged, and proves the changes that are whole by them: one run
// of neighbours, and at most two others where chunks came out of order.
static void count_bytes(struct update *u, uint64_t offset, uint64_t end, struct backend *b) {
    int first = change_at(u, offset), next = first;
    for (; next < u->offer.n && begin_of(u, next) < end; next++) {
        uint64_t begin = begin_of(u, next), stop = u->offer.ends[next];
        u->n_here[next] += (stop < end ? stop : end) - (begin > offset ? begin : offset);
        if (u->n_here[next] == stop - begin) continue;
        prove(u, first, next, b);
        first = next + 1;
    }
    prove(u, first, next, b);
}

bool update_is_wanted(struct update *u) {
    return !atomic_load(&u->dropped) && update_state(u) == UPDATE_STAGING;
}

void update_arrived(struct update *u, uint64_t offset, uint64_t n, struct backend *b) {
    int staging = UPDATE_STAGING;
    count_bytes(u, offset, offset + n, b);
    if (u->n_proved == u->offer.n)
        atomic_compare_exchange_strong(&u->state, &staging, UPDATE_VERIFIED);
}

void update_stage(struct update *u, const struct message_weights_chunk *m, struct backend *b) {
    struct error why = {0};
    if (update_is_wanted(u)) {
        if (b->ops->stage(b, m->offset, m->data.n, m->data.data, &why))
            fail(u, -1, false, &why);
        else
            update_arrived(u, m->offset, m->data.n, b);
    }
    atomic_fetch_sub(&u->n_waiting, 1);
}

void update_fail(struct update *u, const struct error *why) {
    fail(u, -1, false, why);
}

void update_set_receiving(struct update *u) {
    atomic_store(&u->is_receiving, true);
}

bool update_is_receiving(struct update *u) {
    return atomic_load(&u->is_receiving);
}

enum message_transport update_transport(const struct update *u) {
    return u->transport;
}

uint64_t update_bucket_bytes(const struct update *u) {
    return u->bucket_bytes;
}

uint64_t update_total_bytes(const struct update *u) {
    return u->offer.total_bytes;
}

// ------------------------------------------------------------------ the engine's thread

// The part of the digest that a change takes away: the whole tensor's where all of it changes.
static uint64_t leaving(const struct update *u, int change) {
    return u->offer.changes[change].code_bytes ? u->sums[change].resident : u->former[change];
}

uint64_t update_digest_change(const struct update *u) {
    uint64_t sum = 0;
    for (int i = 0; i < u->offer.n; i++) sum += u->sums[i].staged - leaving(u, i);
    return sum;
}

int64_t update_check_us(const struct update *u) {
    return u->check_us;
}

int64_t update_remake_us(const struct update *u) {
    return u->remake_us;
}

int64_t update_pause_us(const struct update *u) {
    return u->pause_us;
}

static int exchange(struct update *u, struct resident *r, struct backend *b, bool is_undo,
                    struct error *err) {
    int64_t started_us = clock_us();
    if (b->ops->apply(b, u->offer.changes, u->offer.n, err)) return -1;
    for (int i = 0; i < u->offer.n; i++) {
        uint64_t change = u->sums[i].staged - leaving(u, i);
        uint64_t *digest = &r->tensor_digests[u->offer.changes[i].weight];
        *digest = is_undo ? u->former[i] : u->former[i] + change;
        r->digest += is_undo ? 0 - change : change;
    }
    u->pause_us = clock_us() - started_us;
    atomic_store(&u->state, is_undo ? UPDATE_ROLLED_BACK : UPDATE_COMMITTED);
    return 0;
}

int update_apply(struct update *u, struct resident *r, struct backend *b, struct error *err) {
    assert(update_state(u) == UPDATE_VERIFIED);
    return exchange(u, r, b, false, err);
}

int update_undo(struct update *u, struct resident *r, struct backend *b, struct error *err) {
    assert(update_state(u) == UPDATE_COMMITTED);
    return exchange(u, r, b, true, err);
}

void update_forgo(struct update *u) {
    assert(update_state(u) == UPDATE_VERIFIED);
    u->pause_us = 0;
    atomic_store(&u->state, UPDATE_ROLLED_BACK);
}
