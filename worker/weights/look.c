#include "worker/weights/look.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "protocol/base/memory.h"

// Held by two: who asked, and the thread. The last one frees it.
struct look {
    char *path;
    void (*wake)(void *self);
    void *self;
    pthread_mutex_t lock; // for what follows; held while `wake` runs
    int n_holders;
    bool is_done;
    char id[DIRECTORY_ID_CHARS + 1];
    struct error why;
};

static void release(struct look *l) {
    int n_left = --l->n_holders;
    pthread_mutex_unlock(&l->lock);
    if (n_left) return;
    pthread_mutex_destroy(&l->lock);
    free(l->path);
    free(l);
}

static void *run(void *arg) {
    struct look *l = arg;
    char id[DIRECTORY_ID_CHARS + 1];
    struct error why = {0};
    int failed = directory_id(l->path, id, &why);
    pthread_mutex_lock(&l->lock);
    if (!failed) memcpy(l->id, id, sizeof l->id);
    l->why = why;
    l->is_done = true;
    if (l->n_holders > 1) l->wake(l->self);
    release(l);
    return NULL;
}

struct look *look_begin(const char *path, void (*wake)(void *self), void *self) {
    struct look *l = memory_new(1, sizeof *l);
    pthread_attr_t detached;
    pthread_t thread;
    *l = (struct look){
        .path = memory_copy(path, strlen(path)), .wake = wake, .self = self, .n_holders = 2};
    pthread_mutex_init(&l->lock, NULL);
    pthread_attr_init(&detached);
    pthread_attr_setdetachstate(&detached, PTHREAD_CREATE_DETACHED);
    int failed = pthread_create(&thread, &detached, run, l);
    pthread_attr_destroy(&detached);
    if (!failed) return l;
    l->n_holders = 1;
    look_drop(&l);
    return NULL;
}

bool look_is_done(struct look *l, char id[DIRECTORY_ID_CHARS + 1], struct error *err) {
    pthread_mutex_lock(&l->lock);
    bool is_done = l->is_done;
    memcpy(id, l->id, sizeof l->id);
    *err = l->why;
    pthread_mutex_unlock(&l->lock);
    return is_done;
}

void look_drop(struct look **look) {
    struct look *l = *look;
    *look = NULL;
    if (!l) return;
    pthread_mutex_lock(&l->lock);
    release(l);
}
