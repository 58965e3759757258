#include "worker/session/inbox.h"

#include <stdlib.h>
#include <time.h>

void inbox_open(struct inbox *inbox) {
    pthread_condattr_t attributes;
    pthread_condattr_init(&attributes);
    pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    pthread_mutex_init(&inbox->lock, NULL);
    pthread_cond_init(&inbox->filled, &attributes);
    pthread_condattr_destroy(&attributes);
    inbox->first = NULL;
    inbox->last = &inbox->first;
}

void inbox_close(struct inbox *inbox) {
    for (struct event *e = inbox->first; e;) e = event_free(e);
    pthread_cond_destroy(&inbox->filled);
    pthread_mutex_destroy(&inbox->lock);
}

void inbox_put(struct inbox *inbox, const struct event *event) {
    struct event *copy = memory_new(1, sizeof *copy);
    *copy = *event;
    copy->next = NULL;
    pthread_mutex_lock(&inbox->lock);
    *inbox->last = copy;
    inbox->last = &copy->next;
    pthread_cond_signal(&inbox->filled);
    pthread_mutex_unlock(&inbox->lock);
}

static struct timespec after_ms(int ms) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    t.tv_nsec += (long)(ms % 1000) * 1000000;
    t.tv_sec += ms / 1000 + t.tv_nsec / 1000000000;
    t.tv_nsec %= 1000000000;
    return t;
}

struct event *inbox_take(struct inbox *inbox, int wait_ms) {
    struct timespec until = after_ms(wait_ms);
    pthread_mutex_lock(&inbox->lock);
    while (!inbox->first && wait_ms > 0)
        if (pthread_cond_timedwait(&inbox->filled, &inbox->lock, &until)) break;
    struct event *list = inbox->first;
    inbox->first = NULL;
    inbox->last = &inbox->first;
    pthread_mutex_unlock(&inbox->lock);
    return list;
}

bool inbox_has(struct inbox *inbox) {
    pthread_mutex_lock(&inbox->lock);
    bool has = inbox->first != NULL;
    pthread_mutex_unlock(&inbox->lock);
    return has;
}

struct event *event_free(struct event *event) {
    struct event *next = event->next;
    task_free(&event->task);
    update_free(&event->update);
    free(event);
    return next;
}
