// Every message of the wire, its limits and the version: what PROTOCOL.md says, as structs.
//
// A message is a header frame (msgpack, at most 64 KiB) and, where it has columns, one payload
// frame. The header is [magic, major, minor, type, run, epoch, seq, {key: value}]; keys, types and
// units are in PROTOCOL.md, the structs in bodies.h, the tables that fill them in fields.c.
//
// Nothing here allocates while decoding: slices and columns point into the two frames.
#ifndef PROTOCOL_MESSAGES_H
#define PROTOCOL_MESSAGES_H

#include <stdbool.h>
#include <stdint.h>

#include "protocol/base/buffer.h"
#include "protocol/base/error.h"
#include "protocol/base/slice.h"
#include "protocol/bodies.h"
#include "protocol/columns.h"

enum { MESSAGE_MAJOR = 1, MESSAGE_MINOR = 1 };
#define MESSAGE_MAGIC "STMP"

// Limits. A frame beyond one is refused and counted; it never ends the session.
enum {
    MESSAGE_MAX_HEADER = 64 << 10,         // bytes of a header frame
    MESSAGE_MAX_PAYLOAD = 16 << 20,        // bytes of a payload frame
    MESSAGE_MAX_RESULT_PAYLOAD = 64 << 20, // bytes of a RESULT's payload frame
    MESSAGE_MAX_CHUNK = 1 << 20,           // bytes of weights in one WEIGHTS_CHUNK
    MESSAGE_MAX_RANK = 4,                  // dimensions of a tensor
    MESSAGE_MAX_FILE = 255,                // bytes of the name of a file of weights
    MESSAGE_MAX_FILE_HEADER = 100000008,   // bytes of it before the stream: safetensors' limit
    MESSAGE_NCCL_ID_BYTES = 128,           // an ncclUniqueId
    MESSAGE_MAX_RANKS = 65536,             // of a communicator
    MESSAGE_MAX_RUN = 64,                  // bytes of the run's name
    MESSAGE_MAX_ID = 4096,                 // bytes of a group's id as JSON text
    MESSAGE_MAX_TEXT = 16 << 10,           // bytes of any text in a header
    MESSAGE_MAX_SAMPLES = 65536,           // samples of one group
    MESSAGE_MAX_TENSORS = 1 << 20,         // tensors of one update
    MESSAGE_MAX_ELEMENTS = 1 << 30,        // of one of them
    MESSAGE_MAX_STOPS = 64,                // stop texts of a task
    MESSAGE_MAX_STOP_BYTES = 64 << 10,     // of all stop texts of a task
    MESSAGE_MAX_STOP_IDS = 1024,           // stop token ids of a task
    MESSAGE_MAX_BIAS_IDS = 65536,          // token ids of a logit bias
    MESSAGE_MAX_DRAFT = 64,                // tokens guessed ahead
    MESSAGE_MAX_DEADLINE_MS = INT32_MAX,   // of a task, milliseconds: 24 days
};

// Times, in milliseconds. WELCOME may name others for the first two.
enum {
    MESSAGE_HEARTBEAT_MS = 1000, // each side sends HEARTBEAT this often
    MESSAGE_PROGRESS_MS = 5000,  // a worker's HEARTBEAT tells so often with which tasks it goes on
    MESSAGE_LOST_MS = 5000,      // a peer that was not heard for so long is gone
    MESSAGE_RESEND_MS = 3000,    // an unacknowledged RESULT is sent again after this
    MESSAGE_PULL_MS = 3000,      // an unanswered WEIGHTS_PULL is sent again after this
};

enum message_type {
    MESSAGE_HELLO = 1,           // worker: who I am, what I hold
    MESSAGE_WELCOME = 2,         // trainer: the session begins
    MESSAGE_REFUSE = 3,          // trainer: no session, and why
    MESSAGE_CREDIT = 4,          // worker: how many samples may have been sent in this session
    MESSAGE_TASK = 5,            // trainer: samples of one group to make
    MESSAGE_CANCEL = 6,          // trainer: samples of one group that nobody wants any more
    MESSAGE_HEARTBEAT = 7,       // both
    MESSAGE_RESULT = 8,          // worker: samples that ended
    MESSAGE_ACK = 9,             // trainer: a RESULT has arrived
    MESSAGE_DRAIN = 10,          // both: no new tasks
    MESSAGE_BYE = 11,            // both: the session ends
    MESSAGE_WEIGHTS_BEGIN = 12,  // trainer: an update is offered
    MESSAGE_WEIGHTS_PULL = 13,   // worker, bulk socket: send me these bytes
    MESSAGE_WEIGHTS_CHUNK = 14,  // trainer, bulk socket: here they are
    MESSAGE_WEIGHTS_COMMIT = 15, // trainer: apply what is staged
    MESSAGE_WEIGHTS_ABORT = 16,  // trainer: drop what is staged
    MESSAGE_WEIGHTS_STATUS = 17, // worker: staged, applied or failed
    MESSAGE_NCCL_JOIN = 21,      // trainer: the communicator of the offers that follow
    MESSAGE_N_TYPES,
};

// Whether a type travels on the bulk socket (WEIGHTS_PULL, WEIGHTS_CHUNK) or on the control socket.
static inline bool message_is_bulk(enum message_type type) {
    return type == MESSAGE_WEIGHTS_PULL || type == MESSAGE_WEIGHTS_CHUNK;
}

struct message {
    enum message_type type;
    uint32_t minor;       // the sender's
    struct slice run;     // name of the trainer's run; empty in a first HELLO
    uint64_t epoch;       // the trainer's; 0 in a first HELLO
    uint64_t seq;         // see socket.h
    bool lost_before;     // set by socket_receive: messages before this one were lost
    struct slice payload; // the raw payload frame, empty when there is none
    union {
        struct message_hello hello;
        struct message_welcome welcome;
        struct message_refuse refuse;
        struct message_credit credit;
        struct message_task task;
        struct message_cancel cancel;
        struct message_heartbeat heartbeat;
        struct message_result result;
        struct message_ack ack;
        struct message_drain drain;
        struct message_bye bye;
        struct message_weights_begin weights_begin;
        struct message_weights_pull weights_pull;
        struct message_weights_chunk weights_chunk;
        struct message_weights_commit weights_commit;
        struct message_weights_abort weights_abort;
        struct message_weights_status weights_status;
        struct message_nccl_join nccl_join;
    };
};

// Why a frame was refused; each reason has a counter.
enum message_reason {
    REASON_PARTS,   // not one or two frames
    REASON_SIZE,    // a frame over its limit
    REASON_MSGPACK, // the pre-scan: depth, counts, sizes, ext types, trailing bytes
    REASON_HEADER,  // not the eight elements, or another magic
    REASON_VERSION, // another major version
    REASON_TYPE,    // a message type that this build does not know
    REASON_FIELD,   // a field is missing, has another type, or is out of range
    REASON_PAYLOAD, // size or checksum of the payload, or a column that does not lie inside it
    REASON_PEER,    // a bound worker: not from the trainer that it has a session with
    MESSAGE_N_REASONS,
};
const char *message_reason_name(enum message_reason reason); // "parts", "size", ...

// Decodes one message. `payload` is empty when there was one frame, and must be 8-byte aligned
// otherwise. Everything is checked: sizes, types, required fields, enums, column dtypes and
// lengths that belong together, offsets. On success slices of `out` point into the two frames. On
// -1 `reason` (may be NULL) says which counter to raise, and out->type and out->minor hold what
// could be read (type 0 when nothing).
int message_decode(struct slice header, struct slice payload, struct message *out,
                   enum message_reason *reason, struct error *err);

// The encoded frames of one message, ready to be sent and sent again.
struct message_frames {
    struct buffer header, payload; // payload empty: one frame
    size_t seq_at;                 // where the 8 big-endian bytes of seq stand in the header
};

// Encodes `m` (its columns may point anywhere). `out` must be zero or is cleared and used again.
// Refuses what message_decode would refuse.
int message_encode(const struct message *m, struct message_frames *out, struct error *err);
void message_frames_set_seq(struct message_frames *frames, uint64_t seq);
void message_frames_free(struct message_frames *frames);

const char *message_type_name(enum message_type type); // "HELLO", ..., or "unknown"

// A received message with the memory of its frames. Frees both; nulls the pointer; accepts NULL.
void message_free(struct message **m);

// Copies the frames into memory of their own (64-byte aligned) and decodes them. Returns NULL on
// failure. Freed with message_free.
struct message *message_new(struct slice header, struct slice payload, enum message_reason *reason,
                            struct error *err);

#endif
