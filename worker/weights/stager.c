#include "worker/weights/stager.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>

#include "protocol/base/memory.h"
#include "worker/weights/reading.h"

struct item {
    struct update *update; // a reference
    struct message *chunk; // owned; NULL: it comes by NCCL or by a file
    struct receiver_join join;
    bool has_join;
    const char *directory; // borrowed; NULL: it comes by NCCL
    struct directory_file file;
    struct item *next;
};

struct stager {
    struct receiver receiver; // the thread's
    struct reading *left;     // likewise: a file whose reading was left off, and may hang
    pthread_t thread;
    pthread_mutex_t lock; // for what follows
    pthread_cond_t came;
    struct item *first, **last;
    atomic_bool is_closing;
};

static struct item *take(struct stager *s) {
    pthread_mutex_lock(&s->lock);
    while (!s->first && !atomic_load(&s->is_closing)) pthread_cond_wait(&s->came, &s->lock);
    struct item *item = atomic_load(&s->is_closing) ? NULL : s->first;
    if (item) s->first = item->next;
    if (!s->first) s->last = &s->first;
    pthread_mutex_unlock(&s->lock);
    return item;
}

static void free_item(struct item *item) {
    update_release(&item->update);
    message_free(&item->chunk);
    free(item);
}

static void bring(struct stager *s, const struct item *item) {
    struct backend *b = s->receiver.backend;
    if (item->chunk)
        update_stage(item->update, &item->chunk->weights_chunk, b);
    else if (item->directory)
        reading_run(&s->left, item->directory, &item->file, item->update, b, &s->is_closing);
    else
        receiver_run(&s->receiver, item->update, item->has_join ? &item->join : NULL);
}

static void *run(void *arg) {
    struct stager *s = arg;
    pthread_setname_np(pthread_self(), "weights");
    for (struct item *item; (item = take(s));) {
        bring(s, item);
        free_item(item);
        s->receiver.wake(s->receiver.self);
    }
    receiver_close(&s->receiver);
    reading_drop(&s->left);
    return NULL;
}

struct stager *stager_open(struct backend *b, void (*wake)(void *self), void *self,
                           struct error *err) {
    struct stager *s = memory_new(1, sizeof *s);
    s->receiver =
        (struct receiver){.backend = b, .is_closing = &s->is_closing, .wake = wake, .self = self};
    atomic_init(&s->is_closing, false);
    atomic_init(&s->receiver.n_aborts, 0);
    s->last = &s->first;
    pthread_mutex_init(&s->lock, NULL);
    pthread_cond_init(&s->came, NULL);
    int failed = pthread_create(&s->thread, NULL, run, s);
    if (!failed) return s;
    error_set(err, ERROR_IO, "No thread for weight updates could be had: %s.", strerror(failed));
    free(s);
    return NULL;
}

void stager_close(struct stager **stager) {
    struct stager *s = *stager;
    *stager = NULL;
    if (!s) return;
    pthread_mutex_lock(&s->lock);
    atomic_store(&s->is_closing, true);
    pthread_cond_signal(&s->came);
    pthread_mutex_unlock(&s->lock);
    pthread_join(s->thread, NULL);
    for (struct item *item = s->first, *next; item; item = next) {
        next = item->next;
        free_item(item);
    }
    pthread_cond_destroy(&s->came);
    pthread_mutex_destroy(&s->lock);
    free(s);
}

uint64_t stager_n_aborts(struct stager *s) {
    return atomic_load(&s->receiver.n_aborts);
}

static void put(struct stager *s, struct item *item) {
    pthread_mutex_lock(&s->lock);
    *s->last = item;
    s->last = &item->next;
    pthread_cond_signal(&s->came);
    pthread_mutex_unlock(&s->lock);
}

void stager_put(struct stager *s, struct update *u, struct message *chunk) {
    struct item *item = memory_new(1, sizeof *item);
    *item = (struct item){.update = update_hold(u), .chunk = chunk};
    put(s, item);
}

void stager_receive(struct stager *s, struct update *u, const struct receiver_join *join) {
    struct item *item = memory_new(1, sizeof *item);
    *item = (struct item){.update = update_hold(u), .has_join = join};
    if (join) item->join = *join;
    put(s, item);
}

void stager_read(struct stager *s, struct update *u, const char *path,
                 const struct directory_file *file) {
    struct item *item = memory_new(1, sizeof *item);
    *item = (struct item){.update = update_hold(u), .directory = path, .file = *file};
    put(s, item);
}
