// Workers that die, hang or never start: this program is its own worker, with graders that a
// record's text tells to misbehave.
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <poll.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cmocka.h>

#include "verifiers/score/score_grader.h"
#include "verifiers/score/score_workers.h"

static struct score_options options_for(const char *mode) {
    static char *arguments[] = {(char *)"worker", NULL, NULL};
    struct score_options options = score_options_defaults();
    options.verifier = "exact";
    options.child_argv = arguments;
    arguments[1] = (char *)mode;
    return options;
}

static void read_full(void *to, size_t len) {
    for (size_t done = 0; done < len;) {
        ssize_t n = read(STDIN_FILENO, (char *)to + done, len - done);
        if (n <= 0) _exit(0);
        done += (size_t)n;
    }
}

// "die": dies at a record that says so, unless it is marked; "die-unread": even then, as long as
// it is read; "once": the first process to see it dies; "junk": answers with something else.
static void misbehave(const char *mode, const struct score_request *request, struct slice body,
                      struct score_page *page) {
    const char *at = body.ptr + request->file_len + request->n_marks * sizeof(struct score_mark);
    for (uint32_t i = 0; i < request->n_records; i++) {
        struct score_item item;
        bool marked = false, unread = false;
        memcpy(&item, at, sizeof item);
        for (uint32_t k = 0; k < request->n_marks; k++) {
            struct score_mark mark;
            memcpy(&mark, body.ptr + request->file_len + k * sizeof mark, sizeof mark);
            if (mark.ordinal == i) marked = true, unread = mark.unread > 0;
        }
        bool told = memmem(at + sizeof item, item.len, "DIE", 3) != NULL;
        atomic_store(&page->ordinal, i);
        atomic_fetch_add(&page->beat, 1);
        if (told && strcmp(mode, "once") == 0) {
            // The next process sees the file that this one leaves.
            if (access("/proc/self/fd/2", F_OK) == 0 && lseek(STDERR_FILENO, 0, SEEK_END) == 0) {
                if (write(STDERR_FILENO, "x", 1) == 1) abort();
            }
        }
        if (told && strcmp(mode, "die") == 0 && !marked) raise(SIGKILL);
        if (told && strcmp(mode, "die-unread") == 0 && !unread) raise(SIGKILL);
        if (told && strcmp(mode, "junk") == 0 && !marked) {
            const char junk[64] = "this is no reply";
            if (write(STDOUT_FILENO, junk, sizeof junk) > 0) pause();
        }
        at += sizeof item + item.len;
    }
}

static int worker_main(const char *mode) {
    struct score_options options = options_for(mode);
    struct score_request request;
    struct buffer body = {0}, out = {0};
    struct error err;
    if (strcmp(mode, "never") == 0) return 3;
    struct score_page *page =
        mmap(NULL, sizeof *page, PROT_READ | PROT_WRITE, MAP_SHARED, SCORE_PAGE_FD, 0);
    struct score_grader *grader = score_grader_open(&options, NULL, false, &err);
    for (;;) {
        read_full(&request, sizeof request);
        size_t len =
            request.file_len + request.n_marks * sizeof(struct score_mark) + request.records_len;
        buffer_clear(&body);
        read_full(buffer_extend(&body, len), len);
        misbehave(mode, &request, buffer_slice(&body), page);
        buffer_clear(&out);
        if (score_grader_batch(grader, &request, buffer_slice(&body), page, &out, &err)) return 4;
        if (write(STDOUT_FILENO, out.ptr, out.len) != (ssize_t)out.len) return 5;
    }
}

static struct score_batch *make_batch(uint64_t number, int n, const int *bad, int n_bad) {
    struct score_batch *b = memory_new(1, sizeof *b);
    b->number = number;
    b->file = "in.jsonl";
    b->format = SCORE_JSONL;
    b->suspect = -1;
    for (int i = 0; i < n; i++) {
        char text[128];
        bool dies = false;
        for (int k = 0; k < n_bad; k++) dies = dies || bad[k] == i;
        int len =
            snprintf(text, sizeof text, "{\"id\":\"%s%d\",\"completion\":\"a\",\"gold\":\"a\"}",
                     dies ? "DIE" : "ok", i);
        struct score_item item = {
            .index = (uint64_t)i, .line = (uint64_t)i + 1, .len = (uint32_t)len};
        buffer_add(&b->records, &item, sizeof item);
        buffer_add(&b->records, text, (size_t)len);
        b->n_records++;
    }
    return b;
}

// Runs batches to their end on two workers. Returns what score_workers_step said last.
static int run(const char *mode, struct score_batch **batches, int n, struct error *err) {
    struct score_options options = options_for(mode);
    options.n_workers = 2;
    options.program = "/proc/self/exe";
    struct score_workers *workers = score_workers_open(&options, NULL, err);
    assert_non_null(workers);
    int failed = 0, submitted = 0;
    for (;;) {
        struct pollfd ready = {.fd = score_workers_fd(workers), .events = POLLIN};
        bool all = true;
        while (submitted < n && score_workers_hungry(workers))
            score_workers_submit(workers, batches[submitted++]);
        for (int i = 0; i < n; i++) all = all && batches[i]->done;
        if (all) break;
        failed = score_workers_step(workers, err);
        if (failed) break;
        poll(&ready, 1, 100);
    }
    score_workers_free(&workers);
    return failed;
}

static int count(const struct score_batch *b, const char *text) {
    int n = 0;
    const char *at = b->reply.ptr, *end = at + b->text_len;
    for (; (at = memmem(at, (size_t)(end - at), text, strlen(text))); at++) n++;
    return n;
}

static void check(const char *mode, int n, const int *bad, int n_bad, const char *status,
                  const char *id) {
    struct error err;
    struct score_batch *batches[6];
    for (int i = 0; i < 6; i++) batches[i] = make_batch((uint64_t)i, n, bad, i == 3 ? n_bad : 0);
    assert_int_equal(run(mode, batches, 6, &err), 0);
    for (int i = 0; i < 6; i++) {
        int wrong = i == 3 ? n_bad : 0;
        assert_int_equal(count(batches[i], "\n"), n);
        assert_int_equal(count(batches[i], "\"value\":1.0,\"status\":\"ok\",\"terms\""), n - wrong);
        assert_int_equal(count(batches[i], status), wrong);
        assert_int_equal(count(batches[i], id), wrong);
        score_batch_free(&batches[i]);
    }
}

static void test_a_record_that_kills(void **state) {
    (void)state;
    const int bad[] = {0, 7, 8, 19};
    check("die", 20, bad, 4, "{\"value\":null,\"status\":\"crash\",\"terms\":[]}", "\"id\":\"DIE");
}

static void test_a_record_that_kills_when_it_is_read(void **state) {
    (void)state;
    const int bad[] = {5};
    check("die-unread", 20, bad, 1, "\"status\":\"crash\"", "\"id\":null");
}

static void test_junk_in_place_of_a_reply(void **state) {
    (void)state;
    const int bad[] = {11};
    check("junk", 20, bad, 1, "\"status\":\"crash\"", "\"id\":\"DIE");
}

static void test_an_innocent_record_is_tried_again(void **state) {
    (void)state;
    const int bad[] = {4};
    char path[] = P_tmpdir "/test-workers-XXXXXX";
    int file = mkstemp(path), saved = dup(STDERR_FILENO);
    struct error err;
    struct score_batch *batch = make_batch(0, 10, bad, 1);
    dup2(file, STDERR_FILENO); // workers find an empty file there, once
    int failed = run("once", &batch, 1, &err);
    dup2(saved, STDERR_FILENO);
    assert_int_equal(failed, 0);
    assert_int_equal(lseek(file, 0, SEEK_END), 1); // one of them died
    assert_int_equal(count(batch, "\"status\":\"crash\""), 0);
    assert_int_equal(count(batch, "\"value\":1.0,\"status\":\"ok\",\"terms\""), 10);
    score_batch_free(&batch);
    close(saved);
    close(file);
    unlink(path);
}

static void test_workers_that_never_start(void **state) {
    (void)state;
    struct error err = {0};
    struct score_batch *batch = make_batch(0, 3, NULL, 0);
    assert_int_equal(run("never", &batch, 1, &err), -1);
    assert_int_equal(err.code, ERROR_INTERNAL);
    assert_non_null(strstr(err.text, "before it did anything"));
    score_batch_free(&batch);
}

int main(int argc, char **argv) {
    if (argc == 3 && strcmp(argv[1], "worker") == 0) return worker_main(argv[2]);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_record_that_kills),
        cmocka_unit_test(test_a_record_that_kills_when_it_is_read),
        cmocka_unit_test(test_junk_in_place_of_a_reply),
        cmocka_unit_test(test_an_innocent_record_is_tried_again),
        cmocka_unit_test(test_workers_that_never_start),
    };
    signal(SIGPIPE, SIG_IGN);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
