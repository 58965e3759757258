// The prepared response: its views, and the budgets.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <cmocka.h>

#include "tests/verifiers/constraints/pieces.h"
#include "verifiers/constraints/chars.h"
#include "verifiers/constraints/text_sentences.h"

#define S(text) slice_of(text)

static struct arena arena;
static struct constraint_text text;

static struct constraint_text *open(const char *response) {
    arena_clear(&arena);
    text_open(&text, S(response), &arena);
    return &text;
}

static int close(void **state) {
    (void)state;
    arena_clear(&arena);
    return 0;
}

static void check_list(const struct slices *list, const char *expected) {
    char *joined = pieces_join(list, "|");
    assert_string_equal(joined, expected);
    free(joined);
}

static void check_slice(struct slice got, const char *expected) {
    if (!slice_is(got, expected)) print_error("got <%.*s>\n", SLICE_ARG(got));
    assert_true(slice_is(got, expected));
}

static void test_views(void **state) {
    (void)state;
    struct constraint_text *t = open("  Don't stop,\n snake_case\xC2\xA0"
                                     "3.14\n");
    check_slice(text_stripped(t), "Don't stop,\n snake_case\xC2\xA0"
                                  "3.14");
    check_list(text_lines(t), "  Don't stop,| snake_case\xC2\xA0"
                              "3.14|");
    check_list(text_fields(t), "Don't|stop,|snake_case|3.14");
    check_list(text_words(t), "Don|t|stop|snake_case|3|14");
    check_list(&text_tokens(t)->run[0], "Do|n't|stop|,|snake_case|3.14");
    check_list(&text_sentences(t)->run[0], "  Don't stop,\n snake_case\xC2\xA0"
                                           "3.14");
    assert_ptr_equal(text_words(t), text_words(t));
}

static void test_lower(void **state) {
    (void)state;
    check_slice(text_lower(open("ABC \xC3\x84")), "abc \xC3\xA4");
    // A capital sigma at the end of a word, and inside of one.
    check_slice(text_lower(open("\xCE\x91\xCE\xA3 \xCE\x91\xCE\xA3\xCE\x91")),
                "\xCE\xB1\xCF\x82 \xCE\xB1\xCF\x83\xCE\xB1");
    check_slice(text_lower(open("\xC4\xB0")), "i\xCC\x87");    // U+0130 becomes two code points
    check_slice(text_lower(open("\xC8\xBA")), "\xE2\xB1\xA5"); // two bytes become three
}

static void test_made(void **state) {
    (void)state;
    struct constraint_text *t = open("");
    struct slices parts = text_split_of(t, S("a, b,"), S(","));
    check_list(&parts, "a| b|");
    parts = text_split_of(t, S(""), S(","));
    assert_int_equal(parts.n, 1);
    check_slice(text_without_punctuation_of(t, S("it's (3.14) \xE2\x80\x9Cx\xE2\x80\x9D_")),
                "its 314 \xE2\x80\x9Cx\xE2\x80\x9D");
    check_slice(text_replace_of(t, S("a,b,c"), S(","), S(", ")), "a, b, c");
    check_slice(text_replace_of(t, S("aaa"), S("aa"), S("")), "a");
    check_slice(text_replace_of(t, S("abc"), S("x"), S("y")), "abc");
    check_slice(text_ascii_of(t, S("Br\xC3\xA1nko \xC2\xBD \xE4\xB8\xAD")), "Branko 12 ");
    size_t n;
    const uint32_t *codes = text_codes_of(t, S("a\xF0\x9F\x98\x80"), &n);
    assert_int_equal(n, 2);
    assert_int_equal(codes[1], 0x1F600);
}

static void test_mended(void **state) {
    (void)state;
    check_slice(open("a\xFF"
                     "b\xE4\xB8")
                    ->raw,
                "a\xEF\xBF\xBD"
                "b\xEF\xBF\xBD");
    arena_clear(&arena);
    text_open(&text, (struct slice){NULL, 0}, &arena);
    assert_int_equal(text_words(&text)->n, 0);
    assert_int_equal(text_sentences(&text)->n, 0);
}

static void test_budgets(void **state) {
    (void)state;
    struct constraint_text *t = open("some words here");
    assert_true(text_spend(t, t->steps_left));
    assert_false(text_spend(t, 1));
    assert_true(t->over);
    assert_int_equal(text_words(t)->n, 0); // from then on everything is empty
    text_refill(t);
    assert_false(text_spend(t, 1)); // and stays so
    t = open("some words here");
    const uint64_t full = t->steps_left;
    text_words(t);
    assert_true(t->steps_left < full);
    text_refill(t);
    assert_int_equal(t->steps_left, full);
    char *large = memory_new(TEXT_MAX_BYTES + 2, 1);
    memset(large, 'a', TEXT_MAX_BYTES + 1);
    assert_true(open(large)->over);
    large[TEXT_MAX_BYTES] = 0;
    assert_false(open(large)->over);
    assert_int_equal(text_words(&text)->n, 1);
    free(large);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_views),  cmocka_unit_test(test_lower),   cmocka_unit_test(test_made),
        cmocka_unit_test(test_mended), cmocka_unit_test(test_budgets),
    };
    return cmocka_run_group_tests(tests, NULL, close);
}
