#include "verifiers/process/process.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include "protocol/base/memory.h"

enum { READ_BYTES = 256 << 10, MAX_READ_BYTES = 1 << 20, HIGH_FD = 16 };

extern char **environ;

static void close_fd(int *fd) {
    if (*fd >= 0) close(*fd);
    *fd = -1;
}

// Descriptors are put where the child looks for them. Their sources are copied above these places
// first, so that none is overwritten before its turn.
static int place(posix_spawn_file_actions_t *actions, const struct process_command *command, int in,
                 int out, int high[2 + PROCESS_MAX_FDS]) {
    const int n = 2 + command->n_fds;
    for (int i = 0; i < n; i++) {
        high[i] = fcntl(i == 0 ? in : i == 1 ? out : command->fds[i - 2], F_DUPFD_CLOEXEC, HIGH_FD);
        if (high[i] < 0) return errno;
        const int to = i < 2 ? i : PROCESS_FIRST_FD + i - 2;
        posix_spawn_file_actions_adddup2(actions, high[i], to);
    }
    posix_spawn_file_actions_addclosefrom_np(actions, PROCESS_FIRST_FD + command->n_fds);
    return 0;
}

// A sanitizer's settings are part of the build.
static bool is_inherited(const char *variable, bool has_path) {
    static const char *const names[] = {
        "LD_LIBRARY_PATH=", "ASAN_OPTIONS=", "TSAN_OPTIONS=", "UBSAN_OPTIONS="};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (strncmp(variable, names[i], strlen(names[i])) == 0) return true;
    return has_path && strncmp(variable, "PATH=", 5) == 0;
}

static char **make_environment(bool has_path) {
    size_t n = 0, n_all = 0;
    while (environ && environ[n_all]) n_all++;
    char **out = memory_new(n_all + 1, sizeof *out);
    for (size_t i = 0; i < n_all; i++)
        if (is_inherited(environ[i], has_path)) out[n++] = environ[i];
    return out;
}

static int spawn(const struct process_command *command, int in, int out, pid_t *pid) {
    const char *program = command->program ? command->program : "/proc/self/exe";
    int high[2 + PROCESS_MAX_FDS] = {-1, -1, -1, -1, -1}, n_args = 0;
    posix_spawn_file_actions_t actions;
    posix_spawnattr_t attr;
    sigset_t none, all;
    sigemptyset(&none);
    sigfillset(&all);
    while (command->argv[n_args]) n_args++;
    char **argv = memory_new((size_t)n_args + 2, sizeof *argv);
    argv[0] = (char *)program;
    for (int i = 0; i < n_args; i++) argv[i + 1] = command->argv[i];
    posix_spawn_file_actions_init(&actions);
    posix_spawnattr_init(&attr);
    posix_spawnattr_setflags(&attr, POSIX_SPAWN_SETPGROUP | POSIX_SPAWN_SETSIGMASK |
                                        POSIX_SPAWN_SETSIGDEF);
    posix_spawnattr_setpgroup(&attr, 0);
    posix_spawnattr_setsigmask(&attr, &none);
    posix_spawnattr_setsigdefault(&attr, &all);
    int rc = place(&actions, command, in, out, high);
    char **environment = make_environment(command->has_path);
    if (rc == 0) rc = posix_spawn(pid, program, &actions, &attr, argv, environment);
    for (size_t i = 0; i < sizeof high / sizeof *high; i++) close_fd(&high[i]);
    posix_spawn_file_actions_destroy(&actions);
    posix_spawnattr_destroy(&attr);
    free(argv);
    free(environment);
    return rc;
}

int process_start(struct process *p, const struct process_command *command, struct error *err) {
    int in[2] = {-1, -1}, out[2] = {-1, -1}, rc = 0;
    assert(p->pid == 0 && command->n_fds <= PROCESS_MAX_FDS);
    if (pipe2(in, O_CLOEXEC) || pipe2(out, O_CLOEXEC))
        rc = errno;
    else
        rc = spawn(command, in[0], out[1], &p->pid);
    close_fd(&in[0]);
    close_fd(&out[1]);
    if (rc) {
        close_fd(&in[1]);
        close_fd(&out[0]);
        p->pid = 0;
        return error_set(err, ERROR_IO, "The process of %s did not start: %s.",
                         command->program ? command->program : "this program", strerror(rc));
    }
    fcntl(in[1], F_SETPIPE_SZ, command->pipe_bytes); // fewer switches; the default will do too
    fcntl(out[0], F_SETPIPE_SZ, command->pipe_bytes);
    fcntl(in[1], F_SETFL, O_NONBLOCK);
    fcntl(out[0], F_SETFL, O_NONBLOCK);
    p->in = in[1];
    p->out = out[0];
    return 0;
}

void process_kill(struct process *p) {
    if (p->pid == 0) return;
    kill(-p->pid, SIGKILL);
    kill(p->pid, SIGKILL);
    process_reap(p, true); // of an earlier one, gone long since
    p->dying = p->pid;
    p->pid = 0;
    close_fd(&p->in); // leaves an epoll set by itself
    close_fd(&p->out);
    buffer_clear(&p->to);
    buffer_clear(&p->from);
    p->to_done = p->from_done = 0;
    process_reap(p, false);
}

void process_reap(struct process *p, bool wait) {
    if (p->dying == 0) return;
    pid_t found;
    do {
        found = waitpid(p->dying, NULL, wait ? 0 : WNOHANG);
    } while (found < 0 && errno == EINTR);
    if (found != 0) p->dying = 0;
}

void process_free(struct process *p) {
    process_kill(p);
    process_reap(p, true);
    buffer_free(&p->to);
    buffer_free(&p->from);
}

bool process_flush(struct process *p) {
    while (p->in >= 0 && p->to_done < p->to.len) {
        const ssize_t n = write(p->in, p->to.ptr + p->to_done, p->to.len - p->to_done);
        if (n > 0) {
            p->to_done += (size_t)n;
        } else if (errno != EINTR) {
            if (errno != EAGAIN) close_fd(&p->in);
            break;
        }
    }
    if (p->to_done < p->to.len) return p->in >= 0;
    buffer_clear(&p->to);
    p->to_done = 0;
    return false;
}

int process_read(struct process *p, struct error *err) {
    size_t total = 0;
    p->from.len -= p->from_done;
    if (p->from_done) memmove(p->from.ptr, p->from.ptr + p->from_done, p->from.len);
    p->from_done = 0;
    while (total < MAX_READ_BYTES) {
        const size_t before = p->from.len;
        char *to = buffer_extend(&p->from, READ_BYTES);
        const ssize_t n = read(p->out, to, READ_BYTES);
        const int code = errno;
        p->from.len = before + (n > 0 ? (size_t)n : 0);
        if (n == 0)
            return error_set(err, ERROR_UNAVAILABLE,
                             "The process ended or closed its output before it answered.");
        if (n < 0 && code == EINTR) continue;
        if (n < 0 && code == EAGAIN) return 0;
        if (n < 0) return error_set(err, ERROR_IO, "Its output failed: %s.", strerror(code));
        total += (size_t)n;
        if ((size_t)n < READ_BYTES) return 0;
    }
    return 0;
}

struct slice process_unread(const struct process *p) {
    return (struct slice){p->from.ptr + p->from_done, p->from.len - p->from_done};
}
