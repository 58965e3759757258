// fields_check: what the field tables cannot say of a message.
#include "protocol/fields.h"

static int refuse(struct error *err, const char *what) {
    return error_set(err, ERROR_INPUT, "%s.", what);
}

// A list of n texts: both columns, or neither when it is optional.
static int check_texts(struct column texts, struct column offsets, uint64_t n, bool optional,
                       const char *what, struct error *err) {
    if (optional && texts.dtype == COLUMN_NONE && offsets.dtype == COLUMN_NONE) return 0;
    if (texts.dtype == COLUMN_NONE || offsets.dtype == COLUMN_NONE)
        return error_set(err, ERROR_INPUT, "%s: texts and their offsets go together.", what);
    return column_check_offsets(offsets, n, texts.n, what, err);
}

static int check_length(struct column c, uint64_t n, bool optional, const char *what,
                        struct error *err) {
    if (c.n == n && c.dtype != COLUMN_NONE) return 0;
    if (optional && c.dtype == COLUMN_NONE) return 0;
    return error_set(err, ERROR_INPUT, "%s: %llu elements, expected %llu.", what,
                     (unsigned long long)c.n, (unsigned long long)n);
}

static int check_range(struct column c, unsigned low, unsigned high, const char *what,
                       struct error *err) {
    for (uint64_t i = 0; i < c.n; i++)
        if (column_u8(c)[i] < low || column_u8(c)[i] > high)
            return error_set(err, ERROR_INPUT, "%s %llu is %u, expected %u to %u.", what,
                             (unsigned long long)i, column_u8(c)[i], low, high);
    return 0;
}

static int check_hello(const struct message_hello *m, struct error *err) {
    if (m->dtype == COLUMN_NONE)
        return refuse(err, "dtype: 0, expected the resident weights' type");
    uint64_t n = m->exception_dtypes.n;
    if (check_texts(m->exception_names, m->exception_offsets, n, n == 0, "exception_names", err))
        return -1;
    return check_range(m->exception_dtypes, 1, COLUMN_N_DTYPES - 1, "exception_dtypes", err);
}

static int check_task(const struct message_task *m, struct error *err) {
    int n_prompts = (m->prompt_ids.dtype != COLUMN_NONE) + (m->prompt.dtype != COLUMN_NONE) +
                    (m->messages.dtype != COLUMN_NONE);
    if (n_prompts != 1)
        return refuse(err, "expected exactly one of prompt_ids, prompt and messages");
    if (m->n == 0 || (uint64_t)m->first + m->n > MESSAGE_MAX_SAMPLES)
        return error_set(err, ERROR_INPUT, "samples %u + %u, expected 1 or more, below %d.",
                         m->first, m->n, MESSAGE_MAX_SAMPLES);
    if (check_length(m->bias_values, m->bias_ids.n, m->bias_ids.dtype == COLUMN_NONE, "bias_values",
                     err))
        return -1;
    if (m->stop.dtype == COLUMN_NONE && m->stop_offsets.dtype == COLUMN_NONE) return 0;
    uint64_t n_stops = m->stop_offsets.n > 0 ? m->stop_offsets.n - 1 : 0;
    if (n_stops > MESSAGE_MAX_STOPS)
        return error_set(err, ERROR_INPUT, "stop: %llu texts, at most %d are allowed.",
                         (unsigned long long)n_stops, MESSAGE_MAX_STOPS);
    return check_texts(m->stop, m->stop_offsets, n_stops, false, "stop", err);
}

static int check_routed(const struct message_result *m, uint64_t n, struct error *err) {
    if (m->routed.dtype == COLUMN_NONE && m->routed_offsets.dtype == COLUMN_NONE) return 0;
    uint64_t width = (uint64_t)m->moe_layers * m->experts_per_token;
    if (m->routed.dtype == COLUMN_NONE || width == 0 || m->routed.n % width != 0)
        return error_set(err, ERROR_INPUT, "routed: %llu elements, expected positions of %u x %u.",
                         (unsigned long long)m->routed.n, m->moe_layers, m->experts_per_token);
    return column_check_offsets(m->routed_offsets, n, m->routed.n / width, "routed_offsets", err);
}

static int check_result(const struct message_result *m, struct error *err) {
    uint64_t n = m->sample.n, n_tokens = m->tokens.n;
    if (n == 0 || n > MESSAGE_MAX_SAMPLES) return refuse(err, "sample: no samples, or too many");
    for (uint64_t i = 0; i < n; i++)
        if (column_i32(m->sample)[i] < 0 || column_i32(m->sample)[i] >= MESSAGE_MAX_SAMPLES)
            return error_set(err, ERROR_INPUT, "sample: %d, expected 0 to %d.",
                             column_i32(m->sample)[i], MESSAGE_MAX_SAMPLES - 1);
    if (check_length(m->finish, n, false, "finish", err) ||
        check_range(m->finish, 1, FINISH_N_REASONS - 1, "finish", err) ||
        column_check_offsets(m->token_offsets, n, n_tokens, "token_offsets", err) ||
        check_length(m->lp_full, n_tokens, false, "lp_full", err) ||
        check_length(m->lp_behav, n_tokens, false, "lp_behav", err) ||
        column_check_offsets(m->span_offsets, n, m->span_first.n, "span_offsets", err) ||
        check_length(m->span_version, m->span_first.n, false, "span_version", err) ||
        check_texts(m->text, m->text_offsets, n, true, "text", err) ||
        check_length(m->prompt_lp_full, m->prompt_ids.n, true, "prompt_lp_full", err) ||
        check_length(m->value, n, true, "value", err) ||
        check_length(m->status, n, true, "status", err) ||
        check_range(m->status, 0, STATUS_N - 1, "status", err) ||
        check_texts(m->reward, m->reward_offsets, n, true, "reward", err) ||
        check_texts(m->error, m->error_offsets, n, true, "error", err))
        return -1;
    return check_routed(m, n, err);
}

// Elements that the shape says; false where they are more than fit into memory.
static bool count_elements(const struct message_weights_begin *m, uint64_t i, uint64_t *n) {
    *n = 1;
    for (unsigned k = 0; k < column_u8(m->ranks)[i]; k++) {
        int64_t extent = column_i64(m->shapes)[i * MESSAGE_MAX_RANK + k];
        if (extent < 0 || __builtin_mul_overflow(*n, (uint64_t)extent, n)) return false;
    }
    return *n <= MESSAGE_MAX_ELEMENTS;
}

static bool check_change(const struct message_weights_begin *m, uint64_t i) {
    uint64_t n, n_values = column_u64(m->n_values)[i], n_codes = column_u64(m->n_codes)[i];
    unsigned mode = column_u8(m->modes)[i], code_bytes = column_u8(m->code_bytes)[i];
    if (!count_elements(m, i, &n)) return false;
    if (mode == TENSOR_SPARSE)
        return n_values > 0 && n_values <= n && n_codes >= n_values && n_codes <= n &&
               (code_bytes == 1 || code_bytes == 2 || code_bytes == 4);
    return n_values == (mode == TENSOR_DENSE ? n : 0) && n_codes == 0 && code_bytes == 0;
}

static int check_transport(const struct message_weights_begin *m, struct error *err) {
    bool by_file = m->transport == TRANSPORT_DIRECTORY;
    if ((m->transport == TRANSPORT_NCCL) != (m->bucket_bytes > 0))
        return refuse(err, "bucket_bytes: expected a number with transport 1 and with no other");
    if (by_file != (m->file.len > 0) || by_file != (m->header_bytes > 0))
        return refuse(err, "file: a name and header_bytes go with transport 2 and with no other");
    return 0;
}

static int check_weights_begin(const struct message_weights_begin *m, struct error *err) {
    uint64_t n = m->dtypes.n;
    if (n > MESSAGE_MAX_TENSORS) return refuse(err, "dtypes: too many tensors");
    if (check_transport(m, err) || check_texts(m->names, m->name_offsets, n, false, "names", err) ||
        check_range(m->dtypes, 1, COLUMN_N_DTYPES - 1, "dtypes", err) ||
        check_length(m->ranks, n, false, "ranks", err) ||
        check_range(m->ranks, 0, MESSAGE_MAX_RANK, "ranks", err) ||
        check_length(m->shapes, n * MESSAGE_MAX_RANK, false, "shapes", err) ||
        check_length(m->modes, n, false, "modes", err) ||
        check_range(m->modes, TENSOR_SKIP, TENSOR_SPARSE, "modes", err) ||
        check_length(m->n_values, n, false, "n_values", err) ||
        check_length(m->checks, n, false, "checks", err) ||
        check_length(m->code_bytes, n, false, "code_bytes", err) ||
        check_length(m->n_codes, n, false, "n_codes", err))
        return -1;
    for (uint64_t i = 0; i < n; i++) {
        struct slice name = column_text(m->names, m->name_offsets, i);
        if (!check_change(m, i))
            return error_set(err, ERROR_INPUT,
                             "tensor %.*s: mode %u with %llu values, %llu codes of %u bytes, which "
                             "its shape does not allow.",
                             SLICE_ARG(name), column_u8(m->modes)[i],
                             (unsigned long long)column_u64(m->n_values)[i],
                             (unsigned long long)column_u64(m->n_codes)[i],
                             column_u8(m->code_bytes)[i]);
    }
    return 0;
}

static int check_nccl_join(const struct message_nccl_join *m, struct error *err) {
    if (m->id.n != MESSAGE_NCCL_ID_BYTES) return refuse(err, "id: expected 128 bytes");
    if (m->rank < 1 || m->rank >= m->n_ranks)
        return refuse(err, "rank: expected 1 to ranks - 1, the trainer is 0");
    if (m->deadline_ms < 1 || m->deadline_ms > MESSAGE_MAX_DEADLINE_MS)
        return refuse(err, "deadline_ms: expected 1 to 2147483647");
    return 0;
}

static int check_body(const struct message *m, struct error *err) {
    switch (m->type) {
    case MESSAGE_HELLO:
        return check_hello(&m->hello, err);
    case MESSAGE_TASK:
        return check_task(&m->task, err);
    case MESSAGE_RESULT:
        return check_result(&m->result, err);
    case MESSAGE_WEIGHTS_BEGIN:
        return check_weights_begin(&m->weights_begin, err);
    case MESSAGE_REFUSE:
        return m->refuse.code ? 0 : refuse(err, "code: 0, expected a reason to refuse");
    case MESSAGE_WEIGHTS_STATUS:
        return m->weights_status.phase ? 0 : refuse(err, "phase: 0, expected 1 to 5");
    case MESSAGE_NCCL_JOIN:
        return check_nccl_join(&m->nccl_join, err);
    case MESSAGE_WEIGHTS_PULL:
        if (m->weights_pull.n_bytes > 0 && m->weights_pull.n_bytes <= MESSAGE_MAX_CHUNK) return 0;
        return refuse(err, "n_bytes: expected 1 to 1048576");
    case MESSAGE_WEIGHTS_CHUNK:
        if (m->weights_chunk.data.n > 0 && m->weights_chunk.data.n <= MESSAGE_MAX_CHUNK) return 0;
        return refuse(err, "data: expected 1 to 1048576 bytes");
    default:
        return 0;
    }
}

int fields_check(const struct message *m, struct error *err) {
    if (check_body(m, err) == 0) return 0;
    return error_prefix(err, "%s", message_type_name(m->type));
}
