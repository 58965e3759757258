#include "worker/weights/stager.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>

#include "protocol/base/memory.h"

struct item {
    struct update *update; // a reference
    struct message *chunk; // owned
    struct item *next;
};

struct stager {
    struct backend *backend;
    void (*wake)(void *self);
    void *self;
    pthread_t thread;
    pthread_mutex_t lock; // for what follows
    pthread_cond_t came;
    struct item *first, **last;
    bool is_closing;
};

static struct item *take(struct stager *s) {
    pthread_mutex_lock(&s->lock);
    while (!s->first && !s->is_closing) pthread_cond_wait(&s->came, &s->lock);
    struct item *item = s->is_closing ? NULL : s->first;
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

static void *run(void *arg) {
    struct stager *s = arg;
    for (struct item *item; (item = take(s));) {
        update_stage(item->update, &item->chunk->weights_chunk, s->backend);
        free_item(item);
        s->wake(s->self);
    }
    return NULL;
}

struct stager *stager_open(struct backend *b, void (*wake)(void *self), void *self,
                           struct error *err) {
    struct stager *s = memory_new(1, sizeof *s);
    s->backend = b;
    s->wake = wake;
    s->self = self;
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
    s->is_closing = true;
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

void stager_put(struct stager *s, struct update *u, struct message *chunk) {
    struct item *item = memory_new(1, sizeof *item);
    *item = (struct item){.update = update_hold(u), .chunk = chunk};
    pthread_mutex_lock(&s->lock);
    *s->last = item;
    s->last = &item->next;
    pthread_cond_signal(&s->came);
    pthread_mutex_unlock(&s->lock);
}
