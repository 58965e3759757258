#include "verifiers/score/score_output.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "protocol/base/clock.h"
#include "protocol/base/memory.h"
#include "verifiers/score/score_file.h"
#include "verifiers/score/score_part.h"

enum { SYNC_MS = 5000 };

struct score_output {
    int stream;             // -1: it is a file, with
    struct score_part part; // its rows and
    int journal;
    char *path;
    uint64_t n_bytes;
    int64_t synced_ms;
};

static int io_error(const struct score_output *out, const char *what, struct error *err) {
    return error_set(err, ERROR_IO, "The output %s cannot be %s: %s.",
                     out->part.path ? out->part.path : out->path, what, strerror(errno));
}

// ---- Resuming ----------------------------------------------------------------------------------

struct resuming {
    score_block_fn *take; // NULL: blocks are only looked at
    void *self;
    uint64_t n_bytes, next;
    bool ended;
};

static int take_over(void *self, const struct score_block *block, struct error *err) {
    struct resuming *r = self;
    r->n_bytes = block->n_bytes;
    r->next = block->next_index;
    r->ended = block->kind == SCORE_BLOCK_END;
    return r->take ? r->take(r->self, block, err) : 0;
}

static int begin(struct score_output *out, const struct score_identity *identity,
                 struct error *err) {
    if (ftruncate(out->part.fd, 0)) return io_error(out, "emptied", err);
    out->journal = score_journal_create(out->path, identity, err);
    return out->journal < 0 ? -1 : 0;
}

// Cuts both files behind the last block that is whole.
static int go_on(struct score_output *out, uint64_t n_journal, struct resuming *r,
                 struct error *err) {
    out->journal = score_journal_go_on(out->path, n_journal, err);
    if (out->journal < 0) return -1;
    if (ftruncate(out->part.fd, (off_t)r->n_bytes) || lseek(out->part.fd, 0, SEEK_END) < 0)
        return io_error(out, "cut to where it was", err);
    out->n_bytes = r->n_bytes;
    return 0;
}

static int check_identity(const struct score_output *out, const struct score_identity *old,
                          const struct score_identity *identity, struct error *err) {
    if (old->input != identity->input)
        return error_set(err, ERROR_USAGE,
                         "--resume: the input files are not those that %s was begun with.",
                         out->path);
    if (memcmp(old, identity, sizeof *old) == 0) return 0;
    return error_set(err, ERROR_USAGE,
                     "--resume: %s was begun with other options, or by another version.",
                     out->path);
}

// `n_part`: bytes of OUTPUT.part, `n_whole`: of OUTPUT; -1 where there is none.
static int resume(struct score_output *out, const struct score_identity *identity, int64_t n_part,
                  int64_t n_whole, struct resuming *r, struct error *err) {
    struct score_identity old;
    uint64_t n_journal;
    struct error why;
    const uint64_t have = (uint64_t)(n_part >= 0 ? n_part : n_whole >= 0 ? n_whole : 0);
    struct resuming look = {0};
    // The journal is checked before anything is taken from it.
    if (score_journal_read(out->path, have, &old, &n_journal, take_over, &look, &why)) {
        if (why.code != ERROR_INPUT || have > 0)
            return error_set(err, ERROR_USAGE, "--resume: %s", why.text);
        return begin(out, identity, err); // it was killed before the first row
    }
    if (check_identity(out, &old, identity, err)) return -1;
    // The rows are gone; an OUTPUT that is there is of an earlier run, and stays until the end.
    if (n_part < 0 && !look.ended) return begin(out, identity, err);
    if (score_journal_read(out->path, have, &old, &n_journal, take_over, r, err)) return -1;
    return n_part < 0 ? 0 : go_on(out, n_journal, r, err);
}

// ---- Opening -----------------------------------------------------------------------------------

static int64_t size_of(const char *path) {
    struct stat st;
    return stat(path, &st) == 0 ? (int64_t)st.st_size : -1;
}

static int open_part(struct score_output *out, const struct score_identity *identity,
                     bool is_resumed, struct resuming *r, struct error *err) {
    if (score_part_open(out->path, &out->part, err)) return -1;
    const bool is_new = out->part.is_new;
    const int64_t n_part = is_new ? -1 : size_of(out->part.path), n_whole = size_of(out->path);
    int failed =
        is_resumed ? resume(out, identity, n_part, n_whole, r, err) : begin(out, identity, err);
    if (!failed && r->ended && !is_new) // killed just before
        failed = score_part_finish(&out->part, err);
    // What was made for the lock is no part of anything.
    if (is_new && (failed || r->ended)) score_part_close(&out->part, true);
    return failed;
}

struct score_output *score_output_open(const char *path, bool resume,
                                       const struct score_identity *identity, score_block_fn *take,
                                       void *self, uint64_t *next, bool *ended, struct error *err) {
    struct score_output *out = memory_new(1, sizeof *out);
    struct resuming r = {.take = take, .self = self};
    int failed = 0;
    out->path = memory_copy(path, strlen(path));
    out->stream = out->part.fd = out->journal = -1;
    out->synced_ms = clock_ms();
    if (score_file_is_stream(path) && resume) {
        failed = error_set(err, ERROR_USAGE,
                           "--resume needs a regular file as --output, which %s is not.", path);
    } else if (score_file_is_stream(path)) {
        out->stream = strcmp(path, "-") == 0 ? STDOUT_FILENO
                                             : open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0666);
        if (out->stream < 0) failed = io_error(out, "opened", err);
    } else {
        failed = open_part(out, identity, resume, &r, err);
    }
    *next = r.next;
    *ended = r.ended;
    if (failed) score_output_free(&out);
    return out;
}

// ---- Rows --------------------------------------------------------------------------------------

int score_output_write(struct score_output *out, struct slice text, struct slice meta,
                       uint64_t next_index, struct error *err) {
    const int fd = out->journal < 0 ? out->stream : out->part.fd;
    if (score_file_write(fd, text)) return io_error(out, "written", err);
    out->n_bytes += text.len;
    if (out->journal < 0) return 0;
    if (clock_ms() - out->synced_ms > SYNC_MS) {
        if (fdatasync(fd)) return io_error(out, "written", err);
        out->synced_ms = clock_ms();
    }
    const struct score_block block = {SCORE_BLOCK_ROWS, out->n_bytes, next_index, meta};
    return score_journal_add(out->journal, out->path, &block, err);
}

int score_output_finish(struct score_output *out, uint64_t n_records, struct error *err) {
    if (out->journal >= 0) {
        if (fdatasync(out->part.fd)) return io_error(out, "written", err);
        const struct score_block block = {SCORE_BLOCK_END, out->n_bytes, n_records, {NULL, 0}};
        if (score_journal_add(out->journal, out->path, &block, err)) return -1;
        fdatasync(out->journal);
        return score_part_finish(&out->part, err);
    }
    const int fd = out->stream;
    out->stream = -1;
    return fd != STDOUT_FILENO && close(fd) ? io_error(out, "closed", err) : 0;
}

const char *score_output_part(const struct score_output *out) {
    return out->part.path;
}

void score_output_free(struct score_output **out) {
    struct score_output *o = *out;
    *out = NULL;
    if (!o) return;
    if (o->stream > STDERR_FILENO) close(o->stream);
    score_part_close(&o->part, false);
    if (o->journal >= 0) close(o->journal);
    free(o->path);
    free(o);
}
