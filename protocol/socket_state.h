// The insides of a socket, shared by socket.c (all that is libzmq's) and socket_peer.c (who is
// heard).
#ifndef PROTOCOL_SOCKET_STATE_H
#define PROTOCOL_SOCKET_STATE_H

#include <stdatomic.h>

#include "protocol/address.h"
#include "protocol/keys.h"
#include "protocol/socket.h"

// One socket. `zmq` is NULL while there is none.
struct end {
    void *zmq;
    bool router; // routing ids stand in front of its messages
    char url[ADDRESS_MAX];
};

// The routing id of a connection to a ROUTER; len 0: none.
struct peer {
    size_t len;
    char id[256];         // (len)
    char user[KEYS_NAME]; // whose key it has, "": nobody's
};

struct socket {
    void *context;
    struct end control, bulk;
    struct socket_options options; // paths are copies of its own
    char key[KEYS_TEXT];           // "": no CURVE
    char server_key[KEYS_TEXT];    // of the attempt that is under way
    struct keys_set allowed;       // with `bind`
    int64_t allowed_ms;            // when it was read
    void *zap, *monitor;           // authenticates here; tells of the control socket's connections
    const char *monitor_name;      // where it tells of the one that is being opened
    int n_opened;                  // control sockets
    bool is_connected, key_refused;
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
    atomic_uint_fast64_t n_full, n_unauthenticated;
    atomic_uint_fast64_t refused[MESSAGE_N_REASONS];
};

static inline void socket_count(atomic_uint_fast64_t *counter, uint64_t n) {
    atomic_fetch_add_explicit(counter, n, memory_order_relaxed);
}

// Whether options go together and the address may be used; writes the form that libzmq takes.
int socket_check_options(const struct socket_options *o, char url[ADDRESS_MAX], struct error *err);

// Whether the folder of a bound worker's allowed keys can be read now, all of it.
int socket_check_folder(const struct socket_options *o, struct error *err);

// Whether a decoded message of one end is to be handed out; counts why not.
bool socket_is_wanted(struct socket *s, const struct end *end, const struct peer *from,
                      struct message *m);

// With `bind` and keys: reads the allowed ones again when it is time. A folder or a file that
// cannot be read allows nobody.
void socket_refresh_keys(struct socket *s);

// Whether the sender's key is allowed now, where keys are asked for.
bool socket_is_allowed(struct socket *s, const struct peer *from);

#endif
