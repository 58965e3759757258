// The worker's end of the wire: a control socket and a bulk socket, both owned by one thread.
//
// With `connect` both are DEALERs that connect to the trainer's ROUTERs (the control URL is given,
// the bulk URL comes in WELCOME). With `bind` both are bound here and the trainer connects a DEALER
// to each: both are ROUTERs, so that strangers neither see nor disturb a session. HELLO carries the
// bulk socket's URL and the name (ZMQ_ROUTING_ID) under which the trainer connects to it, which is
// random: chunks are asked of, and taken from, that connection alone. A bound worker cannot speak
// before it is spoken to: the trainer knocks with REFUSE no_session. It then listens to that
// connection alone, until the session ends or the connection breaks.
//
// Only socket_wake and socket_counters may be called from other threads. Everything else belongs
// to the thread that opened the socket: libzmq ends the process when two threads share a socket.
//
// Sequence numbers: socket_send numbers the control messages of a session; HELLO is number 1, and
// the trainer's numbers begin with WELCOME as 1. REFUSE and the bulk messages have number 0 and are
// not counted. A gap means that a connection was lost with messages in it: the message that shows
// it has `lost_before` set, and the worker must begin a new session with HELLO.
#ifndef PROTOCOL_SOCKET_H
#define PROTOCOL_SOCKET_H

#include <stdbool.h>
#include <stdint.h>

#include "protocol/base/error.h"
#include "protocol/messages.h"

struct socket;

struct socket_options {
    const char *url; // control URL
    bool bind;       // bind it, else connect to it
    bool insecure;   // allow addresses that are not loopback or ipc, without keys
    // CURVE (PROTOCOL.md, Security), or all NULL: files of keys.h. `key` is this end's secret key.
    // With `bind` allow_keys is the folder of the trainers' public keys, which is read again each
    // two seconds; with `connect` server_key is the trainer's, or several: each attempt takes the
    // next one.
    const char *key, *allow_keys, *server_key;
    int high_water; // messages that may queue in one direction; 0: 4096. A fuse, not flow control
};

// With keys every message must come from a peer whose key is allowed now. That is asked of each
// message, not of the handshake alone: libzmq lets everyone in where nobody authenticates.

// What socket_open would refuse of the options without opening anything: the address, and which
// keys there are; whether their files can be read. For a caller that has minutes of work before.
int socket_check(const struct socket_options *options, struct error *err);

// Opens the control socket, and with `bind` the bulk socket (same host, a free port; for ipc the
// path with "-bulk" behind it). Returns NULL on failure: a refused address is ERROR_USAGE, an
// address in use ERROR_IO, a key file ERROR_CONFIG. Does not wait for a peer.
struct socket *socket_open(const struct socket_options *options, struct error *err);

// Closes; what is still queued has 200 ms to be sent.
void socket_close(struct socket **s);

// Where the sockets are bound, with the port that was picked; with `connect` the control URL as
// given, and for the bulk socket the URL of the last socket_connect_bulk, or "". Owned by `s`.
const char *socket_url(const struct socket *s);
const char *socket_bulk_url(const struct socket *s);

// With `bind` the name of the trainer's connection to the bulk socket, else "". Owned by `s`.
const char *socket_bulk_id(const struct socket *s);

// Connects anew, with empty queues; the bulk socket is closed until socket_connect_bulk. For a
// trainer that was not heard for long: after a frame over the limit libzmq closes a connection for
// good. Nothing happens when the worker has bound. Returns -1 when there is no socket any more.
int socket_reconnect(struct socket *s, struct error *err);

// Connects the bulk socket to the URL of WELCOME; closes an older one. Nothing happens when `url`
// is the one already connected to, or when the worker has bound (then `url` is ignored).
int socket_connect_bulk(struct socket *s, const char *url, struct error *err);

// Sends one message on the socket that its type belongs to, numbering it. `frames` can be sent
// again later. Never waits. Returns 0 when it is queued, 1 when there is no connection or the
// queue is full (try again after the next socket_receive), -1 on an error of the socket.
int socket_send(struct socket *s, struct message_frames *frames, struct error *err);

// Encodes and sends; for small messages that need not be kept. Returns as socket_send.
int socket_send_message(struct socket *s, const struct message *m, struct error *err);

// Waits up to timeout_ms (0: not at all, -1: for ever) for a message. Returns 1 with *out (owned by
// the caller, message_free), 0 on timeout or after socket_wake (*out NULL), -1 on an error of the
// socket. Frames that are malformed are counted and dropped, each message on its own. Control
// messages come before bulk messages that are already here.
int socket_receive(struct socket *s, struct message **out, int timeout_ms, struct error *err);

// Makes the socket_receive that waits now, or the next one, return 0. From any thread; async-signal
// safe.
void socket_wake(struct socket *s);

struct socket_counters {
    uint64_t n_sent, n_received;         // messages
    uint64_t bytes_sent, bytes_received; // of frames
    uint64_t n_unsent;                   // socket_send returned 1
    uint64_t n_full;                     // of these, although there was a connection
    uint64_t n_unauthenticated;          // handshakes and messages without an allowed key
    uint64_t n_gaps;                     // messages with lost_before
    uint64_t refused[MESSAGE_N_REASONS]; // malformed messages
};

// A snapshot; from any thread.
void socket_counters(const struct socket *s, struct socket_counters *out);

// The sentence of the last malformed message, or "". For the owning thread.
const char *socket_last_refusal(const struct socket *s);

// Whether the trainer has refused this worker's key and no connection has been made since. For the
// owning thread.
bool socket_key_is_refused(const struct socket *s);

// A new pair of keys, as keys.h has them.
int socket_make_keys(char public[41], char secret[41], struct error *err);

#endif
