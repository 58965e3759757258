#include "tests/cudasim/programs.h"

#include <assert.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

// BUILD/cudasim, where this program is BUILD/tests/cudasim/test_x.
static void folder(char *path, size_t size) {
    ssize_t n = readlink("/proc/self/exe", path, size - 16);
    assert(n > 0);
    path[n] = 0;
    char *end = strstr(path, "/tests/cudasim/");
    assert(end);
    memcpy(end, "/cudasim", 9);
}

bool programs_exist(const char *with) {
    char path[4096], state[256] = "absent: make cudasim was not run";
    folder(path, sizeof path);
    strcat(path, "/state");
    FILE *f = fopen(path, "r");
    if (f) {
        if (!fgets(state, sizeof state, f)) state[0] = 0;
        fclose(f);
    }
    state[strcspn(state, "\n")] = 0;
    if (strncmp(state, "present", 7) == 0 && (!with || strstr(state, with))) return true;
    printf("# CUDA was left out (%s%s%s)\n", state, with ? "; needed: " : "", with ? with : "");
    return false;
}

static void start(const struct program *p, int out) {
    char path[4096];
    const char *argv[6];
    int n = 0;
    folder(path, sizeof path - 256);
    snprintf(path + strlen(path), 256, "/%s/%s", p->variant, p->name);
    argv[n++] = path;
    for (int i = 0; i < 4 && p->arguments[i]; i++) argv[n++] = p->arguments[i];
    argv[n] = NULL;
    for (int i = 0; i < 6 && p->environment[i]; i++) putenv((char *)p->environment[i]);
    dup2(out, STDOUT_FILENO);
    dup2(out, STDERR_FILENO);
    setpgid(0, 0);
    execv(path, (char **)argv);
    perror(path);
    _exit(126);
}

static long now_ms(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

// Everything until the other end is closed; false: the time was up.
static bool collect(int in, long end_ms, char *output, size_t size) {
    size_t n = 0;
    for (;;) {
        char dropped[4096];
        bool full = n + 1 >= size;
        struct pollfd ready = {in, POLLIN, 0};
        long left = end_ms - now_ms();
        if (left <= 0 || poll(&ready, 1, (int)left) == 0) return false;
        ssize_t got = full ? read(in, dropped, sizeof dropped) : read(in, output + n, size - 1 - n);
        if (got <= 0) return true;
        if (!full) n += (size_t)got;
        output[n] = 0;
    }
}

int program_run(const struct program *p, int timeout_s, char *output, size_t size) {
    int ends[2], status;
    output[0] = 0;
    if (pipe2(ends, O_CLOEXEC) != 0) return -1;
    fflush(stdout);
    pid_t child = fork();
    if (child == 0) start(p, ends[1]);
    close(ends[1]);
    bool ended = child > 0 && collect(ends[0], now_ms() + 1000L * timeout_s, output, size);
    close(ends[0]);
    if (child < 0) return -1;
    if (!ended) kill(-child, SIGKILL);
    waitpid(child, &status, 0);
    if (!ended) return -1;
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

static int check_kernel(const char *variant, const char *operation, const char *option) {
    static char output[1 << 16];
    const struct program p = {variant,
                              "kernels/kernel_check",
                              {"--op", operation, option},
                              {"CUDASIM_SMS=3", "ASAN_OPTIONS=detect_leaks=0"}};
    int status = program_run(&p, 250, output, sizeof output), n_run = 0, n_failed = -1;
    const char *last = strrchr(output, '\n');
    while (last && last > output && (last[1] == 0 || *last != '\n')) last--;
    last = last && *last == '\n' ? last + 1 : output;
    if (status == 0 && sscanf(last, "%d checks, %d failed", &n_run, &n_failed) == 2 && n_run > 0 &&
        n_failed == 0)
        return 0;
    printf("# kernel_check (%s) of %s ended with status %d\n", variant, operation, status);
    for (char *line = strtok(output, "\n"); line; line = strtok(NULL, "\n"))
        if (strncmp(line, "pass", 4) != 0) printf("# %s\n", line);
    return 1;
}

// Takes numbers of operations out of the pipe until it is empty: how many went wrong.
static int check_some(int queue, const char *variant, const char *const *operations,
                      const char *option) {
    int n_bad = 0;
    unsigned char i;
    while (read(queue, &i, 1) == 1) n_bad += check_kernel(variant, operations[i], option);
    fflush(stdout);
    return n_bad;
}

int programs_check_kernels(const char *variant, const char *const *operations, size_t n,
                           const char *option) {
    enum { MOST = 4 };
    int queue[2], n_bad = 0, status;
    long n_more = sysconf(_SC_NPROCESSORS_ONLN) - 1;
    pid_t children[MOST];
    if (pipe2(queue, O_CLOEXEC) != 0) return -1;
    for (unsigned char i = 0; i < n; i++)
        if (write(queue[1], &i, 1) != 1) return -1;
    close(queue[1]);
    n_more = n_more < MOST ? n_more : MOST;
    fflush(stdout);
    for (long k = 0; k < n_more; k++) {
        children[k] = fork();
        if (children[k] == 0) _exit(check_some(queue[0], variant, operations, option));
    }
    n_bad += check_some(queue[0], variant, operations, option);
    for (long k = 0; k < n_more; k++)
        if (children[k] > 0)
            n_bad +=
                waitpid(children[k], &status, 0) > 0 && WIFEXITED(status) ? WEXITSTATUS(status) : 1;
    close(queue[0]);
    return n_bad;
}
