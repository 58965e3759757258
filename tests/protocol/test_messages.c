// Golden vectors, round trips, and what the decoder has to refuse.
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "kernels/digest.h"
#include "protocol/base/hash.h"
#include "protocol/base/memory.h"
#include "protocol/fields.h"
#include "protocol/messages.h"
#include "protocol/msgpack.h"
#include "tests/protocol/vectors.h"

static struct message decode(const struct vector *v) {
    struct message m;
    struct error err = {0};
    enum message_reason reason;
    if (message_decode(v->header, v->payload, &m, &reason, &err) != 0)
        fail_msg("%s: %s", message_reason_name(reason), err.text);
    return m;
}

// PROTOCOL.md keeps some numbers for messages that nobody sends yet.
static bool is_reserved(int type) {
    return type > MESSAGE_WEIGHTS_STATUS && type < MESSAGE_NCCL_JOIN;
}

#define IS_TEXT(s, text) assert_true(slice_is(s, text))

// What C decodes is written again with the same bytes as Python wrote.
static void test_golden_round_trip(void **state) {
    (void)state;
    struct message_frames frames = {0};
    for (int type = 1; type < MESSAGE_N_TYPES; type++) {
        if (is_reserved(type)) continue;
        struct vector v = vector_read((enum message_type)type);
        struct message m = decode(&v);
        struct error err = {0};
        assert_int_equal(m.type, type);
        IS_TEXT(m.run, "run-1");
        assert_int_equal(m.epoch, 9);
        if (message_encode(&m, &frames, &err) != 0) fail_msg("%s", err.text);
        assert_true(slice_equal(buffer_slice(&frames.header), v.header));
        assert_true(slice_equal(buffer_slice(&frames.payload), v.payload));
        vector_free(&v);
    }
    message_frames_free(&frames);
}

// What a peer of an older minor version says is read, and written with the same bytes but for its
// minor version, which stands behind the array's head, the magic and the major version.
static void check_released(const struct vector *v) {
    enum { MINOR_AT = 7 };
    struct message_frames frames = {0};
    struct message m = decode(v);
    struct error err = {0};
    if (message_encode(&m, &frames, &err) != 0) fail_msg("%s", err.text);
    assert_int_equal(frames.header.ptr[MINOR_AT], MESSAGE_MINOR);
    assert_int_equal(v->header.ptr[MINOR_AT], m.minor);
    frames.header.ptr[MINOR_AT] = (char)m.minor;
    assert_true(slice_equal(buffer_slice(&frames.header), v->header));
    assert_true(slice_equal(buffer_slice(&frames.payload), v->payload));
    message_frames_free(&frames);
}

static void test_golden_of_every_minor(void **state) {
    (void)state;
    for (int minor = 0; minor <= MESSAGE_MINOR; minor++)
        assert_true(vector_read_all(minor, check_released) >= 19);
}

static void test_golden_hello(void **state) {
    (void)state;
    struct vector v = vector_read(MESSAGE_HELLO);
    struct message m = decode(&v);
    const struct message_hello *h = &m.hello;
    IS_TEXT(h->uid, "pod-7");
    assert_true(h->incarnation == 0x1122334455667788);
    IS_TEXT(h->numerics, "cpu-avx2-f32");
    assert_int_equal(h->slots, 128);
    assert_int_equal(h->max_context, 4096);
    assert_int_equal(h->vocab, 512);
    assert_true(h->tied_head);
    assert_int_equal(h->digest, 0xD16E57);
    assert_int_equal(h->dtype, COLUMN_BF16);
    assert_int_equal(h->exception_dtypes.n, 1);
    assert_int_equal(column_u8(h->exception_dtypes)[0], COLUMN_F32);
    IS_TEXT(column_text(h->exception_names, h->exception_offsets, 0),
            "model.layers.1.feed_forward.expert_bias");
    IS_TEXT(h->bulk_url, "tcp://127.0.0.1:5557");
    IS_TEXT(h->bulk_id, "0f1e2d3c4b5a69788796a5b4c3d2e1f0");
    IS_TEXT(h->directory, "00112233445566778899aabbccddeeff");
    vector_free(&v);
}

static void test_golden_task(void **state) {
    (void)state;
    struct vector v = vector_read(MESSAGE_TASK);
    struct message m = decode(&v);
    const struct message_task *t = &m.task;
    assert_int_equal(m.seq, 5);
    assert_int_equal(t->serial, 41);
    IS_TEXT(t->id, "\"q-41\"");
    assert_true(t->seed == hash_group_seed(7, "\"q-41\"", 6)); // D5, C and Python
    assert_int_equal(t->first, 5);
    assert_int_equal(t->n, 1);
    assert_int_equal(t->max_new_tokens, 256);
    assert_true(t->temperature == 0.5 && t->top_p == 0.95 && t->min_p == 0);
    assert_true(t->repetition_penalty == 1);
    assert_int_equal(t->top_k, 50);
    assert_true(t->ignore_eos && t->prompt_logprobs && t->routed_experts);
    assert_int_equal(t->on_update, ON_UPDATE_RESTART);
    assert_int_equal(t->deadline_ms, 60000);
    assert_int_equal(t->prompt_ids.n, 3);
    assert_int_equal(column_i32(t->prompt_ids)[2], 500);
    assert_int_equal(t->prompt.dtype, COLUMN_NONE);
    assert_int_equal(t->stop_offsets.n, 3);
    IS_TEXT(column_text(t->stop, t->stop_offsets, 1), "Ende");
    assert_int_equal(column_i32(t->stop_ids)[0], 7);
    assert_int_equal(column_i32(t->bias_ids)[1], 9);
    assert_true(column_f32(t->bias_values)[0] == -1.5f);
    IS_TEXT(column_slice(t->reward), "[{\"verifier\":\"math\",\"gold\":\"4\"}]");
    IS_TEXT(column_slice(t->meta), "{\"k\": 1.50}");
    IS_TEXT(column_slice(t->tools), "[{\"type\":\"function\"}]");
    assert_int_equal(t->draft, DRAFT_OFF + 4);
    assert_int_equal(t->max_version_lag, 3);
    assert_int_equal(t->partial_tokens.n, 2);
    assert_int_equal(column_i32(t->partial_tokens)[1], 4);
    assert_true(column_f32(t->partial_lp_full)[1] == -0.5f);
    assert_true(column_f32(t->partial_lp_behav)[0] == -0.125f);
    assert_int_equal(column_i32(t->partial_span_first)[1], 1);
    assert_int_equal(column_u64(t->partial_span_version)[1], 4);
    assert_int_equal(t->partial_routed.n, 8);
    vector_free(&v);
}

static void test_golden_result(void **state) {
    (void)state;
    struct vector v = vector_read(MESSAGE_RESULT);
    struct message m = decode(&v);
    const struct message_result *r = &m.result;
    assert_int_equal(r->result, 17);
    assert_int_equal(r->sample.n, 2);
    assert_int_equal(column_i32(r->sample)[1], 5);
    assert_string_equal(message_finish_name(column_u8(r->finish)[0]), "stop");
    assert_string_equal(message_finish_name(column_u8(r->finish)[1]), "error");
    assert_int_equal(column_i32(r->tokens)[2], 33);
    assert_true(column_f32(r->lp_full)[1] == -0.5f && column_f32(r->lp_behav)[2] == -2);
    assert_int_equal(column_u64(r->span_version)[1], 4);
    IS_TEXT(column_text(r->text, r->text_offsets, 1), "f\xc3\xbcnf");
    assert_true(isnan(column_f32(r->prompt_lp_full)[0]));
    assert_true(column_f64(r->value)[0] == 1 && isnan(column_f64(r->value)[1]));
    assert_string_equal(message_status_name(column_u8(r->status)[0]), "ok");
    IS_TEXT(column_text(r->error, r->error_offsets, 1), "The logits are not finite.");
    assert_int_equal(r->routed.dtype, COLUMN_U8);
    assert_int_equal(column_i64(r->routed_offsets)[2] * r->moe_layers * r->experts_per_token, 14);
    vector_free(&v);
}

static void test_golden_weights(void **state) {
    (void)state;
    struct vector v = vector_read(MESSAGE_WEIGHTS_BEGIN),
                  chunk = vector_read(MESSAGE_WEIGHTS_CHUNK);
    struct message m = decode(&v), c = decode(&chunk);
    const struct message_weights_begin *w = &m.weights_begin;
    assert_int_equal(w->base, 3);
    assert_int_equal(w->version, 4);
    IS_TEXT(column_text(w->names, w->name_offsets, 1), "lm_head.weight");
    assert_int_equal(column_u8(w->dtypes)[0], COLUMN_F32);
    assert_int_equal(column_u8(w->modes)[1], TENSOR_SPARSE);
    assert_int_equal(column_u64(w->n_values)[1], 3);
    assert_int_equal(column_u8(w->code_bytes)[1], 1);
    assert_int_equal(column_u64(w->n_codes)[1], 4);
    assert_int_equal(column_i64(w->shapes)[MESSAGE_MAX_RANK], 512);
    assert_int_equal(w->total_bytes, c.weights_chunk.data.n);
    uint64_t name = hash_bytes("model.embedding_norm.weight", 27);
    assert_true(column_u64(w->checks)[0] ==
                digest_range(name, 0, 2, DTYPE_F32, c.weights_chunk.data.data));
    vector_free(&v);
    vector_free(&chunk);
}

static void test_golden_file(void **state) {
    (void)state;
    struct vector v = vector_read_named("WEIGHTS_BEGIN-directory");
    struct message m = decode(&v);
    struct message_frames frames = {0};
    struct error err = {0};
    const struct message_weights_begin *w = &m.weights_begin;
    assert_int_equal(w->transport, TRANSPORT_DIRECTORY);
    IS_TEXT(w->file, "stampede-0011223344556677-9-8899aabbccddeeff-v4-1.safetensors");
    assert_int_equal(w->header_bytes, 640);
    assert_int_equal(w->header_hash, 0xFACADE);
    assert_int_equal(message_encode(&m, &frames, &err), 0);
    assert_true(slice_equal(buffer_slice(&frames.header), v.header));
    message_frames_free(&frames);
    // The file's fields go with this transport and with no other.
    for (int i = 0; i < 3; i++) {
        struct message odd = m;
        if (i == 0) odd.weights_begin.transport = TRANSPORT_BULK;
        if (i == 1) odd.weights_begin.file = (struct slice){NULL, 0};
        if (i == 2) odd.weights_begin.header_bytes = 0;
        assert_int_equal(message_encode(&odd, &frames, &err), -1);
        assert_non_null(strstr(err.text, "transport 2"));
    }
    message_frames_free(&frames);
    vector_free(&v);
}

// Flips and cuts of good frames: never a crash, and a changed payload is always refused.
static void test_mutated_vectors(void **state) {
    (void)state;
    uint32_t random = 1;
    int n_refused = 0;
    for (int round = 0; round < 24000; round++) {
        int type = 1 + round % (MESSAGE_N_TYPES - 1);
        if (is_reserved(type)) continue;
        struct vector v = vector_read((enum message_type)type);
        random = random * 1664525u + 1013904223u;
        bool in_payload = v.payload.len > 0 && (random >> 9 & 1);
        struct slice hit = in_payload ? v.payload : v.header;
        ((char *)(uintptr_t)hit.ptr)[(random >> 10) % hit.len] ^= (char)(1 << (random >> 7 & 7));
        struct message m;
        enum message_reason reason = MESSAGE_N_REASONS;
        int rc = message_decode(v.header, v.payload, &m, &reason, NULL);
        if (in_payload) assert_int_equal(rc, -1);
        if (rc != 0) assert_true(reason < MESSAGE_N_REASONS);
        n_refused += rc != 0;
        vector_free(&v);
    }
    assert_true(n_refused > 10000);
}

// --- single faults ---

// fields_check stands in the encoder and in the decoder alike; here it is reached by the encoder.
static void refused(const struct message *m) {
    struct message_frames frames = {0};
    struct error err = {0};
    assert_int_equal(message_encode(m, &frames, &err), -1);
    assert_int_equal(err.code, ERROR_INPUT);
    message_frames_free(&frames);
}

static struct message good_result(struct vector *v) {
    *v = vector_read(MESSAGE_RESULT);
    return decode(v);
}

static void test_lengths_that_belong_together(void **state) {
    (void)state;
    struct vector v;
    struct message m = good_result(&v);
    m.result.lp_full.n = 2;
    refused(&m);
    m = decode(&v);
    m.result.finish.n = 1;
    refused(&m);
    m = decode(&v);
    m.result.text_offsets = (struct column){0};
    refused(&m);
    m = decode(&v);
    int64_t falling[3] = {0, 4, 3}, beyond[3] = {0, 2, 4};
    m.result.token_offsets.data = falling;
    refused(&m);
    m.result.token_offsets.data = beyond;
    refused(&m);
    m = decode(&v);
    uint8_t unknown[2] = {1, FINISH_N_REASONS};
    m.result.finish.data = unknown;
    refused(&m);
    m = decode(&v);
    m.result.experts_per_token = 3;
    refused(&m);
    m = decode(&v);
    m.result.sample.n = 0;
    refused(&m);
    vector_free(&v);
}

static void test_task_has_one_prompt(void **state) {
    (void)state;
    struct vector v = vector_read(MESSAGE_TASK);
    struct message m = decode(&v);
    m.task.prompt = column_of_text(slice_of("hello"));
    refused(&m);
    m.task.prompt = m.task.prompt_ids = (struct column){0};
    refused(&m);
    m.task.messages = column_of_text(slice_of("[]"));
    struct message_frames frames = {0};
    assert_int_equal(message_encode(&m, &frames, NULL), 0);
    m.task.n = 0;
    refused(&m);
    m = decode(&v);
    m.task.bias_values.n = 1;
    refused(&m);
    m = decode(&v);
    m.task.first = MESSAGE_MAX_SAMPLES - 1;
    m.task.n = 2;
    refused(&m);
    m = decode(&v);
    m.task.temperature = NAN;
    refused(&m);
    message_frames_free(&frames);
    vector_free(&v);
}

static void test_partial_samples_fit_together(void **state) {
    (void)state;
    struct vector v = vector_read(MESSAGE_TASK);
    const int32_t falls[] = {0, 0}, late[] = {1, 1}, beyond[] = {0, 2};
    const int32_t *const spans[] = {falls, late, beyond};
    struct message m = decode(&v);
    m.task.n = 2;
    refused(&m);
    m = decode(&v);
    m.task.partial_tokens = (struct column){0};
    refused(&m);
    m = decode(&v);
    m.task.partial_lp_full.n = 1;
    refused(&m);
    m = decode(&v);
    m.task.partial_lp_behav = (struct column){0};
    refused(&m);
    m = decode(&v);
    m.task.partial_span_version.n = 1;
    refused(&m);
    m = decode(&v);
    m.task.partial_span_first.n = m.task.partial_span_version.n = 0;
    refused(&m);
    for (int i = 0; i < 3; i++) {
        m = decode(&v);
        m.task.partial_span_first.data = spans[i];
        refused(&m);
    }
    vector_free(&v);
}

static void test_weights_shapes(void **state) {
    (void)state;
    struct vector v = vector_read(MESSAGE_WEIGHTS_BEGIN);
    struct message m = decode(&v);
    // Of a dense tensor (2) and a sparse one (512, 128) of 3 values in 4 codes.
    uint64_t n_values[][2] = {{3, 3}, {2, 0}, {2, 65537}, {2, 5}}, n_codes[2] = {0, 65537};
    for (size_t i = 0; i < 4; i++) {
        m = decode(&v);
        m.weights_begin.n_values.data = n_values[i];
        refused(&m);
    }
    m = decode(&v);
    m.weights_begin.n_codes.data = n_codes;
    refused(&m);
    uint8_t code_bytes[][2] = {{0, 0}, {0, 3}, {1, 1}}, modes[2] = {TENSOR_SKIP, TENSOR_SPARSE};
    for (size_t i = 0; i < 3; i++) {
        m = decode(&v);
        m.weights_begin.code_bytes.data = code_bytes[i];
        refused(&m);
    }
    m = decode(&v);
    m.weights_begin.modes.data = modes;
    refused(&m);
    m = decode(&v);
    int64_t huge[8] = {INT64_MAX, 0, 0, 0, INT64_MAX, INT64_MAX, 0, 0};
    m.weights_begin.shapes.data = huge;
    refused(&m);
    vector_free(&v);
}

// Builds a header by hand: [magic, major, minor, type, run, epoch, seq, {key: value}].
static int decode_by_hand(const char *magic, unsigned major, unsigned type, const char *map,
                          size_t map_len, enum message_reason *reason) {
    struct buffer b = {0};
    msgpack_packer packer;
    msgpack_to_buffer(&packer, &b);
    msgpack_pack_array(&packer, 8);
    msgpack_pack_str(&packer, 4);
    msgpack_pack_str_body(&packer, magic, 4);
    msgpack_pack_unsigned_int(&packer, major);
    msgpack_pack_unsigned_int(&packer, 0);
    msgpack_pack_unsigned_int(&packer, type);
    msgpack_pack_str(&packer, 0);
    msgpack_pack_unsigned_int(&packer, 0);
    msgpack_pack_unsigned_int(&packer, 0);
    buffer_add(&b, map, map_len);
    struct message m;
    *reason = MESSAGE_N_REASONS;
    int rc = message_decode(buffer_slice(&b), (struct slice){0}, &m, reason, NULL);
    buffer_free(&b);
    return rc;
}

static void check_by_hand(const char *magic, unsigned major, unsigned type, const char *map,
                          size_t map_len, enum message_reason expected) {
    enum message_reason reason;
    int rc = decode_by_hand(magic, major, type, map, map_len, &reason);
    assert_int_equal(rc, expected == MESSAGE_N_REASONS ? 0 : -1);
    assert_int_equal(reason, expected == MESSAGE_N_REASONS ? reason : expected);
}
#define BY_HAND(magic, major, type, map, reason)                                                   \
    check_by_hand(magic, major, type, map, sizeof(map) - 1, reason)

static void test_headers_by_hand(void **state) {
    (void)state;
    const enum message_reason good = MESSAGE_N_REASONS;
    BY_HAND("STMP", 1, MESSAGE_CREDIT, "\x81\x01\x05", good);
    BY_HAND("STMP", 1, MESSAGE_CREDIT, "\x82\x01\x05\x63\xa1x", good); // key 99: a later minor
    BY_HAND("STNP", 1, MESSAGE_CREDIT, "\x81\x01\x05", REASON_HEADER);
    BY_HAND("STMP", 2, MESSAGE_CREDIT, "\x81\x01\x05", REASON_VERSION);
    BY_HAND("STMP", 1, 99, "\x81\x01\x05", REASON_TYPE);
    BY_HAND("STMP", 1, 0, "\x81\x01\x05", REASON_TYPE);
    BY_HAND("STMP", 1, MESSAGE_CREDIT, "\x90", REASON_HEADER);
    BY_HAND("STMP", 1, MESSAGE_CREDIT, "\x80", REASON_FIELD);                 // slots is missing
    BY_HAND("STMP", 1, MESSAGE_CREDIT, "\x81\x01\xff", REASON_FIELD);         // negative
    BY_HAND("STMP", 1, MESSAGE_CREDIT, "\x81\x01\xa1x", REASON_FIELD);        // a text
    BY_HAND("STMP", 1, MESSAGE_CREDIT, "\x82\x01\x05\x01\x06", REASON_FIELD); // a key twice
    BY_HAND("STMP", 1, MESSAGE_CREDIT, "\x82\x02\x05\x01\x06", REASON_FIELD); // keys that fall
    BY_HAND("STMP", 1, MESSAGE_CREDIT, "\x82\x00\x93\x01\x02\xa6little\x01\x05", REASON_PAYLOAD);
    BY_HAND("STMP", 1, MESSAGE_DRAIN, "\x81\x01\xa1\xff", REASON_FIELD); // no UTF-8
    BY_HAND("STMP", 1, MESSAGE_CREDIT, "\x81\x01", REASON_MSGPACK);
}

static void test_seq_is_set_in_place(void **state) {
    (void)state;
    struct message m = {.type = MESSAGE_CREDIT, .credit = {.slots = 3}}, back;
    struct message_frames frames = {0};
    assert_int_equal(message_encode(&m, &frames, NULL), 0);
    message_frames_set_seq(&frames, 0x0102030405060708);
    assert_int_equal(
        message_decode(buffer_slice(&frames.header), (struct slice){0}, &back, NULL, NULL), 0);
    assert_true(back.seq == 0x0102030405060708);
    assert_int_equal(back.credit.slots, 3);
    message_frames_free(&frames);
}

static void test_message_new_owns_aligned_memory(void **state) {
    (void)state;
    struct vector v = vector_read(MESSAGE_RESULT);
    char *odd = memory_new(v.payload.len + 1, 1);
    memcpy(odd + 1, v.payload.ptr, v.payload.len);
    struct message *m = message_new(v.header, (struct slice){odd + 1, v.payload.len}, NULL, NULL);
    free(odd);
    vector_free(&v);
    assert_non_null(m);
    assert_true((uintptr_t)m->result.tokens.data % COLUMN_ALIGNMENT == 0);
    assert_int_equal(column_i32(m->result.tokens)[0], 20);
    message_free(&m);
    assert_null(m);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_golden_round_trip),
        cmocka_unit_test(test_golden_of_every_minor),
        cmocka_unit_test(test_golden_hello),
        cmocka_unit_test(test_golden_task),
        cmocka_unit_test(test_golden_result),
        cmocka_unit_test(test_golden_weights),
        cmocka_unit_test(test_golden_file),
        cmocka_unit_test(test_mutated_vectors),
        cmocka_unit_test(test_lengths_that_belong_together),
        cmocka_unit_test(test_task_has_one_prompt),
        cmocka_unit_test(test_partial_samples_fit_together),
        cmocka_unit_test(test_weights_shapes),
        cmocka_unit_test(test_headers_by_hand),
        cmocka_unit_test(test_seq_is_set_in_place),
        cmocka_unit_test(test_message_new_owns_aligned_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
