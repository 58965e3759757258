// Lists of devices, and the processes of a fleet: statuses, signals, a parent that dies.
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "worker/commands/fleet.h"

static void test_names(void **state) {
    (void)state;
    struct fleet f;
    struct error err = {0};
    assert_int_equal(fleet_read("cpu", &f, &err), 0);
    assert_int_equal(f.n, 1);
    assert_string_equal(f.devices[0], "cpu");
    assert_int_equal(fleet_read("cuda:3/wgmma,timed", &f, &err), 0); // commas of the path
    assert_int_equal(f.n, 1);
    assert_string_equal(f.devices[0], "cuda:3/wgmma,timed");
    assert_int_equal(fleet_read("cuda:0,2,11/mma,serial", &f, &err), 0);
    assert_int_equal(f.n, 3);
    assert_string_equal(f.devices[0], "cuda:0/mma,serial");
    assert_string_equal(f.devices[2], "cuda:11/mma,serial");
    assert_int_equal(fleet_read("cpu:all", &f, &err), 0);
    assert_int_equal(f.n, 1);
    assert_string_equal(f.devices[0], "cpu:0");
}

static void test_bad_names(void **state) {
    (void)state;
    static const char *const bad[][2] = {{"cuda:0,", "no list"},      {"cuda:,0", "no list"},
                                         {"cuda:0,,1", "no list"},    {"cuda:0,x", "no list"},
                                         {"cuda:0,12345", "no list"}, {"cuda:1,0,1", "twice"},
                                         {"nodevice:all", "nodevice"}};
    char many[1024] = "cuda:0";
    struct fleet f;
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        struct error err = {0};
        assert_int_equal(fleet_read(bad[i][0], &f, &err), -1);
        assert_int_equal(err.code, ERROR_USAGE);
        assert_non_null(strstr(err.text, bad[i][1]));
    }
    for (int i = 1; i <= FLEET_MAX; i++)
        snprintf(many + strlen(many), sizeof many - strlen(many), ",%d", i);
    struct error err = {0};
    assert_int_equal(fleet_read(many, &f, &err), -1);
    assert_non_null(strstr(err.text, "too many"));
}

static int end_with(void *arg, int i) {
    return ((const int *)arg)[i];
}

static int worst(int n, const int *statuses) {
    struct fleet f = {.n = n};
    struct error err = {0};
    int status = -1, copy[FLEET_MAX];
    memcpy(copy, statuses, (size_t)n * sizeof *copy);
    assert_int_equal(fleet_run(&f, end_with, copy, &status, &err), 0);
    return status;
}

static void test_the_worst_status_counts(void **state) {
    (void)state;
    assert_int_equal(worst(3, (int[]){0, 0, 0}), 0);
    assert_int_equal(worst(3, (int[]){0, 75, 0}), 75);
    assert_int_equal(worst(4, (int[]){74, 75, 69, 0}), 74);
    assert_int_equal(worst(3, (int[]){0, 78, 74}), 78);
}

static int die(void *arg, int i) {
    (void)arg;
    if (i == 1) abort();
    return 74;
}

static void test_an_end_by_a_signal_is_the_worst(void **state) {
    (void)state;
    struct fleet f = {.n = 3};
    struct error err = {0};
    int status = 0;
    assert_int_equal(fleet_run(&f, die, NULL, &status, &err), 0);
    assert_int_equal(status, 128 + SIGABRT);
}

// What children and their parent see of each other.
struct shared {
    atomic_int n_waiting, n_signals;
};

static int wait_for_signal(void *arg, int i) {
    struct shared *s = arg;
    sigset_t set;
    int signal = 0;
    (void)i;
    sigemptyset(&set);
    sigaddset(&set, SIGTERM);
    pthread_sigmask(SIG_BLOCK, &set, NULL);
    atomic_fetch_add(&s->n_waiting, 1);
    sigwait(&set, &signal);
    atomic_fetch_add(&s->n_signals, 1);
    // A second one would end this process with 128 + 15.
    pthread_sigmask(SIG_UNBLOCK, &set, NULL);
    usleep(100 * 1000);
    return 75;
}

static struct shared *share(void) {
    struct shared *s =
        mmap(NULL, sizeof *s, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    assert_ptr_not_equal(s, MAP_FAILED);
    return s;
}

// The parent of a fleet of 3, in a process of its own.
static pid_t start_parent(struct shared *s) {
    pid_t pid = fork();
    if (pid == 0) {
        struct fleet f = {.n = 3};
        struct error err = {0};
        int status = 0;
        int failed = fleet_run(&f, wait_for_signal, s, &status, &err);
        _exit(failed ? 1 : status);
    }
    while (atomic_load(&s->n_waiting) < 3) usleep(1000);
    return pid;
}

static void test_signals_reach_all_once(void **state) {
    (void)state;
    struct shared *s = share();
    pid_t parent = start_parent(s);
    int how;
    kill(parent, SIGTERM);
    assert_int_equal(waitpid(parent, &how, 0), parent);
    assert_true(WIFEXITED(how));
    assert_int_equal(WEXITSTATUS(how), 75);
    assert_int_equal(atomic_load(&s->n_signals), 3);
    munmap(s, sizeof *s);
}

static void test_a_killed_parent_drains_its_children(void **state) {
    (void)state;
    struct shared *s = share();
    pid_t parent = start_parent(s);
    kill(parent, SIGKILL);
    assert_int_equal(waitpid(parent, NULL, 0), parent);
    while (atomic_load(&s->n_signals) < 3) usleep(1000);
    munmap(s, sizeof *s);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_names),
        cmocka_unit_test(test_bad_names),
        cmocka_unit_test(test_the_worst_status_counts),
        cmocka_unit_test(test_an_end_by_a_signal_is_the_worst),
        cmocka_unit_test(test_signals_reach_all_once),
        cmocka_unit_test(test_a_killed_parent_drains_its_children),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
