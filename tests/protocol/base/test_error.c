// Errors stay one printable line of UTF-8, whatever they quote and however long it is.
#include "protocol/base/error.h"

#include <stdarg.h>
#include <setjmp.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "protocol/base/slice.h"
#include "protocol/base/utf8.h"

static void test_set(void **state) {
    (void)state;
    struct error err = {0};
    assert_int_equal(error_set(&err, ERROR_CONFIG, "'%s' is %d, expected %d.", "n", 1, 2), -1);
    assert_int_equal(err.code, ERROR_CONFIG);
    assert_string_equal(err.text, "'n' is 1, expected 2.");
    assert_int_equal(error_set(&err, ERROR_IO, "Again: %s", err.text), -1); // quotes itself
    assert_string_equal(err.text, "Again: 'n' is 1, expected 2.");
    assert_int_equal(err.code, ERROR_IO);
    assert_int_equal(error_set(NULL, ERROR_IO, "%s", "x"), -1);
}

static void test_prefix(void **state) {
    (void)state;
    struct error err = {0};
    error_set(&err, ERROR_INPUT, "It is wrong.");
    assert_int_equal(error_prefix(&err, "%s:%d", "file", 3), -1);
    assert_string_equal(err.text, "file:3: It is wrong.");
    assert_int_equal(err.code, ERROR_INPUT);
    assert_int_equal(error_prefix(NULL, "x"), -1);
}

static void test_unprintable(void **state) {
    (void)state;
    struct error err = {0};
    error_set(&err, ERROR_INPUT, "a\x01\x1b[31m\x7f\xc2\x9b\xff\xc3\xa9\xe2\x82");
    assert_string_equal(err.text, "a??[31m????\xc3\xa9??");
    error_set(&err, ERROR_INPUT, "It is [\n    \"conv\",\r\n\t\"x\"  \"y\"\n]; expected 2.");
    assert_string_equal(err.text, "It is [ \"conv\", \"x\"  \"y\" ]; expected 2.");
    error_set(&err, ERROR_INPUT, "a");
    error_prefix(&err, "\b\xff");
    assert_string_equal(err.text, "??: a");
}

static void test_long(void **state) {
    (void)state;
    struct error err = {0};
    char text[3001] = "";
    for (int shift = 0; shift < 3; shift++) { // the cut falls on each byte of a character
        for (int i = 0; i < 1000; i++) memcpy(text + 3 * i, "\xe2\x82\xac", 3);
        memset(text, 'x', (size_t)shift);
        for (int i = shift; i % 3; i++) text[i] = 'x';
        memmove(text, text + (3 - shift) % 3, sizeof text - 3);
        error_set(&err, ERROR_INPUT, "%s", text);
        assert_int_equal(strlen(err.text), sizeof err.text - 1);
        assert_int_equal(utf8_valid_prefix(slice_of(err.text)), sizeof err.text - 1);
        error_prefix(&err, "%s", text + 2500);
        assert_int_equal(strlen(err.text), sizeof err.text - 1);
        assert_int_equal(utf8_valid_prefix(slice_of(err.text)), sizeof err.text - 1);
        error_prefix(&err, "%s", text);
        assert_int_equal(utf8_valid_prefix(slice_of(err.text)), sizeof err.text - 1);
    }
}

static void test_slice_arg(void **state) {
    (void)state;
    struct error err = {0};
    char text[200];
    memset(text, 'y', sizeof text);
    error_set(&err, ERROR_INPUT, "<%.*s> <%.*s>", SLICE_ARG(((struct slice){text, 200})),
              SLICE_ARG(((struct slice){NULL, 0})));
    assert_int_equal(strlen(err.text), 80 + 5);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_set),         cmocka_unit_test(test_prefix),
        cmocka_unit_test(test_unprintable), cmocka_unit_test(test_long),
        cmocka_unit_test(test_slice_arg),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
