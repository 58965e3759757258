// UTF-8 against a slow twin that decodes by arithmetic and then asks whether the value was allowed.
#include "protocol/base/utf8.h"

#include <stdarg.h>
#include <setjmp.h>
#include <stdlib.h>

#include <cmocka.h>

// The shape of the bytes gives a length and a value; RFC 3629 section 3 says which are allowed.
static int slow_next(const unsigned char *p, size_t len, uint32_t *code) {
    static const uint32_t least[] = {0, 0, 0x80, 0x800, 0x10000};
    int need = 0;
    uint32_t value = 0;
    if (len == 0) return 0;
    if (p[0] / 128 == 0) need = 1, value = p[0];
    if (p[0] / 32 == 6) need = 2, value = p[0] % 32;
    if (p[0] / 16 == 14) need = 3, value = p[0] % 16;
    if (p[0] / 8 == 30) need = 4, value = p[0] % 8;
    if (need == 0 || (size_t)need > len) return 0;
    for (int i = 1; i < need; i++) {
        if (p[i] / 64 != 2) return 0;
        value = value * 64 + p[i] % 64;
    }
    if (value < least[need] || value > 0x10ffff || value / 0x800 == 0xd800 / 0x800) return 0;
    *code = value;
    return need;
}

static void check_next(const unsigned char *p, size_t len) {
    uint32_t fast = 7, slow = 7;
    int got = utf8_next((struct slice){(const char *)p, len}, &fast),
        want = slow_next(p, len, &slow);
    if (got != want || fast != slow)
        fail_msg("%02x %02x %02x (%zu bytes): length %d, not %d", p[0], p[1], p[2], len, got, want);
}

static void test_next_is_the_slow_twin(void **state) {
    (void)state;
    unsigned char p[4] = {0};
    for (uint32_t i = 0; i < 1u << 24; i++) {
        p[0] = (unsigned char)(i >> 16), p[1] = (unsigned char)(i >> 8), p[2] = (unsigned char)i;
        if ((i & 0xffff) == 0) check_next(p, 1);
        if ((i & 0xff) == 0) check_next(p, 2);
        check_next(p, 3);
    }
    for (uint32_t i = 0; i < 1u << 22;
         i++) { // four bytes: all leads and second bytes, borders behind
        static const unsigned char borders[8] = {0x00, 0x7f, 0x80, 0x81, 0xbf, 0xc0, 0xf0, 0xff};
        p[0] = (unsigned char)(i >> 14), p[1] = (unsigned char)(i >> 6);
        p[2] = borders[i >> 3 & 7], p[3] = borders[i & 7];
        check_next(p, 4);
    }
    uint32_t unused;
    assert_int_equal(utf8_next((struct slice){NULL, 0}, &unused), 0);
}

static void test_write_is_the_inverse(void **state) {
    (void)state;
    for (uint32_t code = 0; code <= 0x10ffff; code++) {
        char bytes[4];
        uint32_t back = 0;
        if (code >= 0xd800 && code <= 0xdfff) continue;
        int n = utf8_write(code, bytes);
        assert_int_equal(slow_next((unsigned char *)bytes, (size_t)n, &back), n);
        assert_int_equal(back, code);
    }
}

// All strings of up to 5 bytes over an alphabet that holds one byte of each class of table 3-7.
static void test_prefix_and_tail(void **state) {
    (void)state;
    static const unsigned char alphabet[] = {'a',  0x80, 0x90, 0xa0, 0xbf, 0xc1, 0xc3,
                                             0xe0, 0xe2, 0xed, 0xf0, 0xf1, 0xf4, 0xf5};
    enum { N = sizeof alphabet };
    for (int i = 0; i < N * N * N * N * N; i++) {
        unsigned char p[5];
        for (int j = 0, rest = i; j < 5; j++, rest /= N) p[j] = alphabet[rest % N];
        size_t at = 0;
        uint32_t unused;
        int n;
        while (at < 5 && (n = slow_next(p + at, 5 - at, &unused)) > 0) at += (size_t)n;
        struct slice s = {(char *)p, 5};
        assert_int_equal(utf8_valid_prefix(s), at);
        // Incomplete: some continuation makes the last bytes one character, and none before do.
        size_t tail = 0;
        for (size_t back = 1; back <= 3 && tail == 0; back++)
            for (int fill = 0; fill < 4 && tail == 0; fill++) {
                unsigned char q[6] = {0};
                static const unsigned char second[4] = {0x80, 0x90, 0xa0, 0xbf};
                memcpy(q, p + 5 - back, back);
                memset(q + back, 0x80, sizeof q - back);
                q[back] = second[fill];
                if (slow_next(q, sizeof q, &unused) > (int)back) tail = back;
            }
        assert_int_equal(utf8_incomplete_tail(s), tail);
    }
    assert_int_equal(utf8_incomplete_tail((struct slice){NULL, 0}), 0);
    assert_int_equal(utf8_valid_prefix((struct slice){NULL, 0}), 0);
}

// Right column: bytes.decode(errors="replace") of Python 3.11, encoded again.
static void test_lossy(void **state) {
    (void)state;
    static const char *const cases[][2] = {
        {"", ""},
        {"plain", "plain"},
        {"\303\251", "\303\251"},
        {"a\200b", "a\357\277\275b"},
        {"\200\200", "\357\277\275\357\277\275"},
        {"\300\200", "\357\277\275\357\277\275"},
        {"\301\277", "\357\277\275\357\277\275"},
        {"\303", "\357\277\275"},
        {"\303x", "\357\277\275x"},
        {"\340\200\200", "\357\277\275\357\277\275\357\277\275"},
        {"\340\240", "\357\277\275"},
        {"\340\240x", "\357\277\275x"},
        {"\342\202", "\357\277\275"},
        {"\342\202\254", "\342\202\254"},
        {"\342(\241", "\357\277\275(\357\277\275"},
        {"\355\240\200", "\357\277\275\357\277\275\357\277\275"},
        {"\355\240\200\355\260\200",
         "\357\277\275\357\277\275\357\277\275\357\277\275\357\277\275\357\277\275"},
        {"\355\237\277", "\355\237\277"},
        {"\360\200\200\200", "\357\277\275\357\277\275\357\277\275\357\277\275"},
        {"\360\220", "\357\277\275"},
        {"\360\220\215", "\357\277\275"},
        {"\360\220\215x", "\357\277\275x"},
        {"\360\220\215\210", "\360\220\215\210"},
        {"\361\200\200\341\200\302b", "\357\277\275\357\277\275\357\277\275b"},
        {"\364\217\277\277", "\364\217\277\277"},
        {"\364\220\200\200", "\357\277\275\357\277\275\357\277\275\357\277\275"},
        {"\365\200\200\200", "\357\277\275\357\277\275\357\277\275\357\277\275"},
        {"\370\210\200\200\200", "\357\277\275\357\277\275\357\277\275\357\277\275\357\277\275"},
        {"\376\377", "\357\277\275\357\277\275"},
        {"\360\237\230\200\360\237\230", "\360\237\230\200\357\277\275"},
        {"\341\200\342\360\221\222\361\277A", "\357\277\275\357\277\275\357\277\275\357\277\275A"},
    };
    struct buffer out = {0};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        buffer_clear(&out);
        utf8_add_lossy(&out, slice_of(cases[i][0]));
        assert_string_equal(out.len ? out.ptr : "", cases[i][1]);
    }
    utf8_add_lossy(&out, (struct slice){NULL, 0});
    buffer_free(&out);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_next_is_the_slow_twin),
        cmocka_unit_test(test_write_is_the_inverse),
        cmocka_unit_test(test_prefix_and_tail),
        cmocka_unit_test(test_lossy),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
