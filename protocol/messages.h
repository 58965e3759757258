// Every message of the wire, its limits and the version: what PROTOCOL.md says, as structs.
//
// A message is a header frame (msgpack, at most 64 KiB) and, where it has columns, one payload
// frame. The header is [magic, major, minor, type, run, epoch, seq, {key: value}]; keys, types and
// units are in PROTOCOL.md, the tables that fill these structs from them in fields.c. A scalar
// field that was absent is 0, a text is empty, a column has dtype COLUMN_NONE.
//
// Nothing here allocates while decoding: slices and columns point into the two frames.
#ifndef PROTOCOL_MESSAGES_H
#define PROTOCOL_MESSAGES_H

#include <stdbool.h>
#include <stdint.h>

#include "protocol/base/buffer.h"
#include "protocol/base/error.h"
#include "protocol/base/slice.h"
#include "protocol/columns.h"

enum { MESSAGE_MAJOR = 1, MESSAGE_MINOR = 0 };
#define MESSAGE_MAGIC "STMP"

// Limits. A frame beyond one is refused and counted; it never ends the session.
enum {
    MESSAGE_MAX_HEADER = 64 << 10,         // bytes of a header frame
    MESSAGE_MAX_PAYLOAD = 16 << 20,        // bytes of a payload frame
    MESSAGE_MAX_RESULT_PAYLOAD = 64 << 20, // bytes of a RESULT's payload frame
    MESSAGE_MAX_CHUNK = 1 << 20,           // bytes of weights in one WEIGHTS_CHUNK
    MESSAGE_MAX_RUN = 64,                  // bytes of the run's name
    MESSAGE_MAX_ID = 4096,                 // bytes of a group's id as JSON text
    MESSAGE_MAX_TEXT = 16 << 10,           // bytes of any text in a header
    MESSAGE_MAX_SAMPLES = 65536,           // samples of one group
    MESSAGE_MAX_TENSORS = 1 << 20,         // tensors of one update
    MESSAGE_MAX_STOPS = 64,                // stop texts of a task
};

// Times, in milliseconds. WELCOME may name others for the first two.
enum {
    MESSAGE_HEARTBEAT_MS = 1000, // each side sends HEARTBEAT this often
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
    MESSAGE_N_TYPES,
};

// Whether a type travels on the bulk socket (WEIGHTS_PULL, WEIGHTS_CHUNK) or on the control socket.
static inline bool message_is_bulk(enum message_type type) {
    return type == MESSAGE_WEIGHTS_PULL || type == MESSAGE_WEIGHTS_CHUNK;
}

struct message_hello {
    struct slice uid;      // stable name of this worker (a pod's UID, or host and pid)
    uint64_t incarnation;  // random, new with each start of the process
    struct slice build;    // version and commit
    struct slice numerics; // design D3: workers with the same text compute the same bits
    uint64_t fingerprint;  // xxh3-64 of what makes the model: config and tokenizer files
    uint64_t slots;        // samples that may be sent at once (the first credit)
    uint32_t max_context;  // tokens of prompt and completion together
    uint32_t vocab;        // rows of the head
    bool tied_head;        // the checkpoint has no lm_head.weight of its own
    uint64_t version;      // policy version being served
    uint64_t digest;       // of the resident weights (design D8)
    uint8_t dtype;         // enum column_dtype of resident weights, but for the exceptions below
    struct slice bulk_url; // with --bind: where the worker's bulk socket is bound; else empty
    struct column exception_names, exception_offsets; // texts: hub names of tensors (n)
    struct column exception_dtypes;                   // u8 (n), enum column_dtype of each
};

struct message_welcome {
    uint32_t heartbeat_ms, lost_ms; // milliseconds
    uint64_t version;      // policy version of the trainer's last push; 0: it has pushed nothing
    struct slice bulk_url; // where the trainer's bulk socket is bound; empty with --bind workers
};

enum message_refusal {
    REFUSAL_MAJOR = 1,      // the protocol's major version is another; the worker ends with 78
    REFUSAL_MODEL = 2,      // another fingerprint than the run's other workers; ends with 78
    REFUSAL_NO_SESSION = 3, // the trainer does not know this peer, or messages were lost: HELLO
    REFUSAL_EPOCH = 4,      // run or epoch of the message is not the trainer's: HELLO
    REFUSAL_MALFORMED = 5,  // HELLO could be read no further than its header; ends with 78
    REFUSAL_N_CODES,
};

struct message_refuse {
    uint32_t code;      // enum message_refusal
    struct slice error; // a sentence
};

struct message_credit {
    uint64_t slots; // samples that may have been sent since WELCOME, all together; never falls
};

enum message_on_update { ON_UPDATE_CONTINUE = 0, ON_UPDATE_RESTART = 1 };

struct message_task {
    uint64_t serial;   // of the group, counted by the trainer over its whole run
    struct slice id;   // the group's id as JSON text
    uint32_t first, n; // samples first .. first + n - 1
    uint32_t attempt;  // 0, then one more each time the samples are given out again
    uint64_t seed;     // the group's seed (design D5), ready to use
    uint32_t max_new_tokens;
    double temperature, top_p, min_p, repetition_penalty;
    uint32_t top_k; // 0: off
    bool ignore_eos;
    bool prompt_logprobs, routed_experts; // asked for
    uint64_t min_version;                 // not started on an older policy version
    uint8_t on_update;                    // enum message_on_update
    uint64_t deadline_ms;                 // after the task's arrival; 0: none
    // Exactly one of these three is present:
    struct column prompt_ids;            // i32: taken as they are
    struct column prompt;                // u8: text; the worker tokenizes it
    struct column messages;              // u8: JSON text of the chat's messages
    struct column stop, stop_offsets;    // texts
    struct column stop_ids;              // i32
    struct column bias_ids, bias_values; // i32 (n), f32 (n)
    struct column reward;                // u8: JSON text (interface.md section 4), or absent
    struct column meta;                  // u8: JSON text, returned byte for byte, or absent
};

struct message_cancel {
    uint64_t serial;
    uint32_t first, n; // n 0: all samples of the group
};

// Both ways. A trainer sends it with every field absent.
struct message_heartbeat {
    uint32_t n_rows;      // samples in the engine
    uint32_t n_waiting;   // samples that wait for the engine
    uint32_t n_unacked;   // results that wait for an ACK
    uint64_t n_tokens;    // generated since start
    uint64_t n_steps;     // since start
    uint64_t step_age_ms; // since the last step ended; 0 when idle
    uint64_t version;     // policy version being served
    bool draining;
};

enum message_finish {
    FINISH_STOP = 1,
    FINISH_LENGTH = 2,
    FINISH_CANCELLED = 3,
    FINISH_PREEMPTED = 4,
    FINISH_ERROR = 5,
    FINISH_N_REASONS,
};
const char *message_finish_name(enum message_finish finish); // "stop", ...

enum message_status { // of a reward; interface.md section 4
    STATUS_NONE = 0,  // no reward was asked for, or the sample did not come so far
    STATUS_OK = 1,
    STATUS_NO_ANSWER = 2,
    STATUS_LIMIT = 3,
    STATUS_UNKNOWN = 4,
    STATUS_TIMEOUT = 5,
    STATUS_CRASH = 6,
    STATUS_UNSUPPORTED = 7,
    STATUS_BAD_SPEC = 8,
    STATUS_N,
};
const char *message_status_name(enum message_status status); // "", "ok", "no_answer", ...

// n samples of one task that ended, T tokens in all, P tokens of prompt. A task's samples may come
// in one RESULT or in many; each sample in exactly one.
struct message_result {
    uint64_t result;  // number of this RESULT, new for each in an incarnation; ACK names it
    uint64_t serial;  // as in TASK
    struct slice id;  // as in TASK
    uint32_t attempt; // as in TASK
    uint64_t digest;  // of the weights served when the last sample ended
    uint32_t moe_layers, experts_per_token; // shape of `routed`; 0 when absent
    struct column sample;                   // i32 (n)
    struct column finish;                   // u8 (n), enum message_finish
    struct column token_offsets;            // i64 (n + 1) into the next three
    struct column tokens;                   // i32 (T)
    struct column lp_full;                  // f32 (T)
    struct column lp_behav;                 // f32 (T)
    struct column span_offsets;             // i64 (n + 1) into the next two
    struct column span_first;         // i32: first output token of the span, from 0 in each sample
    struct column span_version;       // u64: policy version that made its tokens
    struct column text, text_offsets; // texts (n); absent when the model has no tokenizer
    struct column prompt_ids;         // i32 (P); absent when the task was refused
    struct column prompt_lp_full;     // f32 (P), the first NaN; only where asked for
    struct column value;              // f64 (n), NaN where the reward has no value or is none
    struct column status;             // u8 (n), enum message_status
    struct column reward, reward_offsets; // texts (n): {"value","status","terms"} as JSON, or ""
    struct column error, error_offsets;   // texts (n): a sentence where finish is "error", or ""
    // u8 or u16: position-major (positions, moe_layers, experts_per_token) of each sample, for
    // its P + n_tokens - 1 computed positions; routed_offsets (n + 1) count positions.
    struct column routed, routed_offsets;
    struct column meta; // u8: as in TASK
};

struct message_ack {
    uint64_t result; // the RESULT that arrived
};

struct message_drain {
    struct slice reason; // for logs
};

enum message_bye_code { BYE_LEAVING = 0, BYE_RUN_COMPLETE = 1 };
struct message_bye {
    uint32_t code;       // enum message_bye_code; a worker that gets RUN_COMPLETE ends with 0
    struct slice reason; // for logs
};

enum message_tensor_mode { TENSOR_SKIP = 0, TENSOR_DENSE = 1 };
enum { MESSAGE_MAX_RANK = 4 };

// An update of n tensors. A tensor that is not listed stays as it is.
struct message_weights_begin {
    uint64_t update;        // number of this offer, new for each in an epoch
    uint64_t base, version; // policy versions: served now (checked), and served after COMMIT
    uint64_t total_bytes;   // sum of tensor_bytes
    struct column names, name_offsets; // texts (n): hub names, one tensor per expert
    struct column dtypes;              // u8 (n), enum column_dtype
    struct column ranks;               // u8 (n), 0 to 4
    struct column shapes;              // i64 (n, 4), unused places 0
    struct column modes;               // u8 (n), enum message_tensor_mode
    struct column bytes;               // u64 (n), 0 for TENSOR_SKIP
    struct column hashes;              // u64 (n), xxh3-64 of the tensor's bytes; 0 for TENSOR_SKIP
};

struct message_weights_pull {
    uint64_t update;
    uint32_t tensor;          // index in WEIGHTS_BEGIN
    uint64_t offset, n_bytes; // in the tensor's bytes; n_bytes at most MESSAGE_MAX_CHUNK
};

struct message_weights_chunk {
    uint64_t update;
    uint32_t tensor;
    uint64_t offset;
    struct column data; // u8: the bytes; they are values of the tensor's dtype, little-endian
};

struct message_weights_commit {
    uint64_t update;
};
struct message_weights_abort {
    uint64_t update;
    struct slice reason; // for logs
};

enum message_phase { PHASE_STAGED = 1, PHASE_APPLIED = 2, PHASE_FAILED = 3, PHASE_N };
struct message_weights_status {
    uint64_t update;
    uint32_t phase;      // enum message_phase
    uint64_t version;    // policy version being served now
    uint64_t digest;     // of the resident weights now (PHASE_APPLIED, PHASE_FAILED)
    struct slice tensor; // hub name of the tensor that failed, or empty
    struct slice error;  // a sentence, for PHASE_FAILED
};

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
