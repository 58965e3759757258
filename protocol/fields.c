#include "protocol/fields.h"

#define M(member)  offsetof(struct message, member)
#define BIT(dtype) (1u << (dtype))
#define MAX_COLUMN ((uint64_t)MESSAGE_MAX_RESULT_PAYLOAD)
#define FLAG(k, m, f)                                                                              \
    { k, FIELD_BOOL, false, #f, M(m.f), 1, 0 }
#define U8(k, m, f, max)                                                                           \
    { k, FIELD_U8, false, #f, M(m.f), max, 0 }
#define U32(k, m, f, max)                                                                          \
    { k, FIELD_U32, false, #f, M(m.f), max, 0 }
#define U64(k, m, f)                                                                               \
    { k, FIELD_U64, false, #f, M(m.f), UINT64_MAX, 0 }
#define TEXT(k, m, f, max)                                                                         \
    { k, FIELD_TEXT, false, #f, M(m.f), max, 0 }
#define COL(k, m, f, dtypes)                                                                       \
    { k, FIELD_COLUMN, false, #f, M(m.f), MAX_COLUMN, dtypes }
// The same, required.
#define NEED_U8(k, m, f, max)                                                                      \
    { k, FIELD_U8, true, #f, M(m.f), max, 0 }
#define NEED_U32(k, m, f, max)                                                                     \
    { k, FIELD_U32, true, #f, M(m.f), max, 0 }
#define NEED_U64(k, m, f)                                                                          \
    { k, FIELD_U64, true, #f, M(m.f), UINT64_MAX, 0 }
#define NEED_F64(k, m, f)                                                                          \
    { k, FIELD_F64, true, #f, M(m.f), 0, 0 }
#define NEED_TEXT(k, m, f, max)                                                                    \
    { k, FIELD_TEXT, true, #f, M(m.f), max, 0 }
#define NEED_COL(k, m, f, dtypes)                                                                  \
    { k, FIELD_COLUMN, true, #f, M(m.f), MAX_COLUMN, dtypes }

static const struct field hello[] = {
    NEED_TEXT(1, hello, uid, 256),
    NEED_U64(2, hello, incarnation),
    NEED_TEXT(3, hello, build, 256),
    NEED_TEXT(4, hello, numerics, 256),
    NEED_U64(5, hello, fingerprint),
    NEED_U64(6, hello, slots),
    NEED_U32(7, hello, max_context, INT32_MAX),
    NEED_U32(8, hello, vocab, INT32_MAX),
    FLAG(9, hello, tied_head),
    NEED_U64(10, hello, version),
    NEED_U64(11, hello, digest),
    NEED_U8(12, hello, dtype, COLUMN_N_DTYPES - 1),
    TEXT(13, hello, bulk_url, 256),
    COL(14, hello, exception_names, BIT(COLUMN_U8)),
    COL(15, hello, exception_offsets, BIT(COLUMN_I64)),
    COL(16, hello, exception_dtypes, BIT(COLUMN_U8)),
    TEXT(17, hello, bulk_id, 64),
    TEXT(18, hello, directory, 64),
};

static const struct field welcome[] = {
    NEED_U32(1, welcome, heartbeat_ms, 3600000),
    NEED_U32(2, welcome, lost_ms, 3600000),
    NEED_U64(3, welcome, version),
    TEXT(4, welcome, bulk_url, 256),
};

static const struct field refuse[] = {
    NEED_U32(1, refuse, code, REFUSAL_N_CODES - 1),
    TEXT(2, refuse, error, 1024),
};

static const struct field credit[] = {NEED_U64(1, credit, slots)};

static const struct field task[] = {
    NEED_U64(1, task, serial),
    NEED_TEXT(2, task, id, MESSAGE_MAX_ID),
    NEED_U32(3, task, first, MESSAGE_MAX_SAMPLES - 1),
    NEED_U32(4, task, n, MESSAGE_MAX_SAMPLES),
    U32(5, task, attempt, UINT32_MAX),
    NEED_U64(6, task, seed),
    NEED_U32(7, task, max_new_tokens, INT32_MAX),
    NEED_F64(8, task, temperature),
    NEED_F64(9, task, top_p),
    NEED_F64(10, task, min_p),
    NEED_F64(11, task, repetition_penalty),
    U32(12, task, top_k, INT32_MAX),
    FLAG(13, task, ignore_eos),
    FLAG(14, task, prompt_logprobs),
    FLAG(15, task, routed_experts),
    U64(16, task, min_version),
    U8(17, task, on_update, ON_UPDATE_RECOMPUTE),
    U64(18, task, deadline_ms),
    COL(19, task, prompt_ids, BIT(COLUMN_I32)),
    COL(20, task, prompt, BIT(COLUMN_U8)),
    COL(21, task, messages, BIT(COLUMN_U8)),
    COL(22, task, stop, BIT(COLUMN_U8)),
    COL(23, task, stop_offsets, BIT(COLUMN_I64)),
    COL(24, task, stop_ids, BIT(COLUMN_I32)),
    COL(25, task, bias_ids, BIT(COLUMN_I32)),
    COL(26, task, bias_values, BIT(COLUMN_F32)),
    COL(27, task, reward, BIT(COLUMN_U8)),
    COL(28, task, meta, BIT(COLUMN_U8)),
    COL(29, task, tools, BIT(COLUMN_U8)),
    U32(30, task, draft, DRAFT_OFF + MESSAGE_MAX_DRAFT),
    U64(31, task, max_version_lag),
    COL(32, task, partial_tokens, BIT(COLUMN_I32)),
    COL(33, task, partial_lp_full, BIT(COLUMN_F32)),
    COL(34, task, partial_lp_behav, BIT(COLUMN_F32)),
    COL(35, task, partial_span_first, BIT(COLUMN_I32)),
    COL(36, task, partial_span_version, BIT(COLUMN_U64)),
    COL(37, task, partial_routed, BIT(COLUMN_U8) | BIT(COLUMN_U16)),
};

static const struct field cancel[] = {
    NEED_U64(1, cancel, serial),
    U32(2, cancel, first, MESSAGE_MAX_SAMPLES - 1),
    U32(3, cancel, n, MESSAGE_MAX_SAMPLES),
};

static const struct field heartbeat[] = {
    U32(1, heartbeat, n_rows, UINT32_MAX),
    U32(2, heartbeat, n_waiting, UINT32_MAX),
    U32(3, heartbeat, n_unacked, UINT32_MAX),
    U64(4, heartbeat, n_tokens),
    U64(5, heartbeat, n_steps),
    U64(6, heartbeat, step_age_ms),
    U64(7, heartbeat, version),
    FLAG(8, heartbeat, draining),
    U64(9, heartbeat, n_guessed),
    U64(10, heartbeat, n_accepted),
    COL(11, heartbeat, moved, BIT(COLUMN_U64)),
};

static const struct field result[] = {
    NEED_U64(1, result, result),
    NEED_U64(2, result, serial),
    NEED_TEXT(3, result, id, MESSAGE_MAX_ID),
    U32(4, result, attempt, UINT32_MAX),
    NEED_U64(5, result, digest),
    U32(6, result, moe_layers, 1024),
    U32(7, result, experts_per_token, 1024),
    NEED_COL(8, result, sample, BIT(COLUMN_I32)),
    NEED_COL(9, result, finish, BIT(COLUMN_U8)),
    NEED_COL(10, result, token_offsets, BIT(COLUMN_I64)),
    NEED_COL(11, result, tokens, BIT(COLUMN_I32)),
    NEED_COL(12, result, lp_full, BIT(COLUMN_F32)),
    NEED_COL(13, result, lp_behav, BIT(COLUMN_F32)),
    NEED_COL(14, result, span_offsets, BIT(COLUMN_I64)),
    NEED_COL(15, result, span_first, BIT(COLUMN_I32)),
    NEED_COL(16, result, span_version, BIT(COLUMN_U64)),
    COL(17, result, text, BIT(COLUMN_U8)),
    COL(18, result, text_offsets, BIT(COLUMN_I64)),
    COL(19, result, prompt_ids, BIT(COLUMN_I32)),
    COL(20, result, prompt_lp_full, BIT(COLUMN_F32)),
    COL(21, result, value, BIT(COLUMN_F64)),
    COL(22, result, status, BIT(COLUMN_U8)),
    COL(23, result, reward, BIT(COLUMN_U8)),
    COL(24, result, reward_offsets, BIT(COLUMN_I64)),
    COL(25, result, error, BIT(COLUMN_U8)),
    COL(26, result, error_offsets, BIT(COLUMN_I64)),
    COL(27, result, routed, BIT(COLUMN_U8) | BIT(COLUMN_U16)),
    COL(28, result, routed_offsets, BIT(COLUMN_I64)),
    COL(29, result, meta, BIT(COLUMN_U8)),
};

static const struct field ack[] = {NEED_U64(1, ack, result)};
static const struct field drain[] = {TEXT(1, drain, reason, 1024)};
static const struct field bye[] = {
    NEED_U32(1, bye, code, BYE_RUN_COMPLETE),
    TEXT(2, bye, reason, 1024),
    U64(3, bye, suspect_ms),
    TEXT(4, bye, tensor, 512),
};

static const struct field weights_begin[] = {
    NEED_U64(1, weights_begin, update),
    NEED_U64(2, weights_begin, base),
    NEED_U64(3, weights_begin, version),
    NEED_U64(4, weights_begin, total_bytes),
    NEED_COL(5, weights_begin, names, BIT(COLUMN_U8)),
    NEED_COL(6, weights_begin, name_offsets, BIT(COLUMN_I64)),
    NEED_COL(7, weights_begin, dtypes, BIT(COLUMN_U8)),
    NEED_COL(8, weights_begin, ranks, BIT(COLUMN_U8)),
    NEED_COL(9, weights_begin, shapes, BIT(COLUMN_I64)),
    NEED_COL(10, weights_begin, modes, BIT(COLUMN_U8)),
    NEED_COL(11, weights_begin, n_values, BIT(COLUMN_U64)),
    NEED_COL(12, weights_begin, checks, BIT(COLUMN_U64)),
    NEED_COL(13, weights_begin, code_bytes, BIT(COLUMN_U8)),
    NEED_COL(14, weights_begin, n_codes, BIT(COLUMN_U64)),
    U32(15, weights_begin, transport, TRANSPORT_N - 1),
    U64(16, weights_begin, bucket_bytes),
    TEXT(17, weights_begin, file, MESSAGE_MAX_FILE),
    U32(18, weights_begin, header_bytes, MESSAGE_MAX_FILE_HEADER),
    U64(19, weights_begin, header_hash),
};

static const struct field weights_pull[] = {
    NEED_U64(1, weights_pull, update),
    NEED_U64(2, weights_pull, offset),
    NEED_U64(3, weights_pull, n_bytes),
};

static const struct field weights_chunk[] = {
    NEED_U64(1, weights_chunk, update),
    NEED_U64(2, weights_chunk, offset),
    NEED_COL(3, weights_chunk, data, BIT(COLUMN_U8)),
};

static const struct field weights_commit[] = {
    NEED_U64(1, weights_commit, update),
    U32(2, weights_commit, hold_ms, MESSAGE_MAX_DEADLINE_MS),
};
static const struct field weights_abort[] = {
    NEED_U64(1, weights_abort, update),
    TEXT(2, weights_abort, reason, 1024),
};

static const struct field weights_status[] = {
    NEED_U64(1, weights_status, update),  NEED_U32(2, weights_status, phase, PHASE_N - 1),
    NEED_U64(3, weights_status, version), U64(4, weights_status, digest),
    TEXT(5, weights_status, tensor, 512), TEXT(6, weights_status, error, 1024),
    U64(7, weights_status, check_us),     U64(8, weights_status, pause_us),
};

static const struct field nccl_join[] = {
    NEED_COL(1, nccl_join, id, BIT(COLUMN_U8)),
    NEED_U32(2, nccl_join, rank, MESSAGE_MAX_RANKS - 1),
    NEED_U32(3, nccl_join, n_ranks, MESSAGE_MAX_RANKS),
    NEED_U32(4, nccl_join, version, INT32_MAX),
    NEED_U64(5, nccl_join, deadline_ms),
};

#define TABLE(name, fields)                                                                        \
    { name, (int)(sizeof fields / sizeof fields[0]), fields }

const struct message_fields *fields_of(enum message_type type) {
    static const struct message_fields tables[MESSAGE_N_TYPES] = {
        [MESSAGE_HELLO] = TABLE("HELLO", hello),
        [MESSAGE_WELCOME] = TABLE("WELCOME", welcome),
        [MESSAGE_REFUSE] = TABLE("REFUSE", refuse),
        [MESSAGE_CREDIT] = TABLE("CREDIT", credit),
        [MESSAGE_TASK] = TABLE("TASK", task),
        [MESSAGE_CANCEL] = TABLE("CANCEL", cancel),
        [MESSAGE_HEARTBEAT] = TABLE("HEARTBEAT", heartbeat),
        [MESSAGE_RESULT] = TABLE("RESULT", result),
        [MESSAGE_ACK] = TABLE("ACK", ack),
        [MESSAGE_DRAIN] = TABLE("DRAIN", drain),
        [MESSAGE_BYE] = TABLE("BYE", bye),
        [MESSAGE_WEIGHTS_BEGIN] = TABLE("WEIGHTS_BEGIN", weights_begin),
        [MESSAGE_WEIGHTS_PULL] = TABLE("WEIGHTS_PULL", weights_pull),
        [MESSAGE_WEIGHTS_CHUNK] = TABLE("WEIGHTS_CHUNK", weights_chunk),
        [MESSAGE_WEIGHTS_COMMIT] = TABLE("WEIGHTS_COMMIT", weights_commit),
        [MESSAGE_WEIGHTS_ABORT] = TABLE("WEIGHTS_ABORT", weights_abort),
        [MESSAGE_WEIGHTS_STATUS] = TABLE("WEIGHTS_STATUS", weights_status),
        [MESSAGE_NCCL_JOIN] = TABLE("NCCL_JOIN", nccl_join),
    };
    if ((unsigned)type >= MESSAGE_N_TYPES || tables[type].name == NULL) return NULL;
    return &tables[type];
}
