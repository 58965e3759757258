#include "verifiers/score/score_file.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "protocol/base/memory.h"

int score_file_write(int fd, struct slice bytes) {
    for (size_t done = 0; done < bytes.len;) {
        const ssize_t n = write(fd, bytes.ptr + done, bytes.len - done);
        if (n < 0 && errno != EINTR) return -1;
        if (n > 0) done += (size_t)n;
    }
    return 0;
}

size_t score_file_read(int fd, void *to, size_t len) {
    size_t done = 0;
    while (done < len) {
        const ssize_t n = read(fd, (char *)to + done, len - done);
        if (n == 0 || (n < 0 && errno != EINTR)) break;
        if (n > 0) done += (size_t)n;
    }
    return done;
}

bool score_file_is_stream(const char *path) {
    static const char *const OWN[] = {"/dev/stdout", "/dev/stderr", "/dev/fd/", "/proc/"};
    struct stat st;
    if (strcmp(path, "-") == 0) return true;
    for (size_t i = 0; i < sizeof OWN / sizeof *OWN; i++)
        if (strncmp(path, OWN[i], strlen(OWN[i])) == 0) return true;
    return stat(path, &st) == 0 && !S_ISREG(st.st_mode);
}

void score_file_ignore_signals(void) {
    signal(SIGPIPE, SIG_IGN);
    signal(SIGXFSZ, SIG_IGN);
}

void score_file_sync_folder(const char *path) {
    char *folder = memory_copy(path, strlen(path));
    char *slash = strrchr(folder, '/');
    if (slash) slash[slash == folder] = 0;
    const int fd = open(slash ? folder : ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd >= 0) {
        fsync(fd);
        close(fd);
    }
    free(folder);
}
