#include "verifiers/score/score_part.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "protocol/base/memory.h"
#include "verifiers/score/score_file.h"

enum { MAX_LINKS = 40 };

static int io_error(const struct score_part *part, const char *what, struct error *err) {
    return error_set(err, ERROR_IO, "The output %s cannot be %s: %s.", part->path, what,
                     strerror(errno));
}

// Links are followed, also where they lead to nothing yet: the new file goes where the old one is,
// or would be.
static char *target_of(const char *name) {
    char *target = memory_copy(name, strlen(name));
    char link[PATH_MAX];
    for (int i = 0; i < MAX_LINKS; i++) {
        const ssize_t n = readlink(target, link, sizeof link - 1);
        if (n <= 0) break; // it is none
        link[n] = 0;
        const char *slash = *link == '/' ? NULL : strrchr(target, '/');
        const size_t n_folder = slash ? (size_t)(slash + 1 - target) : 0;
        char *next = memory_new(n_folder + (size_t)n + 1, 1);
        memcpy(next, target, n_folder);
        memcpy(next + n_folder, link, (size_t)n);
        free(target);
        target = next;
    }
    return target;
}

static int open_either(struct score_part *part) {
    for (;;) {
        part->is_new = false;
        part->fd = open(part->path, O_WRONLY | O_CLOEXEC);
        if (part->fd >= 0 || errno != ENOENT) break;
        part->is_new = true;
        part->fd = open(part->path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
        if (part->fd >= 0 || errno != EEXIST) break;
    }
    return part->fd < 0 ? -1 : 0;
}

// Between an open and its lock the file may have got its name.
static bool is_still_there(const struct score_part *part) {
    struct stat ours, there;
    return fstat(part->fd, &ours) == 0 && stat(part->path, &there) == 0 &&
           ours.st_ino == there.st_ino && ours.st_dev == there.st_dev;
}

static int open_and_lock(struct score_part *part, struct error *err) {
    struct stat old;
    const bool replaces = stat(part->target, &old) == 0;
    if ((replaces && access(part->target, W_OK)) || (!replaces && errno != ENOENT))
        return error_set(err, ERROR_IO, "The output %s cannot be written: %s.", part->target,
                         strerror(errno));
    for (;;) {
        if (open_either(part)) return io_error(part, "opened", err);
        if (flock(part->fd, LOCK_EX | LOCK_NB) && errno == EWOULDBLOCK)
            return error_set(err, ERROR_USAGE, "Another run is writing %s.", part->path);
        if (is_still_there(part)) break;
        close(part->fd);
    }
    if (replaces && part->is_new) fchmod(part->fd, old.st_mode & 0777);
    return 0;
}

int score_part_open(const char *name, struct score_part *out, struct error *err) {
    *out = (struct score_part){.target = target_of(name), .fd = -1};
    out->path = memory_new(strlen(out->target) + sizeof ".part", 1);
    stpcpy(stpcpy(out->path, out->target), ".part");
    const int failed = open_and_lock(out, err);
    if (failed) score_part_close(out, false); // it may be another run's
    return failed;
}

int score_part_finish(struct score_part *part, struct error *err) {
    if (fsync(part->fd)) return io_error(part, "written", err);
    if (rename(part->path, part->target)) return io_error(part, "renamed", err);
    score_file_sync_folder(part->target);
    const int fd = part->fd;
    part->fd = -1;
    return close(fd) ? io_error(part, "closed", err) : 0;
}

void score_part_close(struct score_part *part, bool remove) {
    if (part->fd >= 0 && remove) unlink(part->path);
    if (part->fd >= 0) close(part->fd);
    free(part->target);
    free(part->path);
    *part = (struct score_part){.fd = -1};
}
