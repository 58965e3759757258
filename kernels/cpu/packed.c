// The file is a header, the digests, the hashes of the pieces, and from DATA_AT on the bytes of the
// weights' region. All numbers are little-endian.
#include "kernels/cpu/packed.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "kernels/cpu/backend.h"
#include "protocol/base/buffer.h"
#include "protocol/base/hash.h"
#include "protocol/base/memory.h"

enum { PIECE = 16 << 20, PAGE = 1 << 16 };

static const char MAGIC[8] = "stmppack";

struct header {
    char magic[8];
    uint32_t layout;    // PACKED_LAYOUT
    uint32_t n_weights; // the tables' lengths
    uint32_t n_pieces, zero;
    uint64_t bytes;      // of the weights
    uint64_t model;      // hash of names, shapes and resident types
    uint64_t source;     // the caller's, what the values were read from
    uint64_t table_hash; // of both tables
    uint64_t hash;       // of all before
};

// What is hashed, read or written at once.
struct pieces {
    char *data;
    size_t bytes;
    uint64_t *hashes; // (n)
    int n;
    int fd; // where they come from, to be read ahead; -1: from memory
    uint64_t at;
};

static size_t data_at(const struct header *h) {
    size_t n = sizeof *h + 8 * ((size_t)h->n_weights + (size_t)h->n_pieces);
    return (n + PAGE - 1) & ~(size_t)(PAGE - 1);
}

static void hash_piece(void *arg, int i, int thread) {
    (void)thread;
    const struct pieces *p = arg;
    size_t first = (size_t)i * PIECE, left = p->bytes - first;
    size_t n = left < PIECE ? left : PIECE;
    if (p->fd >= 0) posix_fadvise(p->fd, (off_t)(p->at + first), (off_t)n, POSIX_FADV_WILLNEED);
    p->hashes[i] = hash_bytes(p->data + first, n);
}

// Hashes of all pieces, on all threads, to free().
static uint64_t *hash_pieces(struct cpu *c, struct pieces *p) {
    p->hashes = memory_new((size_t)p->n, sizeof *p->hashes);
    pool_run(c->pool, p->n, false, hash_piece, p);
    return p->hashes;
}

static uint64_t hash_model(const struct cpu *c) {
    struct buffer b = {0};
    buffer_add(&b, c->hashes, (size_t)c->weights.n * sizeof *c->hashes);
    for (int i = 0; i < c->weights.n; i++) {
        const struct weight_slot *s = &c->weights.slots[i];
        int32_t one[4] = {(int32_t)s->dtype, s->layout == WEIGHT_PACKED, s->rows, s->columns};
        buffer_add(&b, one, sizeof one);
    }
    uint64_t hash = hash_bytes(b.ptr, b.len);
    buffer_free(&b);
    return hash;
}

// The header that belongs to these weights; hashes of tables and of itself are left out.
static struct header header_of(const struct cpu *c, uint64_t source) {
    struct header h = {.layout = PACKED_LAYOUT,
                       .n_weights = (uint32_t)c->weights.n,
                       .bytes = c->weights.bytes,
                       .model = hash_model(c),
                       .source = source};
    memcpy(h.magic, MAGIC, sizeof h.magic);
    h.n_pieces = (uint32_t)((h.bytes + PIECE - 1) / PIECE);
    return h;
}

static uint64_t hash_header(const struct header *h) {
    return hash_bytes(h, offsetof(struct header, hash));
}

// ------------------------------------------------------------------ mapping

static int read_all(int fd, void *to, size_t n, uint64_t at) {
    for (size_t got = 0; got < n;) {
        ssize_t r = pread(fd, (char *)to + got, n - got, (off_t)(at + got));
        if (r < 0 && errno == EINTR) continue;
        if (r <= 0) return -1;
        got += (size_t)r;
    }
    return 0;
}

static int check_header(const struct header *found, const struct header *want, uint64_t file_bytes,
                        struct error *err) {
    if (memcmp(found->magic, MAGIC, sizeof MAGIC) != 0)
        return error_set(err, ERROR_CONFIG, "It is no file of packed weights.");
    if (found->layout != want->layout)
        return error_set(err, ERROR_CONFIG, "It has layout %u; %u was expected.", found->layout,
                         want->layout);
    if (found->hash != hash_header(found))
        return error_set(err, ERROR_CONFIG, "Its header is damaged.");
    if (found->model != want->model || found->bytes != want->bytes ||
        found->n_weights != want->n_weights || found->n_pieces != want->n_pieces)
        return error_set(err, ERROR_CONFIG,
                         "It holds a model of another shape or with other resident types.");
    if (found->source != want->source)
        return error_set(err, ERROR_CONFIG,
                         "It was made from other files than the model's present ones.");
    if (file_bytes == data_at(found) + found->bytes) return 0;
    return error_set(err, ERROR_CONFIG, "It has %llu bytes; %llu were expected.",
                     (unsigned long long)file_bytes,
                     (unsigned long long)(data_at(found) + found->bytes));
}

// Both tables behind a good header, to free(): digests, then hashes of pieces.
static uint64_t *read_tables(int fd, const struct header *h, struct error *err) {
    size_t n = (size_t)h->n_weights + h->n_pieces;
    uint64_t *tables = memory_new(n, sizeof *tables);
    if (read_all(fd, tables, 8 * n, sizeof *h) == 0 && hash_bytes(tables, 8 * n) == h->table_hash)
        return tables;
    error_set(err, ERROR_CONFIG, "Its digests are damaged.");
    free(tables);
    return NULL;
}

static int check_pieces(struct cpu *c, int fd, char *data, const struct header *h,
                        const uint64_t *expected, struct error *err) {
    struct pieces p = {
        .data = data, .bytes = h->bytes, .n = (int)h->n_pieces, .fd = fd, .at = data_at(h)};
    uint64_t *found = hash_pieces(c, &p);
    int bad = 0;
    while (bad < p.n && found[bad] == expected[bad]) bad++;
    free(found);
    if (bad == p.n) return 0;
    return error_set(err, ERROR_CONFIG, "The %d bytes from %llu on are damaged.", PIECE,
                     (unsigned long long)(p.at + (uint64_t)bad * PIECE));
}

// Puts the file's pages where the weights lie, once all of them are proved. Writing to them makes
// copies of this process's own.
static int map_data(struct cpu *c, int fd, const struct header *h, const uint64_t *expected,
                    struct error *err) {
    void *data = mmap(NULL, h->bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE, fd, (off_t)data_at(h));
    if (data == MAP_FAILED)
        return error_set(err, ERROR_IO, "It cannot be mapped: %s.", strerror(errno));
    int failed = check_pieces(c, fd, data, h, expected, err);
    if (!failed && mremap(data, h->bytes, h->bytes, MREMAP_MAYMOVE | MREMAP_FIXED,
                          c->weights.region.data) == MAP_FAILED)
        failed = error_set(err, ERROR_IO, "It cannot be mapped: %s.", strerror(errno));
    if (failed) munmap(data, h->bytes);
    return failed;
}

static int map_file(struct cpu *c, int fd, uint64_t source, uint64_t *digests, struct error *err) {
    struct stat st;
    struct header h, want = header_of(c, source);
    if (fstat(fd, &st) || !S_ISREG(st.st_mode))
        return error_set(err, ERROR_CONFIG, "It is no regular file.");
    if (read_all(fd, &h, sizeof h, 0))
        return error_set(err, ERROR_CONFIG, "It has no header of %zu bytes.", sizeof h);
    if (check_header(&h, &want, (uint64_t)st.st_size, err)) return -1;
    uint64_t *tables = read_tables(fd, &h, err);
    if (!tables) return -1;
    int failed = map_data(c, fd, &h, tables + h.n_weights, err);
    if (!failed) memcpy(digests, tables, h.n_weights * sizeof *digests);
    free(tables);
    return failed;
}

int cpu_packed_map(struct backend *b, const char *path, uint64_t source, uint64_t *digests,
                   struct error *err) {
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    if (fd < 0 && errno == ENOENT) return 1;
    if (fd < 0) return error_set(err, ERROR_IO, "It cannot be opened: %s.", strerror(errno));
    int failed = map_file((struct cpu *)b, fd, source, digests, err);
    close(fd);
    return failed;
}

// ------------------------------------------------------------------ keeping

static int write_all(int fd, const void *from, size_t n) {
    for (size_t done = 0; done < n;) {
        ssize_t w = write(fd, (const char *)from + done, n - done);
        if (w < 0 && errno == EINTR) continue;
        if (w <= 0) return -1;
        done += (size_t)w;
    }
    return 0;
}

// Whether the name still stands for the open file: another process may have renamed it meanwhile.
static bool is_same(int fd, const char *path) {
    struct stat a, b;
    return !fstat(fd, &a) && !stat(path, &b) && a.st_ino == b.st_ino && a.st_dev == b.st_dev;
}

// A file that this process alone writes: the lock goes with a process that dies, so what it left
// is written anew.
static int open_part(const char *part, struct error *err) {
    int fd = open(part, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK, 0644);
    if (fd < 0) return error_set(err, ERROR_IO, "%s cannot be opened: %s.", part, strerror(errno));
    if (flock(fd, LOCK_EX | LOCK_NB) == 0 && is_same(fd, part) && ftruncate(fd, 0) == 0) return fd;
    close(fd);
    return error_set(err, ERROR_UNAVAILABLE, "%s is being written by another process.", part);
}

static int write_file(int fd, const struct cpu *c, const struct header *h, const uint64_t *tables) {
    size_t n = 8 * ((size_t)h->n_weights + h->n_pieces), gap = data_at(h) - sizeof *h - n;
    char *zeros = memory_new(gap + 1, 1);
    int failed = write_all(fd, h, sizeof *h) || write_all(fd, tables, n) ||
                 write_all(fd, zeros, gap) || write_all(fd, c->weights.region.data, h->bytes) ||
                 fsync(fd);
    free(zeros);
    return failed ? -1 : 0;
}

static int write_part(struct cpu *c, int fd, uint64_t source, const uint64_t *digests) {
    struct header h = header_of(c, source);
    struct pieces p = {.data = c->weights.region.data, .bytes = h.bytes, .fd = -1};
    p.n = (int)h.n_pieces;
    uint64_t *hashes = hash_pieces(c, &p);
    size_t n = (size_t)h.n_weights + h.n_pieces;
    uint64_t *tables = memory_new(n, sizeof *tables);
    memcpy(tables, digests, h.n_weights * sizeof *tables);
    memcpy(tables + h.n_weights, hashes, h.n_pieces * sizeof *tables);
    h.table_hash = hash_bytes(tables, 8 * n);
    h.hash = hash_header(&h);
    int failed = write_file(fd, c, &h, tables);
    free(tables);
    free(hashes);
    return failed;
}

int cpu_packed_keep(struct backend *b, const char *path, uint64_t source, const uint64_t *digests,
                    struct error *err) {
    struct buffer part = {0};
    buffer_printf(&part, "%s.part", path);
    buffer_add(&part, "", 1);
    int fd = open_part(part.ptr, err), failed = fd < 0 ? -1 : 0;
    if (!failed && (write_part((struct cpu *)b, fd, source, digests) || rename(part.ptr, path))) {
        failed = error_set(err, ERROR_IO, "It cannot be written: %s.", strerror(errno));
        unlink(part.ptr);
    }
    if (fd >= 0) close(fd);
    buffer_free(&part);
    return failed;
}
