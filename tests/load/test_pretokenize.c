// Each alternative of the pattern, and where they meet; tests/python/test_tokenizer.py compares
// every short string with the library's own cuts.
#include "worker/load/pretokenize.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "worker/load/unicode_classes.h"

// `expected` is the text with a '|' at each cut.
static void expect_cuts(const char *expected) {
    char text[256];
    size_t n = 0, at = 0;
    for (const char *p = expected; *p; p++)
        if (*p != '|') text[n++] = *p;
    for (const char *p = expected; *p;) {
        size_t len = pretokenize_next((struct slice){text + at, n - at});
        size_t wanted = strcspn(p, "|");
        if (len != wanted) fail_msg("at byte %zu of \"%s\": %zu bytes", at, expected, len);
        at += len;
        p += wanted + (p[wanted] == '|');
    }
    assert_int_equal(at, n);
}

static void cuts(void **state) {
    static const char *const texts[] = {
        "I|'m| here|,| they|'LL| don|'t",
        "'re|'Ve|'x| '|y",
        "123|456|7| |89",
        "a|1|b",
        "  | a",
        "a|  | b",
        "x| !!\n\n|y",
        "x|\n| y",
        "x|   \n \n|  | y",
        "end|   ",
        "\t|\ttab",
        "\r\n|x",
        "'\xc5\xbf|t",
        "'\xe2\x84\xaa",
        "caf\xc3\xa9s|\xcc\x81",
        "\xe3\x80\x80\xe6\x97\xa5",
        "\xd9\xa1\xd9\xa2\xd9\xa3|\xd9\xa4",
        "\xe2\x82\xac\xf0\x9f\x99\x82| ok",
        "\xc2\xa0|\xc2\xa0x",
        "a| =|\xc2\xa0|\xc2\xa0|=",
    };
    (void)state;
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) expect_cuts(texts[i]);
}

static void classes_have_their_ends(void **state) {
    (void)state;
    assert_true(unicode_is_letter('A') && unicode_is_letter('z') && unicode_is_letter(0x323af));
    assert_false(unicode_is_letter('@') || unicode_is_letter('{') || unicode_is_letter(0x323b0));
    assert_true(unicode_is_number('0') && unicode_is_number(0xbd) && unicode_is_number(0x1fbf9));
    assert_false(unicode_is_number('/') || unicode_is_number(0x1fbfa));
    assert_true(unicode_is_space('\t') && unicode_is_space(0x85) && unicode_is_space(0x3000));
    assert_false(unicode_is_space(0x1c) || unicode_is_space(0x200b) || unicode_is_space(0x180e));
    assert_false(unicode_is_letter(UINT32_MAX) || unicode_is_number(UINT32_MAX));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(cuts),
        cmocka_unit_test(classes_have_their_ends),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
