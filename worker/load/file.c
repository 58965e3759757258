#include "worker/load/file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "protocol/base/hash.h"
#include "protocol/base/memory.h"

bool file_exists(const char *path) {
    struct stat st;
    return stat(path, &st) == 0 && S_ISREG(st.st_mode);
}

static int open_regular(const char *path, struct stat *st, struct error *err) {
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    if (fd < 0) {
        bool missing = errno == ENOENT || errno == ENOTDIR;
        return error_set(err, missing ? ERROR_CONFIG : ERROR_IO, "%s cannot be opened: %s.", path,
                         strerror(errno));
    }
    if (fstat(fd, st)) {
        error_set(err, ERROR_IO, "%s cannot be examined: %s.", path, strerror(errno));
        close(fd);
        return -1;
    }
    if (!S_ISREG(st->st_mode)) {
        error_set(err, ERROR_CONFIG, "%s is no regular file; a file was expected.", path);
        close(fd);
        return -1;
    }
    return fd;
}

int file_read(const char *path, size_t max_bytes, struct buffer *out, struct error *err) {
    struct stat st;
    int fd = open_regular(path, &st, err);
    if (fd < 0) return -1;
    size_t size = (size_t)st.st_size;
    if (size > max_bytes) {
        close(fd);
        return error_set(err, ERROR_CONFIG, "%s has %zu bytes; at most %zu were expected.", path,
                         size, max_bytes);
    }
    size_t start = out->len, got = 0;
    char *to = buffer_extend(out, size);
    while (got < size) {
        ssize_t n = read(fd, to + got, size - got);
        if (n < 0 && errno == EINTR) continue;
        if (n <= 0) break;
        got += (size_t)n;
    }
    close(fd);
    if (got == size) return 0;
    out->len = start;
    return error_set(err, ERROR_IO, "%s cannot be read behind byte %zu; %zu were expected.", path,
                     got, size);
}

static void add_stamp(uint64_t *stamp, const struct stat *st) {
    const uint64_t parts[] = {*stamp,
                              (uint64_t)st->st_ino,
                              (uint64_t)st->st_size,
                              (uint64_t)st->st_mtim.tv_sec,
                              (uint64_t)st->st_mtim.tv_nsec,
                              (uint64_t)st->st_ctim.tv_sec,
                              (uint64_t)st->st_ctim.tv_nsec};
    *stamp = hash_bytes(parts, sizeof parts);
}

int file_map(const char *path, struct slice *out, uint64_t *stamp, struct error *err) {
    struct stat st;
    int fd = open_regular(path, &st, err);
    if (fd < 0) return -1;
    size_t size = (size_t)st.st_size;
    if (size == 0) {
        close(fd);
        return error_set(err, ERROR_CONFIG, "%s is empty; a file with contents was expected.",
                         path);
    }
    void *p = mmap(NULL, size, PROT_READ, MAP_SHARED, fd, 0);
    int failure = errno;
    close(fd);
    if (p == MAP_FAILED)
        return error_set(err, ERROR_IO, "%s cannot be mapped: %s.", path, strerror(failure));
    *out = (struct slice){p, size};
    if (stamp) add_stamp(stamp, &st);
    return 0;
}

void file_unmap(struct slice *bytes) {
    if (bytes->ptr) munmap((void *)(uintptr_t)bytes->ptr, bytes->len);
    *bytes = (struct slice){NULL, 0};
}

char *file_join(const char *directory, struct slice name) {
    size_t d = strlen(directory);
    while (d > 1 && directory[d - 1] == '/') d--;
    char *path = memory_new(d + name.len + 2, 1);
    memcpy(path, directory, d);
    path[d] = '/';
    memcpy(path + d + 1, name.ptr, name.len);
    return path;
}
