#include "verifiers/score/score_workers.h"

#include <errno.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

enum {
    MAX_SENT = 2,
    PIPE_BYTES = 1 << 20,
    STUCK_MS = 60000, // with one record
    MAX_BARREN = 5,   // starts in a row without one record
    MAX_DEATHS = 3,   // at a record that is not even parsed any more
};

_Static_assert((int)SCORE_PAGE_FD == (int)PROCESS_FIRST_FD, "where a worker looks for its page");

struct worker {
    struct score_page *page;
    int page_fd;
};

struct score_workers {
    struct supervisor *supervisor;
    const struct score_golds *golds;
    struct worker *list; // (n)
    int n;
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

// ---- What the supervisor asks ------------------------------------------------------------------

static int give(void *self, int child, int fds[PROCESS_MAX_FDS]) {
    const struct score_workers *ws = self;
    const struct worker *w = &ws->list[child];
    atomic_store(&w->page->beat, 0);
    atomic_store(&w->page->ordinal, UINT32_MAX);
    fds[0] = w->page_fd;
    if (!ws->golds) return 1;
    fds[SCORE_GOLDS_INDEX_FD - SCORE_PAGE_FD] = ws->golds->index_fd;
    fds[SCORE_GOLDS_ROWS_FD - SCORE_PAGE_FD] = ws->golds->rows_fd;
    return 3;
}

static uint64_t progress(void *self, int child) {
    const struct score_workers *ws = self;
    return atomic_load(&ws->list[child].page->beat);
}

static void send_batch(void *self, int child, struct supervisor_job *queued, struct buffer *to) {
    const struct score_batch *b = (struct score_batch *)queued;
    const struct score_request request = {.batch = b->number,
                                          .n_records = b->n_records,
                                          .n_marks = b->n_marks,
                                          .file_len = (uint32_t)strlen(b->file),
                                          .format = (uint32_t)b->format,
                                          .records_len = b->records.len};
    (void)self;
    (void)child;
    buffer_add(to, &request, sizeof request);
    buffer_add_text(to, b->file);
    buffer_add(to, b->marks, b->n_marks * sizeof *b->marks);
    buffer_add_slice(to, buffer_slice(&b->records));
}

static ptrdiff_t measure(void *self, const struct supervisor_job *queued, struct slice bytes,
                         struct error *err) {
    const struct score_batch *b = (const struct score_batch *)queued;
    struct score_reply reply;
    (void)self;
    if (bytes.len < sizeof reply) return 0;
    memcpy(&reply, bytes.ptr, sizeof reply);
    if (!b || reply.batch != b->number || reply.text_len > PTRDIFF_MAX / 4 ||
        reply.meta_len > PTRDIFF_MAX / 4)
        return error_set(err, ERROR_INTERNAL, "The worker's reply is none that was asked for.");
    const size_t len = sizeof reply + reply.text_len + reply.meta_len;
    return bytes.len < len ? 0 : (ptrdiff_t)len;
}

static int receive(void *self, struct supervisor_job *queued, struct slice bytes,
                   struct error *err) {
    struct score_batch *b = (struct score_batch *)queued;
    struct score_reply reply;
    (void)self;
    (void)err;
    memcpy(&reply, bytes.ptr, sizeof reply);
    buffer_clear(&b->reply);
    buffer_add(&b->reply, bytes.ptr + sizeof reply, bytes.len - sizeof reply);
    b->text_len = reply.text_len;
    b->done = true;
    buffer_free(&b->records);
    return 0;
}

static void blame(struct score_workers *ws, struct score_batch *batch, uint32_t ordinal,
                  enum supervisor_loss loss) {
    if (ordinal >= batch->n_records) return;
    for (uint32_t i = 0; i < batch->n_marks; i++)
        if (batch->marks[i].ordinal == ordinal) {
            batch->marks[i].unread++; // it is not even parsed without dying
            ws->hopeless = ws->hopeless || batch->marks[i].unread > MAX_DEATHS;
            return;
        }
    if (loss == SUPERVISOR_CRASH && batch->suspect != ordinal) {
        batch->suspect = ordinal;
        return;
    }
    const uint16_t status = loss == SUPERVISOR_TIMEOUT ? REWARD_TIMEOUT : REWARD_CRASH;
    batch->marks = memory_resize(batch->marks, batch->n_marks + 1, sizeof *batch->marks);
    batch->marks[batch->n_marks++] = (struct score_mark){ordinal, status, 0};
}

// The batch is tried again, without the record that was to blame.
static bool lost(void *self, int child, struct supervisor_job *queued, enum supervisor_loss loss,
                 const char *why) {
    struct score_workers *ws = self;
    const struct score_page *page = ws->list[child].page;
    (void)why;
    if (queued) blame(ws, (struct score_batch *)queued, atomic_load(&page->ordinal), loss);
    return true;
}

static const struct supervisor_kind KIND = {.send = send_batch,
                                            .measure = measure,
                                            .receive = receive,
                                            .lost = lost,
                                            .progress = progress,
                                            .give = give};

// ---- The workers -------------------------------------------------------------------------------

static int open_page(struct worker *w, struct error *err) {
    w->page_fd = memfd_create("stampede-score", MFD_CLOEXEC);
    if (w->page_fd >= 0 && ftruncate(w->page_fd, sizeof *w->page) == 0) {
        w->page = mmap(NULL, sizeof *w->page, PROT_READ | PROT_WRITE, MAP_SHARED, w->page_fd, 0);
        if (w->page != MAP_FAILED) return 0;
    }
    w->page = NULL;
    return error_set(err, ERROR_INTERNAL, "No shared memory could be had: %s.", strerror(errno));
}

struct score_workers *score_workers_open(const struct score_options *options,
                                         const struct score_golds *golds, struct error *err) {
    struct score_workers *ws = memory_new(1, sizeof *ws);
    int failed = 0;
    ws->golds = golds;
    ws->n = options->n_workers;
    ws->list = memory_new((size_t)ws->n, sizeof *ws->list);
    for (int i = 0; i < ws->n; i++) ws->list[i].page_fd = -1;
    for (int i = 0; i < ws->n && !failed; i++) failed = open_page(&ws->list[i], err);
    const struct supervisor_options o = {.kind = &KIND,
                                         .self = ws,
                                         .program = options->program,
                                         .argv = options->child_argv,
                                         .n_children = ws->n,
                                         .max_sent = MAX_SENT,
                                         .deadline_ms = STUCK_MS,
                                         .max_barren = MAX_BARREN,
                                         .pipe_bytes = PIPE_BYTES,
                                         .has_path = options->n_externals > 0};
    if (!failed) ws->supervisor = supervisor_open(&o, err);
    if (!ws->supervisor) score_workers_free(&ws);
    return ws;
}

void score_workers_free(struct score_workers **workers) {
    struct score_workers *ws = *workers;
    *workers = NULL;
    if (!ws) return;
    supervisor_free(&ws->supervisor, NULL); // batches are the caller's
    for (int i = 0; i < ws->n; i++) {
        if (ws->list[i].page) munmap(ws->list[i].page, sizeof *ws->list[i].page);
        if (ws->list[i].page_fd >= 0) close(ws->list[i].page_fd);
    }
    free(ws->list);
    free(ws);
}

bool score_workers_hungry(const struct score_workers *ws) {
    return supervisor_room(ws->supervisor) > 0;
}

void score_workers_submit(struct score_workers *ws, struct score_batch *batch) {
    supervisor_submit(ws->supervisor, &batch->queued);
}

int score_workers_fd(const struct score_workers *ws) {
    return supervisor_fd(ws->supervisor);
}

int score_workers_step(struct score_workers *ws, struct error *err) {
    if (supervisor_step(ws->supervisor, err)) return -1;
    if (!ws->hopeless) return 0;
    return error_set(err, ERROR_INTERNAL,
                     "A worker process died again on a record that it does not read.");
}
