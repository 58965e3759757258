#include "worker/commands/fleet.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <unistd.h>

#include "kernels/kernels.h"
#include "protocol/base/signals.h"

// ------------------------------------------------------------------ names

// What the child that asks the backend answers with.
struct count {
    int n;
    struct error err;
};

static void ask_backend(const char *name, int to) {
    struct count answer = {0};
    int index;
    const char *path;
    const struct backend_ops *ops = kernels_find(name, &index, &path, &answer.err);
    if (!ops || ops->n_devices(&answer.n, &answer.err)) answer.n = -1;
    _exit(write(to, &answer, sizeof answer) != sizeof answer);
}

static int count_devices(const char *name, struct error *err) {
    struct count answer = {.n = -1};
    int ends[2];
    if (pipe(ends)) return error_set(err, ERROR_IO, "No pipe could be had: %s.", strerror(errno));
    pid_t child = fork();
    if (child == 0) ask_backend(name, ends[1]);
    close(ends[1]);
    ssize_t n_read = child > 0 ? read(ends[0], &answer, sizeof answer) : -1;
    close(ends[0]);
    if (child > 0) waitpid(child, NULL, 0);
    if (n_read != sizeof answer)
        return error_set(err, ERROR_IO, "The devices of '%s' could not be counted.", name);
    if (answer.n < 0) *err = answer.err;
    return answer.n;
}

static int refuse(const char *device, const char *why, struct error *err) {
    return error_set(
        err, ERROR_USAGE,
        "Device '%s' %s; expected NAME:all, or NAME: and up to %d numbers with commas, "
        "none of them twice.",
        device, why, FLEET_MAX);
}

// Adds "name:index/path".
static int add(struct fleet *out, const char *device, int name_len, long index, const char *path,
               struct error *err) {
    if (out->n == FLEET_MAX) return refuse(device, "names too many", err);
    char *to = out->devices[out->n];
    int len = snprintf(to, FLEET_NAME, "%.*s:%ld%s", name_len, device, index, path);
    if (len >= FLEET_NAME) return refuse(device, "is too long", err);
    for (int i = 0; i < out->n; i++)
        if (strcmp(out->devices[i], to) == 0) return refuse(device, "names one twice", err);
    out->n++;
    return 0;
}

static int add_all(struct fleet *out, const char *device, int name_len, const char *path,
                   struct error *err) {
    char name[FLEET_NAME];
    if (name_len >= FLEET_NAME) return refuse(device, "is too long", err);
    snprintf(name, sizeof name, "%.*s", name_len, device);
    int n = count_devices(name, err);
    if (n < 0) return -1;
    for (int i = 0; i < n; i++)
        if (add(out, device, name_len, i, path, err)) return -1;
    return 0;
}

static int add_list(struct fleet *out, const char *device, int name_len, const char *list,
                    const char *path, struct error *err) {
    for (const char *at = list; at < path; at++) {
        size_t n_digits = strspn(at, "0123456789");
        if (!n_digits || n_digits > 4) return refuse(device, "is no list", err);
        if (add(out, device, name_len, strtol(at, NULL, 10), path, err)) return -1;
        at += n_digits;
        if (at < path && *at != ',') return refuse(device, "is no list", err);
        if (at + 1 == path) return refuse(device, "is no list", err);
    }
    return 0;
}

int fleet_read(const char *device, struct fleet *out, struct error *err) {
    size_t name_len = strcspn(device, ":/");
    const char *list = device + name_len + (device[name_len] == ':');
    const char *path = list + strcspn(list, "/");
    out->n = 0;
    if (device[name_len] == ':' && path - list == 3 && strncmp(list, "all", 3) == 0)
        return add_all(out, device, (int)name_len, path, err);
    if (device[name_len] == ':' && memchr(list, ',', (size_t)(path - list)))
        return add_list(out, device, (int)name_len, list, path, err);
    out->n = 1;
    if (snprintf(out->devices[0], FLEET_NAME, "%s", device) < FLEET_NAME) return 0;
    return refuse(device, "is too long", err);
}

// ------------------------------------------------------------------ processes

struct children {
    pid_t pids[FLEET_MAX]; // 0: has ended
    int n, n_left;
    int status; // the worst so far
};

// From bearable to bad; what is not here is worse.
static int badness(int status) {
    static const int statuses[] = {0, 75, 69, 74, 78, 2, 70};
    int n = sizeof statuses / sizeof statuses[0];
    for (int i = 0; i < n; i++)
        if (statuses[i] == status) return i;
    return n + status;
}

static void note_end(struct children *c, pid_t pid, int how) {
    int status = WIFEXITED(how) ? WEXITSTATUS(how) : 128 + WTERMSIG(how);
    for (int i = 0; i < c->n; i++)
        if (c->pids[i] == pid) {
            c->pids[i] = 0;
            c->n_left--;
            if (badness(status) > badness(c->status)) c->status = status;
        }
}

static void send_all(const struct children *c, int signal) {
    for (int i = 0; i < c->n; i++)
        if (c->pids[i]) kill(c->pids[i], signal);
}

// A group of its own: a terminal's signals come to the parent alone, which sends them on.
static _Noreturn void be_child(int (*run)(void *arg, int i), void *arg, int i,
                               const sigset_t *former, pid_t parent) {
    setpgid(0, 0);
    prctl(PR_SET_PDEATHSIG, SIGTERM);
    pthread_sigmask(SIG_SETMASK, former, NULL);
    int status = getppid() == parent ? run(arg, i) : 75;
    fflush(NULL);
    _exit(status);
}

static void look_after(struct children *c, int fd) {
    struct signalfd_siginfo info;
    while (c->n_left) {
        if (read(fd, &info, sizeof info) != sizeof info) continue;
        if (info.ssi_signo != SIGCHLD) send_all(c, (int)info.ssi_signo);
        int how;
        for (pid_t pid; (pid = waitpid(-1, &how, WNOHANG)) > 0;) note_end(c, pid, how);
    }
}

int fleet_run(const struct fleet *f, int (*run)(void *arg, int i), void *arg, int *status,
              struct error *err) {
    struct children c = {.n = 0};
    sigset_t set, former;
    pid_t self = getpid();
    int failed = 0;
    signals_that_end(&set);
    sigaddset(&set, SIGCHLD);
    pthread_sigmask(SIG_BLOCK, &set, &former);
    int fd = signalfd(-1, &set, SFD_CLOEXEC);
    if (fd < 0) failed = error_set(err, ERROR_IO, "No signals could be had: %s.", strerror(errno));
    fflush(NULL); // what is not written yet would be written by each
    for (int i = 0; i < f->n && !failed; i++) {
        pid_t pid = fork();
        if (pid == 0) be_child(run, arg, i, &former, self);
        if (pid < 0)
            failed = error_set(err, ERROR_IO, "No process could be had for device '%s': %s.",
                               f->devices[i], strerror(errno));
        else
            c.pids[c.n++] = pid, c.n_left++;
    }
    if (failed) send_all(&c, SIGTERM);
    if (fd >= 0) look_after(&c, fd);
    *status = c.status;
    if (fd >= 0) close(fd);
    pthread_sigmask(SIG_SETMASK, &former, NULL);
    return failed;
}
