#include "worker/session/inbox.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

int inbox_open(struct inbox *inbox, struct error *err) {
    pthread_mutex_init(&inbox->lock, NULL);
    inbox->first = NULL;
    inbox->last = &inbox->first;
    inbox->n = 0;
    inbox->fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    if (inbox->fd >= 0) return 0;
    return error_set(err, ERROR_IO, "No descriptor for the inbox could be had: %s.",
                     strerror(errno));
}

void inbox_close(struct inbox *inbox) {
    for (struct event *e = inbox->first; e;) e = event_free(e);
    if (inbox->fd >= 0) close(inbox->fd);
    pthread_mutex_destroy(&inbox->lock);
}

// Under the lock, so that the descriptor is readable exactly while the list is not empty.
static void mark_filled(struct inbox *inbox) {
    uint64_t one = 1;
    ssize_t n = write(inbox->fd, &one, sizeof one);
    (void)n; // the counter is full only after 2^64 - 2 events that nobody took
}

static void mark_empty(struct inbox *inbox) {
    uint64_t count;
    ssize_t n = read(inbox->fd, &count, sizeof count);
    (void)n; // nothing was there to be read
}

int inbox_put(struct inbox *inbox, const struct event *event) {
    struct event *copy = memory_new(1, sizeof *copy);
    *copy = *event;
    copy->next = NULL;
    pthread_mutex_lock(&inbox->lock);
    *inbox->last = copy;
    inbox->last = &copy->next;
    mark_filled(inbox);
    int n = ++inbox->n;
    pthread_mutex_unlock(&inbox->lock);
    return n;
}

struct event *inbox_take(struct inbox *inbox) {
    pthread_mutex_lock(&inbox->lock);
    struct event *list = inbox->first;
    inbox->first = NULL;
    inbox->last = &inbox->first;
    if (list) mark_empty(inbox);
    inbox->n = 0;
    pthread_mutex_unlock(&inbox->lock);
    return list;
}

struct event *event_free(struct event *event) {
    struct event *next = event->next;
    task_free(&event->task);
    update_release(&event->update);
    free(event);
    return next;
}
