// The body of every message: its fields as a struct, and its codes as enums.
//
// A scalar field that was absent is 0, a text is empty, a column has dtype COLUMN_NONE. In comments
// n, T and P are numbers of samples or tensors, tokens, and prompt tokens.
#ifndef PROTOCOL_BODIES_H
#define PROTOCOL_BODIES_H

#include <stdbool.h>
#include <stdint.h>

#include "protocol/base/slice.h"
#include "protocol/columns.h"

struct message_hello {
    struct slice uid;      // stable name of this worker (a pod's UID, or host and pid)
    uint64_t incarnation;  // random, new with each start of the process
    struct slice build;    // version, commit and device
    struct slice numerics; // D3: workers with the same text compute the same bits
    uint64_t fingerprint;  // xxh3-64 of what makes the model: config and tokenizer files
    uint64_t slots;        // samples that may be sent at once (the first credit)
    uint32_t max_context;  // tokens of prompt and completion together
    uint32_t vocab;        // rows of the head
    bool tied_head;        // the checkpoint has no lm_head.weight of its own
    uint64_t version;      // policy version being served
    uint64_t digest;       // of the resident weights (D8)
    uint8_t dtype;         // enum column_dtype of resident weights, but for the exceptions below
    struct slice bulk_url; // with --bind: where the worker's bulk socket is bound; else empty
    struct slice bulk_id;  // with --bind: the ZMQ_ROUTING_ID of the trainer's connection to it
    struct column exception_names, exception_offsets; // texts: hub names of tensors (n)
    struct column exception_dtypes;                   // u8 (n), enum column_dtype of each
    struct slice directory; // what the id file of its --weights-dir says; empty: it has none
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
    REFUSAL_KEY = 6,        // its uid is that of a worker with another key; ends with 78
    REFUSAL_N_CODES,
};

struct message_refuse {
    uint32_t code;      // enum message_refusal
    struct slice error; // a sentence
};
struct message_credit {
    uint64_t slots; // samples that may have been sent since WELCOME, all together; never falls
};

// How far to guess ahead (README.md, Drafts): as the worker was told, by its own policy, or
// DRAFT_OFF + K: up to K tokens, 0 to MESSAGE_MAX_DRAFT.
enum message_draft { DRAFT_DEFAULT = 0, DRAFT_AUTO = 1, DRAFT_OFF = 2 };

enum message_on_update { ON_UPDATE_CONTINUE = 0, ON_UPDATE_RESTART = 1, ON_UPDATE_RECOMPUTE = 2 };

struct message_task {
    uint64_t serial;   // of the group, counted by the trainer over its whole run
    struct slice id;   // the group's id as JSON text
    uint32_t first, n; // samples first .. first + n - 1
    uint32_t attempt;  // 0, then one more each time the samples are given out again
    uint64_t seed;     // the group's seed (D5), ready to use
    uint32_t max_new_tokens;
    double temperature, top_p, min_p, repetition_penalty;
    uint32_t top_k, draft;                            // 0: off; enum message_draft
    bool ignore_eos, prompt_logprobs, routed_experts; // asked for
    uint64_t min_version;                             // not started on an older policy version
    uint64_t max_version_lag;                         // 0: any; 1 + K: at most K policy versions
    uint64_t deadline_ms;                             // after the task's arrival; 0: none
    uint8_t on_update;                                // enum message_on_update
    // Exactly one of these three is present:
    struct column prompt_ids;                      // i32: taken as they are
    struct column prompt;                          // u8: text; the worker tokenizes it
    struct column messages, tools;                 // u8: JSON texts of the chat; tools or absent
    struct column stop, stop_offsets;              // texts
    struct column stop_ids, bias_ids, bias_values; // i32, i32 (n), f32 (n)
    struct column reward;                          // u8: JSON text (README.md, Rewards), or absent
    struct column meta; // u8: JSON text, returned byte for byte, or absent
    // A partial sample of another worker, which goes on here (n is 1), or all absent:
    struct column partial_tokens, partial_lp_full, partial_lp_behav; // i32 (G), f32 (G), f32 (G)
    struct column partial_span_first, partial_span_version;          // i32, u64 (spans)
    struct column partial_routed; // u8 or u16 (P + G - 1, MoE layers, k), or absent
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
    uint64_t n_guessed, n_accepted; // tokens of drafts since start: fed; right
    struct column moved; // u64: serials of all groups with which it goes on; absent: not told now
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

enum message_status { // of a reward; README.md, Rewards
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
    uint64_t suspect_ms; // since the worker's resident weights were last whole; 0: they are
    struct slice tensor; // hub name of what is damaged of them
};

enum message_tensor_mode { TENSOR_SKIP = 0, TENSOR_DENSE = 1, TENSOR_SPARSE = 2 };
enum message_transport { TRANSPORT_BULK, TRANSPORT_NCCL, TRANSPORT_DIRECTORY, TRANSPORT_N };

// An update of n tensors. A tensor that is not listed stays as it is.
struct message_weights_begin {
    uint64_t update;        // number of this offer, new for each in an epoch
    uint64_t base, version; // policy versions: served now (checked), and served after COMMIT
    uint64_t total_bytes;   // of the stream
    struct column names, name_offsets; // texts (n): hub names, one tensor per expert
    struct column dtypes;              // u8 (n), enum column_dtype
    struct column ranks;               // u8 (n), 0 to 4
    struct column shapes;              // i64 (n, 4), unused places 0
    struct column modes;               // u8 (n), enum message_tensor_mode
    struct column n_values;            // u64 (n); dense: all elements; 0 for TENSOR_SKIP
    struct column checks;              // u64 (n), part of the digest that the values make; or 0
    struct column code_bytes;          // u8 (n), 1, 2 or 4 for TENSOR_SPARSE, else 0
    struct column n_codes;             // u64 (n), 0 unless TENSOR_SPARSE
    uint32_t transport;                // enum message_transport
    uint64_t bucket_bytes;             // TRANSPORT_NCCL: of each broadcast but the last
    struct slice file;                 // TRANSPORT_DIRECTORY: its name, without folders
    uint32_t header_bytes;             // of the file, before the stream
    uint64_t header_hash;              // xxh3-64 of them
};

struct message_weights_pull {
    uint64_t update;
    uint64_t offset, n_bytes; // of the stream; n_bytes at most MESSAGE_MAX_CHUNK
};

struct message_weights_chunk {
    uint64_t update;
    uint64_t offset;    // of the stream
    struct column data; // u8: the bytes
};

struct message_weights_commit {
    uint64_t update;
    uint32_t hold_ms; // rows in flight may end first, for so long
};
struct message_weights_abort {
    uint64_t update;
    struct slice reason; // for logs
};

enum message_phase {
    PHASE_STAGED = 1,
    PHASE_APPLIED = 2,
    PHASE_FAILED = 3,
    PHASE_ROLLED_BACK = 4,
    PHASE_RECEIVING = 5, // TRANSPORT_NCCL: this rank has joined and waits for the broadcasts
    PHASE_N
};
struct message_weights_status {
    uint64_t update;
    uint32_t phase;      // enum message_phase
    uint64_t version;    // policy version being served now
    uint64_t digest;     // of the resident weights now; PHASE_STAGED: after COMMIT
    struct slice tensor; // hub name of the tensor that failed, or empty
    struct slice error;  // a sentence, for PHASE_FAILED
    uint64_t check_us;   // that proving took (PHASE_STAGED)
    uint64_t pause_us;   // that decoding stood still (PHASE_APPLIED, PHASE_ROLLED_BACK)
};

struct message_nccl_join {
    struct column id;       // u8 (MESSAGE_NCCL_ID_BYTES): ncclUniqueId
    uint32_t rank, n_ranks; // of this worker, from 1; of all, with the trainer
    uint32_t version;       // of the trainer's NCCL
    uint64_t deadline_ms;   // without progress, then it is left
};

#endif
