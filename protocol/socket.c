#include "protocol/socket.h"

#include <assert.h>
#include <errno.h>
#include <poll.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/random.h>
#include <unistd.h>
#include <zmq.h>

#include "protocol/address.h"
#include "protocol/base/clock.h"
#include "protocol/base/hash.h"
#include "protocol/base/memory.h"

enum { DEFAULT_HIGH_WATER = 4096, BULK_HIGH_WATER = 64, MAX_DROPPED = 256 };

// One socket. `zmq` is NULL while there is none.
struct end {
    void *zmq;
    bool router; // routing ids stand in front of its messages
    char url[ADDRESS_MAX];
};

// The routing id of a connection to a ROUTER; len 0: none.
struct peer {
    size_t len;
    char id[256]; // (len)
};

struct socket {
    void *context;
    struct end control, bulk;
    bool bound, insecure;
    int high_water;        // of the control socket
    int wake;              // eventfd
    uint64_t sent_seq;     // of the last control message that was queued
    uint64_t expected_seq; // of the trainer's next one
    bool awaits_welcome;   // numbered messages before WELCOME belong to an ended session
    uint64_t session;      // hash of the run and epoch of WELCOME
    char bulk_id[33];      // of a bound worker: the name of the trainer's bulk connection
    struct peer peer;      // of a bound worker: who sent the last message that was taken
    bool peer_lost;        // it cannot be reached any more: another one may speak
    struct error last_refusal;
    atomic_uint_fast64_t n_sent, n_received, bytes_sent, bytes_received, n_unsent, n_gaps;
    atomic_uint_fast64_t refused[MESSAGE_N_REASONS];
};

static void count(atomic_uint_fast64_t *counter, uint64_t n) {
    atomic_fetch_add_explicit(counter, n, memory_order_relaxed);
}

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

static void close_end(struct end *end) {
    if (end->zmq) zmq_close(end->zmq);
    *end = (struct end){0};
}

// Opens one socket on `url`, which address_check has passed.
static int open_end(struct socket *s, struct end *end, int type, const char *url, int high_water,
                    int64_t max_frame, struct error *err) {
    int one = 1;
    end->router = type == ZMQ_ROUTER;
    end->zmq = zmq_socket(s->context, type);
    if (end->zmq && end->router) {
        zmq_setsockopt(end->zmq, ZMQ_ROUTER_MANDATORY, &one, sizeof one);
        zmq_setsockopt(end->zmq, ZMQ_ROUTER_HANDOVER, &one, sizeof one);
    }
    if (!end->zmq || set_options(end->zmq, url, high_water, max_frame) != 0) {
        error_set(err, ERROR_IO, "A ZeroMQ socket could not be made: %s.", zmq_strerror(errno));
        close_end(end);
        return -1;
    }
    if ((s->bound ? zmq_bind(end->zmq, url) : zmq_connect(end->zmq, url)) != 0) {
        error_set(err, ERROR_IO, "Address \"%s\" could not be %s: %s.", url,
                  s->bound ? "bound" : "connected to", zmq_strerror(errno));
        close_end(end);
        return -1;
    }
    snprintf(end->url, sizeof end->url, "%s", url);
    size_t len = sizeof end->url;
    if (s->bound) zmq_getsockopt(end->zmq, ZMQ_LAST_ENDPOINT, end->url, &len);
    return 0;
}

// The bulk socket of a bound worker: the same host and a free port, or the path with "-bulk". The
// trainer's connection has a name that only HELLO tells, so that no other peer is asked or heard.
static int bind_bulk(struct socket *s, struct error *err) {
    char url[ADDRESS_MAX + 8];
    uint64_t random[2];
    assert(s->bound && s->control.zmq && !s->bulk.zmq);
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

struct socket *socket_open(const struct socket_options *options, struct error *err) {
    char url[ADDRESS_MAX];
    if (address_check(options->url, options->bind, options->insecure, url, err) != 0) return NULL;
    struct socket *s = memory_new(1, sizeof *s);
    s->bound = options->bind;
    s->insecure = options->insecure;
    s->awaits_welcome = true;
    s->wake = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    s->context = zmq_ctx_new();
    s->high_water = options->high_water > 0 ? options->high_water : DEFAULT_HIGH_WATER;
    if (s->wake < 0 || !s->context) {
        error_set(err, ERROR_IO, "ZeroMQ could not be started: %s.", zmq_strerror(errno));
        socket_close(&s);
    } else if (open_end(s, &s->control, s->bound ? ZMQ_ROUTER : ZMQ_DEALER, url, s->high_water,
                        MESSAGE_MAX_PAYLOAD, err) != 0 ||
               (s->bound && bind_bulk(s, err) != 0)) {
        socket_close(&s);
    }
    return s;
}

void socket_close(struct socket **s) {
    if (!*s) return;
    close_end(&(*s)->control);
    close_end(&(*s)->bulk);
    if ((*s)->context) zmq_ctx_term((*s)->context);
    if ((*s)->wake >= 0) close((*s)->wake);
    free(*s);
    *s = NULL;
}

const char *socket_url(const struct socket *s) {
    return s->control.url;
}

const char *socket_bulk_url(const struct socket *s) {
    return s->bulk.url;
}

const char *socket_bulk_id(const struct socket *s) {
    return s->bulk_id;
}

int socket_reconnect(struct socket *s, struct error *err) {
    char url[ADDRESS_MAX];
    if (s->bound) return 0;
    memcpy(url, s->control.url, sizeof url);
    close_end(&s->control);
    close_end(&s->bulk);
    s->awaits_welcome = true;
    return open_end(s, &s->control, ZMQ_DEALER, url, s->high_water, MESSAGE_MAX_PAYLOAD, err);
}

int socket_connect_bulk(struct socket *s, const char *url, struct error *err) {
    char checked[ADDRESS_MAX];
    if (s->bound) return 0;
    if (address_check(url, false, s->insecure, checked, err) != 0) return -1;
    if (s->bulk.zmq && strcmp(checked, s->bulk.url) == 0) return 0;
    close_end(&s->bulk);
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
        if (errno == EHOSTUNREACH && end == &s->control) s->peer_lost = true;
        if (errno != EAGAIN && errno != EINTR && errno != EHOSTUNREACH)
            return error_set(err, ERROR_IO, "%s could not be sent: %s.", message_type_name(type),
                             zmq_strerror(errno));
        count(&s->n_unsent, 1);
        return 1;
    }
    if (seq != 0) s->sent_seq = seq;
    if (type == MESSAGE_HELLO) s->awaits_welcome = true;
    count(&s->n_sent, 1);
    count(&s->bytes_sent, frames->header.len + frames->payload.len);
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
    int rc = zmq_msg_recv(&parts[0], end->zmq, ZMQ_DONTWAIT);
    if (rc < 0) return errno == EAGAIN || errno == EINTR ? 0 : -1;
    if (end->router) { // a ROUTER gives no routing id without at least one part behind it
        from->len = zmq_msg_size(&parts[0]) < sizeof from->id ? zmq_msg_size(&parts[0]) : 0;
        memcpy(from->id, zmq_msg_data(&parts[0]), from->len);
        if (!zmq_msg_more(&parts[0])) return 3;
        if (receive_part(end->zmq, &parts[0]) < 0) return -1;
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
    count(&s->bytes_received, header.len + payload.len);
    if (n > 2) {
        error_set(&s->last_refusal, ERROR_INPUT, "A message of more than two frames.");
    } else {
        m = message_new(header, payload, &reason, &s->last_refusal);
    }
    if (!m) count(&s->refused[reason], 1);
    return m;
}

static uint64_t session_of(const struct message *m) {
    return hash_bytes(m->run.ptr, m->run.len) ^ hash_bytes(&m->epoch, sizeof m->epoch);
}

// Follows the trainer's numbers. Returns false for a message of a session that has ended. Those of
// another run or epoch are numbered by somebody else; refusing them is the caller's business.
static bool check_seq(struct socket *s, struct message *m) {
    if (m->seq == 0) return true;
    if (m->type == MESSAGE_WELCOME) {
        s->awaits_welcome = false;
        s->session = session_of(m);
        s->expected_seq = 1;
    }
    if (s->awaits_welcome) return false;
    assert(s->expected_seq > 0); // WELCOME has set it
    if (session_of(m) != s->session) return true;
    m->lost_before = m->seq != s->expected_seq;
    if (m->lost_before) count(&s->n_gaps, 1);
    s->expected_seq = m->seq + 1;
    return true;
}

// Whether a bound worker listens to this connection: to one trainer at a time, and to another one
// when there is no session or the trainer of the session cannot be reached.
static bool is_heard(struct socket *s, const struct peer *from) {
    bool same = from->len == s->peer.len && memcmp(from->id, s->peer.id, from->len) == 0;
    if (!same && !s->awaits_welcome && !s->peer_lost) return false;
    if (!same) s->peer = *from;
    s->peer_lost = false;
    return true;
}

static bool is_trainer(struct socket *s, const struct end *end, const struct peer *from) {
    if (end == &s->control) return is_heard(s, from);
    return from->len == strlen(s->bulk_id) && memcmp(from->id, s->bulk_id, from->len) == 0;
}

// Whether a decoded message is to be handed out; counts why not.
static bool is_wanted(struct socket *s, const struct end *end, const struct peer *from,
                      struct message *m) {
    if ((end == &s->bulk) != message_is_bulk(m->type)) {
        error_set(&s->last_refusal, ERROR_INPUT, "%s came on the wrong socket.",
                  message_type_name(m->type));
        count(&s->refused[REASON_TYPE], 1);
        return false;
    }
    if (end->router && !is_trainer(s, end, from)) {
        error_set(&s->last_refusal, ERROR_INPUT, "%s came from another peer than the trainer.",
                  message_type_name(m->type));
        count(&s->refused[REASON_PEER], 1);
        return false;
    }
    return check_seq(s, m);
}

// Takes the next good message of one end. Returns 1, 0 when none is there, 2 when it dropped so
// many that the other end should have its turn, -1 on an error.
static int take(struct socket *s, struct end *end, struct message **out, struct error *err) {
    for (int i = 0; end->zmq && i < MAX_DROPPED; i++) {
        zmq_msg_t parts[2];
        struct peer from;
        int n = receive_parts(end, &from, parts);
        struct message *m = n > 0 ? decode_parts(s, parts, n) : NULL;
        zmq_msg_close(&parts[0]);
        zmq_msg_close(&parts[1]);
        if (n < 0)
            return error_set(err, ERROR_IO, "A ZeroMQ socket could not be read: %s.",
                             zmq_strerror(errno));
        if (n == 0) return 0;
        if (m && is_wanted(s, end, &from, m)) {
            count(&s->n_received, 1);
            *out = m;
            return 1;
        }
        message_free(&m);
    }
    return end->zmq ? 2 : 0;
}

// Waits for a frame or a wake. Returns 1 when a frame may be there, 0 on timeout or wake, -1.
static int wait_for(struct socket *s, int timeout_ms, struct error *err) {
    zmq_pollitem_t items[3] = {
        {NULL, s->wake, ZMQ_POLLIN, 0},
        {s->control.zmq, 0, ZMQ_POLLIN, 0},
        {s->bulk.zmq, 0, ZMQ_POLLIN, 0},
    };
    int rc = zmq_poll(items, s->bulk.zmq ? 3 : 2, timeout_ms);
    if (rc < 0 && errno != EINTR)
        return error_set(err, ERROR_IO, "The ZeroMQ sockets could not be polled: %s.",
                         zmq_strerror(errno));
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

void socket_counters(const struct socket *s, struct socket_counters *out) {
    *out = (struct socket_counters){
        .n_sent = s->n_sent,
        .n_received = s->n_received,
        .bytes_sent = s->bytes_sent,
        .bytes_received = s->bytes_received,
        .n_unsent = s->n_unsent,
        .n_gaps = s->n_gaps,
    };
    for (int i = 0; i < MESSAGE_N_REASONS; i++) out->refused[i] = s->refused[i];
}

const char *socket_last_refusal(const struct socket *s) {
    return s->last_refusal.text;
}
