// The supervisor against children that misbehave. This program is its own child: it reads a line,
// does what it says, and writes a line.
#include <dirent.h>
#include <fcntl.h>
#include <poll.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "protocol/base/clock.h"
#include "verifiers/process/supervisor.h"

enum { DEADLINE_MS = 1000, MAX_JOBS = 64 };

struct job {
    struct supervisor_job base;
    const char *text;
    char reply[128]; // empty: none yet
    int n_lost, child;
    enum supervisor_loss loss;
    bool gave_up;
};

struct owner {
    struct supervisor *supervisor;
    struct job jobs[MAX_JOBS]; // (n)
    int n, n_done, tries, n_idle_losses;
    struct job *order[MAX_JOBS]; // (n_done) as they were answered
    int given[PROCESS_MAX_FDS], n_given;
    uint64_t progress;
    char why[256];
};

// ---- The child ---------------------------------------------------------------------------------

static void list_descriptors(char *out, size_t room) {
    DIR *dir = opendir("/proc/self/fd");
    size_t n = 0;
    for (struct dirent *e; dir && (e = readdir(dir));) {
        const int fd = atoi(e->d_name);
        if (e->d_name[0] == '.' || fd == dirfd(dir)) continue;
        n += (size_t)snprintf(out + n, room - n, "%d ", fd);
    }
    if (dir) closedir(dir);
}

static int child_main(const char *mode) {
    char line[256], text[264] = "";
    if (strcmp(mode, "barren") == 0) return 3;
    while (fgets(line, sizeof line, stdin)) {
        line[strcspn(line, "\n")] = 0;
        snprintf(text, sizeof text, "ok %s", line);
        if (strcmp(line, "die") == 0) kill(getpid(), SIGKILL);
        if (strcmp(line, "leave") == 0) return 0;
        if (strcmp(line, "hang") == 0) pause();
        if (strcmp(line, "slow") == 0) usleep(50000);
        if (strcmp(line, "junk") == 0) strcpy(text, "no reply");
        if (strcmp(line, "twice") == 0) strcpy(text, "ok twice\nok twice");
        if (strcmp(line, "pid") == 0) snprintf(text, sizeof text, "ok %d", (int)getpid());
        if (strcmp(line, "fds") == 0) list_descriptors(text + 3, sizeof text - 3);
        if (strcmp(line, "given") == 0) {
            const ssize_t n = pread(PROCESS_FIRST_FD, text + 3, sizeof text - 4, 0);
            text[n > 0 ? n + 3 : 3] = 0;
        }
        if (strcmp(line, "signals") == 0)
            snprintf(text, sizeof text, "ok %d", signal(SIGPIPE, SIG_DFL) == SIG_DFL);
        printf("%s\n", text);
        fflush(stdout);
    }
    return 0;
}

// ---- The owner ---------------------------------------------------------------------------------

static void send_job(void *self, int child, struct supervisor_job *job, struct buffer *to) {
    (void)self;
    ((struct job *)job)->child = child;
    buffer_add_text(to, ((struct job *)job)->text);
    buffer_add_text(to, "\n");
}

static ptrdiff_t measure(void *self, const struct supervisor_job *job, struct slice bytes,
                         struct error *err) {
    const char *end = memchr(bytes.ptr, '\n', bytes.len);
    (void)self;
    (void)job;
    if (!end) return 0;
    if (memcmp(bytes.ptr, "ok", 2) != 0) return error_set(err, ERROR_INPUT, "This is no reply.");
    return end + 1 - bytes.ptr;
}

static void finish(struct owner *o, struct job *job) {
    o->order[o->n_done++] = job;
}

static int receive(void *self, struct supervisor_job *base, struct slice reply, struct error *err) {
    struct job *job = (struct job *)base;
    (void)err;
    snprintf(job->reply, sizeof job->reply, "%.*s", (int)reply.len - 1, reply.ptr);
    finish(self, job);
    return 0;
}

static bool lost(void *self, int child, struct supervisor_job *base, enum supervisor_loss loss,
                 const char *why) {
    struct owner *o = self;
    struct job *job = (struct job *)base;
    snprintf(o->why, sizeof o->why, "%s", why);
    o->n_idle_losses += !job;
    if (!job) return false;
    assert_int_equal(job->child, child);
    job->loss = loss;
    if (++job->n_lost < o->tries) return true;
    job->gave_up = true;
    finish(o, job);
    return false;
}

static uint64_t progress(void *self, int child) {
    (void)child;
    return ((struct owner *)self)->progress;
}

static int give(void *self, int child, int fds[PROCESS_MAX_FDS]) {
    struct owner *o = self;
    (void)child;
    memcpy(fds, o->given, sizeof o->given);
    return o->n_given;
}

static const struct supervisor_kind PLAIN = {
    .send = send_job, .measure = measure, .receive = receive, .lost = lost};
static const struct supervisor_kind FULL = {.send = send_job,
                                            .measure = measure,
                                            .receive = receive,
                                            .lost = lost,
                                            .progress = progress,
                                            .give = give};

static void open_owner(struct owner *o, const struct supervisor_kind *kind, int n_children,
                       int max_sent) {
    static char *arguments[] = {(char *)"child", (char *)"plain", NULL};
    const struct supervisor_options options = {.kind = kind,
                                               .self = o,
                                               .argv = arguments,
                                               .n_children = n_children,
                                               .max_sent = max_sent,
                                               .deadline_ms = DEADLINE_MS,
                                               .pipe_bytes = 1 << 16};
    struct error err;
    if (o->tries == 0) o->tries = 1;
    o->supervisor = supervisor_open(&options, &err);
    assert_non_null(o->supervisor);
}

static void ask(struct owner *o, const char *text) {
    struct job *job = &o->jobs[o->n++];
    *job = (struct job){.text = text};
    supervisor_submit(o->supervisor, &job->base);
}

static void step(struct owner *o) {
    struct error err;
    struct pollfd ready = {.fd = supervisor_fd(o->supervisor), .events = POLLIN};
    poll(&ready, 1, supervisor_due(o->supervisor, 100));
    assert_int_equal(supervisor_step(o->supervisor, &err), 0);
}

static void finish_all(struct owner *o) {
    while (o->n_done < o->n) step(o);
}

// ---- Tests -------------------------------------------------------------------------------------

static void test_order(void **state) {
    struct owner o = {0};
    (void)state;
    open_owner(&o, &PLAIN, 1, 4);
    assert_int_equal(supervisor_room(o.supervisor), 4);
    for (int i = 0; i < 40; i++) ask(&o, i % 7 ? "a" : "b");
    assert_int_equal(supervisor_room(o.supervisor), 4 - 40);
    finish_all(&o);
    for (int i = 0; i < 40; i++) {
        assert_ptr_equal(o.order[i], &o.jobs[i]);
        assert_string_equal(o.jobs[i].reply, i % 7 ? "ok a" : "ok b");
    }
    assert_int_equal(supervisor_room(o.supervisor), 4);
    supervisor_free(&o.supervisor, NULL);
}

// The oldest job is to blame; those behind it are asked again, and come first.
static void test_losses(void **state) {
    static const struct {
        const char *text, *why;
        enum supervisor_loss loss;
    } cases[] = {
        {"die", "ended or closed", SUPERVISOR_CRASH},
        {"leave", "ended or closed", SUPERVISOR_CRASH},
        {"junk", "This is no reply", SUPERVISOR_CRASH},
        {"hang", "did not answer within 1000 ms", SUPERVISOR_TIMEOUT},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct owner o = {.tries = 3};
        open_owner(&o, &PLAIN, 1, 3);
        ask(&o, "first");
        ask(&o, cases[i].text);
        for (int k = 0; k < 5; k++) ask(&o, "behind");
        finish_all(&o);
        struct job *bad = &o.jobs[1];
        assert_true(bad->gave_up);
        assert_int_equal(bad->n_lost, 3);
        assert_int_equal(bad->loss, cases[i].loss);
        assert_non_null(strstr(o.why, cases[i].why));
        for (int k = 0; k < 7; k++) {
            assert_ptr_equal(o.order[k], &o.jobs[k]);
            if (k != 1) assert_int_equal(o.jobs[k].n_lost, 0);
        }
        supervisor_free(&o.supervisor, NULL);
    }
}

static void test_a_child_that_speaks_unasked(void **state) {
    struct owner o = {0};
    (void)state;
    open_owner(&o, &PLAIN, 1, 1);
    ask(&o, "twice");
    finish_all(&o);
    assert_string_equal(o.jobs[0].reply, "ok twice");
    for (int64_t end = clock_ms() + 2000; o.n_idle_losses == 0 && clock_ms() < end;) step(&o);
    assert_int_equal(o.n_idle_losses, 1);
    ask(&o, "more");
    finish_all(&o);
    assert_string_equal(o.jobs[1].reply, "ok more");
    supervisor_free(&o.supervisor, NULL);
}

// Time in which the owner was elsewhere is not the child's; and one that gets on is not late.
static void test_deadlines(void **state) {
    struct owner o = {0};
    struct error err;
    (void)state;
    open_owner(&o, &FULL, 1, 1);
    ask(&o, "a");
    finish_all(&o);
    ask(&o, "hang");
    const int64_t begun = clock_ms();
    while (clock_ms() - begun < 4 * DEADLINE_MS) {
        o.progress++;
        step(&o);
    }
    assert_int_equal(o.n_done, 1);
    while (o.n_done < 2) step(&o);
    assert_true(o.jobs[1].gave_up);
    assert_in_range(clock_ms() - begun, 5 * DEADLINE_MS - 50, 30000);
    for (int i = 0; i < 3; i++) ask(&o, "slow");
    assert_int_equal(supervisor_step(o.supervisor, &err), 0);
    finish_all(&o);
    for (int i = 2; i < 5; i++) assert_string_equal(o.jobs[i].reply, "ok slow");
    supervisor_free(&o.supervisor, NULL);
}

// A child finds what it is given from 3 on, and nothing else that its parent has open.
static void test_descriptors(void **state) {
    struct owner o = {.n_given = 2};
    char path[] = P_tmpdir "/test-supervisor-XXXXXX";
    (void)state;
    const int file = mkstemp(path);
    assert_true(file >= 0 && write(file, "given text", 10) == 10);
    unlink(path);
    // Others in the way: inheritable, at both ends.
    const int low = dup2(file, 30), other = dup(file);
    o.given[0] = file;
    o.given[1] = low;
    open_owner(&o, &FULL, 2, 1);
    ask(&o, "fds");
    ask(&o, "given");
    ask(&o, "signals");
    finish_all(&o);
    assert_string_equal(o.jobs[0].reply, "ok 0 1 2 3 4 ");
    assert_string_equal(o.jobs[1].reply, "ok given text");
    assert_string_equal(o.jobs[2].reply, "ok 1"); // as a program expects them
    supervisor_free(&o.supervisor, NULL);
    close(file);
    close(low);
    close(other);
}

static void test_work_is_spread(void **state) {
    struct owner o = {0};
    (void)state;
    open_owner(&o, &PLAIN, 4, 2);
    for (int i = 0; i < 16; i++) ask(&o, "slow");
    const int64_t begun = clock_ms();
    finish_all(&o);
    int at[4] = {0};
    for (int i = 0; i < 16; i++) at[o.jobs[i].child]++;
    for (int i = 0; i < 4; i++) assert_in_range(at[i], 1, 10);
    assert_in_range(clock_ms() - begun, 150, 30000);
    supervisor_free(&o.supervisor, NULL);
}

// A program that never does anything is given up; one that cannot be started is refused.
static void test_barren(void **state) {
    static char *arguments[] = {(char *)"child", (char *)"barren", NULL};
    struct owner o = {.tries = 100};
    struct supervisor_options options = {.kind = &PLAIN,
                                         .self = &o,
                                         .argv = arguments,
                                         .n_children = 1,
                                         .max_sent = 1,
                                         .deadline_ms = DEADLINE_MS,
                                         .max_barren = 4,
                                         .pipe_bytes = 1 << 16};
    struct error err = {0};
    int failed = 0;
    (void)state;
    o.supervisor = supervisor_open(&options, &err);
    assert_non_null(o.supervisor);
    ask(&o, "a");
    for (int i = 0; i < 1000 && !failed; i++) {
        usleep(5000);
        failed = supervisor_step(o.supervisor, &err);
    }
    assert_int_equal(err.code, ERROR_INTERNAL);
    assert_non_null(strstr(err.text, "ended 4 times before it did anything"));
    supervisor_free(&o.supervisor, NULL);
    options.program = "/no/such/program";
    assert_null(supervisor_open(&options, &err));
    assert_int_equal(err.code, ERROR_IO);
    assert_non_null(strstr(err.text, "No such file"));
}

static int n_dropped;

static void drop(void *self, struct supervisor_job *job) {
    (void)self;
    n_dropped += ((struct job *)job)->text != NULL;
}

static void test_what_is_left_is_given_back(void **state) {
    struct owner o = {0};
    struct error err;
    (void)state;
    open_owner(&o, &PLAIN, 2, 2);
    for (int i = 0; i < 9; i++) ask(&o, "hang");
    assert_int_equal(supervisor_step(o.supervisor, &err), 0);
    supervisor_free(&o.supervisor, drop);
    assert_int_equal(n_dropped, 9);
    assert_null(o.supervisor);
}

int main(int argc, char **argv) {
    if (argc > 2 && strcmp(argv[1], "child") == 0) return child_main(argv[2]);
    signal(SIGPIPE, SIG_IGN); // as programs with a supervisor do: a dead child is an error of write
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_order),
        cmocka_unit_test(test_losses),
        cmocka_unit_test(test_a_child_that_speaks_unasked),
        cmocka_unit_test(test_deadlines),
        cmocka_unit_test(test_descriptors),
        cmocka_unit_test(test_work_is_spread),
        cmocka_unit_test(test_barren),
        cmocka_unit_test(test_what_is_left_is_given_back),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
