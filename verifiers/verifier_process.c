#include "verifiers/verifier_process.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/wait.h>
#include <unistd.h>

#include "protocol/base/memory.h"

enum { PIPE_BYTES = 256 << 10, READ_BYTES = 16 << 10, MAX_READ_BYTES = 1 << 20 };

extern char **environ;

static void close_fd(int *fd) {
    if (*fd >= 0) close(*fd);
    *fd = -1;
}

// Signals and descriptors as a program expects them, whatever this process has set.
static int spawn(const char *program, char *const *argv, int in, int out, pid_t *pid) {
    posix_spawn_file_actions_t actions;
    posix_spawnattr_t attr;
    sigset_t none, all;
    sigemptyset(&none);
    sigfillset(&all);
    posix_spawn_file_actions_init(&actions);
    posix_spawnattr_init(&attr);
    posix_spawn_file_actions_adddup2(&actions, in, STDIN_FILENO);
    posix_spawn_file_actions_adddup2(&actions, out, STDOUT_FILENO);
    posix_spawn_file_actions_addclosefrom_np(&actions, STDERR_FILENO + 1);
    posix_spawnattr_setflags(&attr, POSIX_SPAWN_SETPGROUP | POSIX_SPAWN_SETSIGMASK |
                                        POSIX_SPAWN_SETSIGDEF);
    posix_spawnattr_setpgroup(&attr, 0);
    posix_spawnattr_setsigmask(&attr, &none);
    posix_spawnattr_setsigdefault(&attr, &all);
    const int rc = posix_spawn(pid, program, &actions, &attr, argv, environ);
    posix_spawn_file_actions_destroy(&actions);
    posix_spawnattr_destroy(&attr);
    return rc;
}

static void watch(struct verifier_process *p, int op, int fd, uint32_t events, bool is_out) {
    struct epoll_event e = {.events = events,
                            .data.u64 = (uint64_t)p->index * 2 + (is_out ? 1 : 0)};
    epoll_ctl(p->epoll, op, fd, &e);
}

int verifier_process_start(struct verifier_process *p, const char *program, char *const *argv,
                           struct error *err) {
    int in[2] = {-1, -1}, out[2] = {-1, -1};
    char parent[24];
    int n = 0, rc = 0;
    while (argv[n]) n++;
    char **full = memory_new((size_t)n + 4, sizeof *full);
    snprintf(parent, sizeof parent, "%ld", (long)getpid());
    full[0] = (char *)program;
    full[1] = (char *)"verify-child";
    full[2] = argv[0];
    full[3] = parent;
    for (int i = 1; i < n; i++) full[3 + i] = argv[i];
    if (pipe2(in, O_CLOEXEC) || pipe2(out, O_CLOEXEC))
        rc = errno;
    else
        rc = spawn(program, full, in[0], out[1], &p->pid);
    free(full);
    close_fd(&in[0]);
    close_fd(&out[1]);
    if (rc) {
        close_fd(&in[1]);
        close_fd(&out[0]);
        p->pid = 0;
        return error_set(err, ERROR_IO, "The verifier process %s did not start: %s.", program,
                         strerror(rc));
    }
    fcntl(in[1], F_SETPIPE_SZ, PIPE_BYTES);
    fcntl(in[1], F_SETFL, O_NONBLOCK);
    fcntl(out[0], F_SETFL, O_NONBLOCK);
    p->in = in[1];
    p->out = out[0];
    p->waits_to_write = false;
    watch(p, EPOLL_CTL_ADD, p->out, EPOLLIN, true);
    return 0;
}

void verifier_process_kill(struct verifier_process *p) {
    if (p->pid == 0) return;
    kill(-p->pid, SIGKILL);
    kill(p->pid, SIGKILL);
    verifier_process_reap(p, true); // of an earlier one, gone long since
    p->dying = p->pid;
    p->pid = 0;
    close_fd(&p->in); // leaves the epoll set by itself
    close_fd(&p->out);
    buffer_clear(&p->to);
    buffer_clear(&p->from);
    p->to_done = p->from_done = 0;
    verifier_process_reap(p, false);
}

void verifier_process_reap(struct verifier_process *p, bool wait) {
    if (p->dying == 0) return;
    if (waitpid(p->dying, NULL, wait ? 0 : WNOHANG) != 0) p->dying = 0;
}

void verifier_process_flush(struct verifier_process *p) {
    while (p->in >= 0 && p->to_done < p->to.len) {
        const ssize_t n = write(p->in, p->to.ptr + p->to_done, p->to.len - p->to_done);
        if (n > 0) {
            p->to_done += (size_t)n;
        } else if (errno != EINTR) {
            if (errno != EAGAIN) close_fd(&p->in);
            break;
        }
    }
    const bool rest = p->to_done < p->to.len;
    if (!rest) {
        buffer_clear(&p->to);
        p->to_done = 0;
    }
    if (p->in < 0 || rest == p->waits_to_write) return;
    watch(p, rest ? EPOLL_CTL_ADD : EPOLL_CTL_DEL, p->in, EPOLLOUT, false);
    p->waits_to_write = rest;
}

int verifier_process_read(struct verifier_process *p, size_t max_line, struct error *err) {
    size_t total = 0;
    p->from.len -= p->from_done;
    if (p->from_done) memmove(p->from.ptr, p->from.ptr + p->from_done, p->from.len);
    p->from_done = 0;
    while (total < MAX_READ_BYTES) {
        const size_t before = p->from.len;
        char *to = buffer_extend(&p->from, READ_BYTES);
        const ssize_t n = read(p->out, to, READ_BYTES);
        p->from.len = before + (n > 0 ? (size_t)n : 0);
        if (n == 0)
            return error_set(err, ERROR_UNAVAILABLE,
                             "The verifier's process ended or closed its output before it "
                             "answered.");
        if (n < 0) {
            if (errno == EINTR) continue;
            return errno == EAGAIN ? 0
                                   : error_set(err, ERROR_IO, "The verifier's output failed: %s.",
                                               strerror(errno));
        }
        total += (size_t)n;
        if (p->from.len > max_line && !memchr(p->from.ptr, '\n', p->from.len))
            return error_set(err, ERROR_INPUT,
                             "The verifier wrote more than %zu bytes without a line end.",
                             max_line);
    }
    return 0;
}

bool verifier_process_line(struct verifier_process *p, struct slice *line) {
    if (p->from_done == p->from.len) return false;
    const char *start = p->from.ptr + p->from_done;
    const char *end = memchr(start, '\n', p->from.len - p->from_done);
    if (!end) return false;
    *line = (struct slice){start, (size_t)(end - start)};
    p->from_done += line->len + 1;
    return true;
}
