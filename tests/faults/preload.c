// What fails in front of libc, for workers of the fault matrix (LD_PRELOAD; rows_machine.py):
//   PRELOAD_FAIL_NTH=N       the program's own Nth allocation fails, and each one behind it
//   PRELOAD_INTERRUPT_US=N   each thread gets a signal each N microseconds, without SA_RESTART
//   PRELOAD_HANG_OPEN=PATH   opening PATH, or what lies in it, never comes back, as a network file
//                            system whose server is gone
//   PRELOAD_HANG_WITHIN=TEXT opening a file whose name has TEXT in it, within an open directory,
//                            likewise
//   PRELOAD_CLOCK_STEP_S=N   the clock of the day is N seconds late, then early, at each other call
// Libraries' allocations do not fail: several end the process by design, and are not ours.
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

extern void *__libc_malloc(size_t);
extern void *__libc_calloc(size_t, size_t);
extern void *__libc_realloc(void *, size_t);

static long fail_nth, interrupt_us, clock_step_s;
static atomic_long n_allocations, n_looks;
static uintptr_t text_begin, text_end;

static long setting(const char *name) {
    const char *text = getenv(name);
    return text ? atol(text) : 0;
}

// The program's first mapping that may be executed.
static void find_text(void) {
    FILE *maps = fopen("/proc/self/maps", "r");
    char line[512], mode[8], program[256] = "";
    ssize_t n = readlink("/proc/self/exe", program, sizeof program - 1);
    while (maps && n > 0 && fgets(line, sizeof line, maps)) {
        uintptr_t begin, end;
        char path[256] = "";
        int got = sscanf(line, "%lx-%lx %7s %*s %*s %*s %255s", &begin, &end, mode, path);
        for (ssize_t i = 0; got == 4 && mode[2] == 'x' && path[i] == program[i]; i++)
            if (!path[i]) {
                text_begin = begin;
                text_end = end;
                break;
            }
    }
    if (maps) fclose(maps);
}

static int fails(void *caller) {
    uintptr_t at = (uintptr_t)caller;
    if (!fail_nth || at < text_begin || at >= text_end) return 0;
    return atomic_fetch_add(&n_allocations, 1) + 1 >= fail_nth;
}

void *malloc(size_t size) {
    if (!fails(__builtin_return_address(0))) return __libc_malloc(size);
    errno = ENOMEM;
    return NULL;
}

void *calloc(size_t n, size_t size) {
    if (!fails(__builtin_return_address(0))) return __libc_calloc(n, size);
    errno = ENOMEM;
    return NULL;
}

void *realloc(void *old, size_t size) {
    if (!fails(__builtin_return_address(0))) return __libc_realloc(old, size);
    errno = ENOMEM;
    return NULL;
}

static time_t step(void) {
    if (!clock_step_s) return 0;
    return atomic_fetch_add(&n_looks, 1) & 1 ? -clock_step_s : clock_step_s;
}

int clock_gettime(clockid_t clock, struct timespec *out) {
    int failed = (int)syscall(SYS_clock_gettime, clock, out);
    if (!failed && clock == CLOCK_REALTIME) out->tv_sec += step();
    return failed;
}

time_t time(time_t *out) {
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    if (out) *out = now.tv_sec;
    return now.tv_sec;
}

static int open_at(const char *path, int flags, va_list more) {
    const char *hung = getenv("PRELOAD_HANG_OPEN");
    if (hung && strncmp(path, hung, strlen(hung)) == 0)
        for (;;) pause();
    mode_t mode = flags & (O_CREAT | __O_TMPFILE) ? va_arg(more, mode_t) : 0;
    return (int)syscall(SYS_openat, AT_FDCWD, path, flags, mode);
}

int openat(int directory, const char *path, int flags, ...) {
    const char *hung = getenv("PRELOAD_HANG_WITHIN");
    while (hung && strstr(path, hung)) pause();
    va_list more;
    va_start(more, flags);
    mode_t mode = flags & (O_CREAT | __O_TMPFILE) ? va_arg(more, mode_t) : 0;
    va_end(more);
    return (int)syscall(SYS_openat, directory, path, flags, mode);
}

int open(const char *path, int flags, ...) {
    va_list more;
    va_start(more, flags);
    int fd = open_at(path, flags, more);
    va_end(more);
    return fd;
}

int open64(const char *path, int flags, ...) {
    va_list more;
    va_start(more, flags);
    int fd = open_at(path, flags, more);
    va_end(more);
    return fd;
}

static void nothing(int number) {
    (void)number;
}

// Sends the signal to each other thread of the process, again and again.
static void *storm(void *arg) {
    const struct timespec pause = {interrupt_us / 1000000, interrupt_us % 1000000 * 1000};
    pid_t self = (pid_t)syscall(SYS_gettid);
    (void)arg;
    for (;;) {
        DIR *tasks = opendir("/proc/self/task");
        struct dirent *entry;
        while (tasks && (entry = readdir(tasks))) {
            pid_t task = (pid_t)atol(entry->d_name);
            if (task > 0 && task != self) syscall(SYS_tgkill, getpid(), task, SIGURG);
        }
        if (tasks) closedir(tasks);
        nanosleep(&pause, NULL);
    }
    return NULL;
}

__attribute__((constructor)) static void start(void) {
    find_text();
    interrupt_us = setting("PRELOAD_INTERRUPT_US");
    clock_step_s = setting("PRELOAD_CLOCK_STEP_S");
    fail_nth = setting("PRELOAD_FAIL_NTH");
    if (!interrupt_us) return;
    const struct sigaction action = {.sa_handler = nothing};
    sigaction(SIGURG, &action, NULL);
    pthread_t thread;
    if (pthread_create(&thread, NULL, storm, NULL) == 0) pthread_detach(thread);
}
