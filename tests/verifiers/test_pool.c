// The pool of child processes against verifiers that misbehave. This program is its own child
// (`verify-child`) and its own external verifier (`misbehave MODE`), which does what the
// completion says.
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>
#include <cmocka.h>

#include "protocol/base/clock.h"
#include "protocol/base/json.h"
#include "verifiers/verify.h"

static char own_path[512];

// ---- The external program -------------------------------------------------------------------

static int count_descriptors(void) {
    DIR *dir = opendir("/proc/self/fd");
    int n = 0;
    while (dir && readdir(dir)) n++;
    if (dir) closedir(dir);
    return n - 3; // ".", ".." and the directory itself
}

static void answer(const struct json *request, struct arena *arena) {
    const struct slice text = json_string(json_get(request, "completion"), arena);
    const struct slice id = json_get(request, "id")->text;
    if (slice_is(text, "loop")) {
        for (volatile int i = 0;; i++) i = 0;
    } else if (slice_is(text, "crash")) {
        kill(getpid(), SIGKILL);
    } else if (slice_is(text, "exit")) {
        _exit(0);
    } else if (slice_is(text, "junk")) {
        printf("hello, this is no JSON\n");
    } else if (slice_is(text, "wrong id")) {
        printf("{\"id\":%.*s0,\"value\":1}\n", SLICE_ARG(id));
    } else if (slice_is(text, "nan")) {
        printf("{\"id\":%.*s,\"value\":NaN}\n", SLICE_ARG(id));
    } else if (slice_is(text, "close")) {
        fclose(stdout);
        pause();
    } else if (slice_is(text, "flood")) {
        for (int i = 0; i < 1 << 20; i++) putchar('a');
    } else if (slice_is(text, "null")) {
        printf("{\"id\":%.*s,\"value\":null}\n", SLICE_ARG(id));
    } else if (slice_is(text, "unknown")) {
        printf("{\"id\":%.*s,\"value\":5,\"status\":\"unknown\",\"detail\":\"Why.\"}\n",
               SLICE_ARG(id));
    } else if (slice_is(text, "descriptors")) {
        printf("{\"id\":%.*s,\"value\":%d}\n", SLICE_ARG(id), count_descriptors());
    } else if (slice_is(text, "pid")) {
        printf("{\"id\":%.*s,\"value\":%ld}\n", SLICE_ARG(id), (long)getpid());
    } else if (slice_is(text, "gold")) {
        const struct json *term = json_get(request, "term");
        printf("{\"id\":%.*s,\"value\":%.*s}\n", SLICE_ARG(id),
               SLICE_ARG(json_get(term, "gold")->text));
    } else {
        printf("{\"id\":%.*s,\"value\":%zu,\"status\":\"ok\"}\n", SLICE_ARG(id), text.len);
    }
    fflush(stdout);
}

static int misbehave(const char *mode) {
    char *line = NULL;
    size_t capacity = 0;
    ssize_t n;
    if (strcmp(mode, "deaf") == 0) pause(); // never reads
    if (strcmp(mode, "stillborn") == 0) return 1;
    while ((n = getline(&line, &capacity, stdin)) > 0) {
        struct arena arena = {0};
        struct error err;
        const struct json *request = json_parse((struct slice){line, (size_t)n}, &arena, &err);
        if (!request) return 3;
        answer(request, &arena);
        arena_clear(&arena);
    }
    free(line);
    return 0;
}

// ---- Helpers --------------------------------------------------------------------------------

static struct verifier_pool *open_pool(int n_children, int deadline_ms, const char *mode,
                                       struct verifier_command *command) {
    struct error err;
    char text[640];
    snprintf(text, sizeof text, "other='%s' misbehave %s", own_path, mode);
    assert_int_equal(verifier_command_parse(text, command, &err), 0);
    const struct verifier_pool_options options = {.n_children = n_children,
                                                  .deadline_ms = deadline_ms,
                                                  .externals = command,
                                                  .n_externals = 1};
    struct verifier_pool *pool = verifier_pool_open(&options, &err);
    if (!pool) print_error("%s\n", err.text);
    assert_non_null(pool);
    return pool;
}

static struct reward_spec *spec_of(const char *json, const struct verifier_command *command) {
    struct error err;
    struct reward_spec *spec = reward_spec_parse(slice_of(json), command, command ? 1 : 0, &err);
    if (!spec) print_error("%s\n", err.text);
    assert_non_null(spec);
    return spec;
}

static void submit(struct verifier_pool *pool, uint64_t ticket, struct reward_spec *spec,
                   const char *text) {
    const struct verifier_sample sample = {.completion = slice_of(text),
                                           .prompt = slice_of("two\nlines"),
                                           .n_tokens = 7,
                                           .finish_reason = "stop"};
    verifier_pool_submit(pool, ticket, spec, &sample);
}

// Polls until all of (n) tickets 0..n-1 are there; each comes once.
static void collect(struct verifier_pool *pool, struct reward **rewards, int n) {
    memset(rewards, 0, (size_t)n * sizeof *rewards);
    while (verifier_pool_n_pending(pool) > 0) {
        struct verifier_result results[5];
        const int got = verifier_pool_poll(pool, 1000, results, 5);
        assert_in_range(got, 0, 5);
        for (int i = 0; i < got; i++) {
            assert_in_range(results[i].ticket, 0, n - 1);
            assert_null(rewards[results[i].ticket]);
            rewards[results[i].ticket] = results[i].reward;
        }
    }
    for (int i = 0; i < n; i++) assert_non_null(rewards[i]);
}

static void free_all(struct reward **rewards, int n) {
    for (int i = 0; i < n; i++) reward_free(&rewards[i]);
}

static const char EXTERNAL[] = "[{\"verifier\":\"other\",\n \"gold\": 2.5}]";

// ---- Tests ----------------------------------------------------------------------------------

static void test_builtin(void **state) {
    enum { N = 300 };
    struct reward *rewards[N];
    struct verifier_command command;
    struct verifier_pool *pool = open_pool(3, 0, "well", &command);
    (void)state;
    // More groups than a child keeps specs, twice over, so that slots are written again.
    for (int i = 0; i < N; i++) {
        char json[96], text[64];
        snprintf(json, sizeof json, "[{\"verifier\":\"math\",\n\"gold\":\"%d\"}]", i % 150);
        snprintf(text, sizeof text, "So it is \\boxed{%d}.\n", i % 7 ? i % 150 : -1);
        struct reward_spec *spec = spec_of(json, NULL);
        submit(pool, (uint64_t)i, spec, text);
        reward_spec_free(&spec); // the pool keeps its own
    }
    collect(pool, rewards, N);
    for (int i = 0; i < N; i++) {
        assert_int_equal(rewards[i]->status, REWARD_OK);
        assert_true(rewards[i]->value == (i % 7 ? 1 : 0));
    }
    free_all(rewards, N);
    verifier_pool_free(&pool);
    assert_null(pool);
    verifier_command_clear(&command);
}

static void test_mixed_terms(void **state) {
    struct reward *rewards[2];
    struct verifier_command command;
    struct verifier_pool *pool = open_pool(1, 0, "well", &command);
    struct reward_spec *spec =
        spec_of("{\"terms\":[{\"verifier\":\"other\",\"weight\":0.5,\"name\":\"o\"},"
                "{\"verifier\":\"math\",\"gold\":\"4\",\"weight\":2},"
                "{\"verifier\":\"length\",\"max\":8,\"soft\":4}],\"clamp\":[-9,9]}",
                &command);
    (void)state;
    submit(pool, 0, spec, "#### 4");
    submit(pool, 1, spec, "unknown");
    collect(pool, rewards, 2);
    assert_true(rewards[0]->value == 0.5 * 6 + 2 - 0.75);
    assert_string_equal(rewards[0]->terms[0].name, "o");
    assert_true(rewards[0]->terms[2].value == -0.75);
    assert_int_equal(rewards[1]->status, REWARD_UNKNOWN);
    assert_string_equal(rewards[1]->terms[0].detail, "Why.");
    assert_true(rewards[1]->terms[0].value == 0);             // whatever number it said
    assert_int_equal(rewards[1]->terms[1].status, REWARD_OK); // a word, and not 4
    assert_true(rewards[1]->terms[1].value == 0);
    assert_true(rewards[1]->value == -0.75);
    free_all(rewards, 2);
    reward_spec_free(&spec);
    verifier_pool_free(&pool);
    verifier_command_clear(&command);
}

// Each of the bad ones costs its own verdict and nothing else, however they are mixed.
static void test_misbehaviour(void **state) {
    static const struct {
        const char *text;
        enum reward_status status;
    } CASES[] = {
        {"crash", REWARD_CRASH}, {"exit", REWARD_CRASH},       {"junk", REWARD_CRASH},
        {"close", REWARD_CRASH}, {"flood", REWARD_CRASH},      {"wrong id", REWARD_CRASH},
        {"nan", REWARD_CRASH},   {"null", REWARD_UNSUPPORTED}, {"unknown", REWARD_UNKNOWN},
        {"gold", REWARD_OK},     {"fine", REWARD_OK},          {"also fine", REWARD_OK},
        {"x", REWARD_OK},
    };
    enum { N_CASES = sizeof CASES / sizeof *CASES, N = 5 * N_CASES };
    struct reward *rewards[N];
    struct verifier_command command;
    struct verifier_pool *pool = open_pool(2, 0, "well", &command);
    struct reward_spec *spec = spec_of(EXTERNAL, &command);
    (void)state;
    for (int i = 0; i < N; i++) submit(pool, (uint64_t)i, spec, CASES[i % N_CASES].text);
    collect(pool, rewards, N);
    for (int i = 0; i < N; i++) {
        const int c = i % N_CASES;
        if (rewards[i]->status != CASES[c].status) print_error("case %s\n", CASES[c].text);
        assert_int_equal(rewards[i]->status, CASES[c].status);
        assert_int_equal(isnan(rewards[i]->value), !reward_status_has_value(CASES[c].status));
        if (CASES[c].status <= REWARD_TIMEOUT && CASES[c].status != REWARD_UNSUPPORTED)
            assert_true(strlen(rewards[i]->terms[0].detail) > 20); // a sentence
        if (strcmp(CASES[c].text, "gold") == 0)
            assert_true(rewards[i]->value == 2.5);
        else if (CASES[c].status == REWARD_OK)
            assert_true(rewards[i]->value == (double)strlen(CASES[c].text));
    }
    free_all(rewards, N);
    reward_spec_free(&spec);
    verifier_pool_free(&pool);
    verifier_command_clear(&command);
}

static void test_endless_loop(void **state) {
    static const char *const TEXTS[] = {"fine", "loop", "x", "loop", "also fine"};
    struct reward *rewards[5];
    struct verifier_command command;
    struct verifier_pool *pool = open_pool(1, 800, "well", &command);
    struct reward_spec *spec = spec_of(EXTERNAL, &command);
    (void)state;
    for (int i = 0; i < 5; i++) submit(pool, (uint64_t)i, spec, TEXTS[i]);
    collect(pool, rewards, 5);
    for (int i = 0; i < 5; i++) {
        const bool loops = strcmp(TEXTS[i], "loop") == 0;
        assert_int_equal(rewards[i]->status, loops ? REWARD_TIMEOUT : REWARD_OK);
        if (loops)
            assert_true(isnan(rewards[i]->value));
        else
            assert_true(rewards[i]->value == (double)strlen(TEXTS[i]));
    }
    assert_string_equal(rewards[1]->terms[0].detail, "The verifier did not answer within 800 ms.");
    free_all(rewards, 5);
    reward_spec_free(&spec);
    verifier_pool_free(&pool);
    verifier_command_clear(&command);
}

// Its pipe fills up: polling returns all the same, and the oldest check times out.
static void test_never_reads(void **state) {
    enum { N = 2, BYTES = 1 << 20 };
    struct verifier_command command;
    struct verifier_pool *pool = open_pool(1, 1000, "deaf", &command);
    struct reward_spec *spec = spec_of(EXTERNAL, &command);
    struct reward *rewards[N];
    struct verifier_result none;
    (void)state;
    char *text = malloc(BYTES + 1);
    assert_non_null(text);
    memset(text, 'a', BYTES);
    text[BYTES] = 0;
    for (int i = 0; i < N; i++) submit(pool, (uint64_t)i, spec, text);
    assert_int_equal(verifier_pool_poll(pool, 0, &none, 1), 0);
    assert_int_equal(verifier_pool_n_pending(pool), N);
    collect(pool, rewards, N);
    for (int i = 0; i < N; i++) assert_int_equal(rewards[i]->status, REWARD_TIMEOUT);
    free(text);
    free_all(rewards, N);
    reward_spec_free(&spec);
    verifier_pool_free(&pool);
    verifier_command_clear(&command);
}

static void test_ends_at_once(void **state) {
    struct verifier_command command;
    struct verifier_pool *pool = open_pool(1, 0, "stillborn", &command);
    struct reward_spec *spec = spec_of(EXTERNAL, &command);
    struct reward *rewards[4];
    (void)state;
    for (int i = 0; i < 4; i++) submit(pool, (uint64_t)i, spec, "x");
    collect(pool, rewards, 4);
    for (int i = 0; i < 4; i++) assert_int_equal(rewards[i]->status, REWARD_CRASH);
    free_all(rewards, 4);
    reward_spec_free(&spec);
    verifier_pool_free(&pool);
    verifier_command_clear(&command);
}

// Kills the children of this process and returns how many there were.
static int kill_children(void) {
    char path[64], list[4096];
    snprintf(path, sizeof path, "/proc/self/task/%ld/children", (long)getpid());
    FILE *f = fopen(path, "r");
    assert_non_null(f);
    const size_t n = fread(list, 1, sizeof list - 1, f);
    fclose(f);
    list[n] = 0;
    int killed = 0;
    for (char *p = list, *end; *p && (end = p, 1); p = end) {
        const long pid = strtol(p, &end, 10);
        if (end == p) break;
        assert_int_equal(kill((pid_t)pid, SIGKILL), 0);
        killed++;
    }
    return killed;
}

static void test_killed_children(void **state) {
    enum { N = 200 };
    struct reward *rewards[N];
    struct verifier_command command;
    struct verifier_pool *pool = open_pool(2, 0, "well", &command);
    struct reward_spec *spec = spec_of("[{\"verifier\":\"math\",\"gold\":\"42\"}]", NULL);
    struct verifier_result first;
    int n_failed = 0;
    (void)state;
    for (int i = 0; i < N; i++) submit(pool, (uint64_t)i, spec, "The answer is 42.");
    while (verifier_pool_poll(pool, 100, &first, 1) == 0)
        ;
    const int killed = kill_children();
    assert_int_equal(killed, 4); // two of ours, two external
    // The one that was taken goes round again in its place.
    submit(pool, first.ticket, spec, "The answer is 42.");
    reward_free(&first.reward);
    collect(pool, rewards, N);
    for (int i = 0; i < N; i++) {
        n_failed += rewards[i]->status == REWARD_CRASH;
        if (rewards[i]->status == REWARD_OK) assert_true(rewards[i]->value == 1);
    }
    assert_in_range(n_failed, 0, 2); // at most the oldest check of each
    free_all(rewards, N);
    reward_spec_free(&spec);
    verifier_pool_free(&pool);
    assert_int_equal(waitpid(-1, NULL, WNOHANG), -1); // none left, not even unreaped
    assert_int_equal(errno, ECHILD);
    verifier_command_clear(&command);
}

static void test_inherits_nothing(void **state) {
    struct reward *reward;
    struct verifier_command command;
    const int fd = open("/dev/null", O_RDONLY); // not close-on-exec, as a library may leave one
    struct verifier_pool *pool = open_pool(2, 0, "well", &command);
    struct reward_spec *spec = spec_of(EXTERNAL, &command);
    (void)state;
    submit(pool, 0, spec, "descriptors");
    collect(pool, &reward, 1);
    assert_true(reward->value == 3);
    reward_free(&reward);
    reward_spec_free(&spec);
    verifier_pool_free(&pool);
    verifier_command_clear(&command);
    close(fd);
}

static bool is_gone(pid_t pid) {
    char path[64], line[256] = "";
    snprintf(path, sizeof path, "/proc/%ld/stat", (long)pid);
    FILE *f = fopen(path, "r");
    if (!f) return true;
    char *got = fgets(line, sizeof line, f);
    fclose(f);
    const char *behind = got ? strrchr(line, ')') : NULL;
    return !behind || behind[2] == 'Z' || behind[2] == 'X';
}

// kill -9 of the parent takes a verifier in an endless loop with it.
static void test_dies_with_parent(void **state) {
    int pipes[2];
    long pid = 0;
    (void)state;
    assert_int_equal(pipe(pipes), 0);
    const pid_t parent = fork();
    if (parent == 0) {
        struct verifier_command command;
        struct verifier_pool *pool = open_pool(1, 0, "well", &command);
        struct reward_spec *spec = spec_of(EXTERNAL, &command);
        struct reward *reward;
        struct verifier_result none;
        submit(pool, 0, spec, "pid");
        collect(pool, &reward, 1);
        const long child = (long)reward->value;
        submit(pool, 0, spec, "loop");
        verifier_pool_poll(pool, 50, &none, 1);
        if (write(pipes[1], &child, sizeof child) < 0) _exit(1);
        pause();
        _exit(0);
    }
    assert_int_equal(read(pipes[0], &pid, sizeof pid), sizeof pid);
    assert_false(is_gone((pid_t)pid));
    kill(parent, SIGKILL);
    waitpid(parent, NULL, 0);
    for (int i = 0; i < 500 && !is_gone((pid_t)pid); i++) usleep(10000);
    assert_true(is_gone((pid_t)pid));
    close(pipes[0]);
    close(pipes[1]);
}

static void test_free_with_work(void **state) {
    struct verifier_command command;
    struct verifier_pool *pool = open_pool(1, 0, "well", &command);
    struct reward_spec *spec = spec_of(EXTERNAL, &command);
    struct verifier_result none;
    (void)state;
    for (int i = 0; i < 20; i++) submit(pool, (uint64_t)i, spec, i == 3 ? "loop" : "x");
    verifier_pool_poll(pool, 0, &none, 0);
    verifier_pool_free(&pool);
    assert_int_equal(waitpid(-1, NULL, WNOHANG), -1);
    reward_spec_free(&spec);
    verifier_command_clear(&command);
}

// The programs that users copy, as they are started from the root of the tree.
static void test_examples(void **state) {
    struct error err;
    struct verifier_command commands[2];
    struct verifier_result results[2];
    (void)state;
    if (access("examples/verifiers/word_count.py", R_OK)) skip();
    assert_int_equal(verifier_command_parse("words=python3 'examples/verifiers/word_count.py'",
                                            &commands[0], &err),
                     0);
    assert_int_equal(
        verifier_command_parse("always=sh examples/verifiers/always.sh", &commands[1], &err), 0);
    const struct verifier_pool_options options = {
        .n_children = 1, .externals = commands, .n_externals = 2};
    struct verifier_pool *pool = verifier_pool_open(&options, &err);
    assert_non_null(pool);
    struct reward_spec *spec =
        reward_spec_parse(slice_of("[{\"verifier\":\"words\",\"at_least\":3,\"weight\":4},"
                                   "{\"verifier\":\"always\",\"weight\":2}]"),
                          commands, 2, &err);
    assert_non_null(spec);
    submit(pool, 0, spec, "one, \"two\"\nthree\\");
    submit(pool, 1, spec, "one two");
    for (int n = 0; n < 2;) n += verifier_pool_poll(pool, 1000, results + n, 2 - n);
    for (int i = 0; i < 2; i++) {
        assert_int_equal(results[i].reward->status, REWARD_OK);
        assert_true(results[i].reward->value == (results[i].ticket == 0 ? 6 : 2));
        reward_free(&results[i].reward);
    }
    reward_spec_free(&spec);
    verifier_pool_free(&pool);
    verifier_command_clear(&commands[0]);
    verifier_command_clear(&commands[1]);
}

static void test_refused(void **state) {
    struct verifier_command command;
    struct error err;
    (void)state;
    assert_int_equal(verifier_command_parse("x=no-such-program-anywhere", &command, &err), 0);
    struct verifier_pool_options options = {
        .n_children = 1, .externals = &command, .n_externals = 1};
    assert_null(verifier_pool_open(&options, &err));
    assert_int_equal(err.code, ERROR_USAGE);
    assert_string_equal(
        err.text, "The program \"no-such-program-anywhere\" of the verifier x was not found.");
    options.n_children = 65;
    assert_null(verifier_pool_open(&options, &err));
    verifier_command_clear(&command);
}

static void test_commands(void **state) {
    static const struct {
        const char *text;
        const char *words[5];
    } GOOD[] = {
        {"a=b", {"b"}},
        {"a_1.x-y=  python3   v.py --x ", {"python3", "v.py", "--x"}},
        {"a=p 'one two' \"three \\\" $HOME\" fo\\ ur ''",
         {"p", "one two", "three \" $HOME", "fo ur", ""}},
        {"a=b=c", {"b=c"}},
    };
    static const char *const BAD[] = {"", "a", "=b", "a b=c", "a=", "a=  ", "a='b", "math=x"};
    struct verifier_command command;
    struct error err;
    (void)state;
    for (size_t i = 0; i < sizeof GOOD / sizeof *GOOD; i++) {
        assert_int_equal(verifier_command_parse(GOOD[i].text, &command, &err), 0);
        int n = 0;
        for (; n < 5 && GOOD[i].words[n]; n++)
            assert_string_equal(command.argv[n], GOOD[i].words[n]);
        assert_int_equal(command.n_args, n);
        assert_null(command.argv[n]);
        verifier_command_clear(&command);
    }
    for (size_t i = 0; i < sizeof BAD / sizeof *BAD; i++) {
        assert_int_equal(verifier_command_parse(BAD[i], &command, &err), -1);
        assert_int_equal(err.code, ERROR_USAGE);
    }
}

int main(int argc, char **argv) {
    if (argc > 1 && strcmp(argv[1], "verify-child") == 0)
        return verifier_child_main(argc - 2, argv + 2);
    if (argc > 2 && strcmp(argv[1], "misbehave") == 0) return misbehave(argv[2]);
    const ssize_t n = readlink("/proc/self/exe", own_path, sizeof own_path - 1);
    own_path[n > 0 ? n : 0] = 0;
    alarm(120); // a poll that blocks fails the test
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_builtin),          cmocka_unit_test(test_mixed_terms),
        cmocka_unit_test(test_misbehaviour),     cmocka_unit_test(test_endless_loop),
        cmocka_unit_test(test_never_reads),      cmocka_unit_test(test_ends_at_once),
        cmocka_unit_test(test_killed_children),  cmocka_unit_test(test_inherits_nothing),
        cmocka_unit_test(test_dies_with_parent), cmocka_unit_test(test_free_with_work),
        cmocka_unit_test(test_examples),         cmocka_unit_test(test_refused),
        cmocka_unit_test(test_commands),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
