#include "verifiers/score/score_journal.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "protocol/base/clock.h"
#include "protocol/base/hash.h"
#include "protocol/base/memory.h"

enum { MAGIC = 0x316a7373, SYNC_MS = 5000, MAX_PAYLOAD_BYTES = 1 << 30 };

struct head {
    uint32_t magic, kind;
    uint64_t n_bytes, next_index, payload_len, payload_hash;
    uint64_t hash; // of what is above
};

struct score_output {
    int fd, journal; // journal -1: none
    char *path;
    uint64_t n_bytes;
    int64_t synced_ms;
};

static void journal_path(const char *output, char path[4096]) {
    snprintf(path, 4096, "%s.journal", output);
}

static int write_all(int fd, struct slice s) {
    for (size_t done = 0; done < s.len;) {
        ssize_t n = write(fd, s.ptr + done, s.len - done);
        if (n < 0 && errno != EINTR) return -1;
        if (n > 0) done += (size_t)n;
    }
    return 0;
}

static size_t read_full(int fd, void *to, size_t len) {
    size_t done = 0;
    while (done < len) {
        ssize_t n = read(fd, (char *)to + done, len - done);
        if (n == 0 || (n < 0 && errno != EINTR)) break;
        if (n > 0) done += (size_t)n;
    }
    return done;
}

static int add_block(struct score_output *out, const struct score_block *block, struct error *err) {
    struct head h = {MAGIC,
                     (uint32_t)block->kind,
                     block->n_bytes,
                     block->next_index,
                     block->payload.len,
                     hash_bytes(block->payload.ptr, block->payload.len),
                     0};
    h.hash = hash_bytes(&h, offsetof(struct head, hash));
    struct buffer bytes = {0};
    buffer_add(&bytes, &h, sizeof h);
    buffer_add_slice(&bytes, block->payload);
    int failed = write_all(out->journal, buffer_slice(&bytes));
    buffer_free(&bytes);
    if (!failed) return 0;
    return error_set(err, ERROR_IO, "The journal %s.journal cannot be written: %s.", out->path,
                     strerror(errno));
}

// The next whole block, its payload in `to`. False: the journal ends, or is torn, here.
static bool read_block(int fd, struct buffer *to, struct score_block *out) {
    struct head h;
    if (read_full(fd, &h, sizeof h) < sizeof h || h.magic != MAGIC ||
        h.hash != hash_bytes(&h, offsetof(struct head, hash)) || h.payload_len > MAX_PAYLOAD_BYTES)
        return false;
    buffer_clear(to);
    if (read_full(fd, buffer_extend(to, h.payload_len), h.payload_len) < h.payload_len)
        return false;
    if (hash_bytes(to->ptr, to->len) != h.payload_hash) return false;
    *out = (struct score_block){(enum score_block_kind)h.kind, h.n_bytes, h.next_index,
                                buffer_slice(to)};
    return true;
}

int score_journal_read(const char *output, struct score_identity *identity, uint64_t *n_good,
                       score_block_fn *take, void *self, struct error *err) {
    char path[4096];
    struct buffer bytes = {0};
    struct score_block block;
    struct stat st;
    journal_path(output, path);
    *n_good = 0;
    // Blocks that say more than the output holds are of rows that a crash of the machine lost.
    uint64_t have = stat(output, &st) == 0 ? (uint64_t)st.st_size : 0;
    int fd = open(path, O_RDONLY | O_CLOEXEC), failed = 0;
    if (fd < 0)
        return error_set(err, errno == ENOENT ? ERROR_INPUT : ERROR_IO,
                         "The journal %s cannot be opened: %s.", path, strerror(errno));
    if (!read_block(fd, &bytes, &block) || block.kind != SCORE_BLOCK_HEAD ||
        block.payload.len != sizeof *identity) {
        failed = error_set(err, ERROR_INPUT, "The journal %s has no whole head.", path);
    } else {
        memcpy(identity, block.payload.ptr, sizeof *identity);
        *n_good = (uint64_t)lseek(fd, 0, SEEK_CUR);
    }
    while (!failed && read_block(fd, &bytes, &block) && block.n_bytes <= have) {
        *n_good = (uint64_t)lseek(fd, 0, SEEK_CUR);
        failed = take(self, &block, err);
    }
    close(fd);
    buffer_free(&bytes);
    return failed;
}

// ---- opening

struct resuming {
    score_block_fn *take;
    void *self;
    uint64_t n_bytes, next;
    bool ended;
};

static int take_over(void *self, const struct score_block *block, struct error *err) {
    struct resuming *r = self;
    r->n_bytes = block->n_bytes;
    r->next = block->next_index;
    r->ended = block->kind == SCORE_BLOCK_END;
    return r->take(r->self, block, err);
}

static int io_error(const struct score_output *out, const char *what, struct error *err) {
    return error_set(err, ERROR_IO, "The output %s cannot be %s: %s.", out->path, what,
                     strerror(errno));
}

static int start_journal(struct score_output *out, const struct score_identity *identity,
                         struct error *err) {
    char path[4096];
    journal_path(out->path, path);
    if (ftruncate(out->fd, 0)) return io_error(out, "emptied", err);
    out->journal = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
    if (out->journal < 0) return io_error(out, "journaled", err);
    const struct score_block head = {
        SCORE_BLOCK_HEAD, 0, 0, {(const char *)identity, sizeof *identity}};
    return add_block(out, &head, err);
}

// Cuts both files behind the last block that is whole.
static int go_on(struct score_output *out, uint64_t n_journal, struct resuming *r,
                 struct error *err) {
    char path[4096];
    journal_path(out->path, path);
    out->journal = open(path, O_WRONLY | O_CLOEXEC);
    if (out->journal < 0 || ftruncate(out->journal, (off_t)n_journal) ||
        lseek(out->journal, 0, SEEK_END) < 0)
        return io_error(out, "journaled", err);
    if (ftruncate(out->fd, (off_t)r->n_bytes) || lseek(out->fd, 0, SEEK_END) < 0)
        return io_error(out, "cut to where it was", err);
    out->n_bytes = r->n_bytes;
    return 0;
}

static int open_resumed(struct score_output *out, const struct score_identity *identity,
                        struct resuming *r, struct error *err) {
    struct score_identity old;
    uint64_t n_journal;
    struct error why;
    struct stat st;
    // The journal is checked before anything is taken from it.
    if (score_journal_read(out->path, &old, &n_journal, take_over, r, &why)) {
        if (why.code != ERROR_INPUT || fstat(out->fd, &st) || st.st_size > 0)
            return error_set(err, ERROR_USAGE, "--resume: %s", why.text);
        *r = (struct resuming){.take = r->take, .self = r->self};
        return start_journal(out, identity, err); // it was killed before the first row
    }
    if (old.input != identity->input)
        return error_set(err, ERROR_USAGE,
                         "--resume: the input files are not those that %s was begun with.",
                         out->path);
    if (memcmp(&old, identity, sizeof old) != 0)
        return error_set(err, ERROR_USAGE,
                         "--resume: %s was begun with other options, or by another version.",
                         out->path);
    return go_on(out, n_journal, r, err);
}

struct score_output *score_output_open(const char *path, bool resume,
                                       const struct score_identity *identity, score_block_fn *take,
                                       void *self, uint64_t *next, bool *ended, struct error *err) {
    struct score_output *out = memory_new(1, sizeof *out);
    struct resuming r = {.take = take, .self = self};
    struct stat st;
    int failed = 0;
    out->path = memory_copy(path, strlen(path));
    out->journal = -1;
    out->synced_ms = clock_ms();
    out->fd =
        strcmp(path, "-") == 0 ? STDOUT_FILENO : open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0666);
    if (out->fd < 0 || fstat(out->fd, &st))
        failed = io_error(out, "opened", err);
    else if (out->fd != STDOUT_FILENO && S_ISREG(st.st_mode))
        failed = resume ? open_resumed(out, identity, &r, err) : start_journal(out, identity, err);
    else if (resume)
        failed = error_set(err, ERROR_USAGE,
                           "--resume needs a regular file as --output, which %s is not.", path);
    *next = r.next;
    *ended = r.ended;
    if (failed) score_output_free(&out);
    return out;
}

int score_output_write(struct score_output *out, struct slice text, struct slice meta,
                       uint64_t next_index, struct error *err) {
    if (write_all(out->fd, text)) return io_error(out, "written", err);
    out->n_bytes += text.len;
    if (out->journal < 0) return 0;
    if (clock_ms() - out->synced_ms > SYNC_MS) {
        if (fdatasync(out->fd)) return io_error(out, "written", err);
        out->synced_ms = clock_ms();
    }
    const struct score_block block = {SCORE_BLOCK_ROWS, out->n_bytes, next_index, meta};
    return add_block(out, &block, err);
}

int score_output_finish(struct score_output *out, uint64_t n_records, struct error *err) {
    if (out->journal >= 0) {
        if (fdatasync(out->fd)) return io_error(out, "written", err);
        const struct score_block block = {SCORE_BLOCK_END, out->n_bytes, n_records, {NULL, 0}};
        if (add_block(out, &block, err)) return -1;
        fdatasync(out->journal);
    }
    int fd = out->fd;
    out->fd = -1;
    if (fd != STDOUT_FILENO && close(fd)) return io_error(out, "closed", err);
    return 0;
}

bool score_output_has_journal(const struct score_output *out) {
    return out->journal >= 0;
}

void score_output_free(struct score_output **out) {
    struct score_output *o = *out;
    *out = NULL;
    if (!o) return;
    if (o->fd > STDERR_FILENO) close(o->fd);
    if (o->journal >= 0) close(o->journal);
    free(o->path);
    free(o);
}
