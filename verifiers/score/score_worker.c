// The body of a worker process: batches on stdin, replies on stdout, until end of file.
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "verifiers/process/sandbox.h"
#include "verifiers/score/score_grader.h"

// Returns how much was read: less than `len` at the end of file.
static size_t read_full(void *to, size_t len) {
    size_t done = 0;
    while (done < len) {
        ssize_t n = read(STDIN_FILENO, (char *)to + done, len - done);
        if (n == 0 || (n < 0 && errno != EINTR)) break;
        if (n > 0) done += (size_t)n;
    }
    return done;
}

static int write_full(struct slice s) {
    for (size_t done = 0; done < s.len;) {
        ssize_t n = write(STDOUT_FILENO, s.ptr + done, s.len - done);
        if (n < 0 && errno != EINTR) return -1;
        if (n > 0) done += (size_t)n;
    }
    return 0;
}

static int serve(struct score_grader *grader, struct score_page *page, struct error *err) {
    struct buffer body = {0}, out = {0};
    struct score_request request;
    int failed = 0;
    while (!failed && read_full(&request, sizeof request) == sizeof request) {
        size_t len =
            request.file_len + request.n_marks * sizeof(struct score_mark) + request.records_len;
        buffer_clear(&body);
        if (read_full(buffer_extend(&body, len), len) < len) break;
        buffer_clear(&out);
        failed = score_grader_batch(grader, &request, buffer_slice(&body), page, &out, err);
        if (!failed && write_full(buffer_slice(&out))) break; // the parent is gone
    }
    buffer_free(&body);
    buffer_free(&out);
    return failed;
}

int score_worker_main(const struct score_options *options) {
    struct error err = {0};
    struct score_golds golds = {.index_fd = -1, .rows_fd = -1};
    prctl(PR_SET_PDEATHSIG, SIGKILL); // a parent that died before closed our stdin
    struct score_page *page =
        mmap(NULL, sizeof *page, PROT_READ | PROT_WRITE, MAP_SHARED, SCORE_PAGE_FD, 0);
    int failed = 0;
    if (page == MAP_FAILED)
        failed = error_set(&err, ERROR_USAGE, "It is started by the program itself.");
    if (!failed && options->golds)
        failed = score_golds_attach(SCORE_GOLDS_INDEX_FD, SCORE_GOLDS_ROWS_FD, &golds, &err);
    struct score_grader *grader = NULL;
    if (!failed) grader = score_grader_open(options, options->golds ? &golds : NULL, false, &err);
    // One with external programs starts them again when they die; these have sandboxes of their
    // own.
    if (grader && options->n_externals == 0 && sandbox_enter(SANDBOX_GRADER, &err))
        fprintf(stderr, "stampede score-worker: %s\n", err.text);
    if (grader) failed = serve(grader, page, &err);
    if (failed || !grader) fprintf(stderr, "stampede score-worker: %s\n", err.text);
    score_grader_free(&grader);
    score_golds_close(&golds);
    if (page != MAP_FAILED) munmap(page, sizeof *page);
    return failed ? 1 : 0;
}
