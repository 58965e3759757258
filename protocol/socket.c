#include <assert.h>
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/random.h>
#include <unistd.h>
#include <zmq.h>

#include "protocol/base/clock.h"
#include "protocol/base/memory.h"
#include "protocol/socket_state.h"

enum { DEFAULT_HIGH_WATER = 4096, BULK_HIGH_WATER = 64, MAX_DROPPED = 256 };

static const char ZAP_URL[] = "inproc://zeromq.zap.01"; // where libzmq asks who may connect

// --- opening and closing ---

static int set_options(void *zmq, const char *url, int high_water, int64_t max_frame) {
    static const struct {
        int option, value;
    } ints[] = {
        {ZMQ_LINGER, 200},         // milliseconds that closing waits, for BYE
        {ZMQ_IMMEDIATE, 1},        // queue only to a peer that is there
        {ZMQ_HANDSHAKE_IVL, 5000}, // milliseconds, as all below
        {ZMQ_HEARTBEAT_IVL, 1000}, {ZMQ_HEARTBEAT_TIMEOUT, 3000}, {ZMQ_HEARTBEAT_TTL, 3000},
        {ZMQ_RECONNECT_IVL, 100},  {ZMQ_RECONNECT_IVL_MAX, 5000},
    };
    int rc = 0;
    for (size_t i = 0; i < sizeof ints / sizeof ints[0]; i++)
        rc |= zmq_setsockopt(zmq, ints[i].option, &ints[i].value, sizeof(int));
    int v6 = strncmp(url, "tcp://[", 7) == 0;
    rc |= zmq_setsockopt(zmq, ZMQ_IPV6, &v6, sizeof v6);
    rc |= zmq_setsockopt(zmq, ZMQ_SNDHWM, &high_water, sizeof high_water);
    rc |= zmq_setsockopt(zmq, ZMQ_RCVHWM, &high_water, sizeof high_water);
    rc |= zmq_setsockopt(zmq, ZMQ_MAXMSGSIZE, &max_frame, sizeof max_frame);
    return rc;
}

// CURVE: who binds is the server, and knows a client by its key alone.
static int set_keys(const struct socket *s, void *zmq) {
    char public[KEYS_TEXT];
    int one = 1, rc = 0;
    if (!s->key[0]) return 0;
    rc |= zmq_setsockopt(zmq, ZMQ_CURVE_SECRETKEY, s->key, KEYS_TEXT);
    if (s->options.bind) {
        rc |= zmq_setsockopt(zmq, ZMQ_CURVE_SERVER, &one, sizeof one);
        return rc | zmq_setsockopt(zmq, ZMQ_ZAP_DOMAIN, "rollout", 7);
    }
    rc |= zmq_curve_public(public, s->key);
    rc |= zmq_setsockopt(zmq, ZMQ_CURVE_PUBLICKEY, public, KEYS_TEXT);
    return rc | zmq_setsockopt(zmq, ZMQ_CURVE_SERVERKEY, s->server_key, KEYS_TEXT);
}

// libzmq's thread waits for ever to tell of an event that nobody can hear, and with it every socket
// of its context (github.com/zeromq/libzmq/issues/3575): what has no reader may tell nothing.
static void stop_monitor(void *zmq) {
    zmq_socket_monitor(zmq, NULL, 0);
}

// Without it nothing is lost but counters.
static void open_monitor(struct socket *s, void *zmq) {
    zmq_socket_monitor(zmq, s->monitor_name,
                       ZMQ_EVENT_HANDSHAKE_SUCCEEDED | ZMQ_EVENT_DISCONNECTED |
                           ZMQ_EVENT_HANDSHAKE_FAILED_AUTH);
    s->monitor = zmq_socket(s->context, ZMQ_PAIR);
    if (!s->monitor || zmq_connect(s->monitor, s->monitor_name)) stop_monitor(zmq);
}

// A closed socket lives on in libzmq's thread while it lingers, and its reader is closed next.
static void close_end(struct end *end) {
    if (end->zmq) stop_monitor(end->zmq);
    if (end->zmq) zmq_close(end->zmq);
    *end = (struct end){0};
}

// Closes one whose queue is not worth a wait. libzmq ends the process
// (github.com/zeromq/libzmq/issues/4364) when, of a connection whose socket is closed and lingers,
// input stops, the peer goes, and a heartbeat is due.
static void drop_end(struct end *end) {
    int zero = 0;
    if (end->zmq) zmq_setsockopt(end->zmq, ZMQ_LINGER, &zero, sizeof zero);
    close_end(end);
}

// What CURVE makes a frame longer by, which ZMQ_MAXMSGSIZE counts (rfc.zeromq.org/spec/26).
enum { CURVE_BYTES = 64 };

// Opens one socket on `url`, which address_check has passed.
static int open_end(struct socket *s, struct end *end, int type, const char *url, int high_water,
                    int64_t max_frame, struct error *err) {
    int one = 1;
    if (s->key[0]) max_frame += CURVE_BYTES;
    end->router = type == ZMQ_ROUTER;
    end->zmq = zmq_socket(s->context, type);
    if (end->zmq && end->router) {
        zmq_setsockopt(end->zmq, ZMQ_ROUTER_MANDATORY, &one, sizeof one);
        zmq_setsockopt(end->zmq, ZMQ_ROUTER_HANDOVER, &one, sizeof one);
    }
    if (!end->zmq || set_options(end->zmq, url, high_water, max_frame) != 0 ||
        set_keys(s, end->zmq) != 0) {
        error_set(err, ERROR_IO, "A ZeroMQ socket could not be made: %s.", zmq_strerror(errno));
        close_end(end);
        return -1;
    }
    if (s->monitor_name) open_monitor(s, end->zmq);
    if ((s->options.bind ? zmq_bind(end->zmq, url) : zmq_connect(end->zmq, url)) != 0) {
        error_set(err, ERROR_IO, "Address \"%s\" could not be %s: %s.", url,
                  s->options.bind ? "bound" : "connected to", zmq_strerror(errno));
        close_end(end);
        return -1;
    }
    snprintf(end->url, sizeof end->url, "%s", url);
    size_t len = sizeof end->url;
    if (s->options.bind) zmq_getsockopt(end->zmq, ZMQ_LAST_ENDPOINT, end->url, &len);
    return 0;
}

// The bulk socket of a bound worker: the same host and a free port, or the path with "-bulk". The
// trainer's connection has a name that only HELLO tells, so that no other peer is asked or heard.
static int bind_bulk(struct socket *s, struct error *err) {
    char url[ADDRESS_MAX + 8];
    uint64_t random[2];
    assert(s->options.bind && s->control.zmq && !s->bulk.zmq);
    if (getrandom(random, sizeof random, 0) != sizeof random)
        return error_set(err, ERROR_IO, "No random bytes could be had: %s.", strerror(errno));
    snprintf(s->bulk_id, sizeof s->bulk_id, "%016llx%016llx", (unsigned long long)random[0],
             (unsigned long long)random[1]);
    if (strncmp(s->control.url, "ipc://", 6) == 0) {
        snprintf(url, sizeof url, "%s-bulk", s->control.url);
    } else {
        int host = (int)(strrchr(s->control.url, ':') - s->control.url);
        snprintf(url, sizeof url, "%.*s:*", host, s->control.url);
    }
    return open_end(s, &s->bulk, ZMQ_ROUTER, url, BULK_HIGH_WATER, MESSAGE_MAX_CHUNK, err);
}

// Reads this end's keys. The server's are read at each attempt, so that a new one can be put beside
// the old one.
static int read_keys(struct socket *s, struct error *err) {
    const struct socket_options *o = &s->options;
    struct keys_set servers = {0};
    if (!o->key) return 0;
    if (keys_read_secret(o->key, s->key, err)) return -1;
    if (o->bind) return socket_check_folder(o, err); // read again when somebody asks
    int failed = keys_read_public(o->server_key, &servers, err);
    if (!failed) memcpy(s->server_key, servers.entries[s->n_opened % servers.n].key, KEYS_TEXT);
    keys_set_free(&servers);
    return failed;
}

// The control socket of a worker that connects. libzmq tells of handshakes on a socket of its own.
static int connect_control(struct socket *s, const char *url, struct error *err) {
    char name[40];
    if (s->monitor) zmq_close(s->monitor);
    s->monitor = NULL;
    s->is_connected = false;
    if (read_keys(s, err) && !s->server_key[0]) return -1; // later on the former ones will do
    snprintf(name, sizeof name, "inproc://control-%d", s->n_opened++);
    s->monitor_name = name;
    int failed = open_end(s, &s->control, ZMQ_DEALER, url, s->high_water, MESSAGE_MAX_PAYLOAD, err);
    s->monitor_name = NULL;
    return failed;
}

static int bind_both(struct socket *s, const char *url, struct error *err) {
    if (read_keys(s, err)) return -1;
    if (s->key[0]) {
        s->zap = zmq_socket(s->context, ZMQ_REP); // before a server socket is bound
        if (!s->zap || zmq_bind(s->zap, ZAP_URL))
            return error_set(err, ERROR_IO, "Peers cannot be authenticated: %s.",
                             zmq_strerror(errno));
    }
    if (open_end(s, &s->control, ZMQ_ROUTER, url, s->high_water, MESSAGE_MAX_PAYLOAD, err))
        return -1;
    return bind_bulk(s, err);
}

static const char *copy_path(const char *path) {
    return path ? memory_copy(path, strlen(path)) : NULL;
}

struct socket *socket_open(const struct socket_options *options, struct error *err) {
    char url[ADDRESS_MAX];
    if (socket_check_options(options, url, err) != 0) return NULL;
    struct socket *s = memory_new(1, sizeof *s);
    s->options = *options;
    s->options.url = NULL;
    s->options.key = copy_path(options->key);
    s->options.allow_keys = copy_path(options->allow_keys);
    s->options.server_key = copy_path(options->server_key);
    s->awaits_welcome = true;
    s->wake = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    s->context = zmq_ctx_new();
    s->high_water = options->high_water > 0 ? options->high_water : DEFAULT_HIGH_WATER;
    int failed = 0;
    if (s->wake < 0 || !s->context)
        failed = error_set(err, ERROR_IO, "ZeroMQ could not be started: %s.", zmq_strerror(errno));
    if (!failed) failed = options->bind ? bind_both(s, url, err) : connect_control(s, url, err);
    if (failed) socket_close(&s);
    return s;
}

void socket_close(struct socket **socket) {
    struct socket *s = *socket;
    *socket = NULL;
    if (!s) return;
    close_end(&s->control);
    close_end(&s->bulk);
    if (s->zap) zmq_close(s->zap);
    if (s->monitor) zmq_close(s->monitor);
    if (s->context) zmq_ctx_term(s->context);
    if (s->wake >= 0) close(s->wake);
    free((void *)(uintptr_t)s->options.key);
    free((void *)(uintptr_t)s->options.allow_keys);
    free((void *)(uintptr_t)s->options.server_key);
    keys_set_free(&s->allowed);
    explicit_bzero(s->key, sizeof s->key);
    free(s);
}

int socket_reconnect(struct socket *s, struct error *err) {
    char url[ADDRESS_MAX];
    if (s->options.bind) return 0;
    memcpy(url, s->control.url, sizeof url);
    drop_end(&s->control);
    drop_end(&s->bulk);
    s->awaits_welcome = true;
    return connect_control(s, url, err);
}

int socket_connect_bulk(struct socket *s, const char *url, struct error *err) {
    char checked[ADDRESS_MAX];
    if (s->options.bind) return 0;
    bool anywhere = s->options.insecure || s->key[0];
    if (address_check(url, false, anywhere, checked, err) != 0) return -1;
    if (s->bulk.zmq && strcmp(checked, s->bulk.url) == 0) return 0;
    drop_end(&s->bulk);
    return open_end(s, &s->bulk, ZMQ_DEALER, checked, BULK_HIGH_WATER, MESSAGE_MAX_CHUNK, err);
}

// --- sending ---

static enum message_type type_of(const struct message_frames *frames) {
    // [array 8] [fixstr 4 + magic] [major] [minor] [type]: the encoder writes each in one byte.
    assert(frames->header.len > frames->seq_at && frames->seq_at > 8);
    assert(frames->header.ptr[6] == MESSAGE_MAJOR && (unsigned char)frames->header.ptr[8] < 0x80);
    return (enum message_type)frames->header.ptr[8];
}

// Queues the frames; returns as zmq_send does. A ROUTER says at the routing id whether the peer is
// there and has room. Once the first frame is taken the others find room too: a pipe counts whole
// messages.
static int queue_frames(struct socket *s, struct end *end, const struct message_frames *frames) {
    bool two = frames->payload.len > 0, is_bulk = end == &s->bulk;
    assert(is_bulk || end == &s->control);
    const void *id = is_bulk ? (const void *)s->bulk_id : s->peer.id;
    size_t id_len = is_bulk ? strlen(s->bulk_id) : s->peer.len;
    errno = EAGAIN;
    if (!end->zmq || (end->router && id_len == 0)) return -1;
    if (end->router && zmq_send(end->zmq, id, id_len, ZMQ_DONTWAIT | ZMQ_SNDMORE) < 0) return -1;
    int rc = zmq_send(end->zmq, frames->header.ptr, frames->header.len,
                      ZMQ_DONTWAIT | (two ? ZMQ_SNDMORE : 0));
    if (rc >= 0 && two)
        rc = zmq_send(end->zmq, frames->payload.ptr, frames->payload.len, ZMQ_DONTWAIT);
    return rc;
}

int socket_send(struct socket *s, struct message_frames *frames, struct error *err) {
    enum message_type type = type_of(frames);
    struct end *end = message_is_bulk(type) ? &s->bulk : &s->control;
    uint64_t seq = message_is_bulk(type) ? 0 : type == MESSAGE_HELLO ? 1 : s->sent_seq + 1;
    message_frames_set_seq(frames, seq);
    if (queue_frames(s, end, frames) < 0) {
        bool is_there = end->router ? s->peer.len > 0 : s->is_connected;
        if (errno == EAGAIN && end == &s->control && is_there) socket_count(&s->n_full, 1);
        if (errno == EHOSTUNREACH && end == &s->control) s->peer_lost = true;
        if (errno != EAGAIN && errno != EINTR && errno != EHOSTUNREACH)
            return error_set(err, ERROR_IO, "%s could not be sent: %s.", message_type_name(type),
                             zmq_strerror(errno));
        socket_count(&s->n_unsent, 1);
        return 1;
    }
    if (seq != 0) s->sent_seq = seq;
    if (type == MESSAGE_HELLO) s->awaits_welcome = true;
    socket_count(&s->n_sent, 1);
    socket_count(&s->bytes_sent, frames->header.len + frames->payload.len);
    return 0;
}

int socket_send_message(struct socket *s, const struct message *m, struct error *err) {
    struct message_frames frames = {0};
    int rc = message_encode(m, &frames, err);
    if (rc == 0) rc = socket_send(s, &frames, err);
    message_frames_free(&frames);
    return rc;
}

// --- receiving ---

// Reads the next part of a message whose first part has come: they arrive together, so this does
// not wait.
static int receive_part(void *zmq, zmq_msg_t *part) {
    int rc;
    do {
        rc = zmq_msg_recv(part, zmq, 0);
    } while (rc < 0 && errno == EINTR);
    return rc;
}

// Reads the parts of one message that is there; keeps the first two behind the routing id.
// Returns the number of parts (3: more than two), 0 when no message is there, -1 on an error. The
// caller closes both parts in every case.
static int receive_parts(const struct end *end, struct peer *from, zmq_msg_t parts[2]) {
    zmq_msg_init(&parts[0]);
    zmq_msg_init(&parts[1]);
    from->len = 0;
    from->user[0] = 0;
    int rc = zmq_msg_recv(&parts[0], end->zmq, ZMQ_DONTWAIT);
    if (rc < 0) return errno == EAGAIN || errno == EINTR ? 0 : -1;
    if (end->router) { // a ROUTER gives no routing id without at least one part behind it
        from->len = zmq_msg_size(&parts[0]) < sizeof from->id ? zmq_msg_size(&parts[0]) : 0;
        memcpy(from->id, zmq_msg_data(&parts[0]), from->len);
        if (!zmq_msg_more(&parts[0])) return 3;
        if (receive_part(end->zmq, &parts[0]) < 0) return -1;
        // Of this frame: the routing id's loses what libzmq knows of it. NULL: nobody asked for a
        // key, or nobody answered who asked.
        const char *user = zmq_msg_gets(&parts[0], "User-Id");
        snprintf(from->user, sizeof from->user, "%s", user ? user : "");
    }
    int n = 1;
    for (bool more = zmq_msg_more(&parts[0]); more; n = n < 3 ? n + 1 : 3) {
        zmq_msg_t extra;
        zmq_msg_init(&extra);
        zmq_msg_t *part = n == 1 ? &parts[1] : &extra;
        rc = receive_part(end->zmq, part);
        more = rc >= 0 && zmq_msg_more(part);
        zmq_msg_close(&extra);
        if (rc < 0) return -1;
    }
    return n;
}

static struct slice part_slice(zmq_msg_t *part) {
    return (struct slice){(const char *)zmq_msg_data(part), zmq_msg_size(part)};
}

// libzmq hands out small frames at odd addresses, so message_new copies both.
static struct message *decode_parts(struct socket *s, zmq_msg_t parts[2], int n) {
    enum message_reason reason = REASON_PARTS;
    struct message *m = NULL;
    struct slice header = part_slice(&parts[0]), payload = part_slice(&parts[1]);
    socket_count(&s->bytes_received, header.len + payload.len);
    if (n > 2) {
        error_set(&s->last_refusal, ERROR_INPUT, "A message of more than two frames.");
    } else {
        m = message_new(header, payload, &reason, &s->last_refusal);
    }
    if (!m) socket_count(&s->refused[reason], 1);
    return m;
}

// Takes the next good message of one end. Returns 1, 0 when none is there, 2 when it dropped so
// many that the other end should have its turn, -1 on an error.
static int take(struct socket *s, struct end *end, struct message **out, struct error *err) {
    for (int i = 0; end->zmq && i < MAX_DROPPED; i++) {
        zmq_msg_t parts[2];
        struct peer from;
        int n = receive_parts(end, &from, parts);
        bool is_allowed = n <= 0 || socket_is_allowed(s, &from);
        struct message *m = n > 0 && is_allowed ? decode_parts(s, parts, n) : NULL;
        zmq_msg_close(&parts[0]);
        zmq_msg_close(&parts[1]);
        if (n < 0)
            return error_set(err, ERROR_IO, "A ZeroMQ socket could not be read: %s.",
                             zmq_strerror(errno));
        if (n == 0) return 0;
        if (m && socket_is_wanted(s, end, &from, m)) {
            socket_count(&s->n_received, 1);
            *out = m;
            return 1;
        }
        message_free(&m);
    }
    return end->zmq ? 2 : 0;
}

// --- who may connect ---

// One of libzmq's questions (ZAP, rfc.zeromq.org/spec/27): version, number, domain, address,
// routing id, mechanism, the client's key. Parts beyond are read and not looked at.
static void answer_zap(struct socket *s) {
    enum { N_PARTS = 7 };
    char parts[N_PARTS][64] = {0}, key[KEYS_TEXT] = "";
    int len[N_PARTS] = {0}, n = 0, more = 1;
    size_t size = sizeof more;
    for (; more; n++) {
        char rest[64];
        int got = zmq_recv(s->zap, n < N_PARTS ? parts[n] : rest, 64, 0);
        if (got < 0) return;
        if (n < N_PARTS) len[n] = got;
        zmq_getsockopt(s->zap, ZMQ_RCVMORE, &more, &size);
    }
    if (n == N_PARTS && len[5] == 5 && memcmp(parts[5], "CURVE", 5) == 0 && len[6] == 32)
        zmq_z85_encode(key, (const uint8_t *)parts[6], 32);
    socket_refresh_keys(s);
    const char *user = key[0] ? keys_find(&s->allowed, key) : NULL;
    if (!user) {
        socket_count(&s->n_unauthenticated, 1);
        error_set(&s->last_refusal, ERROR_INPUT, "A peer at %.63s has a key that is not allowed.",
                  len[3] < 64 ? parts[3] : "");
    }
    zmq_send(s->zap, "1.0", 3, ZMQ_SNDMORE);
    zmq_send(s->zap, parts[1], (size_t)(len[1] < 64 ? len[1] : 64), ZMQ_SNDMORE);
    zmq_send(s->zap, user ? "200" : "400", 3, ZMQ_SNDMORE);
    zmq_send(s->zap, "", 0, ZMQ_SNDMORE);
    zmq_send(s->zap, user ? user : "", user ? strlen(user) : 0, ZMQ_SNDMORE);
    zmq_send(s->zap, "", 0, 0);
}

// What became of connections: event (16 bits) and value (32 bits), then an address.
static void take_event(struct socket *s) {
    char event[6], address[ADDRESS_MAX];
    uint16_t number;
    if (zmq_recv(s->monitor, event, sizeof event, ZMQ_DONTWAIT) != sizeof event) return;
    zmq_recv(s->monitor, address, sizeof address, ZMQ_DONTWAIT);
    memcpy(&number, event, sizeof number);
    s->is_connected = number == ZMQ_EVENT_HANDSHAKE_SUCCEEDED;
    if (number == ZMQ_EVENT_HANDSHAKE_FAILED_AUTH) socket_count(&s->n_unauthenticated, 1);
    if (number != ZMQ_EVENT_DISCONNECTED) s->key_refused = !s->is_connected;
}

int socket_make_keys(char public[KEYS_TEXT], char secret[KEYS_TEXT], struct error *err) {
    if (zmq_curve_keypair(public, secret) == 0) return 0;
    return error_set(err, ERROR_INTERNAL, "No keys could be made: %s.", zmq_strerror(errno));
}

// Waits for a frame or a wake. Returns 1 when a frame may be there, 0 on timeout or wake, -1.
static int wait_for(struct socket *s, int timeout_ms, struct error *err) {
    zmq_pollitem_t items[5] = {
        {NULL, s->wake, ZMQ_POLLIN, 0},
        {s->control.zmq, 0, ZMQ_POLLIN, 0},
    };
    void *const others[3] = {s->bulk.zmq, s->zap, s->monitor};
    int n = 2;
    for (int i = 0; i < 3; i++)
        if (others[i]) items[n++] = (zmq_pollitem_t){others[i], 0, ZMQ_POLLIN, 0};
    int rc = zmq_poll(items, n, timeout_ms);
    if (rc < 0 && errno != EINTR)
        return error_set(err, ERROR_IO, "The ZeroMQ sockets could not be polled: %s.",
                         zmq_strerror(errno));
    for (int i = 2; i < n && rc > 0; i++) {
        if (!items[i].revents) continue;
        if (items[i].socket == s->zap) answer_zap(s);
        if (items[i].socket == s->monitor) take_event(s);
    }
    if (rc <= 0) return 0;
    if (items[0].revents) {
        uint64_t n_wakes;
        return read(s->wake, &n_wakes, sizeof n_wakes) == sizeof n_wakes ? 0 : 1;
    }
    return 1;
}

int socket_receive(struct socket *s, struct message **out, int timeout_ms, struct error *err) {
    int64_t end_ms = clock_ms() + timeout_ms;
    assert(s->control.zmq);
    *out = NULL;
    for (;;) {
        int control = take(s, &s->control, out, err);
        if (control == 1 || control < 0) return control;
        int bulk = take(s, &s->bulk, out, err);
        if (bulk == 1 || bulk < 0) return bulk;
        int64_t left_ms = timeout_ms < 0 ? -1 : end_ms - clock_ms();
        if (timeout_ms >= 0 && left_ms < 0) left_ms = 0;
        // A flood of junk keeps neither the caller's time nor a wake waiting.
        bool flood = (control == 2 || bulk == 2) && left_ms != 0;
        int ready = wait_for(s, flood ? 0 : (int)left_ms, err);
        if (ready <= 0) return ready;
    }
}

void socket_wake(struct socket *s) {
    uint64_t one = 1;
    // The counter can only be full when a wake is pending, which is all that is wanted.
    ssize_t n = write(s->wake, &one, sizeof one);
    (void)n;
}
