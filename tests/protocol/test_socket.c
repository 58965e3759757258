// Addresses that are refused, and the worker's sockets against a plain ZeroMQ peer.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>
#include <zmq.h>

#include "protocol/address.h"
#include "protocol/base/clock.h"
#include "protocol/socket.h"
#include "tests/protocol/vectors.h"

static bool allowed(const char *url, bool binding, bool insecure) {
    char out[ADDRESS_MAX];
    struct error err = {0};
    int rc = address_check(url, binding, insecure, out, &err);
    if (rc != 0) {
        assert_int_equal(err.code, ERROR_USAGE);
        assert_non_null(strstr(err.text, "Address"));
    }
    return rc == 0;
}

static void test_addresses(void **state) {
    (void)state;
    static const char *const good[] = {"tcp://127.0.0.1:5555", "tcp://127.9.8.7:1",
                                       "tcp://localhost:5555", "tcp://[::1]:5555", "ipc:///a/b"};
    static const char *const remote[] = {
        "tcp://192.0.2.1:5555",     "tcp://example.org:5555", "tcp://128.0.0.1:5555",
        "tcp://[2001:db8::1]:5555", "tcp://eth0:5555",        "tcp://127.0.0.1.example.org:5555"};
    static const char *const never[] = {
        "",           "tcp://",          "tcp://127.0.0.1",       "tcp://:5555",
        "ipc://",     "inproc://x",      "tcp://127.0.0.1:65536", "tcp://127.0.0.1:5x",
        "tcp://*:1",  "tcp://0.0.0.0:1", "tcp://[::]:1",          "tcp://127.0.0.1:-1",
        "ipc://@x",   "tcp://a;b:1",     "tcp://127.0.0.1:1\n",   "udp://127.0.0.1:1",
        "tcp://[]:1", "tcp://[::1:5555", "127.0.0.1:5555",        "tcp://::1:5555"};
    for (size_t i = 0; i < sizeof good / sizeof *good; i++)
        if (!allowed(good[i], true, false)) fail_msg("%s is refused", good[i]);
    for (size_t i = 0; i < sizeof remote / sizeof *remote; i++) {
        if (allowed(remote[i], false, false)) fail_msg("%s is allowed", remote[i]);
        if (!allowed(remote[i], false, true)) fail_msg("%s is refused", remote[i]);
    }
    for (size_t i = 0; i < sizeof never / sizeof *never; i++)
        if (allowed(never[i], true, true)) fail_msg("%s is allowed", never[i]);
    assert_true(allowed("tcp://127.0.0.1:0", true, false));
    assert_false(allowed("tcp://127.0.0.1:0", false, false));
    char out[ADDRESS_MAX];
    assert_int_equal(address_check("tcp://localhost:7", false, false, out, NULL), 0);
    assert_string_equal(out, "tcp://127.0.0.1:7");
    char long_url[400];
    memset(long_url, 'a', sizeof long_url - 1);
    long_url[sizeof long_url - 1] = 0;
    memcpy(long_url, "ipc://", 6);
    assert_false(allowed(long_url, true, false));
}

static void test_open_refuses(void **state) {
    (void)state;
    struct error err = {0};
    const struct socket_options remote = {.url = "tcp://192.0.2.1:5555"};
    assert_null(socket_open(&remote, &err));
    assert_int_equal(err.code, ERROR_USAGE);
    assert_non_null(strstr(err.text, "--insecure"));
    const struct socket_options any = {.url = "tcp://127.0.0.1:0", .bind = true};
    struct socket *s = socket_open(&any, &err);
    assert_non_null(s);
    const struct socket_options taken = {.url = socket_url(s), .bind = true};
    assert_null(socket_open(&taken, &err));
    assert_int_equal(err.code, ERROR_IO);
    socket_close(&s);
    assert_null(s);
    socket_close(&s);
}

// A bound worker and a peer that stands for the trainer.
struct pair {
    struct socket *worker;
    void *context, *control, *bulk;
};

// `id`: the connection's name, "": none.
static void *connect_to(void *context, const char *url, const char *id) {
    void *zmq = zmq_socket(context, ZMQ_DEALER);
    int zero = 0;
    zmq_setsockopt(zmq, ZMQ_LINGER, &zero, sizeof zero);
    if (id[0]) zmq_setsockopt(zmq, ZMQ_ROUTING_ID, id, strlen(id));
    assert_int_equal(zmq_connect(zmq, url), 0);
    return zmq;
}

static struct pair open_pair(void) {
    const struct socket_options options = {.url = "tcp://localhost:*", .bind = true};
    struct error err = {0};
    struct pair p = {.worker = socket_open(&options, &err), .context = zmq_ctx_new()};
    if (!p.worker) fail_msg("%s", err.text);
    p.control = connect_to(p.context, socket_url(p.worker), "");
    p.bulk = connect_to(p.context, socket_bulk_url(p.worker), socket_bulk_id(p.worker));
    return p;
}

static void close_pair(struct pair *p) {
    zmq_close(p->control);
    zmq_close(p->bulk);
    zmq_ctx_term(p->context);
    socket_close(&p->worker);
}

static void peer_sends(void *zmq, struct message m, uint64_t seq) {
    struct message_frames frames = {0};
    struct error err = {0};
    m.seq = seq;
    if (message_encode(&m, &frames, &err) != 0) fail_msg("%s", err.text);
    bool two = frames.payload.len > 0;
    zmq_send(zmq, frames.header.ptr, frames.header.len, two ? ZMQ_SNDMORE : 0);
    if (two) zmq_send(zmq, frames.payload.ptr, frames.payload.len, 0);
    message_frames_free(&frames);
}

static struct message *receive(struct socket *s) {
    struct message *m = NULL;
    struct error err = {0};
    int rc = socket_receive(s, &m, 3000, &err);
    if (rc != 1) fail_msg("no message: %d %s", rc, err.text);
    return m;
}

static void expect(struct socket *s, enum message_type type, bool lost_before) {
    struct message *m = receive(s);
    assert_int_equal(m->type, type);
    assert_int_equal(m->lost_before, lost_before);
    message_free(&m);
}

static const struct message WELCOME = {.type = MESSAGE_WELCOME,
                                       .welcome = {.heartbeat_ms = 1000, .lost_ms = 5000}};
static const struct message ACK = {.type = MESSAGE_ACK, .ack = {.result = 1}};
static const struct message KNOCK = {.type = MESSAGE_REFUSE,
                                     .refuse = {.code = REFUSAL_NO_SESSION}};

// A bound worker hears of its peer before it can speak to it.
static struct pair open_knocked(void) {
    struct pair p = open_pair();
    peer_sends(p.control, KNOCK, 0);
    expect(p.worker, MESSAGE_REFUSE, false);
    return p;
}

static uint64_t peer_receives(void *zmq, enum message_type type) {
    char header[MESSAGE_MAX_HEADER], payload[4096];
    int n = zmq_recv(zmq, header, sizeof header, 0), n_payload = 0, more = 0;
    size_t size = sizeof more;
    zmq_getsockopt(zmq, ZMQ_RCVMORE, &more, &size);
    if (more) n_payload = zmq_recv(zmq, payload, sizeof payload, 0);
    struct message *m = message_new((struct slice){header, (size_t)n},
                                    (struct slice){payload, (size_t)n_payload}, NULL, NULL);
    assert_non_null(m);
    assert_int_equal(m->type, type);
    uint64_t seq = m->seq;
    message_free(&m);
    return seq;
}

// Sends until there is a connection.
static void worker_sends(struct socket *s, enum message_type type) {
    struct vector v = vector_read(type);
    struct message m;
    struct error err = {0};
    assert_int_equal(message_decode(v.header, v.payload, &m, NULL, NULL), 0);
    int rc = 1;
    for (int i = 0; i < 300 && rc == 1; i++) {
        rc = socket_send_message(s, &m, &err);
        if (rc == 1) usleep(10000);
    }
    assert_int_equal(rc, 0);
    vector_free(&v);
}

static void test_numbers_of_a_session(void **state) {
    (void)state;
    struct pair p = open_knocked();
    worker_sends(p.worker, MESSAGE_HELLO);
    worker_sends(p.worker, MESSAGE_RESULT);
    worker_sends(p.worker, MESSAGE_CREDIT);
    worker_sends(p.worker, MESSAGE_WEIGHTS_PULL);
    assert_int_equal(peer_receives(p.control, MESSAGE_HELLO), 1);
    assert_int_equal(peer_receives(p.control, MESSAGE_RESULT), 2);
    assert_int_equal(peer_receives(p.control, MESSAGE_CREDIT), 3);
    assert_int_equal(peer_receives(p.bulk, MESSAGE_WEIGHTS_PULL), 0);
    // Before WELCOME only what has no number counts: the rest is of an ended session.
    peer_sends(p.control, ACK, 17);
    peer_sends(p.control, KNOCK, 0);
    expect(p.worker, MESSAGE_REFUSE, false);
    peer_sends(p.control, WELCOME, 1);
    peer_sends(p.control, ACK, 2);
    peer_sends(p.control, ACK, 4);
    peer_sends(p.control, ACK, 5);
    expect(p.worker, MESSAGE_WELCOME, false);
    expect(p.worker, MESSAGE_ACK, false);
    expect(p.worker, MESSAGE_ACK, true);
    expect(p.worker, MESSAGE_ACK, false);
    // HELLO begins again, in both directions.
    worker_sends(p.worker, MESSAGE_HELLO);
    worker_sends(p.worker, MESSAGE_CREDIT);
    assert_int_equal(peer_receives(p.control, MESSAGE_HELLO), 1);
    assert_int_equal(peer_receives(p.control, MESSAGE_CREDIT), 2);
    peer_sends(p.control, ACK, 6);
    peer_sends(p.control, WELCOME, 1);
    expect(p.worker, MESSAGE_WELCOME, false);
    struct socket_counters c;
    socket_counters(p.worker, &c);
    assert_int_equal(c.n_gaps, 1);
    assert_int_equal(c.n_sent, 6);
    close_pair(&p);
}

static void test_frames_can_be_sent_again(void **state) {
    (void)state;
    struct pair p = open_knocked();
    worker_sends(p.worker, MESSAGE_HELLO);
    struct vector v = vector_read(MESSAGE_RESULT);
    struct message m;
    struct message_frames frames = {0};
    assert_int_equal(message_decode(v.header, v.payload, &m, NULL, NULL), 0);
    assert_int_equal(message_encode(&m, &frames, NULL), 0);
    assert_int_equal(socket_send(p.worker, &frames, NULL), 0);
    assert_int_equal(socket_send(p.worker, &frames, NULL), 0);
    peer_receives(p.control, MESSAGE_HELLO);
    assert_int_equal(peer_receives(p.control, MESSAGE_RESULT), 2);
    assert_int_equal(peer_receives(p.control, MESSAGE_RESULT), 3);
    message_frames_free(&frames);
    vector_free(&v);
    close_pair(&p);
}

// Chunks are asked of the trainer's connection alone, and taken from no other.
static void test_strangers_on_the_bulk_socket(void **state) {
    (void)state;
    struct pair p = open_knocked();
    struct socket_counters counters;
    struct message *m;
    void *strangers[4];
    for (int i = 0; i < 4; i++)
        strangers[i] = connect_to(p.context, socket_bulk_url(p.worker), i ? "" : "guess");
    worker_sends(p.worker, MESSAGE_HELLO);
    peer_receives(p.control, MESSAGE_HELLO);
    peer_sends(p.control, WELCOME, 1);
    expect(p.worker, MESSAGE_WELCOME, false);
    const struct message chunk = {.type = MESSAGE_WEIGHTS_CHUNK,
                                  .weights_chunk = {.data = column_of(COLUMN_U8, "forged", 6)}};
    for (int i = 0; i < 4; i++) peer_sends(strangers[i], chunk, 0);
    for (int i = 0; i < 20; i++) {
        worker_sends(p.worker, MESSAGE_WEIGHTS_PULL);
        assert_int_equal(peer_receives(p.bulk, MESSAGE_WEIGHTS_PULL), 0);
    }
    peer_sends(p.bulk, chunk, 0);
    expect(p.worker, MESSAGE_WEIGHTS_CHUNK, false);
    assert_int_equal(socket_receive(p.worker, &m, 100, NULL), 0);
    socket_counters(p.worker, &counters);
    assert_int_equal(counters.refused[REASON_PEER], 4);
    for (int i = 0; i < 4; i++) {
        char byte;
        assert_int_equal(zmq_recv(strangers[i], &byte, 1, ZMQ_DONTWAIT), -1);
        zmq_close(strangers[i]);
    }
    close_pair(&p);
}

static void test_control_comes_before_bulk(void **state) {
    (void)state;
    struct pair p = open_pair();
    const struct message chunk = {.type = MESSAGE_WEIGHTS_CHUNK,
                                  .weights_chunk = {.data = column_of_text(slice_of("12345678"))}};
    for (int i = 0; i < 5; i++) peer_sends(p.bulk, chunk, 0);
    peer_sends(p.control, WELCOME, 1);
    usleep(300000); // everything has arrived
    expect(p.worker, MESSAGE_WELCOME, false);
    for (int i = 0; i < 5; i++) expect(p.worker, MESSAGE_WEIGHTS_CHUNK, false);
    // A message on the wrong socket is refused.
    peer_sends(p.control, chunk, 0);
    peer_sends(p.bulk, ACK, 2);
    peer_sends(p.control, ACK, 2);
    expect(p.worker, MESSAGE_ACK, false);
    struct message *m = NULL;
    assert_int_equal(socket_receive(p.worker, &m, 300, NULL), 0);
    struct socket_counters c;
    socket_counters(p.worker, &c);
    assert_int_equal(c.refused[REASON_TYPE], 2);
    close_pair(&p);
}

static void test_junk_is_counted(void **state) {
    (void)state;
    struct pair p = open_pair();
    peer_sends(p.control, WELCOME, 1);
    expect(p.worker, MESSAGE_WELCOME, false);
    for (int i = 0; i < 1000; i++) zmq_send(p.control, "\xdd\x07\xff\xff\xff", 5, 0);
    for (int i = 0; i < 1000; i++) {
        zmq_send(p.control, "\x90", 1, ZMQ_SNDMORE);
        zmq_send(p.control, "x", 1, ZMQ_SNDMORE);
        zmq_send(p.control, "y", 1, 0);
    }
    for (int i = 0; i < 100; i++) zmq_send(p.control, "\x90", 1, 0);
    peer_sends(p.control, ACK, 2);
    expect(p.worker, MESSAGE_ACK, false);
    struct socket_counters c;
    socket_counters(p.worker, &c);
    assert_int_equal(c.refused[REASON_MSGPACK], 1000);
    assert_int_equal(c.refused[REASON_PARTS], 1000);
    assert_int_equal(c.refused[REASON_HEADER], 100);
    assert_int_equal(c.n_received, 2);
    assert_non_null(strstr(socket_last_refusal(p.worker), "array of 8"));
    close_pair(&p);
}

// A second connection is not heard while the first one has a session, and takes over when that is
// gone.
static void test_strangers_at_a_bound_worker(void **state) {
    (void)state;
    struct pair p = open_knocked();
    worker_sends(p.worker, MESSAGE_HELLO);
    peer_sends(p.control, WELCOME, 1);
    expect(p.worker, MESSAGE_WELCOME, false);
    void *stranger = connect_to(p.context, socket_url(p.worker), "");
    struct vector v = vector_read(MESSAGE_BYE);
    for (int i = 0; i < 100; i++) {
        peer_sends(stranger, WELCOME, 1);
        zmq_send(stranger, v.header.ptr, v.header.len, 0);
        zmq_send(stranger, "junk", 4, 0);
    }
    vector_free(&v);
    usleep(200000);
    peer_sends(p.control, ACK, 2);
    expect(p.worker, MESSAGE_ACK, false);
    struct socket_counters c;
    struct message *m = NULL;
    assert_int_equal(socket_receive(p.worker, &m, 200, NULL), 0);
    socket_counters(p.worker, &c);
    assert_int_equal(c.refused[REASON_PEER], 200);
    worker_sends(p.worker, MESSAGE_CREDIT); // goes to the first one
    assert_int_equal(peer_receives(p.control, MESSAGE_HELLO), 1);
    assert_int_equal(peer_receives(p.control, MESSAGE_CREDIT), 2);

    zmq_close(p.control);
    p.control = stranger;
    const struct message credit = {.type = MESSAGE_CREDIT};
    int rc = 0;
    for (int i = 0; i < 300 && rc == 0; i++) { // until the broken connection is noticed
        rc = socket_send_message(p.worker, &credit, NULL);
        usleep(10000);
    }
    assert_int_equal(rc, 1);
    peer_sends(stranger, KNOCK, 0);
    expect(p.worker, MESSAGE_REFUSE, false);
    worker_sends(p.worker, MESSAGE_HELLO);
    assert_int_equal(peer_receives(stranger, MESSAGE_HELLO), 1);
    close_pair(&p);
}

static void *wake_later(void *arg) {
    usleep(50000);
    socket_wake((struct socket *)arg);
    return NULL;
}

static void test_wake_and_timeout(void **state) {
    (void)state;
    struct pair p = open_pair();
    struct message *m = NULL;
    int64_t start = clock_ms();
    assert_int_equal(socket_receive(p.worker, &m, 0, NULL), 0);
    assert_int_equal(socket_receive(p.worker, &m, 60, NULL), 0);
    assert_true(clock_ms() - start >= 55);
    pthread_t thread;
    pthread_create(&thread, NULL, wake_later, p.worker);
    start = clock_ms();
    assert_int_equal(socket_receive(p.worker, &m, 10000, NULL), 0);
    assert_true(clock_ms() - start < 5000);
    pthread_join(thread, NULL);
    socket_wake(p.worker); // two wakes are one
    socket_wake(p.worker);
    assert_int_equal(socket_receive(p.worker, &m, 10000, NULL), 0);
    start = clock_ms();
    assert_int_equal(socket_receive(p.worker, &m, 60, NULL), 0);
    assert_true(clock_ms() - start >= 55);
    close_pair(&p);
}

static void test_sending_without_a_peer(void **state) {
    (void)state;
    const struct socket_options options = {.url = "tcp://127.0.0.1:1"};
    struct socket *s = socket_open(&options, NULL);
    const struct message credit = {.type = MESSAGE_CREDIT};
    const struct message pull = {.type = MESSAGE_WEIGHTS_PULL, .weights_pull = {.n_bytes = 1}};
    assert_int_equal(socket_send_message(s, &credit, NULL), 1);
    assert_int_equal(socket_send_message(s, &pull, NULL), 1); // no bulk socket yet
    struct error err = {0};
    assert_int_equal(socket_connect_bulk(s, "tcp://192.0.2.1:9", &err), -1);
    assert_int_equal(err.code, ERROR_USAGE);
    assert_int_equal(socket_connect_bulk(s, "tcp://127.0.0.1:9", &err), 0);
    assert_string_equal(socket_bulk_url(s), "tcp://127.0.0.1:9");
    struct socket_counters c;
    socket_counters(s, &c);
    assert_int_equal(c.n_unsent, 2);
    socket_close(&s);
}

static void *listen_at(void *context, char url[256]) {
    void *zmq = zmq_socket(context, ZMQ_ROUTER);
    int zero = 0, one = 1, rc = -1;
    size_t n = 256;
    zmq_setsockopt(zmq, ZMQ_LINGER, &zero, sizeof zero);
    zmq_setsockopt(zmq, ZMQ_RCVHWM, &one, sizeof one);
    for (int i = 0; i < 300 && rc; i++) { // who listened there before may not be gone yet
        rc = zmq_bind(zmq, url);
        if (rc) usleep(10000);
    }
    assert_int_equal(rc, 0);
    zmq_getsockopt(zmq, ZMQ_LAST_ENDPOINT, url, &n);
    return zmq;
}

// More than the kernel holds for a peer that does not read. The connection may be one to the peer
// before, and go.
static void send_more_than_fits(struct socket *s) {
    const struct message beat = {.type = MESSAGE_HEARTBEAT};
    struct message_frames frames = {0};
    struct error err = {0};
    int n_sent = 0;
    assert_int_equal(message_encode(&beat, &frames, &err), 0);
    memset(buffer_extend(&frames.payload, MESSAGE_MAX_PAYLOAD), 0, MESSAGE_MAX_PAYLOAD);
    for (int i = 0; i < 300 && n_sent < 3; i++) {
        int rc = socket_send(s, &frames, &err);
        n_sent += rc == 0;
        if (rc) usleep(10000);
    }
    message_frames_free(&frames);
    assert_int_equal(n_sent, 3);
}

// The peer goes while the connection that was given up still has something to send: libzmq tells of
// that where nobody listens any more, and must not wait there.
static void test_reconnect_while_the_peer_goes(void **state) {
    (void)state;
    char url[256] = "tcp://127.0.0.1:*";
    void *context = zmq_ctx_new(), *peer = listen_at(context, url);
    const struct socket_options options = {.url = url};
    struct error err = {0};
    struct socket *s = socket_open(&options, &err);
    assert_non_null(s);
    for (int turn = 0; turn < 3; turn++) {
        struct message *m;
        worker_sends(s, MESSAGE_HELLO);
        send_more_than_fits(s);
        assert_int_equal(socket_receive(s, &m, 20, &err), 0);
        assert_int_equal(socket_reconnect(s, &err), 0);
        zmq_close(peer);
        peer = listen_at(context, url);
    }
    worker_sends(s, MESSAGE_HELLO);
    socket_close(&s);
    zmq_close(peer);
    zmq_ctx_term(context);
}

// libzmq ends the process (github.com/zeromq/libzmq/issues/4364) when, of a connection whose socket
// was closed and that lingers, input stops, the peer goes, and a heartbeat is due: so none lingers.
static void test_reconnect_while_the_peer_talks_and_goes(void **state) {
    (void)state;
    const char text[4096] = "junk";
    struct error err = {0};
    for (int turn = 0; turn < 12; turn++) {
        char url[256] = "tcp://127.0.0.1:*", id[256];
        void *context = zmq_ctx_new(), *peer = listen_at(context, url);
        const struct socket_options options = {.url = url};
        struct socket *s = socket_open(&options, &err);
        struct message *m;
        assert_non_null(s);
        worker_sends(s, MESSAGE_HELLO);
        int id_len = zmq_recv(peer, id, sizeof id, 0);
        assert_true(id_len > 0);
        send_more_than_fits(s);
        assert_int_equal(socket_receive(s, &m, 20, &err), 0);
        usleep((useconds_t)(700000 + turn * 20000)); // a heartbeat is due a second after HELLO
        assert_int_equal(socket_reconnect(s, &err), 0);
        for (int i = 0; i < 200; i++) {
            zmq_send(peer, id, (size_t)id_len, ZMQ_SNDMORE | ZMQ_DONTWAIT);
            zmq_send(peer, text, sizeof text, ZMQ_DONTWAIT);
        }
        usleep(5000);
        zmq_close(peer);
        usleep(220000);
        socket_close(&s);
        zmq_ctx_term(context);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_addresses),
        cmocka_unit_test(test_open_refuses),
        cmocka_unit_test(test_numbers_of_a_session),
        cmocka_unit_test(test_frames_can_be_sent_again),
        cmocka_unit_test(test_control_comes_before_bulk),
        cmocka_unit_test(test_strangers_on_the_bulk_socket),
        cmocka_unit_test(test_junk_is_counted),
        cmocka_unit_test(test_strangers_at_a_bound_worker),
        cmocka_unit_test(test_wake_and_timeout),
        cmocka_unit_test(test_sending_without_a_peer),
        cmocka_unit_test(test_reconnect_while_the_peer_goes),
        cmocka_unit_test(test_reconnect_while_the_peer_talks_and_goes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
