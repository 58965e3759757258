// Safetensors files with every mistake that the format's checks are for, one file and several.
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "tests/load/made.h"
#include "worker/load/safetensors.h"

static void assert_has(const char *text, const char *part) {
    if (!strstr(text, part)) fail_msg("\"%s\" does not say \"%s\"", text, part);
}

static void refuse(struct slice file, const char *a, const char *b) {
    struct arena arena = {0};
    struct safetensor *items = NULL;
    struct error err = {0};
    if (safetensors_parse(file, &arena, &items, &err) >= 0) fail_msg("accepted; expected %s", a);
    assert_int_equal(err.code, ERROR_CONFIG);
    assert_has(err.text, a);
    assert_has(err.text, b);
    arena_clear(&arena);
}

static void test_good_file(void **state) {
    (void)state;
    struct made m = {0};
    const float f[6] = {0, 1, 2, 3, 4, 5};
    made_add_raw(&m, "\"__metadata__\":{\"format\":\"pt\"}");
    made_add(&m, "b", "F32", 2, (int64_t[]){2, 3}, f, 24);
    made_add(&m, "a", "BF16", 1, (int64_t[]){3}, f, 6);
    made_add(&m, "scalar", "F16", 0, NULL, f, 2);
    made_add(&m, "none", "F32", 2, (int64_t[]){0, 7}, f, 0);
    made_add(&m, "i", "I64", 1, (int64_t[]){1}, f, 8);
    struct buffer file = made_file(&m);
    struct arena arena = {0};
    struct safetensor *items;
    struct error err;
    int n = safetensors_parse(buffer_slice(&file), &arena, &items, &err);
    if (n != 5) fail_msg("%d: %s", n, err.text);
    assert_true(slice_is(items[0].name, "a") && slice_is(items[1].name, "b"));
    assert_int_equal(items[0].dtype, DTYPE_BF16);
    assert_int_equal(items[1].n_dims, 2);
    assert_int_equal(items[1].dims[1], 3);
    assert_memory_equal(items[1].data, f, 24);
    assert_true(slice_is(items[2].name, "i") && !items[2].is_float);
    assert_true(slice_is(items[3].name, "none") && items[3].n_bytes == 0);
    assert_int_equal(items[4].n_dims, 0);
    free(items);
    arena_clear(&arena);
    buffer_free(&file);
    made_clear(&m);
}

// A file whose second tensor is described by `member`, behind "a" with the bytes 0 to 8 of 16.
static void refuse_member(const char *member, const char *a, const char *b) {
    struct made m = {0};
    const char data[16] = {0};
    made_add(&m, "a", "F32", 1, (int64_t[]){2}, data, 8);
    made_add_raw(&m, member);
    buffer_add(&m.data, data, 8);
    struct buffer file = made_file(&m);
    refuse(buffer_slice(&file), a, b);
    buffer_free(&file);
    made_clear(&m);
}

#define TENSOR(dtype, shape, offsets)                                                              \
    "\"t\":{\"dtype\":" dtype ",\"shape\":" shape ",\"data_offsets\":" offsets "}"

static void test_bad_members(void **state) {
    (void)state;
    static const char *const cases[][3] = {
        {"\"t\":3", "\"t\"", "an object"},
        {"\"t\":{\"shape\":[2],\"data_offsets\":[8,16]}", "\"t\"", "\"dtype\""},
        {TENSOR("7", "[2]", "[8,16]"), "\"t\"", "dtype"},
        {TENSOR("\"F33\"", "[2]", "[8,16]"), "\"t\"", "F33"},
        {TENSOR("\"F32\"", "2", "[8,16]"), "\"t\"", "shape"},
        {TENSOR("\"F32\"", "[-2]", "[8,16]"), "\"t\"", "[-2]"},
        {TENSOR("\"F32\"", "[1.5]", "[8,16]"), "\"t\"", "[1.5]"},
        {TENSOR("\"F32\"", "[\"2\"]", "[8,16]"), "\"t\"", "shape"},
        {TENSOR("\"F32\"", "[1,1,1,1,1,1,1,1,2]", "[8,16]"), "\"t\"", "at most 8"},
        {TENSOR("\"F32\"", "[4294967296,4294967296]", "[8,16]"), "\"t\"", "2^63"},
        {TENSOR("\"F32\"", "[9223372036854775807]", "[8,16]"), "\"t\"", "2^63"},
        {TENSOR("\"F32\"", "[99999999999999999999]", "[8,16]"), "\"t\"", "shape"},
        {TENSOR("\"F4\"", "[3]", "[8,16]"), "\"t\"", "whole number of bytes"},
        {TENSOR("\"F32\"", "[2]", "8"), "\"t\"", "data_offsets"},
        {TENSOR("\"F32\"", "[2]", "[8]"), "\"t\"", "data_offsets"},
        {TENSOR("\"F32\"", "[2]", "[8,16,24]"), "\"t\"", "data_offsets"},
        {TENSOR("\"F32\"", "[2]", "[16,8]"), "\"t\"", "begin <= end"},
        {TENSOR("\"F32\"", "[2]", "[-8,0]"), "\"t\"", "data_offsets"},
        {TENSOR("\"F32\"", "[2]", "[\"8\",16]"), "\"t\"", "data_offsets"},
        {TENSOR("\"F32\"", "[3]", "[8,16]"), "\"t\"", "12 were expected"},
        {TENSOR("\"BF16\"", "[2]", "[8,16]"), "\"t\"", "4 were expected"},
        {TENSOR("\"F32\"", "[4]", "[8,24]"), "\"t\"", "ends after 16"},
        {TENSOR("\"F32\"", "[2]", "[18446744073709551608,18446744073709551615]"), "\"t\"",
         "ends after 16"},
        {TENSOR("\"F32\"", "[2]", "[4,12]"), "\"t\"", "overlaps that of \"a\""},
        {TENSOR("\"F32\"", "[2]", "[0,8]"), "overlaps", "side by side"},
        {TENSOR("\"F32\"", "[1]", "[12,16]"), "\"t\"", "4 bytes of data before"},
        {TENSOR("\"F32\"", "[1]", "[8,12]"), "4 bytes at the end", "no tensor"},
        {"\"a\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[8,16]}", "\"a\"", "twice"},
        {"\"a\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[8,16]", "header", "JSON"},
        {"\"\\u0061\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[8,16]}", "\"a\"", "twice"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        refuse_member(cases[i][0], cases[i][1], cases[i][2]);
}

static void test_bad_lengths(void **state) {
    (void)state;
    struct made m = {0};
    made_add(&m, "a", "F32", 1, (int64_t[]){2}, "12345678", 8);
    struct buffer file = made_file(&m);
    for (size_t len = 0; len < file.len; len++) { // cut short anywhere
        char *copy = memory_copy(file.ptr, len);
        char *exact = memory_resize(copy, len ? len : 1, 1); // nothing readable behind the end
        refuse((struct slice){exact, len}, "expected", "");
        free(exact);
    }
    buffer_add(&file, "x", 1);
    refuse(buffer_slice(&file), "1 bytes at the end", "no tensor");
    char lengths[3][9] = {"\xff\xff\xff\xff\xff\xff\xff\xff", "\x01\xe1\xf5\x05\0\0\0\0",
                          "\0\xe1\xf5\x05\0\0\0\0"}; // 2^64 - 1, 100,000,001, 100,000,000
    const char *parts[] = {"18446744073709551615", "100000001", "only 2 bytes follow"};
    for (int i = 0; i < 3; i++) {
        char bytes[10] = "........{}";
        memcpy(bytes, lengths[i], 8);
        refuse((struct slice){bytes, 10}, parts[i], "expected");
    }
    refuse((struct slice){"\x02\0\0\0\0\0\0\0[]", 10}, "an array", "JSON object");
    buffer_free(&file);
    made_clear(&m);
}

// ------------------------------------------------------------------ directories

static char *shards_directory(const char *index) {
    static const int64_t dims[] = {2};
    char *d = made_directory();
    for (int i = 0; i < 2; i++) {
        struct made m = {0};
        made_add(&m, i ? "b" : "a", "F32", 1, dims, "12345678", 8);
        made_write_file(&m, d, i ? "two.safetensors" : "one.safetensors");
        made_clear(&m);
    }
    if (index) made_write_text(d, "model.safetensors.index.json", index);
    return d;
}

static void refuse_index(const char *index, const char *a, const char *b) {
    char *d = shards_directory(index);
    struct safetensors *s = NULL;
    struct error err = {0};
    if (safetensors_open(d, &s, &err) != -1) fail_msg("accepted %s", index);
    assert_has(err.text, a);
    assert_has(err.text, b);
    assert_null(s);
    made_remove(&d);
}

#define MAP(text) "{\"metadata\":{\"total_size\":16},\"weight_map\":{" text "}}"
#define BOTH      "\"a\":\"one.safetensors\",\"b\":\"two.safetensors\""

static void test_index(void **state) {
    (void)state;
    char *d = shards_directory(MAP(BOTH));
    struct safetensors *s;
    struct error err;
    assert_true(safetensors_present(d));
    if (safetensors_open(d, &s, &err)) fail_msg("%s", err.text);
    assert_int_equal(s->n, 2);
    const struct safetensor *b = safetensors_find(s, slice_of("b"));
    assert_non_null(b);
    assert_memory_equal(b->data, "12345678", 8);
    assert_null(safetensors_find(s, slice_of("c")));
    safetensors_free(&s);
    made_remove(&d);
    refuse_index("{", "index.json", "JSON");
    refuse_index("{}", "weight_map", "missing");
    refuse_index("{\"weight_map\":[]}", "weight_map", "an array");
    refuse_index(MAP(BOTH ",\"c\":\"three.safetensors\""), "three.safetensors", "opened");
    refuse_index(MAP(BOTH ",\"c\":\"two.safetensors\""), "\"c\"", "two.safetensors");
    refuse_index(MAP("\"b\":\"one.safetensors\",\"a\":\"two.safetensors\""), "\"b\"",
                 "one.safetensors was expected");
    refuse_index(MAP(BOTH ",\"a\":\"one.safetensors\""), "\"a\"", "twice");
    refuse_index(MAP("\"a\":\"../one.safetensors\""), "\"a\"", "same directory");
    refuse_index(MAP("\"a\":\"..\""), "\"a\"", "same directory");
    refuse_index(MAP("\"a\":\"\""), "\"a\"", "same directory");
    refuse_index(MAP("\"a\":\"one\\u0000\""), "\"a\"", "same directory");
    refuse_index(MAP("\"a\":1"), "\"a\"", "same directory");
}

// The second file holds one tensor more than the index gives to it.
static void refuse_extra(const char *name, const char *a, const char *b) {
    char *d = shards_directory(MAP(BOTH));
    struct made m = {0};
    made_add(&m, "b", "F32", 1, (int64_t[]){2}, "12345678", 8);
    made_add(&m, name, "F32", 1, (int64_t[]){2}, "12345678", 8);
    made_write_file(&m, d, "two.safetensors");
    struct safetensors *s = NULL;
    struct error err = {0};
    assert_int_equal(safetensors_open(d, &s, &err), -1);
    assert_has(err.text, a);
    assert_has(err.text, b);
    made_clear(&m);
    made_remove(&d);
}

static void test_extra(void **state) {
    (void)state;
    refuse_extra("a", "\"a\"", "twice");
    refuse_extra("c", "\"c\"", "not in \"weight_map\"");
}

static void refuse_directory(const char *d, enum error_code code, const char *a, const char *b) {
    struct safetensors *s = NULL;
    struct error err = {0};
    assert_int_equal(safetensors_open(d, &s, &err), -1);
    assert_int_equal(err.code, code);
    assert_has(err.text, a);
    assert_has(err.text, b);
}

static void test_directories(void **state) {
    (void)state;
    char *d = shards_directory(NULL);
    assert_false(safetensors_present(d));
    refuse_directory(d, ERROR_CONFIG, d, "model.safetensors");
    made_write_text(d, "model.safetensors", "");
    refuse_directory(d, ERROR_CONFIG, "model.safetensors", "empty");
    made_write_text(d, "model.safetensors", "short");
    refuse_directory(d, ERROR_CONFIG, "model.safetensors", "5 bytes");
    refuse_directory("no such directory", ERROR_CONFIG, "no such directory", "no weights");
    // One file wins over an index, as in transformers.
    struct made m = {0};
    made_add(&m, "c", "F32", 1, (int64_t[]){2}, "12345678", 8);
    made_write_file(&m, d, "model.safetensors");
    made_write_text(d, "model.safetensors.index.json", MAP(BOTH));
    struct safetensors *s;
    struct error err;
    if (safetensors_open(d, &s, &err)) fail_msg("%s", err.text);
    assert_int_equal(s->n, 1);
    safetensors_free(&s);
    made_clear(&m);
    made_remove(&d);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_good_file),   cmocka_unit_test(test_bad_members),
        cmocka_unit_test(test_bad_lengths), cmocka_unit_test(test_index),
        cmocka_unit_test(test_extra),       cmocka_unit_test(test_directories),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
