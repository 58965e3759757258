// What a child that grades cannot do. Each attempt is made by a process of its own, inside and, to
// show that it would succeed, outside.
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "protocol/base/clock.h"
#include "protocol/base/sanitized.h"
#include "verifiers/process/sandbox.h"
#include "verifiers/verify.h"

enum { OUTSIDE = -1 };

// The errno of what was attempted, 0: it was done.
static int try_in(int kind, int (*attempt)(void)) {
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        if (kind != OUTSIDE && sandbox_enter((enum sandbox)kind, NULL)) _exit(200);
        errno = 0;
        _exit(attempt() < 0 ? errno : 0);
    }
    int status;
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFEXITED(status));
    return WEXITSTATUS(status);
}

static int open_tcp(void) {
    return socket(AF_INET, SOCK_STREAM, 0);
}

static int open_local(void) {
    return socket(AF_UNIX, SOCK_STREAM, 0);
}

static int open_ring(void) {
    char parameters[256] = {0};
    return (int)syscall(SYS_io_uring_setup, 4, parameters) < 0 && errno == EPERM ? -1 : 0;
}

static int open_file(void) {
    return open("/etc/passwd", O_RDONLY);
}

static int start_process(void) {
    pid_t pid = fork();
    if (pid == 0) _exit(0);
    if (pid > 0) waitpid(pid, NULL, 0);
    return pid;
}

static int trace_parent(void) {
    int rc = (int)ptrace(PTRACE_SEIZE, getppid(), NULL, NULL);
    if (rc == 0) ptrace(PTRACE_DETACH, getppid(), NULL, NULL);
    return rc;
}

static int make_namespace(void) {
    return (int)syscall(SYS_unshare, 0); // of nothing: done outside, whoever we are
}

static int execute(void) {
    char *const argv[] = {"/bin/true", NULL};
    return execv(argv[0], argv);
}

static int gain(void) {
    return prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) != 0 ? (errno = EPERM, -1) : 0;
}

static int dump_core(void) {
    struct rlimit core = {0}; // a grader may not even ask
    getrlimit(RLIMIT_CORE, &core);
    return core.rlim_max == 0 ? (errno = EPERM, -1) : 0;
}

static int open_many(void) {
    struct rlimit before;
    getrlimit(RLIMIT_NOFILE, &before);
    for (int i = 0; i < 300; i++)
        if (dup(1) < 0) return -1;
    return 0;
}

// 20 GiB, of which nothing is touched.
static int take_memory(void) {
    void *at = mmap(NULL, (size_t)20 << 30, PROT_READ | PROT_WRITE,
                    MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    return at == MAP_FAILED ? -1 : 0;
}

static int work(void) {
    char *bytes = malloc(64 << 20), line[64];
    memset(bytes, 1, 64 << 20);
    free(bytes);
    snprintf(line, sizeof line, "%.17g", 0.1);
    struct timespec now;
    return clock_gettime(CLOCK_MONOTONIC, &now) || strcmp(line, "0.10000000000000001") != 0 ? -1
                                                                                            : 0;
}

static void test_what_is_refused(void **state) {
    (void)state;
    static const struct {
        const char *name;
        int (*attempt)(void);
        int grader, program, network; // errno that each has
    } rows[] = {
        {"a TCP socket", open_tcp, EPERM, EPERM, 0},
        {"a local socket", open_local, EPERM, EPERM, 0},
        {"a ring", open_ring, EPERM, EPERM, EPERM},
        {"tracing", trace_parent, EPERM, EPERM, EPERM},
        {"a namespace", make_namespace, EPERM, EPERM, EPERM},
        {"new privileges", gain, EPERM, EPERM, EPERM},
        {"a core file", dump_core, EPERM, EPERM, EPERM},
        {"a file", open_file, EPERM, 0, 0},
        {"a process", start_process, EPERM, 0, 0},
        {"another program", execute, EPERM, 0, 0},
        {"many descriptors", open_many, IS_SANITIZED ? EMFILE : EPERM, EMFILE, EMFILE},
        {"much memory", take_memory, ENOMEM, ENOMEM, ENOMEM},
        {"work", work, 0, 0, 0},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        // Under a sanitizer graders have the programs' filter, and memory is not bounded.
        bool is_loose = IS_SANITIZED && rows[i].grader != rows[i].program;
        if (IS_SANITIZED && (rows[i].attempt == take_memory || is_loose)) continue;
        if (getenv("VERBOSE")) print_message("%s\n", rows[i].name);
        int outside = try_in(OUTSIDE, rows[i].attempt);
        if (rows[i].attempt == trace_parent && outside) continue; // this machine forbids it to all
        if ((rows[i].attempt == dump_core || rows[i].attempt == gain) && outside) continue;
        assert_int_equal(outside, 0);
        assert_int_equal(try_in(SANDBOX_GRADER, rows[i].attempt), rows[i].grader);
        assert_int_equal(try_in(SANDBOX_PROGRAM, rows[i].attempt), rows[i].program);
        assert_int_equal(try_in(SANDBOX_NETWORK, rows[i].attempt), rows[i].network);
    }
}

// ---- the pool's own children

static char own_path[512];

static int read_file(const char *path, char *to, size_t room) {
    int fd = open(path, O_RDONLY);
    if (fd < 0) return -1;
    ssize_t n = 0, got;
    while ((got = read(fd, to + n, room - 1 - (size_t)n)) > 0) n += got;
    close(fd);
    to[n] = 0;
    return (int)n;
}

// The processes whose parent we are, by their second argument: "grade" or "exec...".
static pid_t find_child(const char *verb) {
    char path[64], text[4096];
    snprintf(path, sizeof path, "/proc/self/task/%d/children", (int)getpid());
    assert_true(read_file(path, text, sizeof text) > 0);
    for (char *word = strtok(text, " "); word; word = strtok(NULL, " ")) {
        char line[4096], at[64];
        snprintf(at, sizeof at, "/proc/%s/cmdline", word);
        int n = read_file(at, line, sizeof line);
        for (int i = 0; i < n; i++)
            if (line[i] == 0) line[i] = ' ';
        if (strstr(line, verb)) return (pid_t)atol(word);
    }
    fail_msg("there is no child '%s'", verb);
    return 0;
}

static const char *fact(pid_t pid, const char *key) {
    static char text[8192];
    char path[64];
    snprintf(path, sizeof path, "/proc/%d/status", (int)pid);
    assert_true(read_file(path, text, sizeof text) > 0);
    const char *at = strstr(text, key);
    assert_non_null(at);
    return at + strlen(key);
}

static void grade_one(struct verifier_pool *pool, const char *json, const char *completion) {
    struct error err = {0};
    const struct verifier_command names[] = {{.name = (char *)(uintptr_t) "shell"}};
    struct reward_spec *spec = reward_spec_parse(slice_of(json), names, 1, &err);
    assert_non_null(spec);
    const struct verifier_sample sample = {.completion = slice_of(completion), .n_tokens = -1};
    verifier_pool_submit(pool, 1, spec, &sample);
    struct verifier_result result;
    int64_t end = clock_ms() + 20000;
    while (verifier_pool_poll(pool, 100, &result, 1) == 0) assert_true(clock_ms() < end);
    if (result.reward->status != REWARD_OK)
        fail_msg("%s: %s", reward_status_name(result.reward->status),
                 result.reward->terms[0].detail);
    assert_true(result.reward->value == 1);
    reward_free(&result.reward);
    reward_spec_free(&spec);
}

// A shell that answers 1 when what it finds is as it must be: no socket but its pipes, no variable
// but PATH, no descriptor but the three.
static const char SHELL[] =
    "shell=/bin/sh -c 'while read -r line; do id=${line#*:}; id=${id%%,*}; "
    "n=$(ls /proc/self/fd | wc -l); v=$(tr \"\\0\" \"\\n\" </proc/$$/environ | grep -vc ^PATH=); "
    "p=$(grep -c \"^NoNewPrivs:.1\" /proc/self/status); "
    "s=$(grep -c \"^Seccomp:.2\" /proc/self/status); "
    "if [ $v = 0 ] && [ $n = 4 ] && [ $p = 1 ] && [ $s = 1 ]; then r=1; else r=0; fi; "
    "echo \"{\\\"id\\\":$id,\\\"value\\\":$r}\"; done'";

static void test_children_of_a_pool(void **state) {
    (void)state;
    struct verifier_command shell;
    struct error err = {0};
    char text[8192];
    setenv("SECRET_TOKEN", "do not hand this on", 1);
    assert_int_equal(verifier_command_parse(SHELL, &shell, &err), 0);
    const struct verifier_pool_options options = {
        .program = own_path, .n_children = 1, .externals = &shell, .n_externals = 1};
    struct verifier_pool *pool = verifier_pool_open(&options, &err);
    assert_non_null(pool);
    grade_one(pool, "[{\"verifier\":\"math\",\"gold\":\"\\\\frac{1}{2}\"}]", "\\boxed{0.5}");
    grade_one(pool, "[{\"verifier\":\"regex_format\",\"pattern\":\"^a+$\"}]", "aaa");
    grade_one(pool, "[{\"verifier\":\"shell\"}]", "x");
    pid_t grader = find_child(" grade ");
    assert_int_equal(atoi(fact(grader, "NoNewPrivs:\t")), 1);
    assert_int_equal(atoi(fact(grader, "Seccomp:\t")), 2);
    snprintf(text, sizeof text, "/proc/%d/environ", (int)grader);
    char environment[8192] = "";
    // Not even this user may look into it, but for root.
    int n = read_file(text, environment, sizeof environment);
    for (int i = 0, len; i < n; i += len + 1) {
        char *variable = environment + i;
        len = (int)strlen(variable);
        variable[strcspn(variable, "=")] = 0;
        assert_non_null(
            strstr("LD_LIBRARY_PATH ASAN_OPTIONS TSAN_OPTIONS UBSAN_OPTIONS", variable));
    }
    verifier_pool_free(&pool);
    verifier_command_clear(&shell);
}

int main(int argc, char **argv) {
    if (argc > 1 && strcmp(argv[1], "verify-child") == 0)
        return verifier_child_main(argc - 2, argv + 2);
    ssize_t n = readlink("/proc/self/exe", own_path, sizeof own_path - 1);
    if (n < 0) return 1;
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_what_is_refused),
        cmocka_unit_test(test_children_of_a_pool),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
