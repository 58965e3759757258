#include "verifiers/score/score_output.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "protocol/base/clock.h"
#include "protocol/base/memory.h"
#include "verifiers/score/score_file.h"

enum { SYNC_MS = 5000 };

struct score_output {
    int fd, journal; // journal -1: none
    char *path;
    char *target; // what `path` leads to, where it is a link
    char *part;   // TARGET.part; NULL: written as it is
    uint64_t n_bytes;
    int64_t synced_ms;
};

static int io_error(const struct score_output *out, const char *what, struct error *err) {
    return error_set(err, ERROR_IO, "The output %s cannot be %s: %s.",
                     out->part ? out->part : out->path, what, strerror(errno));
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
    if (ftruncate(out->fd, 0)) return io_error(out, "emptied", err);
    out->journal = score_journal_create(out->path, identity, err);
    return out->journal < 0 ? -1 : 0;
}

// Cuts both files behind the last block that is whole.
static int go_on(struct score_output *out, uint64_t n_journal, struct resuming *r,
                 struct error *err) {
    out->journal = score_journal_go_on(out->path, n_journal, err);
    if (out->journal < 0) return -1;
    if (ftruncate(out->fd, (off_t)r->n_bytes) || lseek(out->fd, 0, SEEK_END) < 0)
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

static int give_name(struct score_output *out, struct error *err) {
    if (rename(out->part, out->target)) return io_error(out, "renamed", err);
    score_file_sync_folder(out->target);
    return 0;
}

// Links are followed: the new file goes where the old one is.
static char *target_of(const char *path) {
    struct stat st;
    char *real = lstat(path, &st) == 0 && S_ISLNK(st.st_mode) ? realpath(path, NULL) : NULL;
    return real ? real : memory_copy(path, strlen(path));
}

// The lock keeps a second run, such as a pod that is started again too early, from the same file.
static int open_part(struct score_output *out, const struct score_identity *identity,
                     bool is_resumed, struct resuming *r, struct error *err) {
    const int64_t n_part = size_of(out->part), n_whole = size_of(out->path);
    out->fd = open(out->part, O_WRONLY | O_CREAT | O_CLOEXEC, 0666);
    if (out->fd < 0) return io_error(out, "opened", err);
    if (flock(out->fd, LOCK_EX | LOCK_NB) && errno == EWOULDBLOCK)
        return error_set(err, ERROR_USAGE, "Another run is writing %s.", out->part);
    int failed =
        is_resumed ? resume(out, identity, n_part, n_whole, r, err) : begin(out, identity, err);
    if (!failed && r->ended && n_part >= 0) failed = give_name(out, err); // killed just before
    // What was made for the lock is no part of anything.
    if (n_part < 0 && (failed || r->ended)) unlink(out->part);
    return failed;
}

struct score_output *score_output_open(const char *path, bool resume,
                                       const struct score_identity *identity, score_block_fn *take,
                                       void *self, uint64_t *next, bool *ended, struct error *err) {
    struct score_output *out = memory_new(1, sizeof *out);
    struct resuming r = {.take = take, .self = self};
    int failed = 0;
    out->path = memory_copy(path, strlen(path));
    out->fd = out->journal = -1;
    out->synced_ms = clock_ms();
    if (score_file_is_stream(path) && resume) {
        failed = error_set(err, ERROR_USAGE,
                           "--resume needs a regular file as --output, which %s is not.", path);
    } else if (score_file_is_stream(path)) {
        out->fd = strcmp(path, "-") == 0 ? STDOUT_FILENO
                                         : open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0666);
        if (out->fd < 0) failed = io_error(out, "opened", err);
    } else {
        out->target = target_of(path);
        out->part = memory_new(strlen(out->target) + sizeof ".part", 1);
        stpcpy(stpcpy(out->part, out->target), ".part");
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
    if (score_file_write(out->fd, text)) return io_error(out, "written", err);
    out->n_bytes += text.len;
    if (out->journal < 0) return 0;
    if (clock_ms() - out->synced_ms > SYNC_MS) {
        if (fdatasync(out->fd)) return io_error(out, "written", err);
        out->synced_ms = clock_ms();
    }
    const struct score_block block = {SCORE_BLOCK_ROWS, out->n_bytes, next_index, meta};
    return score_journal_add(out->journal, out->path, &block, err);
}

int score_output_finish(struct score_output *out, uint64_t n_records, struct error *err) {
    if (out->journal >= 0) {
        if (fdatasync(out->fd)) return io_error(out, "written", err);
        const struct score_block block = {SCORE_BLOCK_END, out->n_bytes, n_records, {NULL, 0}};
        if (score_journal_add(out->journal, out->path, &block, err)) return -1;
        fdatasync(out->journal);
        if (give_name(out, err)) return -1;
    }
    const int fd = out->fd;
    out->fd = -1;
    if (fd != STDOUT_FILENO && close(fd)) return io_error(out, "closed", err);
    return 0;
}

const char *score_output_part(const struct score_output *out) {
    return out->part;
}

void score_output_free(struct score_output **out) {
    struct score_output *o = *out;
    *out = NULL;
    if (!o) return;
    if (o->fd > STDERR_FILENO) close(o->fd);
    if (o->journal >= 0) close(o->journal);
    free(o->path);
    free(o->target);
    free(o->part);
    free(o);
}
