// Characters: classes, stripping, searching, as Python's str has them.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <cmocka.h>

#include "protocol/base/utf8.h"
#include "verifiers/constraints/chars.h"

#define S(text) slice_of(text)

static void check_slice(struct slice got, const char *expected) {
    if (!slice_is(got, expected)) print_error("got <%.*s>\n", SLICE_ARG(got));
    assert_true(slice_is(got, expected));
}

static void test_classes(void **state) {
    static const struct {
        uint32_t code;
        unsigned bits;
    } CASES[] = {
        {'a', CHAR_WORD | CHAR_ALPHA | CHAR_LOWER},
        {'Z', CHAR_WORD | CHAR_ALPHA | CHAR_UPPER},
        {'7', CHAR_WORD | CHAR_DIGIT},
        {'_', CHAR_WORD | CHAR_PUNCT},
        {'-', CHAR_PUNCT},
        {' ', CHAR_SPACE},
        {0x1C, CHAR_SPACE}, // a separator, white space to str.isspace
        {0x1B, 0},
        {0x85, CHAR_SPACE},
        {0xA0, CHAR_SPACE},
        {0x3000, CHAR_SPACE},
        {0x200B, 0}, // zero width space is none
        {0xE9, CHAR_WORD | CHAR_ALPHA | CHAR_LOWER},
        {0xAA, CHAR_WORD | CHAR_ALPHA | CHAR_LOWER}, // a letter without case category
        {0x1C5, CHAR_WORD | CHAR_ALPHA | CHAR_TITLE},
        {0x4E2D, CHAR_WORD | CHAR_ALPHA},
        {0x663, CHAR_WORD | CHAR_DIGIT}, // Arabic-Indic three
        {0xBD, CHAR_WORD},               // one half: numeric, no decimal digit
        {0x2160, CHAR_WORD | CHAR_UPPER},
        {0x24D0, CHAR_LOWER}, // circled a: no word character
        {0x1F600, 0},
        {0xFF0C, 0}, // full-width comma
    };
    (void)state;
    for (size_t i = 0; i < sizeof CASES / sizeof *CASES; i++) {
        if (char_classes(CASES[i].code) != CASES[i].bits) print_error("U+%04X\n", CASES[i].code);
        assert_int_equal(char_classes(CASES[i].code), CASES[i].bits);
    }
}

// What is told by bytes is what the classes say.
static void test_bytes(void **state) {
    (void)state;
    for (uint32_t code = 0; code <= 0x10FFFF; code++) {
        char bytes[4];
        if (code >= 0xD800 && code <= 0xDFFF) continue;
        const size_t len = (size_t)utf8_write(code, bytes);
        const bool is_space = char_classes(code) & CHAR_SPACE;
        assert_int_equal(slice_space_at((struct slice){bytes, len}, 0), is_space ? len : 0);
        if (code < 128) continue;
        const struct wide_char wide = chars_wide(bytes, len);
        assert_int_equal(wide.code, code);
        assert_int_equal(wide.len, len);
        if (!chars_have_no_case((unsigned char)*bytes)) continue;
        assert_int_equal(len, 3);
        assert_int_equal(char_lower(code), code);
        assert_false(char_classes(code) & (CHAR_UPPER | CHAR_LOWER | CHAR_TITLE));
    }
    assert_int_equal(slice_space_at(S("\xE3\x80"), 0), 0); // no character
    assert_int_equal(slice_space_at(S("\xC2"), 0), 0);
    assert_int_equal(slice_space_at(S("a"), 1), 0);
}

static void test_lower(void **state) {
    (void)state;
    assert_int_equal(char_lower('A'), 'a');
    assert_int_equal(char_lower(0xC4), 0xE4);
    assert_int_equal(char_lower(0x212A), 'k'); // the Kelvin sign
    assert_int_equal(char_lower(0xDF), 0xDF);
}

static void test_fold(void **state) {
    (void)state;
    for (uint32_t code = 0; code <= 0x10FFFF; code++)
        assert_int_equal(char_fold(char_fold(code)), char_fold(code));
    assert_int_equal(char_fold('A'), 'a');
    assert_int_equal(char_fold(0x130), 'i');
    assert_int_equal(char_fold(0x131), 'i');
    assert_int_equal(char_fold(0x17F), 's');
    assert_int_equal(char_fold(0x212A), 'k');
    assert_int_equal(char_fold(0x3C2), 0x3C3);
    assert_int_equal(char_fold(0x1E9E), 0xDF);
    assert_int_equal(char_fold(0x1C80), 0x432);
    assert_int_equal(char_fold(0x1C89), 0x1C89);
    assert_int_equal(char_fold(0xFB05), 0xFB06);
}

static void test_strip(void **state) {
    (void)state;
    check_slice(slice_strip(S(" \t\xE3\x80\x80 a b \n"), CHAR_SPACE), "a b");
    check_slice(slice_strip(S(" \n "), CHAR_SPACE), "");
    check_slice(slice_strip(S("**a-b!?"), CHAR_PUNCT), "a-b");
    check_slice(slice_strip_left(S("..a.."), CHAR_PUNCT), "a..");
    check_slice(slice_strip_right(S("..a.."), CHAR_PUNCT), "..a");
    check_slice(slice_strip((struct slice){NULL, 0}, CHAR_SPACE), "");
    assert_true(slice_is_blank(S("\xC2\xA0\n")));
    assert_false(slice_is_blank(S(" x")));
}

static void test_parts(void **state) {
    (void)state;
    check_slice(slice_chars(S("\xC3\xA4\xE4\xB8\xAD"
                              "b"),
                            1, 2),
                "\xE4\xB8\xAD");
    check_slice(slice_chars(S("abc"), 1, 9), "bc");
    check_slice(slice_chars(S("abc"), 5, 9), "");
    check_slice(slice_part(S("abc"), 2, 1), "");
    check_slice(slice_from(S("abc"), 7), "");
    assert_int_equal(slice_n_chars(S("\xC3\xA4"
                                     "b\xF0\x9F\x98\x80")),
                     3);
}

static void test_find(void **state) {
    (void)state;
    assert_int_equal(slice_find(S("abcabc"), S("bc"), 2), 4);
    assert_int_equal(slice_find(S("abc"), S("x"), 0), SLICE_NONE);
    assert_int_equal(slice_find(S("abc"), S("c"), 9), SLICE_NONE);
    assert_int_equal(slice_count(S("aaaaa"), S("aa")), 2);
    assert_int_equal(slice_count(S("aaa"), S("")), 0);
    // \b is a change between word and no word.
    assert_int_equal(slice_find_word(S("moment mom"), S("mom"), 0), 7);
    assert_int_equal(slice_find_word(S("mom\xC3\xA9"), S("mom"), 0), SLICE_NONE);
    assert_int_equal(slice_find_word(S("a_mom"), S("mom"), 0), SLICE_NONE);
    assert_int_equal(slice_find_word(S("c++ d"), S("c++"), 0), SLICE_NONE); // no \b behind "+"
    assert_int_equal(slice_find_word(S("c++d"), S("c++"), 0), 0);
}

static void test_case(void **state) {
    (void)state;
    assert_true(slice_is_upper(S("U.S. 3D")));
    assert_false(slice_is_upper(S("123 \xE4\xB8\xAD"))); // no cased character
    assert_false(slice_is_upper(S("\xC7\x85 A")));       // title case
    assert_false(slice_is_upper(S("")));
    assert_true(slice_is_lower(S("caf\xC3\xA9 1")));
    assert_false(slice_is_lower(S("aB")));
    assert_true(slice_all(S("\xD9\xA3"
                            "4"),
                          CHAR_DIGIT));
    assert_false(slice_all(S(""), CHAR_DIGIT));
    assert_false(slice_all(S("4a"), CHAR_DIGIT));
    assert_true(slice_is_number(S("4²①٣")));
    assert_false(slice_is_number(S("4½")));
    assert_false(slice_is_number(S("")));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_classes), cmocka_unit_test(test_bytes), cmocka_unit_test(test_lower),
        cmocka_unit_test(test_fold),    cmocka_unit_test(test_strip), cmocka_unit_test(test_parts),
        cmocka_unit_test(test_find),    cmocka_unit_test(test_case),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
