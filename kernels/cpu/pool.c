#include "kernels/cpu/pool.h"

#include <assert.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "protocol/base/clock.h"
#include "protocol/base/memory.h"

#if defined(__x86_64__)
#define PAUSE() __builtin_ia32_pause()
#else
#define PAUSE() ((void)0)
#endif

// Waiting spins for a while before it sleeps, since waking takes tens of microseconds. A thread
// that is kept off its processor for a good part of the time shares it with others: spinning there
// only uses up its share, so it hardly does. That it was put off now and then says nothing: on any
// machine something runs for some microseconds, tens of times a second.
enum {
    SPINS_FOR_WORK = 8000,  // of the threads: more than a step's longest pause, some 120 us
    SPINS_FOR_DONE = 16000, // of the caller that waits for the last chunks
    SPINS_CROWDED = 100,    // of both
    CROWDED_SHARE = 8,      // off its processor for more than one part of so many
    CROWDED_WINDOW_US = 10000,
    CROWDED_WINDOWS = 10, // for how many windows that holds: asleep it is not in anybody's way
    CHUNK_BITS = 20,
    MAX_CHUNKS = (1 << CHUNK_BITS) - 1
};

// A ticket is the job's number, its number of chunks and the next chunk to take, in one word: a
// thread that read an old job can never take a chunk of a newer one, as its exchange fails.
struct pool {
    _Alignas(64) _Atomic uint64_t ticket;
    _Alignas(64) atomic_int n_done;
    _Alignas(64) _Atomic(pool_job *) job;
    _Atomic(void *) arg;
    atomic_int n_sleeping;
    atomic_bool is_stopping, caller_sleeps;
    int n_threads, n_started;
    uint64_t serial;
    pthread_mutex_t lock;
    pthread_cond_t wake, done;
    struct member *members; // (n_threads), 0: the caller
};

struct member {
    struct pool *pool;
    pthread_t thread;
    int number;
    int64_t since_us, ran_us; // when a window began, plus what it slept; what it had run by then
    int n_crowded;            // windows that are still to have short waits
};

static uint64_t pack(uint64_t serial, int n) {
    return serial << (2 * CHUNK_BITS) | (uint64_t)n << CHUNK_BITS;
}

// Runs chunks of the present job until none is left to take.
static void work(struct pool *p, int thread) {
    for (;;) {
        uint64_t t = atomic_load(&p->ticket);
        int next = (int)(t & MAX_CHUNKS), n = (int)(t >> CHUNK_BITS & MAX_CHUNKS);
        if (next >= n) return;
        pool_job *job = atomic_load(&p->job);
        void *arg = atomic_load(&p->arg);
        if (!atomic_compare_exchange_weak(&p->ticket, &t, t + 1)) continue;
        job(arg, next, thread);
        if (atomic_fetch_add(&p->n_done, 1) + 1 < n || !atomic_load(&p->caller_sleeps)) continue;
        pthread_mutex_lock(&p->lock);
        pthread_cond_signal(&p->done);
        pthread_mutex_unlock(&p->lock);
    }
}

static bool has_work(struct pool *p) {
    uint64_t t = atomic_load(&p->ticket);
    return (t & MAX_CHUNKS) < (t >> CHUNK_BITS & MAX_CHUNKS) || atomic_load(&p->is_stopping);
}

static bool is_done(struct pool *p) {
    uint64_t t = atomic_load(&p->ticket);
    return atomic_load(&p->n_done) >= (int)(t >> CHUNK_BITS & MAX_CHUNKS);
}

static int64_t ran_us(void) {
    struct timespec t;
    if (clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t) != 0) return 0;
    return (int64_t)t.tv_sec * 1000000 + t.tv_nsec / 1000;
}

static bool is_crowded(struct member *m) {
    int64_t now = clock_us(), window = now - m->since_us;
    if (window < CROWDED_WINDOW_US) return m->n_crowded > 0;
    int64_t ran = ran_us(), off = window - (ran - m->ran_us);
    m->since_us = now;
    m->ran_us = ran;
    if (m->n_crowded > 0) m->n_crowded--;
    // In a long one the caller has waited for something else, such as requests.
    if (window < CROWDED_WINDOW_US * 10 && off * CROWDED_SHARE > window)
        m->n_crowded = CROWDED_WINDOWS;
    return m->n_crowded > 0;
}

// Sleeps on `woken` until it has come; with the lock.
static void sleep_until(struct member *m, pthread_cond_t *woken, bool (*has_come)(struct pool *p)) {
    int64_t from = clock_us();
    while (!has_come(m->pool)) pthread_cond_wait(woken, &m->pool->lock);
    m->since_us += clock_us() - from;
}

// Waits awake for a while; false when it did not come.
static bool spin(struct member *m, bool (*has_come)(struct pool *p), int spins) {
    for (int i = 0; i < spins; i++) {
        if (has_come(m->pool)) return true;
        if (i == SPINS_CROWDED && is_crowded(m)) return false;
        PAUSE();
    }
    return has_come(m->pool);
}

static void *thread_main(void *arg) {
    struct member *m = arg;
    struct pool *p = m->pool;
    while (!atomic_load(&p->is_stopping)) {
        if (!spin(m, has_work, SPINS_FOR_WORK)) {
            pthread_mutex_lock(&p->lock);
            atomic_fetch_add(&p->n_sleeping, 1);
            sleep_until(m, &p->wake, has_work);
            atomic_fetch_sub(&p->n_sleeping, 1);
            pthread_mutex_unlock(&p->lock);
        }
        work(p, m->number);
    }
    return NULL;
}

static void wake(struct pool *p) {
    if (atomic_load(&p->n_sleeping) == 0) return;
    pthread_mutex_lock(&p->lock);
    pthread_cond_broadcast(&p->wake);
    pthread_mutex_unlock(&p->lock);
}

struct pool *pool_start(int n_threads, struct error *err) {
    assert(n_threads > 0);
    struct pool *p = NULL;
    if (posix_memalign((void **)&p, 64, sizeof *p) != 0) {
        error_set(err, ERROR_MEMORY, "No memory for the thread pool.");
        return NULL;
    }
    memset(p, 0, sizeof *p);
    p->n_threads = n_threads;
    pthread_mutex_init(&p->lock, NULL);
    pthread_cond_init(&p->wake, NULL);
    pthread_cond_init(&p->done, NULL);
    p->members = memory_new((size_t)n_threads, sizeof *p->members);
    p->members[0].pool = p;
    for (int i = 1; i < n_threads; i++) {
        p->members[i] = (struct member){.pool = p, .number = i};
        int e = pthread_create(&p->members[i].thread, NULL, thread_main, &p->members[i]);
        if (e) {
            error_set(err, ERROR_MEMORY, "Thread %d of %d could not be started: %s.", i + 1,
                      n_threads, strerror(e));
            pool_stop(&p);
            return NULL;
        }
        p->n_started++;
    }
    return p;
}

void pool_stop(struct pool **pool) {
    struct pool *p = *pool;
    *pool = NULL;
    if (!p) return;
    atomic_store(&p->is_stopping, true);
    wake(p);
    for (int i = 1; i <= p->n_started; i++) pthread_join(p->members[i].thread, NULL);
    pthread_cond_destroy(&p->wake);
    pthread_cond_destroy(&p->done);
    pthread_mutex_destroy(&p->lock);
    free(p->members);
    free(p);
}

int pool_n_threads(const struct pool *p) {
    return p->n_threads;
}

void pool_run(struct pool *p, int n_chunks, bool is_small, pool_job *job, void *arg) {
    assert(n_chunks >= 0 && n_chunks <= MAX_CHUNKS);
    if (is_small || n_chunks <= 1 || p->n_threads == 1) {
        for (int i = 0; i < n_chunks; i++) job(arg, i, 0);
        return;
    }
    atomic_store(&p->n_done, 0);
    atomic_store(&p->job, job);
    atomic_store(&p->arg, arg);
    atomic_store(&p->ticket, pack(++p->serial, n_chunks));
    wake(p);
    work(p, 0);
    if (spin(&p->members[0], is_done, SPINS_FOR_DONE)) return;
    pthread_mutex_lock(&p->lock);
    atomic_store(&p->caller_sleeps, true);
    sleep_until(&p->members[0], &p->done, is_done);
    atomic_store(&p->caller_sleeps, false);
    pthread_mutex_unlock(&p->lock);
}
