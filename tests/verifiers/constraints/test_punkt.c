// Sentences. The expected ones are those of NLTK 3.9.2 with the same tables.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <cmocka.h>

#include "tests/verifiers/constraints/pieces.h"
#include "verifiers/constraints/text_sentences.h"

static void check(const char *response, const char *expected) {
    struct arena arena = {0};
    struct constraint_text text;
    text_open(&text, slice_of(response), &arena);
    char *got = pieces_join_runs(text_sentences(&text), "|");
    assert_false(text.over);
    assert_string_equal(got, expected);
    free(got);
    arena_clear(&arena);
}

static void test_sentences(void **state) {
    static const char *const CASES[][2] = {
        {"", ""},
        {"   \n ", ""},
        {"Hello world", "Hello world"},
        {"One. Two! Three?", "One.|Two!|Three?"},
        {"Dr. Smith met Mr. Jones at 5 p.m. They talked.",
         "Dr. Smith met Mr. Jones at 5 p.m.|They talked."},
        {"He lives in the U.S. and works.", "He lives in the U.S. and works."},
        {"He left the U.S. He came back.", "He left the U.S.|He came back."},
        {"Wait... what? Yes... Sure.", "Wait... what?|Yes... Sure."},
        {"He said \"Go!\" and left. \"Why?\" she asked.",
         "He said \"Go!\"|and left.|\"Why?\"|she asked."},
        {"(Really.) Yes. [No.] 'Maybe.' End", "(Really.)|Yes.|[No.]|'Maybe.'|End"},
        {"J. S. Bach wrote it. It cost 3.50. Item 5. was lost.",
         "J. S. Bach wrote it.|It cost 3.50.|Item 5. was lost."},
        {"See Fig. 3. It shows e.g. this. ok? no", "See Fig.|3.|It shows e.g.|this.|ok?|no"},
        {"\n  Leading space. Next.\n\nPara two without end\n\nPara three!",
         "\n  Leading space.|Next.|Para two without end\n\nPara three!"},
        {"a.b.c. Next one", "a.b.c.|Next one"},
        {"Version 2.0. Released in Jan. 2020. Then Inc. Most agreed.",
         "Version 2.0.|Released in Jan. 2020.|Then Inc.|Most agreed."},
        {"No space.Here it is.And there", "No space.Here it is.And there"},
        {"Hmm. . . well. . . . Then.", "Hmm.|.|.|well.|.|.|.|Then."},
        {"What?! No way!! Ok.", "What?!|No way!!|Ok."},
        {"End.” Next “quote.” More.", "End.” Next “quote.” More."},
        {"第一句。第二句。 Third. Fourth", "第一句。第二句。 Third.|Fourth"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof CASES / sizeof *CASES; i++) check(CASES[i][0], CASES[i][1]);
}

// Marks without end are one sentence, and cost a few steps a byte.
static void test_long(void **state) {
    static const char *const UNITS[] = {".", "a.", "a. ", ". ", "!\")", "x.)", " \n", "a.\n\n"};
    (void)state;
    for (size_t i = 0; i < sizeof UNITS / sizeof *UNITS; i++) {
        struct arena arena = {0};
        struct constraint_text text;
        struct buffer long_text = {0};
        for (int n = 0; n < 50000; n++) buffer_add_text(&long_text, UNITS[i]);
        text_open(&text, buffer_slice(&long_text), &arena);
        const uint64_t before = text.steps_left;
        text_sentences(&text);
        assert_false(text.over);
        assert_true(before - text.steps_left < 16 * long_text.len);
        buffer_free(&long_text);
        arena_clear(&arena);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_sentences),
        cmocka_unit_test(test_long),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
