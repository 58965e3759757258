#include "worker/weights/directory.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "protocol/base/hash.h"
#include "protocol/base/memory.h"

enum { PIECE_BYTES = 1 << 20 }; // that are read, staged and proved at a time

// The name of a file in the directory itself: no folder, nothing hidden, no "." or "..".
static bool is_plain(const char *name) {
    return name[0] && name[0] != '.' && !strchr(name, '/');
}

// Opens a regular file in the directory. What it is is looked at before it is opened, since opening
// some devices does something; and after it, since it may be another by then.
static int open_below(const char *path, const char *name, struct stat *st, struct error *err) {
    if (!is_plain(name))
        return error_set(err, ERROR_INPUT,
                         "File '%s' is not in --weights-dir itself; a name without folders that "
                         "begins with no full stop was expected.",
                         name);
    int directory = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC), fd = -1;
    bool is_regular = true;
    if (directory >= 0 && fstatat(directory, name, st, AT_SYMLINK_NOFOLLOW) == 0) {
        is_regular = S_ISREG(st->st_mode);
        if (is_regular)
            fd = openat(directory, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
        if (fd >= 0 && fstat(fd, st) == 0) is_regular = S_ISREG(st->st_mode);
    }
    int failure = errno;
    if (directory >= 0) close(directory);
    if (fd >= 0 && is_regular) return fd;
    if (fd >= 0) close(fd);
    if (!is_regular)
        return error_set(err, ERROR_INPUT, "%s/%s is no regular file; a file was expected.", path,
                         name);
    return error_set(err, ERROR_IO, "%s/%s cannot be opened: %s.", path, name, strerror(failure));
}

// Bytes offset .. offset + n - 1 of the file.
static int read_at(int fd, uint64_t offset, size_t n, char *to, struct error *err) {
    size_t got = 0;
    while (got < n) {
        ssize_t more = pread(fd, to + got, n - got, (off_t)(offset + got));
        if (more < 0 && errno == EINTR) continue;
        if (more < 0)
            return error_set(err, ERROR_IO, "Byte %llu cannot be read: %s.",
                             (unsigned long long)(offset + got), strerror(errno));
        if (more == 0)
            return error_set(err, ERROR_INPUT, "It ends at byte %llu; it was longer when opened.",
                             (unsigned long long)(offset + got));
        got += (size_t)more;
    }
    return 0;
}

int directory_id(const char *path, char id[DIRECTORY_ID_CHARS + 1], struct error *err) {
    struct stat st;
    int fd = open_below(path, DIRECTORY_ID_FILE, &st, err);
    if (fd < 0) return -1;
    int failed = st.st_size < DIRECTORY_ID_CHARS ? -1 : read_at(fd, 0, DIRECTORY_ID_CHARS, id, err);
    close(fd);
    id[DIRECTORY_ID_CHARS] = 0;
    if (!failed && strspn(id, "0123456789abcdef") == DIRECTORY_ID_CHARS) return 0;
    return error_set(err, ERROR_CONFIG, "%s/%s is no id; %d digits of base 16 were expected.", path,
                     DIRECTORY_ID_FILE, DIRECTORY_ID_CHARS);
}

struct directory_file directory_file(const struct message_weights_begin *m) {
    struct directory_file f = {.header_bytes = m->header_bytes, .header_hash = m->header_hash};
    memcpy(f.name, m->file.ptr, m->file.len); // at most MESSAGE_MAX_FILE
    return f;
}

static int check_size(int fd, uint64_t expected, struct error *err) {
    struct stat st;
    if (fstat(fd, &st))
        return error_set(err, ERROR_IO, "It cannot be examined: %s.", strerror(errno));
    if ((uint64_t)st.st_size == expected) return 0;
    return error_set(err, ERROR_INPUT, "It has %llu bytes; %llu were announced.",
                     (unsigned long long)st.st_size, (unsigned long long)expected);
}

// The header says run, epoch, versions and tensors: one with this hash is of this update.
static int check_header(int fd, const struct directory_file *f, struct error *err) {
    char *header = memory_take((size_t)f->header_bytes, 1);
    int failed = read_at(fd, 0, (size_t)f->header_bytes, header, err);
    uint64_t hash = failed ? 0 : hash_bytes(header, (size_t)f->header_bytes);
    free(header);
    if (failed || hash == f->header_hash) return failed;
    return error_set(err, ERROR_INPUT,
                     "It is of another update: the hash of its header is %016llx, %016llx was "
                     "announced.",
                     (unsigned long long)hash, (unsigned long long)f->header_hash);
}

// A size that has changed is told before the last piece may make the update whole.
static int read_stream(int fd, const struct directory_file *f, uint64_t total, directory_take *take,
                       void *self, struct error *err) {
    char *piece = memory_take(PIECE_BYTES, 1);
    int failed = 0;
    bool is_wanted = true;
    for (uint64_t at = 0; at < total && is_wanted && !failed; at += PIECE_BYTES) {
        uint64_t n = total - at < PIECE_BYTES ? total - at : PIECE_BYTES;
        failed = read_at(fd, f->header_bytes + at, (size_t)n, piece, err);
        if (!failed && at + n == total) failed = check_size(fd, f->header_bytes + total, err);
        if (!failed) is_wanted = take(self, at, piece, (size_t)n);
    }
    free(piece);
    return failed;
}

int directory_read(const char *path, const struct directory_file *f, uint64_t total,
                   directory_take *take, void *self, struct error *err) {
    struct stat st;
    int fd = open_below(path, f->name, &st, err);
    if (fd < 0) return -1;
    posix_fadvise(fd, 0, 0, POSIX_FADV_SEQUENTIAL);
    int failed = check_size(fd, f->header_bytes + total, err) || check_header(fd, f, err) ||
                 read_stream(fd, f, total, take, self, err);
    if (failed) error_prefix(err, "%s/%s", path, f->name);
    close(fd);
    return failed ? -1 : 0;
}
