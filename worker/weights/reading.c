#include "worker/weights/reading.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "protocol/base/clock.h"
#include "protocol/base/memory.h"

enum { LOOK_MS = 20, LEFT_MS = 1000 }; // between looks at who wants it; for one that was left off

// Held by two: who asked, and the thread. The last one frees it.
struct reading {
    char *path;
    struct directory_file file;
    uint64_t total;
    pthread_mutex_t lock; // for what follows
    pthread_cond_t changed;
    int n_holders;
    bool is_wanted, is_over, failed;
    const char *piece; // the thread's, which waits until it is NULL again
    uint64_t at;
    size_t n;
    struct error why;
};

static void release(struct reading *r) {
    int n_left = --r->n_holders;
    pthread_mutex_unlock(&r->lock);
    if (n_left) return;
    pthread_cond_destroy(&r->changed);
    pthread_mutex_destroy(&r->lock);
    free(r->path);
    free(r);
}

// ------------------------------------------------------------------ the thread that may hang

static bool hand_over(void *self, uint64_t at, const char *piece, size_t n) {
    struct reading *r = self;
    pthread_mutex_lock(&r->lock);
    r->at = at;
    r->piece = piece;
    r->n = n;
    pthread_cond_broadcast(&r->changed);
    while (r->piece && r->is_wanted) pthread_cond_wait(&r->changed, &r->lock);
    bool is_wanted = r->is_wanted;
    pthread_mutex_unlock(&r->lock);
    return is_wanted;
}

static void *run(void *arg) {
    struct reading *r = arg;
    struct error why = {0};
    int failed = directory_read(r->path, &r->file, r->total, hand_over, r, &why);
    pthread_mutex_lock(&r->lock);
    r->failed = failed != 0;
    r->why = why;
    r->is_over = true;
    pthread_cond_broadcast(&r->changed);
    release(r);
    return NULL;
}

static void init_lock(struct reading *r) {
    pthread_condattr_t monotonic;
    pthread_mutex_init(&r->lock, NULL);
    pthread_condattr_init(&monotonic);
    pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    pthread_cond_init(&r->changed, &monotonic);
    pthread_condattr_destroy(&monotonic);
}

static struct reading *begin(const char *path, const struct directory_file *f, uint64_t total,
                             struct error *err) {
    struct reading *r = memory_new(1, sizeof *r);
    pthread_attr_t detached;
    pthread_t thread;
    *r = (struct reading){.path = memory_copy(path, strlen(path)),
                          .file = *f,
                          .total = total,
                          .n_holders = 2,
                          .is_wanted = true};
    init_lock(r);
    pthread_attr_init(&detached);
    pthread_attr_setdetachstate(&detached, PTHREAD_CREATE_DETACHED);
    int failed = pthread_create(&thread, &detached, run, r);
    pthread_attr_destroy(&detached);
    if (!failed) return r;
    r->n_holders = 1;
    reading_drop(&r);
    error_set(err, ERROR_IO, "No thread that reads %s/%s could be had: %s.", path, f->name,
              strerror(failed));
    return NULL;
}

// ------------------------------------------------------------------ the thread of weights

void reading_drop(struct reading **left) {
    struct reading *r = *left;
    *left = NULL;
    if (!r) return;
    pthread_mutex_lock(&r->lock);
    r->is_wanted = false;
    pthread_cond_broadcast(&r->changed);
    release(r);
}

// With the lock: until something changes, or it is time to look who wants it.
static void wait_some(struct reading *r) {
    struct timespec until;
    clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_nsec += LOOK_MS * 1000000;
    until.tv_sec += until.tv_nsec / 1000000000;
    until.tv_nsec %= 1000000000;
    pthread_cond_timedwait(&r->changed, &r->lock, &until);
}

static bool is_wanted(struct update *u, const atomic_bool *is_closing) {
    return !atomic_load(is_closing) && update_is_wanted(u);
}

// With the lock, which is given up meanwhile: the piece that lies there.
static void stage(struct reading *r, struct update *u, struct backend *b) {
    struct error why = {0};
    pthread_mutex_unlock(&r->lock);
    if (b->ops->stage(b, r->at, r->n, r->piece, &why))
        update_fail(u, &why);
    else
        update_arrived(u, r->at, r->n, b);
    pthread_mutex_lock(&r->lock);
    r->piece = NULL;
    pthread_cond_broadcast(&r->changed);
}

// Whether one that was left off is over. It is where its file system answers at all.
static bool is_over(struct reading **left, struct update *u, const atomic_bool *is_closing) {
    struct reading *r = *left;
    if (!r) return true;
    const int64_t until = clock_ms() + LEFT_MS;
    pthread_mutex_lock(&r->lock);
    while (!r->is_over && clock_ms() < until && is_wanted(u, is_closing)) wait_some(r);
    const bool is_over = r->is_over;
    pthread_mutex_unlock(&r->lock);
    if (is_over) reading_drop(left);
    return is_over;
}

static void fail_behind(const struct reading *left, struct update *u) {
    struct error why = {0};
    error_set(&why, ERROR_IO,
              "%s/%s is still being read, though nobody wants it any more: its file system does "
              "not answer, and no other file is read meanwhile.",
              left->path, left->file.name);
    update_fail(u, &why);
}

void reading_run(struct reading **left, const char *path, const struct directory_file *f,
                 struct update *u, struct backend *b, const atomic_bool *is_closing) {
    struct error why = {0};
    if (!is_wanted(u, is_closing)) return;
    if (!is_over(left, u, is_closing)) {
        if (is_wanted(u, is_closing)) fail_behind(*left, u);
        return;
    }
    struct reading *r = *left = begin(path, f, update_total_bytes(u), &why);
    if (!r) {
        update_fail(u, &why);
        return;
    }
    pthread_mutex_lock(&r->lock);
    while (!r->is_over && is_wanted(u, is_closing)) {
        if (r->piece)
            stage(r, u, b);
        else
            wait_some(r);
    }
    r->is_wanted = false;
    pthread_cond_broadcast(&r->changed);
    const bool failed = r->failed;
    why = r->why;
    pthread_mutex_unlock(&r->lock);
    if (failed) update_fail(u, &why);
}
