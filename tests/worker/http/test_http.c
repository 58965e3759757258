// The server beside threads that publish: every answer is whole, and nothing races.
#include <arpa/inet.h>
#include <netinet/in.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "protocol/base/json.h"
#include "worker/http/address.h"
#include "worker/http/http.h"

static atomic_bool stop;

static void *publish(void *arg) {
    struct status_board *board = arg;
    struct status_link link = {.joined = true, .is_current = true};
    for (uint64_t i = 1; !stop; i++) {
        link.turn_ms = (int64_t)i;
        link.spool_bytes = i;
        link.epoch = i; // always the same as spool_bytes
        status_publish_link(board, &link);
        status_publish(board, (struct status){.version = i, .digest = i});
        status_paused(board, 1000);
    }
    return NULL;
}

static void ask(int port, const char *request, char *to, size_t room) {
    const struct sockaddr_in at = {.sin_family = AF_INET,
                                   .sin_port = htons((uint16_t)port),
                                   .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    size_t len = 0;
    ssize_t n;
    assert_int_equal(connect(fd, (const struct sockaddr *)(const void *)&at, sizeof at), 0);
    assert_int_equal(write(fd, request, strlen(request)), (ssize_t)strlen(request));
    while ((n = read(fd, to + len, room - 1 - len)) > 0) len += (size_t)n;
    to[len] = 0;
    close(fd);
}

static void test_answers_beside_publishers(void **state) {
    (void)state;
    static char answer[1 << 17];
    struct status_board board;
    struct error err = {0};
    pthread_t threads[2];
    status_open(&board, (struct status){0});
    status_enter(&board, WORKER_SERVING);
    const struct http_options options = {.address = "localhost:0", .vllm = true, .board = &board};
    struct http *http = http_open(&options, &err);
    if (!http) fail_msg("%s", err.text);
    int port = atoi(strrchr(http_url(http), ':') + 1);
    for (int i = 0; i < 2; i++) pthread_create(&threads[i], NULL, publish, &board);
    for (int i = 0; i < 200; i++) {
        struct arena arena = {0};
        uint64_t epoch, bytes;
        ask(port, "GET /status HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n", answer, sizeof answer);
        const char *body = strstr(answer, "\r\n\r\n");
        assert_non_null(body);
        const struct json *root = json_parse(slice_of(body + 4), &arena, &err);
        if (!root) fail_msg("%s", err.text);
        const struct json *session = json_get(root, "session");
        assert_int_equal(json_uint64(json_get(session, "epoch"), &epoch), 0);
        assert_int_equal(json_uint64(json_get(session, "spool_bytes"), &bytes), 0);
        assert_int_equal(epoch, bytes);
        arena_clear(&arena);
        ask(port, "GET /metrics HTTP/1.0\r\n\r\n", answer, sizeof answer);
        assert_non_null(strstr(answer, "rollout_policy_version"));
        assert_non_null(strstr(answer, "vllm:num_requests_running"));
    }
    stop = true;
    for (int i = 0; i < 2; i++) pthread_join(threads[i], NULL);
    ask(port, "GET / HTTP/1.0\r\n\r\n", answer, sizeof answer);
    assert_non_null(strstr(answer, "</html>") ? "" : strstr(answer, "</script>"));
    http_close(&http);
    assert_null(http);
    http_close(&http);
    status_close(&board);
}

static void test_addresses(void **state) {
    (void)state;
    struct http_address a;
    struct error err;
    static const char *const good[] = {"127.0.0.1:0", "127.9.9.9:80", "[::1]:65535", "lo:1",
                                       "localhost:9"};
    static const char *const bad[] = {
        "",    ":1",     "127.0.0.1", "127.0.0.1:",    "1.2.3.4:x",  "0.0.0.0:1",
        "*:1", "[::]:1", "[::1:1",    "1.2.3.4:65536", "nothing9:1", "1.2.3.4:-1"};
    for (size_t i = 0; i < sizeof good / sizeof good[0]; i++) {
        assert_int_equal(http_address_read(good[i], &a, &err), 0);
        assert_true(a.is_loopback);
    }
    assert_int_equal(http_address_read("192.0.2.1:80", &a, &err), 0);
    assert_false(a.is_loopback);
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        assert_int_equal(http_address_read(bad[i], &a, &err), -1);
        assert_int_equal(err.code, ERROR_USAGE);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_answers_beside_publishers),
        cmocka_unit_test(test_addresses),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
