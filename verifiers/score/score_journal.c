#include "verifiers/score/score_journal.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

#include "protocol/base/buffer.h"
#include "protocol/base/hash.h"
#include "verifiers/score/score_file.h"

enum { MAGIC = 0x316a7373, MAX_PAYLOAD_BYTES = 1 << 30, MAX_PATH = 4096 };

struct head {
    uint32_t magic, kind;
    uint64_t n_bytes, next_index, payload_len, payload_hash;
    uint64_t hash; // of what is above
};

static void journal_path(const char *output, char path[MAX_PATH]) {
    snprintf(path, MAX_PATH, "%s.journal", output);
}

static int io_error(const char *output, const char *what, struct error *err) {
    return error_set(err, ERROR_IO, "The journal %s.journal cannot be %s: %s.", output, what,
                     strerror(errno));
}

int score_journal_add(int journal, const char *output, const struct score_block *block,
                      struct error *err) {
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
    const int failed = score_file_write(journal, buffer_slice(&bytes));
    buffer_free(&bytes);
    return failed ? io_error(output, "written", err) : 0;
}

// The next whole block, its payload in `to`. False: the journal ends, or is torn, here.
static bool read_block(int fd, struct buffer *to, struct score_block *out) {
    struct head h;
    if (score_file_read(fd, &h, sizeof h) < sizeof h || h.magic != MAGIC ||
        h.hash != hash_bytes(&h, offsetof(struct head, hash)) || h.payload_len > MAX_PAYLOAD_BYTES)
        return false;
    buffer_clear(to);
    if (score_file_read(fd, buffer_extend(to, h.payload_len), h.payload_len) < h.payload_len)
        return false;
    if (hash_bytes(to->ptr, to->len) != h.payload_hash) return false;
    *out = (struct score_block){(enum score_block_kind)h.kind, h.n_bytes, h.next_index,
                                buffer_slice(to)};
    return true;
}

int score_journal_read(const char *output, uint64_t have, struct score_identity *identity,
                       uint64_t *n_good, score_block_fn *take, void *self, struct error *err) {
    char path[MAX_PATH];
    struct buffer bytes = {0};
    struct score_block block;
    journal_path(output, path);
    *n_good = 0;
    const int fd = open(path, O_RDONLY | O_CLOEXEC);
    int failed = 0;
    if (fd < 0) {
        const enum error_code code = errno == ENOENT ? ERROR_INPUT : ERROR_IO;
        io_error(output, "opened", err);
        if (err) err->code = code;
        return -1;
    }
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

int score_journal_create(const char *output, const struct score_identity *identity,
                         struct error *err) {
    char path[MAX_PATH];
    journal_path(output, path);
    const int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
    if (fd < 0) return io_error(output, "opened", err);
    const struct score_block head = {
        SCORE_BLOCK_HEAD, 0, 0, {(const char *)identity, sizeof *identity}};
    if (score_journal_add(fd, output, &head, err) == 0) return fd;
    close(fd);
    return -1;
}

int score_journal_go_on(const char *output, uint64_t n_good, struct error *err) {
    char path[MAX_PATH];
    journal_path(output, path);
    const int fd = open(path, O_WRONLY | O_CLOEXEC);
    if (fd >= 0 && ftruncate(fd, (off_t)n_good) == 0 && lseek(fd, 0, SEEK_END) >= 0) return fd;
    io_error(output, "gone on with", err);
    if (fd >= 0) close(fd);
    return -1;
}
