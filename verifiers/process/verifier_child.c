// The body of a child process: `grade` for the built-in verifiers, `exec` and `exec-network` in
// front of an external program. All end with the parent and run in a sandbox (sandbox.h); an
// external program keeps both over exec.
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "verifiers/process/sandbox.h"
#include "verifiers/process/wire.h"

enum { READ_BYTES = 64 << 10 };

struct child {
    struct reward_spec *slots[WIRE_N_SLOTS];
    struct buffer out;
};

// {"slot", "external", "reward"}: the spec was checked by the parent, so a refusal is our fault.
static int store(struct child *child, const struct json *line, int slot) {
    struct verifier_command externals[REWARD_MAX_TERMS];
    struct arena arena = {0};
    struct error err = {0};
    int n = 0;
    const struct json *names = json_get(line, "external");
    for (const struct json *e = names ? names->first : NULL; e && n < REWARD_MAX_TERMS; e = e->next)
        externals[n++] = (struct verifier_command){
            .name = arena_copy(&arena, json_string(e, &arena).ptr, json_string(e, &arena).len)};
    reward_spec_free(&child->slots[slot]);
    child->slots[slot] = reward_spec_parse(json_get(line, "reward")->text, externals, n, &err);
    arena_clear(&arena);
    if (child->slots[slot]) return 0;
    fprintf(stderr, "verify-child: %s\n", err.text);
    return -1;
}

static int grade(struct child *child, const struct json *line, const struct reward_spec *spec,
                 struct arena *arena) {
    struct verifier_outcome outcomes[REWARD_MAX_TERMS];
    struct verifier_sample sample = {.n_tokens = -1};
    uint64_t id;
    const struct json *completion = json_get(line, "completion");
    const struct json *n_tokens = json_get(line, "n_tokens");
    if (!spec || !completion || completion->type != JSON_STRING ||
        json_uint64(json_get(line, "id"), &id))
        return -1;
    sample.completion = json_string(completion, arena);
    if (n_tokens && json_int64(n_tokens, &sample.n_tokens)) return -1;
    reward_grade_terms(spec, &sample, outcomes);
    wire_add_slot_reply(&child->out, id, spec, outcomes);
    return 0;
}

static int handle(struct child *child, struct slice text) {
    struct arena arena = {0};
    struct error err = {0};
    int64_t slot;
    int result = -1;
    const struct json *line = json_parse(text, &arena, &err);
    const struct json *member = json_get(line, "slot");
    if (member && json_int64(member, &slot) == 0 && slot >= 0 && slot < WIRE_N_SLOTS) {
        if (json_get(line, "reward"))
            result = store(child, line, (int)slot);
        else if (json_get(line, "id"))
            result = grade(child, line, child->slots[slot], &arena);
    }
    arena_clear(&arena);
    return result;
}

static int write_all(struct buffer *out) {
    size_t done = 0;
    while (done < out->len) {
        const ssize_t n = write(STDOUT_FILENO, out->ptr + done, out->len - done);
        if (n < 0 && errno != EINTR) return -1;
        if (n > 0) done += (size_t)n;
    }
    buffer_clear(out);
    return 0;
}

static int serve(void) {
    struct child child = {0};
    struct buffer in = {0};
    int result = 0;
    while (result == 0) {
        const size_t before = in.len;
        char *to = buffer_extend(&in, READ_BYTES);
        const ssize_t n = read(STDIN_FILENO, to, READ_BYTES);
        if (n == 0) break;
        if (n < 0 && errno != EINTR) result = 1;
        in.len = before + (n > 0 ? (size_t)n : 0);
        size_t start = 0;
        char *end = n > 0 ? memchr(in.ptr + before, '\n', (size_t)n) : NULL;
        while (end && result == 0) {
            const size_t stop = (size_t)(end - in.ptr);
            if (handle(&child, (struct slice){in.ptr + start, stop - start})) result = 1;
            if (write_all(&child.out)) result = 1;
            start = stop + 1;
            end = memchr(in.ptr + start, '\n', in.len - start);
        }
        memmove(in.ptr, in.ptr + start, in.len - start);
        in.len -= start;
    }
    for (int i = 0; i < WIRE_N_SLOTS; i++) reward_spec_free(&child.slots[i]);
    buffer_free(&child.out);
    buffer_free(&in);
    return result;
}

// Where our own libraries are found is not the program's business.
static void unset_all_but_path(void) {
    char *path = getenv("PATH");
    char *copy = path ? memory_copy(path, strlen(path)) : NULL;
    clearenv();
    if (copy) setenv("PATH", copy, 1);
    free(copy);
}

int verifier_child_main(int argc, char **argv) {
    if (argc < 2) {
        fputs("verify-child is started by the program itself.\n", stderr);
        return 2;
    }
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (getppid() != (pid_t)strtol(argv[1], NULL, 10)) return 1; // it died before
    bool network = strcmp(argv[0], "exec-network") == 0, is_grader = strcmp(argv[0], "grade") == 0;
    struct error err = {0};
    if (sandbox_enter(is_grader ? SANDBOX_GRADER
                      : network ? SANDBOX_NETWORK
                                : SANDBOX_PROGRAM,
                      &err))
        fprintf(stderr, "verify-child: %s\n", err.text); // less than was wanted, more than nothing
    if (is_grader) return serve();
    if ((network || strcmp(argv[0], "exec") == 0) && argc > 2) {
        unset_all_but_path();
        execvp(argv[2], argv + 2);
        fprintf(stderr, "verify-child: %s: %s\n", argv[2], strerror(errno));
        return 127;
    }
    return 2;
}
