#include "verifiers/process/supervisor.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "protocol/base/clock.h"
#include "protocol/base/memory.h"

enum {
    MAX_EVENTS = 64,
    FIRST_BACKOFF_MS = 10,
    MAX_BACKOFF_MS = 200,
    STEP_MS = 1000, // more than this between two steps: we were kept from it ourselves
};

struct child {
    struct process process;
    struct supervisor_job *sent[SUPERVISOR_MAX_SENT]; // (n_sent), oldest first
    int n_sent;
    int64_t still_ms;   // for so long at least it has not got on with the oldest one
    bool moved;         // it got on since the last step
    uint64_t progress;  // as last seen
    int64_t restart_ms; // when a dead one may be started again
    int backoff_ms;
    int n_barren; // starts since it last got on
    bool waits_to_write;
};

struct supervisor {
    struct supervisor_options o;
    int epoll;
    struct child *children; // (o.n_children)
    struct supervisor_job *first, *last;
    int n_queued;
    int64_t stepped_ms;
};

// ---- The queue ---------------------------------------------------------------------------------

static void push(struct supervisor *s, struct supervisor_job *job) {
    job->next = NULL;
    if (s->first)
        s->last->next = job;
    else
        s->first = job;
    s->last = job;
    s->n_queued++;
}

static void push_front(struct supervisor *s, struct supervisor_job *job) {
    job->next = s->first;
    if (!s->first) s->last = job;
    s->first = job;
    s->n_queued++;
}

static struct supervisor_job *pop(struct supervisor *s) {
    struct supervisor_job *job = s->first;
    s->first = job->next;
    s->n_queued--;
    return job;
}

void supervisor_submit(struct supervisor *s, struct supervisor_job *job) {
    push(s, job);
}

int supervisor_room(const struct supervisor *s) {
    int room = 0;
    for (int i = 0; i < s->o.n_children; i++) room += s->o.max_sent - s->children[i].n_sent;
    return room - s->n_queued;
}

// ---- Life of a child ---------------------------------------------------------------------------

static int index_of(const struct supervisor *s, const struct child *c) {
    return (int)(c - s->children);
}

static uint64_t progress_of(const struct supervisor *s, const struct child *c) {
    return s->o.kind->progress ? s->o.kind->progress(s->o.self, index_of(s, c)) : 0;
}

static void watch(struct supervisor *s, struct child *c, int op, int fd, uint32_t events) {
    struct epoll_event e = {.events = events, .data.ptr = c};
    epoll_ctl(s->epoll, op, fd, &e);
}

static int start(struct supervisor *s, struct child *c, struct error *err) {
    int fds[PROCESS_MAX_FDS];
    struct process_command command = {.program = s->o.program,
                                      .argv = s->o.argv,
                                      .fds = fds,
                                      .pipe_bytes = s->o.pipe_bytes,
                                      .has_path = s->o.has_path};
    if (s->o.max_barren > 0 && c->n_barren == s->o.max_barren)
        return error_set(err, ERROR_INTERNAL,
                         "A process of this program ended %d times before it did anything.",
                         s->o.max_barren);
    c->n_barren++;
    c->restart_ms = clock_ms() + c->backoff_ms;
    if (s->o.kind->give) command.n_fds = s->o.kind->give(s->o.self, index_of(s, c), fds);
    if (process_start(&c->process, &command, err)) {
        c->restart_ms = clock_ms() + MAX_BACKOFF_MS;
        return -1;
    }
    c->waits_to_write = c->moved = false;
    c->still_ms = 0;
    c->progress = progress_of(s, c);
    watch(s, c, EPOLL_CTL_ADD, c->process.out, EPOLLIN);
    return 0;
}

// It is of no use any more: the oldest job is the owner's to judge, the others wait again.
static void lose(struct supervisor *s, struct child *c, enum supervisor_loss loss,
                 const char *why) {
    process_kill(&c->process);
    if (progress_of(s, c) != c->progress) c->n_barren = 0;
    for (int i = c->n_sent - 1; i > 0; i--) push_front(s, c->sent[i]);
    struct supervisor_job *oldest = c->n_sent ? c->sent[0] : NULL;
    c->n_sent = 0;
    if (s->o.kind->lost(s->o.self, index_of(s, c), oldest, loss, why) && oldest)
        push_front(s, oldest);
    c->restart_ms = clock_ms() + c->backoff_ms;
    c->backoff_ms = c->backoff_ms * 2 < MAX_BACKOFF_MS ? c->backoff_ms * 2 : MAX_BACKOFF_MS;
}

// ---- Replies -----------------------------------------------------------------------------------

static void take_reply(struct supervisor *s, struct child *c, size_t len, struct error *err,
                       bool *failed) {
    struct supervisor_job *job = c->n_sent ? c->sent[0] : NULL;
    const struct slice reply = {process_unread(&c->process).ptr, len};
    *failed = !job || s->o.kind->receive(s->o.self, job, reply, err);
    if (*failed) return;
    c->process.from_done += len;
    c->n_sent--;
    memmove(c->sent, c->sent + 1, (size_t)c->n_sent * sizeof c->sent[0]);
    c->moved = true;
    c->n_barren = 0;
    c->backoff_ms = FIRST_BACKOFF_MS;
}

static void receive(struct supervisor *s, struct child *c) {
    struct error ended, err = {0};
    const bool open = process_read(&c->process, &ended) == 0;
    for (struct slice bytes; (bytes = process_unread(&c->process)).len > 0;) {
        bool failed = false;
        const struct supervisor_job *job = c->n_sent ? c->sent[0] : NULL;
        const ptrdiff_t len = s->o.kind->measure(s->o.self, job, bytes, &err);
        if (len == 0) break;
        if (len > 0) take_reply(s, c, (size_t)len, &err, &failed);
        if (len > 0 && !failed) continue;
        lose(s, c, SUPERVISOR_CRASH, err.text[0] ? err.text : "It wrote without being asked.");
        return;
    }
    if (!open) lose(s, c, SUPERVISOR_CRASH, ended.text);
}

static void flush(struct supervisor *s, struct child *c) {
    const bool rest = process_flush(&c->process);
    if (c->process.in < 0 || rest == c->waits_to_write) return;
    watch(s, c, rest ? EPOLL_CTL_ADD : EPOLL_CTL_DEL, c->process.in, EPOLLOUT);
    c->waits_to_write = rest;
}

static void handle_events(struct supervisor *s) {
    struct epoll_event events[MAX_EVENTS];
    int n;
    do {
        n = epoll_wait(s->epoll, events, MAX_EVENTS, 0);
        for (int i = 0; i < n; i++) {
            struct child *c = events[i].data.ptr;
            if (c->process.pid == 0) continue;
            if (events[i].events & (EPOLLOUT | EPOLLERR)) flush(s, c);
            if (events[i].events & ~(uint32_t)EPOLLOUT) receive(s, c);
        }
    } while (n == MAX_EVENTS);
}

// ---- A step ------------------------------------------------------------------------------------

// Since the last step a child was still for all of the time or, if it moved, for an unknown part.
static void expire(struct supervisor *s, int64_t passed_ms) {
    for (int i = 0; i < s->o.n_children; i++) {
        struct child *c = &s->children[i];
        char why[96];
        if (c->process.pid == 0) continue;
        const uint64_t progress = progress_of(s, c);
        if (progress != c->progress) c->n_barren = 0;
        const bool moved = c->moved || progress != c->progress || c->n_sent == 0;
        c->still_ms = moved ? 0 : c->still_ms + passed_ms;
        c->moved = false;
        c->progress = progress;
        if (c->still_ms < s->o.deadline_ms) continue;
        snprintf(why, sizeof why, "The verifier did not answer within %d ms.", s->o.deadline_ms);
        lose(s, c, SUPERVISOR_TIMEOUT, why);
    }
}

// Who gets the next job: the one that it costs least. NULL: all are full or down.
static struct child *choose(struct supervisor *s) {
    struct child *best = NULL;
    int least = 0;
    for (int i = 0; i < s->o.n_children; i++) {
        struct child *c = &s->children[i];
        if (c->process.pid == 0 || c->n_sent == s->o.max_sent) continue;
        int cost = 2 * c->n_sent;
        if (s->o.kind->cost) cost += s->o.kind->cost(s->o.self, i, s->first);
        if (best && cost >= least) continue;
        best = c;
        least = cost;
    }
    return best;
}

static int assign(struct supervisor *s, struct error *err) {
    const int64_t now = clock_ms();
    for (int i = 0; i < s->o.n_children && s->first; i++) {
        struct child *c = &s->children[i];
        process_reap(&c->process, false);
        // What it shares with its parent is its alone until it is gone.
        if (c->process.pid || c->process.dying || c->restart_ms > now) continue;
        struct error why;
        // What does not start may do so later; what always ends will not.
        if (start(s, c, &why) && why.code == ERROR_INTERNAL) {
            if (err) *err = why;
            return -1;
        }
    }
    for (struct child *c; s->first && (c = choose(s));) {
        struct supervisor_job *job = pop(s);
        if (c->n_sent == 0) c->still_ms = 0;
        s->o.kind->send(s->o.self, index_of(s, c), job, &c->process.to);
        c->sent[c->n_sent++] = job;
    }
    for (int i = 0; i < s->o.n_children; i++) {
        struct child *c = &s->children[i];
        if (c->process.pid && c->process.to.len) flush(s, c);
        process_reap(&c->process, false);
    }
    return 0;
}

int supervisor_step(struct supervisor *s, struct error *err) {
    const int64_t now = clock_ms(), passed = now - s->stepped_ms;
    s->stepped_ms = now;
    handle_events(s);
    expire(s, passed < STEP_MS ? passed : STEP_MS);
    return assign(s, err);
}

int supervisor_fd(const struct supervisor *s) {
    return s->epoll;
}

int supervisor_due(const struct supervisor *s, int limit) {
    const int64_t now = clock_ms();
    int64_t least = limit;
    for (int i = 0; i < s->o.n_children; i++) {
        const struct child *c = &s->children[i];
        int64_t wait = least;
        if (c->n_sent > 0) {
            wait = s->stepped_ms + s->o.deadline_ms - c->still_ms - now;
            if (wait > STEP_MS / 2) wait = STEP_MS / 2; // so that all of it counts
        }
        if (c->process.pid == 0 && s->first) wait = c->restart_ms - now;
        if (wait < least) least = wait;
    }
    return least > 0 ? (int)least : 0;
}

// ---- Opening -----------------------------------------------------------------------------------

struct supervisor *supervisor_open(const struct supervisor_options *options, struct error *err) {
    struct supervisor *s = memory_new(1, sizeof *s);
    s->o = *options;
    s->stepped_ms = clock_ms();
    s->children = memory_new((size_t)options->n_children, sizeof *s->children);
    s->epoll = epoll_create1(EPOLL_CLOEXEC);
    int failed = 0;
    if (s->epoll < 0)
        failed = error_set(err, ERROR_IO, "No epoll descriptor could be had: %s.", strerror(errno));
    for (int i = 0; i < options->n_children; i++) {
        struct child *c = &s->children[i];
        c->process.in = c->process.out = -1;
        c->backoff_ms = FIRST_BACKOFF_MS;
        if (!failed) failed = start(s, c, err);
    }
    if (failed) supervisor_free(&s, NULL);
    return s;
}

void supervisor_free(struct supervisor **supervisor, supervisor_drop_fn *drop) {
    struct supervisor *s = *supervisor;
    *supervisor = NULL;
    if (!s) return;
    for (int i = 0; i < s->o.n_children; i++) {
        struct child *c = &s->children[i];
        process_free(&c->process);
        for (int k = 0; k < c->n_sent && drop; k++) drop(s->o.self, c->sent[k]);
    }
    while (s->first) {
        struct supervisor_job *job = pop(s);
        if (drop) drop(s->o.self, job);
    }
    if (s->epoll >= 0) close(s->epoll);
    free(s->children);
    free(s);
}
