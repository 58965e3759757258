// Key files, and a bound socket whose authenticator is gone.
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zmq.h>

#include <cmocka.h>

#include "protocol/base/clock.h"
#include "protocol/socket_state.h"

static char folder[] = "/tmp/test_keys.XXXXXX", allowed[64];

static const char *path_of(const char *dir, const char *name) {
    static char paths[4][128];
    static int next;
    char *path = paths[next++ % 4];
    snprintf(path, sizeof paths[0], "%s/%s", dir, name);
    return path;
}

static void write_file(const char *path, const char *text, mode_t mode) {
    unlink(path);
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    fputs(text, file);
    fclose(file);
    chmod(path, mode);
}

static void make(const char *name, const char *dir) {
    char public[KEYS_TEXT], secret[KEYS_TEXT];
    struct error err = {0};
    assert_int_equal(socket_make_keys(public, secret, &err), 0);
    assert_int_equal(keys_write(dir, name, secret, public, &err), 0);
    assert_int_equal(keys_write(dir, name, secret, public, &err), -1); // never over another
    assert_int_equal(err.code, ERROR_USAGE);
}

static int set_up(void **state) {
    (void)state;
    if (!mkdtemp(folder)) return -1;
    snprintf(allowed, sizeof allowed, "%s/allowed", folder);
    make("worker", folder);
    make("stranger", folder);
    make("trainer", allowed);
    return 0;
}

static int tear_down(void **state) {
    char command[128];
    (void)state;
    snprintf(command, sizeof command, "rm -rf '%s'", folder);
    return system(command);
}

static void test_sets(void **state) {
    (void)state;
    struct keys_set set = {0};
    struct error err = {0};
    char secret[KEYS_TEXT];
    write_file(path_of(allowed, "two.pub"),
               "0123456789012345678901234567890123456789\n\t"
               "abcdefghijabcdefghijabcdefghijabcdefghij\n",
               0644);
    write_file(path_of(allowed, "not-looked-at.txt"), "junk", 0644);
    write_file(path_of(allowed, ".hidden.pub"), "junk", 0644);
    assert_int_equal(keys_read_folder(allowed, false, &set, &err), 0);
    assert_int_equal(set.n, 3);
    assert_string_equal(keys_find(&set, "abcdefghijabcdefghijabcdefghijabcdefghij"), "two");
    assert_null(keys_find(&set, "abcdefghijabcdefghijabcdefghijabcdefghiX"));
    assert_null(keys_find(&set, ""));
    assert_true(keys_has_name(&set, "trainer"));
    assert_false(keys_has_name(&set, "train"));
    keys_set_free(&set);
    // At the start one bad file is an error: whoever wrote it meant to allow somebody.
    write_file(path_of(allowed, "bad.pub"), "too short\n", 0644);
    assert_int_equal(keys_read_folder(allowed, false, &set, &err), -1);
    assert_non_null(strstr(err.text, "bad.pub"));
    keys_set_free(&set);
    // Later on it shuts out nobody but whose it is.
    assert_int_equal(keys_read_folder(allowed, true, &set, &err), 0);
    assert_int_equal(set.n, 3);
    keys_set_free(&set);
    unlink(path_of(allowed, "bad.pub"));
    unlink(path_of(allowed, "two.pub"));
    assert_int_equal(keys_read_secret(path_of(folder, "worker.key"), secret, &err), 0);
    write_file(path_of(folder, "open.key"), secret, 0604);
    assert_int_equal(keys_read_secret(path_of(folder, "open.key"), secret, &err), -1);
    assert_non_null(strstr(err.text, "0604"));
    assert_null(strstr(err.text, secret));
    assert_false(keys_is_name(""));
    assert_false(keys_is_name("../x"));
    assert_true(keys_is_name("pod-7.eu_1"));
}

// A DEALER with the keys of a file to a bound worker.
static void *connect_as(void *context, const char *dir, const char *name, const char *url) {
    char secret[KEYS_TEXT], public[KEYS_TEXT], file[80];
    struct keys_set server = {0};
    struct error err = {0};
    int zero = 0;
    snprintf(file, sizeof file, "%s.key", name);
    assert_int_equal(keys_read_secret(path_of(dir, file), secret, &err), 0);
    assert_int_equal(keys_read_public(path_of(folder, "worker.pub"), &server, &err), 0);
    assert_int_equal(zmq_curve_public(public, secret), 0);
    void *dealer = zmq_socket(context, ZMQ_DEALER);
    zmq_setsockopt(dealer, ZMQ_LINGER, &zero, sizeof zero);
    zmq_setsockopt(dealer, ZMQ_CURVE_SECRETKEY, secret, KEYS_TEXT);
    zmq_setsockopt(dealer, ZMQ_CURVE_PUBLICKEY, public, KEYS_TEXT);
    zmq_setsockopt(dealer, ZMQ_CURVE_SERVERKEY, server.entries[0].key, KEYS_TEXT);
    keys_set_free(&server);
    assert_int_equal(zmq_connect(dealer, url), 0);
    return dealer;
}

static void knock(void *dealer) {
    struct message m = {.type = MESSAGE_REFUSE, .refuse = {.code = REFUSAL_NO_SESSION}};
    struct message_frames frames = {0};
    struct error err = {0};
    assert_int_equal(message_encode(&m, &frames, &err), 0);
    message_frames_set_seq(&frames, 0);
    zmq_send(dealer, frames.header.ptr, frames.header.len, ZMQ_DONTWAIT);
    message_frames_free(&frames);
}

// Whether a message of the dealer is handed out, in so many milliseconds.
static bool is_heard(struct socket *s, void *dealer, int ms) {
    struct message *m = NULL;
    struct error err = {0};
    int64_t end = clock_ms() + ms;
    bool heard = false;
    while (!heard && clock_ms() < end) {
        knock(dealer);
        assert_true(socket_receive(s, &m, 20, &err) >= 0);
        heard = m != NULL;
        message_free(&m);
    }
    return heard;
}

static uint64_t n_unauthenticated(const struct socket *s) {
    struct socket_counters counters;
    socket_counters(s, &counters);
    return counters.n_unauthenticated;
}

static void test_who_is_heard(void **state) {
    (void)state;
    struct error err = {0};
    const struct socket_options options = {.url = "tcp://127.0.0.1:*",
                                           .bind = true,
                                           .key = path_of(folder, "worker.key"),
                                           .allow_keys = allowed};
    struct socket *s = socket_open(&options, &err);
    void *context = zmq_ctx_new();
    if (!s) fail_msg("%s", err.text);
    void *good = connect_as(context, allowed, "trainer", socket_url(s));
    void *stranger = connect_as(context, folder, "stranger", socket_url(s));
    assert_true(is_heard(s, good, 20000));
    assert_false(is_heard(s, stranger, 1500));
    assert_true(n_unauthenticated(s) >= 1); // refused at the handshake
    void *plain = zmq_socket(context, ZMQ_DEALER);
    int zero = 0;
    zmq_setsockopt(plain, ZMQ_LINGER, &zero, sizeof zero);
    zmq_connect(plain, socket_url(s));
    assert_false(is_heard(s, plain, 500));

    // The authenticator dies. libzmq lets the next one in, and what it says is dropped.
    zmq_close(s->zap);
    s->zap = NULL;
    uint64_t before = n_unauthenticated(s);
    void *late = connect_as(context, folder, "stranger", socket_url(s));
    assert_false(is_heard(s, late, 3000));
    assert_true(n_unauthenticated(s) > before);
    assert_true(is_heard(s, good, 20000)); // it was authenticated when it came

    // A file that is none, put there while all run, is nobody else's end.
    write_file(path_of(allowed, "bad.pub"), "too short\n", 0644);
    usleep(2100000);
    assert_true(is_heard(s, good, 20000));
    unlink(path_of(allowed, "bad.pub"));

    // A key that is taken away is shut out within two seconds, its connection open.
    unlink(path_of(allowed, "trainer.pub"));
    usleep(2100000);
    assert_false(is_heard(s, good, 1000));
    void *const all[] = {good, stranger, plain, late};
    for (size_t i = 0; i < 4; i++) zmq_close(all[i]);
    zmq_ctx_term(context);
    socket_close(&s);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_sets),
        cmocka_unit_test(test_who_is_heard),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
