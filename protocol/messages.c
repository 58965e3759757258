#include "protocol/messages.h"

#include <assert.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "protocol/base/hash.h"
#include "protocol/base/memory.h"
#include "protocol/base/utf8.h"
#include "protocol/fields.h"
#include "protocol/msgpack.h"

static const char BYTE_ORDER_NAME[] = "little";

const char *message_type_name(enum message_type type) {
    const struct message_fields *fields = fields_of(type);
    return fields ? fields->name : "unknown";
}

const char *message_reason_name(enum message_reason reason) {
    static const char *const names[MESSAGE_N_REASONS] = {
        "parts", "size", "msgpack", "header", "version", "type", "field", "payload", "peer"};
    return (unsigned)reason < MESSAGE_N_REASONS ? names[reason] : "unknown";
}

const char *message_finish_name(enum message_finish finish) {
    static const char *const names[FINISH_N_REASONS] = {"",          "stop",      "length",
                                                        "cancelled", "preempted", "error"};
    return (unsigned)finish < FINISH_N_REASONS ? names[finish] : "";
}

const char *message_status_name(enum message_status status) {
    static const char *const names[STATUS_N] = {
        "", "ok", "no_answer", "limit", "unknown", "timeout", "crash", "unsupported", "bad_spec"};
    return (unsigned)status < STATUS_N ? names[status] : "";
}

static size_t max_payload(enum message_type type) {
    return type == MESSAGE_RESULT ? MESSAGE_MAX_RESULT_PAYLOAD : MESSAGE_MAX_PAYLOAD;
}

// --- decoding ---

static bool as_uint(const msgpack_object *o, uint64_t max, uint64_t *out) {
    if (o->type != MSGPACK_OBJECT_POSITIVE_INTEGER || o->via.u64 > max) return false;
    *out = o->via.u64;
    return true;
}

static bool as_text(const msgpack_object *o, uint64_t max, struct slice *out) {
    if (o->type != MSGPACK_OBJECT_STR || o->via.str.size > max) return false;
    *out = (struct slice){o->via.str.ptr, o->via.str.size};
    return utf8_valid_prefix(*out) == out->len;
}

static bool as_column(const msgpack_object *o, const struct field *field, struct slice payload,
                      struct column *out) {
    if (o->type != MSGPACK_OBJECT_ARRAY || o->via.array.size != 3) return false;
    uint64_t dtype, n, at;
    if (!as_uint(&o->via.array.ptr[0], COLUMN_N_DTYPES - 1, &dtype) ||
        !as_uint(&o->via.array.ptr[1], field->max, &n) ||
        !as_uint(&o->via.array.ptr[2], payload.len, &at))
        return false;
    if (!(field->dtypes >> dtype & 1) || at % COLUMN_ALIGNMENT != 0) return false;
    if (n * column_dtype_bytes((enum column_dtype)dtype) > payload.len - at) return false;
    *out = column_of((enum column_dtype)dtype, n > 0 ? payload.ptr + at : NULL, n);
    return true;
}

static bool set_field(const struct field *field, const msgpack_object *o, struct slice payload,
                      void *at) {
    uint64_t number;
    switch (field->kind) {
    case FIELD_BOOL:
        if (o->type != MSGPACK_OBJECT_BOOLEAN) return false;
        *(bool *)at = o->via.boolean;
        return true;
    case FIELD_U8:
        if (!as_uint(o, field->max, &number)) return false;
        *(uint8_t *)at = (uint8_t)number;
        return true;
    case FIELD_U32:
        if (!as_uint(o, field->max, &number)) return false;
        *(uint32_t *)at = (uint32_t)number;
        return true;
    case FIELD_U64:
        return as_uint(o, field->max, (uint64_t *)at);
    case FIELD_F64:
        if (o->type == MSGPACK_OBJECT_POSITIVE_INTEGER) {
            *(double *)at = (double)o->via.u64;
        } else if (o->type == MSGPACK_OBJECT_NEGATIVE_INTEGER) {
            *(double *)at = (double)o->via.i64;
        } else if (o->type == MSGPACK_OBJECT_FLOAT64 || o->type == MSGPACK_OBJECT_FLOAT32) {
            *(double *)at = o->via.f64;
        } else {
            return false;
        }
        return isfinite(*(double *)at);
    case FIELD_TEXT:
        return as_text(o, field->max, (struct slice *)at);
    case FIELD_COLUMN:
        return as_column(o, field, payload, (struct column *)at);
    }
    return false;
}

// Key 0: [bytes, xxh3-64, byte order] of the payload frame; there exactly when the frame is.
static int check_payload(const msgpack_object_map *map, struct slice payload, struct error *err) {
    bool named = map->size > 0 && map->ptr[0].key.type == MSGPACK_OBJECT_POSITIVE_INTEGER &&
                 map->ptr[0].key.via.u64 == 0;
    if (named != (payload.len > 0))
        return error_set(err, ERROR_INPUT, "A payload frame and key 0 of the header go together.");
    if (!named) return 0;
    const msgpack_object *o = &map->ptr[0].val;
    uint64_t bytes, hash;
    struct slice order;
    if (o->type != MSGPACK_OBJECT_ARRAY || o->via.array.size != 3 ||
        !as_uint(&o->via.array.ptr[0], UINT64_MAX, &bytes) ||
        !as_uint(&o->via.array.ptr[1], UINT64_MAX, &hash) ||
        !as_text(&o->via.array.ptr[2], 16, &order))
        return error_set(err, ERROR_INPUT, "Key 0: expected [bytes, xxh3-64, byte order].");
    if (bytes != payload.len)
        return error_set(err, ERROR_INPUT, "The payload has %zu bytes, the header says %llu.",
                         payload.len, (unsigned long long)bytes);
    if (!slice_is(order, BYTE_ORDER_NAME))
        return error_set(err, ERROR_INPUT, "Byte order \"%.*s\", expected \"%s\".",
                         SLICE_ARG(order), BYTE_ORDER_NAME);
    uint64_t found = hash_bytes(payload.ptr, payload.len);
    if (found == hash) return 0;
    return error_set(err, ERROR_INPUT, "The payload's xxh3-64 is %016llx, the header says %016llx.",
                     (unsigned long long)found, (unsigned long long)hash);
}

static int decode_fields(const msgpack_object_map *map, struct slice payload, struct message *out,
                         struct error *err) {
    const struct message_fields *fields = fields_of(out->type);
    int next = 0; // in the table; keys rise in both
    int64_t last = -1;
    for (uint32_t i = 0; i < map->size; i++) {
        uint64_t key;
        if (!as_uint(&map->ptr[i].key, 255, &key) || (int64_t)key <= last)
            return error_set(err, ERROR_INPUT, "%s: keys are not whole numbers that rise.",
                             fields->name);
        last = (int64_t)key;
        for (; next < fields->n && fields->fields[next].key < key; next++)
            if (fields->fields[next].required) goto missing;
        if (next == fields->n || fields->fields[next].key != key) continue; // of a later minor
        const struct field *field = &fields->fields[next++];
        if (!set_field(field, &map->ptr[i].val, payload, (char *)out + field->offset))
            return error_set(err, ERROR_INPUT, "%s: field %s (key %d) is malformed or too large.",
                             fields->name, field->name, field->key);
    }
    for (; next < fields->n; next++)
        if (fields->fields[next].required) goto missing;
    return 0;
missing:
    return error_set(err, ERROR_INPUT, "%s: field %s (key %d) is missing.", fields->name,
                     fields->fields[next].name, fields->fields[next].key);
}

static int decode_prefix(const msgpack_object *root, struct message *out,
                         enum message_reason *reason, struct error *err) {
    uint64_t major, minor, type;
    struct slice magic;
    *reason = REASON_HEADER;
    if (root->type != MSGPACK_OBJECT_ARRAY || root->via.array.size < 8)
        return error_set(err, ERROR_INPUT, "The header is no array of 8 elements.");
    const msgpack_object *e = root->via.array.ptr;
    if (!as_text(&e[0], 4, &magic) || !slice_is(magic, MESSAGE_MAGIC))
        return error_set(err, ERROR_INPUT, "The header does not begin with \"%s\".", MESSAGE_MAGIC);
    if (!as_uint(&e[1], UINT32_MAX, &major) || !as_uint(&e[2], UINT32_MAX, &minor) ||
        !as_uint(&e[3], UINT32_MAX, &type) || !as_text(&e[4], MESSAGE_MAX_RUN, &out->run) ||
        !as_uint(&e[5], UINT64_MAX, &out->epoch) || !as_uint(&e[6], UINT64_MAX, &out->seq) ||
        e[7].type != MSGPACK_OBJECT_MAP)
        return error_set(err, ERROR_INPUT, "The header's first elements are malformed.");
    out->minor = (uint32_t)minor;
    if (fields_of((enum message_type)type)) out->type = (enum message_type)type;
    *reason = REASON_VERSION;
    if (major != MESSAGE_MAJOR)
        return error_set(err, ERROR_INPUT, "Protocol version %llu.%llu, this side speaks %d.%d.",
                         (unsigned long long)major, (unsigned long long)minor, MESSAGE_MAJOR,
                         MESSAGE_MINOR);
    *reason = REASON_TYPE;
    if (!out->type)
        return error_set(err, ERROR_INPUT, "Message type %llu is unknown.",
                         (unsigned long long)type);
    return 0;
}

static int decode_root(const msgpack_object *root, struct slice payload, struct message *out,
                       enum message_reason *reason, struct error *err) {
    if (decode_prefix(root, out, reason, err) != 0) return -1;
    *reason = REASON_SIZE;
    if (payload.len > max_payload(out->type))
        return error_set(err, ERROR_INPUT, "%s: a payload of %zu bytes, at most %zu are allowed.",
                         message_type_name(out->type), payload.len, max_payload(out->type));
    const msgpack_object_map *map = &root->via.array.ptr[7].via.map;
    *reason = REASON_PAYLOAD;
    if (check_payload(map, payload, err) != 0)
        return error_prefix(err, "%s", message_type_name(out->type));
    out->payload = payload;
    *reason = REASON_FIELD;
    if (decode_fields(map, payload, out, err) != 0) return -1;
    return fields_check(out, err);
}

int message_decode(struct slice header, struct slice payload, struct message *out,
                   enum message_reason *reason, struct error *err) {
    enum message_reason unused;
    if (!reason) reason = &unused;
    *out = (struct message){0};
    *reason = REASON_SIZE;
    if (header.len > MESSAGE_MAX_HEADER)
        return error_set(err, ERROR_INPUT, "A header of %zu bytes, at most %d are allowed.",
                         header.len, MESSAGE_MAX_HEADER);
    *reason = REASON_MSGPACK;
    msgpack_unpacked unpacked;
    if (msgpack_open(header, &msgpack_header_limits, &unpacked, err) != 0) return -1;
    int rc = decode_root(&unpacked.data, payload, out, reason, err);
    msgpack_unpacked_destroy(&unpacked);
    return rc;
}

// --- encoding ---

static bool is_absent(const struct field *field, const void *at) {
    if (field->required) return false;
    switch (field->kind) {
    case FIELD_BOOL:
        return !*(const bool *)at;
    case FIELD_U8:
        return *(const uint8_t *)at == 0;
    case FIELD_U32:
        return *(const uint32_t *)at == 0;
    case FIELD_U64:
        return *(const uint64_t *)at == 0;
    case FIELD_F64:
        return false;
    case FIELD_TEXT:
        return ((const struct slice *)at)->len == 0;
    case FIELD_COLUMN:
        return ((const struct column *)at)->dtype == COLUMN_NONE;
    }
    return true;
}

static void pack_text(msgpack_packer *packer, struct slice text) {
    msgpack_pack_str(packer, text.len);
    msgpack_pack_str_body(packer, text.len > 0 ? text.ptr : "", text.len);
}

// Puts the column behind what the payload holds, and its place into the header.
static void pack_column(msgpack_packer *packer, const struct column *c, struct buffer *payload) {
    size_t bytes = (size_t)c->n * column_dtype_bytes(c->dtype), at = 0;
    if (bytes > 0) {
        size_t pad = (size_t)-payload->len % COLUMN_ALIGNMENT;
        memset(buffer_extend(payload, pad), 0, pad);
        at = payload->len;
        assert(at % COLUMN_ALIGNMENT == 0 && c->data != NULL);
        buffer_add(payload, c->data, bytes);
    }
    msgpack_pack_array(packer, 3);
    msgpack_pack_uint64(packer, (uint64_t)c->dtype);
    msgpack_pack_uint64(packer, c->n);
    msgpack_pack_uint64(packer, at);
}

static void pack_field(msgpack_packer *packer, const struct field *field, const void *at,
                       struct buffer *payload) {
    msgpack_pack_uint64(packer, field->key);
    switch (field->kind) {
    case FIELD_BOOL:
        if (*(const bool *)at) {
            msgpack_pack_true(packer);
        } else {
            msgpack_pack_false(packer);
        }
        break;
    case FIELD_U8:
        msgpack_pack_uint64(packer, *(const uint8_t *)at);
        break;
    case FIELD_U32:
        msgpack_pack_uint64(packer, *(const uint32_t *)at);
        break;
    case FIELD_U64:
        msgpack_pack_uint64(packer, *(const uint64_t *)at);
        break;
    case FIELD_F64:
        msgpack_pack_double(packer, *(const double *)at);
        break;
    case FIELD_TEXT:
        pack_text(packer, *(const struct slice *)at);
        break;
    case FIELD_COLUMN:
        pack_column(packer, (const struct column *)at, payload);
        break;
    }
}

static bool in_bounds(const struct field *field, const void *at) {
    switch (field->kind) {
    case FIELD_BOOL:
        return true;
    case FIELD_U8:
        return *(const uint8_t *)at <= field->max;
    case FIELD_U32:
        return *(const uint32_t *)at <= field->max;
    case FIELD_U64:
        return *(const uint64_t *)at <= field->max;
    case FIELD_F64:
        return isfinite(*(const double *)at);
    case FIELD_TEXT: {
        struct slice text = *(const struct slice *)at;
        return text.len <= field->max && utf8_valid_prefix(text) == text.len;
    }
    case FIELD_COLUMN: {
        const struct column *c = (const struct column *)at;
        return c->n <= field->max && (field->dtypes >> c->dtype & 1);
    }
    }
    return false;
}

// Packs key 0 and the fields into `body`; returns the number of keys, or -1.
static int encode_fields(const struct message *m, struct buffer *body, struct buffer *payload,
                         struct error *err) {
    const struct message_fields *fields = fields_of(m->type);
    msgpack_packer packer;
    msgpack_to_buffer(&packer, body);
    int n_keys = 0;
    for (int i = 0; i < fields->n; i++) {
        const struct field *field = &fields->fields[i];
        assert(field->key > (i > 0 ? fields->fields[i - 1].key : 0));
        const void *at = (const char *)m + field->offset;
        if (is_absent(field, at)) continue;
        if (!in_bounds(field, at))
            return error_set(err, ERROR_INPUT, "%s: field %s is out of range or too large.",
                             fields->name, field->name);
        pack_field(&packer, field, at, payload);
        n_keys++;
    }
    return n_keys;
}

static void pack_prefix(const struct message *m, struct message_frames *out, int n_keys) {
    msgpack_packer packer;
    msgpack_to_buffer(&packer, &out->header);
    msgpack_pack_array(&packer, 8);
    pack_text(&packer, slice_of(MESSAGE_MAGIC));
    msgpack_pack_uint64(&packer, MESSAGE_MAJOR);
    msgpack_pack_uint64(&packer, MESSAGE_MINOR);
    msgpack_pack_uint64(&packer, (uint64_t)m->type);
    pack_text(&packer, m->run);
    msgpack_pack_uint64(&packer, m->epoch);
    msgpack_pack_fix_uint64(&packer, m->seq);
    out->seq_at = out->header.len - 8;
    bool has_payload = out->payload.len > 0;
    msgpack_pack_map(&packer, (size_t)n_keys + has_payload);
    if (!has_payload) return;
    msgpack_pack_uint64(&packer, 0);
    msgpack_pack_array(&packer, 3);
    msgpack_pack_uint64(&packer, out->payload.len);
    msgpack_pack_uint64(&packer, hash_bytes(out->payload.ptr, out->payload.len));
    pack_text(&packer, slice_of(BYTE_ORDER_NAME));
}

int message_encode(const struct message *m, struct message_frames *out, struct error *err) {
    buffer_clear(&out->header);
    buffer_clear(&out->payload);
    if (!fields_of(m->type))
        return error_set(err, ERROR_INTERNAL, "Message type %d is unknown.", (int)m->type);
    if (m->run.len > MESSAGE_MAX_RUN)
        return error_set(err, ERROR_INPUT, "The run's name has %zu bytes, at most %d are allowed.",
                         m->run.len, MESSAGE_MAX_RUN);
    if (fields_check(m, err) != 0) return -1;
    struct buffer body = {0};
    int n_keys = encode_fields(m, &body, &out->payload, err);
    if (n_keys >= 0) {
        pack_prefix(m, out, n_keys);
        buffer_add_slice(&out->header, buffer_slice(&body));
    }
    buffer_free(&body);
    if (n_keys < 0) return -1;
    if (out->header.len <= MESSAGE_MAX_HEADER && out->payload.len <= max_payload(m->type)) return 0;
    return error_set(err, ERROR_INPUT,
                     "%s: a header of %zu and a payload of %zu bytes, at most %d and %zu are "
                     "allowed.",
                     message_type_name(m->type), out->header.len, out->payload.len,
                     MESSAGE_MAX_HEADER, max_payload(m->type));
}

void message_frames_set_seq(struct message_frames *frames, uint64_t seq) {
    assert(frames->seq_at > 0 && frames->seq_at + 8 <= frames->header.len);
    assert((uint8_t)frames->header.ptr[frames->seq_at - 1] == 0xcf); // a uint64 of fixed width
    for (int i = 0; i < 8; i++)
        frames->header.ptr[frames->seq_at + (size_t)i] = (char)(seq >> (56 - 8 * i) & 0xff);
}

void message_frames_free(struct message_frames *frames) {
    buffer_free(&frames->header);
    buffer_free(&frames->payload);
}

// --- messages with memory of their own ---

// One block: the message, the header's bytes, and at the next multiple of 64 the payload's.
struct message *message_new(struct slice header, struct slice payload, enum message_reason *reason,
                            struct error *err) {
    size_t align = COLUMN_ALIGNMENT;
    size_t at = (sizeof(struct message) + header.len + align - 1) / align * align;
    size_t bytes = (at + payload.len + align - 1) / align * align;
    struct message *m = aligned_alloc(align, bytes);
    if (!m) {
        if (reason) *reason = REASON_SIZE;
        error_set(err, ERROR_MEMORY, "No memory for a message of %zu bytes.", bytes);
        return NULL;
    }
    char *own_header = (char *)(m + 1), *own_payload = (char *)m + at;
    if (header.len > 0) memcpy(own_header, header.ptr, header.len);
    if (payload.len > 0) memcpy(own_payload, payload.ptr, payload.len);
    if (message_decode((struct slice){own_header, header.len},
                       (struct slice){own_payload, payload.len}, m, reason, err) == 0)
        return m;
    free(m);
    return NULL;
}

void message_free(struct message **m) {
    free(*m);
    *m = NULL;
}
