// The pre-scan: bombs, limits, and agreement with msgpack-c over random mutations.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "protocol/base/buffer.h"
#include "protocol/base/memory.h"
#include "protocol/msgpack.h"

static int scan(const void *bytes, size_t len, struct error *err) {
    return msgpack_scan((struct slice){bytes, len}, &msgpack_header_limits, err);
}

#define REFUSED(bytes, word)                                                                       \
    do {                                                                                           \
        struct error err_ = {0};                                                                   \
        assert_int_equal(scan(bytes, sizeof(bytes) - 1, &err_), -1);                               \
        assert_int_equal(err_.code, ERROR_INPUT);                                                  \
        if (!strstr(err_.text, word)) fail_msg("\"%s\" lacks \"%s\"", err_.text, word);            \
    } while (0)

static void test_bombs(void **state) {
    (void)state;
    REFUSED("\xdd\x07\xff\xff\xff", "count beyond"); // 5 bytes that claim 134 million elements
    REFUSED("\xdf\xff\xff\xff\xff", "count beyond");
    REFUSED("\xdc\xff\xff", "count beyond");
    REFUSED("\xde\xff\xff\xc0", "count beyond");
    REFUSED("\xc6\xff\xff\xff\xff", "cut off");
    REFUSED("\xdb\xff\xff\xff\xff"
            "abc",
            "cut off");
    REFUSED("\x91\x91\x91\x91\x91\x91\xc0", "nesting");
    REFUSED("\xc7\x01\x05x", "ext");
    REFUSED("\xd4\x01\x05", "ext");
    REFUSED("\xc1", "unused");
    REFUSED("", "missing");
    REFUSED("\x92\xc0", "beyond");
    REFUSED("\x92\xa1"
            "a",
            "missing");
    REFUSED("\xc0\xc0", "behind");
    REFUSED("\xcf\x00\x00", "cut off");
    REFUSED("\xdd\x00\x00", "length");
}

// Nested counts that each fit the bytes left must not multiply.
static void test_sum_of_claims(void **state) {
    (void)state;
    struct buffer b = {0};
    for (int i = 0; i < 3; i++) buffer_add(&b, "\xdc\x02\x00", 3); // three arrays of 512
    char *rest = buffer_extend(&b, 4000);
    memset(rest, 0xc0, 4000);
    struct error err = {0};
    assert_int_equal(scan(b.ptr, b.len, &err), -1);
    assert_non_null(strstr(err.text, "too many elements"));
    buffer_free(&b);
}

static void test_sizes(void **state) {
    (void)state;
    struct error err = {0};
    char *big = memory_new(70000, 1);
    memset(big, 0xc0, 70000);
    assert_int_equal(scan(big, 65537, &err), -1);
    assert_non_null(strstr(err.text, "65537 bytes"));
    memcpy(big, "\xda\x40\x00", 3); // a text of 16 KiB is the largest
    assert_int_equal(scan(big, 3 + 16384, &err), 0);
    memcpy(big, "\xda\x40\x01", 3);
    assert_int_equal(scan(big, 3 + 16385, &err), -1);
    assert_non_null(strstr(err.text, "text over"));
    memcpy(big, "\xdc\x04\x00", 3); // 1024 elements are the most
    assert_int_equal(scan(big, 3 + 1024, &err), 0);
    memcpy(big, "\xdc\x04\x01", 3);
    assert_int_equal(scan(big, 3 + 1025, &err), -1);
    free(big);
}

static void test_all_types_are_taken(void **state) {
    (void)state;
    struct buffer b = {0};
    msgpack_packer packer;
    msgpack_to_buffer(&packer, &b);
    msgpack_pack_array(&packer, 12);
    msgpack_pack_nil(&packer);
    msgpack_pack_true(&packer);
    msgpack_pack_int64(&packer, -5);
    msgpack_pack_int64(&packer, -500);
    msgpack_pack_int64(&packer, -5000000000);
    msgpack_pack_uint64(&packer, 300);
    msgpack_pack_uint64(&packer, UINT64_MAX);
    msgpack_pack_float(&packer, 1.5f);
    msgpack_pack_double(&packer, 2.5);
    msgpack_pack_str(&packer, 40);
    msgpack_pack_str_body(&packer, "0123456789012345678901234567890123456789", 40);
    msgpack_pack_bin(&packer, 3);
    msgpack_pack_bin_body(&packer, "\0\1\2", 3);
    msgpack_pack_map(&packer, 1);
    msgpack_pack_uint64(&packer, 7);
    msgpack_pack_array(&packer, 0);
    msgpack_unpacked out;
    struct error err = {0};
    assert_int_equal(msgpack_open(buffer_slice(&b), &msgpack_header_limits, &out, &err), 0);
    assert_int_equal(out.data.via.array.size, 12);
    assert_true(out.data.via.array.ptr[6].via.u64 == UINT64_MAX);
    assert_int_equal(out.data.via.array.ptr[9].via.str.size, 40);
    // Texts are not copied: they lie in the frame.
    const char *text = out.data.via.array.ptr[9].via.str.ptr;
    assert_true(text >= b.ptr && text < b.ptr + b.len);
    msgpack_unpacked_destroy(&out);
    buffer_free(&b);
}

static uint32_t next_random(uint32_t *state) {
    *state = *state * 1664525u + 1013904223u;
    return *state >> 8;
}

static void add_value(struct buffer *b, uint32_t *random, int depth) {
    static const char *const heads[] = {"\xc0",    "\xc2",       "\x05",
                                        "\xff",    "\xcc\x80",   "\xcd\x01\x02",
                                        "\xa3xyz", "\xc4\x02zz", "\xca\x01\x02\x03\x04"};
    uint32_t pick = next_random(random) % 12;
    if (depth < 3 && pick >= 9) {
        uint32_t n = next_random(random) % 5;
        char head = (char)((pick == 9 ? 0x80 : 0x90) | n);
        buffer_add(b, &head, 1);
        for (uint32_t i = 0; i < (pick == 9 ? 2 * n : n); i++) add_value(b, random, depth + 1);
    } else {
        buffer_add_text(b, heads[pick % 9]);
    }
}

// What the scan takes, msgpack-c takes with exactly the frame's bytes; what msgpack-c refuses, the
// scan has refused.
static void test_mutations(void **state) {
    (void)state;
    uint32_t random = 12345;
    int n_taken = 0, n_refused = 0;
    for (int round = 0; round < 200000; round++) {
        struct buffer b = {0};
        add_value(&b, &random, 0);
        for (uint32_t i = next_random(&random) % 3; i > 0; i--)
            b.ptr[next_random(&random) % b.len] = (char)next_random(&random);
        if (next_random(&random) % 4 == 0) b.len -= next_random(&random) % b.len;
        char *exact = memory_copy(b.ptr, b.len); // so that a sanitizer sees an overrun
        struct slice frame = {exact, b.len};
        if (msgpack_scan(frame, &msgpack_header_limits, NULL) == 0) {
            msgpack_unpacked out;
            assert_int_equal(msgpack_open(frame, &msgpack_header_limits, &out, NULL), 0);
            msgpack_unpacked_destroy(&out);
            n_taken++;
        } else {
            n_refused++;
        }
        free(exact);
        buffer_free(&b);
    }
    assert_true(n_taken > 20000 && n_refused > 20000);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_bombs),     cmocka_unit_test(test_sum_of_claims),
        cmocka_unit_test(test_sizes),     cmocka_unit_test(test_all_types_are_taken),
        cmocka_unit_test(test_mutations),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
