// What the I/O thread tells the engine's thread: a queue of events, in order.
#ifndef WORKER_SESSION_INBOX_H
#define WORKER_SESSION_INBOX_H

#include <pthread.h>

#include "worker/task.h"
#include "worker/weights/update.h"

enum event_kind {
    EVENT_TASK,    // `task`, to be added
    EVENT_CANCEL,  // samples first .. first + n - 1 of group `serial` (n 0: all)
    EVENT_APPLY,   // apply `update`, which is verified, as `until_ms` says
    EVENT_UNDO,    // `update` was applied last: take it back
    EVENT_FORGET,  // the session is over: end everything, nobody waits for it
    EVENT_DRAIN,   // start nothing more
    EVENT_PREEMPT, // the time to drain is over
    EVENT_STOP,    // end the loop
};

struct event {
    enum event_kind kind;
    struct task *task;     // owned
    struct update *update; // a reference
    // Of EVENT_APPLY: 0 before the next step; else when no row is in flight, at this time of
    // clock_ms at the latest.
    int64_t until_ms;
    uint64_t serial;
    int first, n;
    struct event *next;
};

struct inbox {
    pthread_mutex_t lock;
    int fd; // readable while an event waits
    struct event *first, **last;
    int n;
};

int inbox_open(struct inbox *inbox, struct error *err);
void inbox_close(struct inbox *inbox); // frees what nobody took

// From any thread. `event` is copied; what it owns is now the queue's. Returns how many wait now.
int inbox_put(struct inbox *inbox, const struct event *event);

// All events so far, oldest first, as a list to be freed one by one with event_free. NULL: none
// came.
struct event *inbox_take(struct inbox *inbox);

// Frees the event and what it still owns (set the pointer to NULL to keep that). Returns the next.
struct event *event_free(struct event *event);

#endif
