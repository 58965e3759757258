#include "verifiers/score/score_workers.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "protocol/base/clock.h"

enum {
    MAX_SENT = 2,
    PIPE_BYTES = 1 << 20,
    READ_BYTES = 256 << 10,
    STUCK_MS = 60000,
    STEP_MS = 1000, // more than this between two steps: we were stopped ourselves
    MAX_BARREN = 5, // starts in a row without one record
};

extern char **environ;

struct worker {
    pid_t pid;   // 0: not running
    int in, out; // our ends of its stdin and stdout
    struct score_page *page;
    int page_fd;
    struct score_batch *sent[MAX_SENT]; // oldest first
    int n_sent;
    struct buffer to, from;
    size_t to_done;
    uint64_t beat; // when it was last seen to move
    int64_t still_ms;
    int n_barren;
};

struct score_workers {
    const struct score_options *options;
    const struct score_golds *golds;
    struct worker *list; // (n)
    int n;
    struct score_batch *first, *last; // queued
    int64_t stepped_ms;
    bool hopeless; // a worker dies on a record that it does not look at
};

void score_batch_free(struct score_batch **batch) {
    struct score_batch *b = *batch;
    *batch = NULL;
    if (!b) return;
    buffer_free(&b->records);
    buffer_free(&b->reply);
    free(b->marks);
    free(b);
}

static void close_fd(int *fd) {
    if (*fd >= 0) close(*fd);
    *fd = -1;
}

// ---- life of a process

// Descriptors are put where the worker looks for them; sources lie above those places, so that
// none is overwritten before its turn.
static int spawn(struct score_workers *ws, struct worker *w, int in, int out) {
    const int golds = ws->golds ? ws->golds->index_fd : -1;
    const int rows = ws->golds ? ws->golds->rows_fd : -1;
    const int from[] = {in, out, w->page_fd, golds, rows};
    const int to[] = {0, 1, SCORE_PAGE_FD, SCORE_GOLDS_INDEX_FD, SCORE_GOLDS_ROWS_FD};
    int high[5], rc = 0, n = 0;
    posix_spawn_file_actions_t actions;
    posix_spawnattr_t attr;
    sigset_t none, all;
    sigemptyset(&none);
    sigfillset(&all);
    posix_spawn_file_actions_init(&actions);
    posix_spawnattr_init(&attr);
    for (; n < 5 && from[n] >= 0 && rc == 0; n++) {
        high[n] = fcntl(from[n], F_DUPFD_CLOEXEC, 16);
        if (high[n] < 0) rc = errno, high[n] = -1;
        if (rc == 0) posix_spawn_file_actions_adddup2(&actions, high[n], to[n]);
    }
    posix_spawn_file_actions_addclosefrom_np(&actions, to[n - 1] + 1);
    posix_spawnattr_setflags(&attr, POSIX_SPAWN_SETPGROUP | POSIX_SPAWN_SETSIGMASK |
                                        POSIX_SPAWN_SETSIGDEF);
    posix_spawnattr_setpgroup(&attr, 0);
    posix_spawnattr_setsigmask(&attr, &none);
    posix_spawnattr_setsigdefault(&attr, &all);
    const char *program = ws->options->program ? ws->options->program : "/proc/self/exe";
    int n_args = 0;
    while (ws->options->child_argv[n_args]) n_args++;
    char **argv = memory_new((size_t)n_args + 2, sizeof *argv);
    argv[0] = (char *)program;
    for (int i = 0; i < n_args; i++) argv[i + 1] = ws->options->child_argv[i];
    if (rc == 0) rc = posix_spawn(&w->pid, program, &actions, &attr, argv, environ);
    free(argv);
    for (int i = 0; i < n; i++) close_fd(&high[i]);
    posix_spawn_file_actions_destroy(&actions);
    posix_spawnattr_destroy(&attr);
    return rc;
}

static int start(struct score_workers *ws, struct worker *w, struct error *err) {
    int in[2] = {-1, -1}, out[2] = {-1, -1}, rc = 0;
    if (w->n_barren++ == MAX_BARREN)
        return error_set(err, ERROR_INTERNAL,
                         "A worker process ended %d times before it graded anything.", MAX_BARREN);
    if (pipe2(in, O_CLOEXEC) || pipe2(out, O_CLOEXEC))
        rc = errno;
    else
        rc = spawn(ws, w, in[0], out[1]);
    close_fd(&in[0]);
    close_fd(&out[1]);
    if (rc) {
        close_fd(&in[1]);
        close_fd(&out[0]);
        w->pid = 0;
        return error_set(err, ERROR_INTERNAL, "A worker process did not start: %s.", strerror(rc));
    }
    fcntl(in[1], F_SETPIPE_SZ, PIPE_BYTES); // fewer switches; the default will do too
    fcntl(out[0], F_SETPIPE_SZ, PIPE_BYTES);
    fcntl(in[1], F_SETFL, O_NONBLOCK);
    fcntl(out[0], F_SETFL, O_NONBLOCK);
    w->in = in[1];
    w->out = out[0];
    w->still_ms = 0;
    return 0;
}

static void stop(struct worker *w) {
    if (w->pid) {
        kill(-w->pid, SIGKILL);
        kill(w->pid, SIGKILL);
        while (waitpid(w->pid, NULL, 0) < 0 && errno == EINTR) {
        }
    }
    w->pid = 0;
    close_fd(&w->in);
    close_fd(&w->out);
    buffer_clear(&w->to);
    buffer_clear(&w->from);
    w->to_done = 0;
}

static void push_front(struct score_workers *ws, struct score_batch *batch) {
    batch->next = ws->first;
    ws->first = batch;
    if (!ws->last) ws->last = batch;
}

static void blame(struct score_workers *ws, struct score_batch *batch, uint32_t ordinal,
                  enum reward_status status) {
    if (ordinal >= batch->n_records) return;
    for (uint32_t i = 0; i < batch->n_marks; i++)
        if (batch->marks[i].ordinal == ordinal) {
            batch->marks[i].unread++; // it is not even parsed without dying
            ws->hopeless = ws->hopeless || batch->marks[i].unread > 3;
            return;
        }
    if (status == REWARD_CRASH && batch->suspect != ordinal) {
        batch->suspect = ordinal;
        return;
    }
    batch->marks = memory_resize(batch->marks, batch->n_marks + 1, sizeof *batch->marks);
    batch->marks[batch->n_marks++] = (struct score_mark){ordinal, (uint16_t)status, 0};
}

// The oldest batch is the one that the worker was at.
static void drop(struct score_workers *ws, struct worker *w, enum reward_status status) {
    stop(w);
    if (w->n_sent > 0) blame(ws, w->sent[0], atomic_load(&w->page->ordinal), status);
    if (atomic_load(&w->page->beat) != 0) w->n_barren = 0;
    atomic_store(&w->page->beat, 0);
    atomic_store(&w->page->ordinal, UINT32_MAX);
    for (int i = w->n_sent - 1; i >= 0; i--) push_front(ws, w->sent[i]);
    w->n_sent = 0;
}

// ---- opening

static int open_page(struct worker *w, struct error *err) {
    w->page_fd = memfd_create("stampede-score", MFD_CLOEXEC);
    if (w->page_fd >= 0 && ftruncate(w->page_fd, sizeof *w->page) == 0) {
        w->page = mmap(NULL, sizeof *w->page, PROT_READ | PROT_WRITE, MAP_SHARED, w->page_fd, 0);
        if (w->page != MAP_FAILED) {
            atomic_store(&w->page->ordinal, UINT32_MAX);
            return 0;
        }
    }
    w->page = NULL;
    return error_set(err, ERROR_INTERNAL, "No shared memory could be had: %s.", strerror(errno));
}

struct score_workers *score_workers_open(const struct score_options *options,
                                         const struct score_golds *golds, struct error *err) {
    struct score_workers *ws = memory_new(1, sizeof *ws);
    int failed = 0;
    ws->options = options;
    ws->golds = golds;
    ws->n = options->n_workers;
    ws->list = memory_new((size_t)ws->n, sizeof *ws->list);
    ws->stepped_ms = clock_ms();
    for (int i = 0; i < ws->n; i++) ws->list[i].in = ws->list[i].out = ws->list[i].page_fd = -1;
    for (int i = 0; i < ws->n && !failed; i++) {
        failed = open_page(&ws->list[i], err);
        if (!failed) failed = start(ws, &ws->list[i], err);
    }
    if (failed) score_workers_free(&ws);
    return ws;
}

void score_workers_free(struct score_workers **workers) {
    struct score_workers *ws = *workers;
    *workers = NULL;
    if (!ws) return;
    for (int i = 0; i < ws->n; i++) {
        struct worker *w = &ws->list[i];
        stop(w);
        if (w->page) munmap(w->page, sizeof *w->page);
        close_fd(&w->page_fd);
        buffer_free(&w->to);
        buffer_free(&w->from);
    }
    free(ws->list);
    free(ws);
}

// ---- batches

bool score_workers_hungry(const struct score_workers *ws) {
    int room = 0, queued = 0;
    for (int i = 0; i < ws->n; i++) room += MAX_SENT - ws->list[i].n_sent;
    for (const struct score_batch *b = ws->first; b; b = b->next) queued++;
    return queued < room;
}

void score_workers_submit(struct score_workers *ws, struct score_batch *batch) {
    batch->next = NULL;
    if (ws->last && ws->first)
        ws->last->next = batch;
    else
        ws->first = batch;
    ws->last = batch;
}

static void send_batch(struct worker *w, struct score_batch *b) {
    struct score_request request = {.batch = b->number,
                                    .n_records = b->n_records,
                                    .n_marks = b->n_marks,
                                    .file_len = (uint32_t)strlen(b->file),
                                    .format = (uint32_t)b->format,
                                    .records_len = b->records.len};
    buffer_add(&w->to, &request, sizeof request);
    buffer_add_text(&w->to, b->file);
    buffer_add(&w->to, b->marks, b->n_marks * sizeof *b->marks);
    buffer_add_slice(&w->to, buffer_slice(&b->records));
    w->sent[w->n_sent++] = b;
    b->next = NULL;
}

// The least busy worker gets the next batch.
static void assign(struct score_workers *ws) {
    while (ws->first) {
        struct worker *best = NULL;
        for (int i = 0; i < ws->n; i++) {
            struct worker *w = &ws->list[i];
            if (w->pid && w->n_sent < MAX_SENT && (!best || w->n_sent < best->n_sent)) best = w;
        }
        if (!best) return;
        struct score_batch *batch = ws->first;
        ws->first = batch->next;
        if (!ws->first) ws->last = NULL;
        send_batch(best, batch);
    }
}

static void flush(struct worker *w) {
    while (w->to_done < w->to.len) {
        ssize_t n = write(w->in, w->to.ptr + w->to_done, w->to.len - w->to_done);
        if (n < 0 && errno == EINTR) continue;
        if (n < 0) return; // full; or broken, which the end of its output tells
        w->to_done += (size_t)n;
    }
    buffer_clear(&w->to);
    w->to_done = 0;
}

// A whole reply at the front of what was read? -1: it is none that was asked for.
static int take_reply(struct worker *w) {
    struct score_reply reply;
    if (w->from.len < sizeof reply) return 0;
    memcpy(&reply, w->from.ptr, sizeof reply);
    if (w->n_sent == 0 || reply.batch != w->sent[0]->number) return -1;
    size_t len = sizeof reply + reply.text_len + reply.meta_len;
    if (w->from.len < len) return 0;
    struct score_batch *b = w->sent[0];
    buffer_clear(&b->reply);
    buffer_add(&b->reply, w->from.ptr + sizeof reply, len - sizeof reply);
    b->text_len = reply.text_len;
    b->done = true;
    buffer_free(&b->records);
    w->from.len -= len;
    memmove(w->from.ptr, w->from.ptr + len, w->from.len);
    w->n_sent--;
    memmove(w->sent, w->sent + 1, (size_t)w->n_sent * sizeof w->sent[0]);
    w->n_barren = 0;
    return 1;
}

// False: the process is gone, or wrote what it should not.
static bool receive(struct worker *w) {
    for (;;) {
        size_t before = w->from.len;
        char *to = buffer_extend(&w->from, READ_BYTES);
        ssize_t n = read(w->out, to, READ_BYTES);
        w->from.len = before + (n > 0 ? (size_t)n : 0);
        if (n < 0 && errno == EINTR) continue;
        if (n < 0) return errno == EAGAIN;
        if (n == 0) return false;
        int taken;
        while ((taken = take_reply(w)) > 0) {
        }
        if (taken < 0) return false;
        if ((size_t)n < READ_BYTES) return true;
    }
}

int score_workers_poll_fds(const struct score_workers *ws, struct pollfd *fds, int max) {
    int n = 0;
    for (int i = 0; i < ws->n && n + 2 <= max; i++) {
        const struct worker *w = &ws->list[i];
        if (!w->pid) continue;
        fds[n++] = (struct pollfd){.fd = w->out, .events = POLLIN};
        if (w->to.len) fds[n++] = (struct pollfd){.fd = w->in, .events = POLLOUT};
    }
    return n;
}

static bool is_stuck(struct worker *w, int64_t passed_ms) {
    uint64_t beat = atomic_load(&w->page->beat);
    if (w->n_sent == 0 || beat != w->beat) w->still_ms = 0;
    w->beat = beat;
    w->still_ms += w->n_sent ? passed_ms : 0;
    return w->still_ms >= STUCK_MS;
}

int score_workers_step(struct score_workers *ws, struct error *err) {
    int64_t now = clock_ms(), passed = now - ws->stepped_ms;
    ws->stepped_ms = now;
    if (passed > STEP_MS) passed = STEP_MS;
    for (int i = 0; i < ws->n; i++) {
        struct worker *w = &ws->list[i];
        if (w->pid && !receive(w))
            drop(ws, w, REWARD_CRASH);
        else if (w->pid && is_stuck(w, passed))
            drop(ws, w, REWARD_TIMEOUT);
        if (ws->hopeless)
            return error_set(err, ERROR_INTERNAL,
                             "A worker process died again on a record that it does not read.");
        if (!w->pid && start(ws, w, err)) return -1;
    }
    assign(ws);
    for (int i = 0; i < ws->n; i++) flush(&ws->list[i]);
    return 0;
}
