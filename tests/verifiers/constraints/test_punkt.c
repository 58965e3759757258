// Sentences. The expected ones are those of NLTK 3.9.2 with the same tables.
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <cmocka.h>

#include "tests/verifiers/constraints/pieces.h"
#include "verifiers/constraints/chars.h"
#include "verifiers/constraints/text_sentences.h"

static void check_slice(struct slice response, const char *expected) {
    struct arena arena = {0};
    struct constraint_text text;
    text_open(&text, response, &arena);
    char *got = pieces_join_runs(text_sentences(&text), "|");
    assert_false(text.over);
    assert_string_equal(got, expected);
    free(got);
    arena_clear(&arena);
}

static void check(const char *response, const char *expected) {
    check_slice(slice_of(response), expected);
}

// Tables are made when they are first needed: the first test of all, from four threads at once.
enum { N_THREADS = 4 };
struct racer {
    pthread_barrier_t *start;
    size_t n_characters, n_sentences;
};

static void *race(void *argument) {
    struct racer *r = argument;
    const struct slice s = slice_of("Dr. A\xC3\xB1o met \xE4\xB8\xAD at 5 p.m. They talked.");
    pthread_barrier_wait(r->start);
    for (uint32_t code = 0; code < 0x20000; code++)
        r->n_characters += char_classes(code) != 0 || char_lower(code) != code;
    struct arena arena = {0};
    struct constraint_text text;
    text_open(&text, s, &arena);
    r->n_sentences = text_sentences(&text)->n;
    arena_clear(&arena);
    return NULL;
}

static void test_threads(void **state) {
    (void)state;
    pthread_barrier_t start;
    pthread_t threads[N_THREADS];
    struct racer racers[N_THREADS] = {0};
    assert_int_equal(pthread_barrier_init(&start, NULL, N_THREADS), 0);
    for (int i = 0; i < N_THREADS; i++) {
        racers[i].start = &start;
        assert_int_equal(pthread_create(&threads[i], NULL, race, &racers[i]), 0);
    }
    for (int i = 0; i < N_THREADS; i++) assert_int_equal(pthread_join(threads[i], NULL), 0);
    pthread_barrier_destroy(&start);
    for (int i = 0; i < N_THREADS; i++) {
        assert_int_equal(racers[i].n_sentences, 2);
        assert_int_equal(racers[i].n_characters, racers[0].n_characters);
    }
    assert_true(racers[0].n_characters > 50000);
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
    check_slice((struct slice){"Item 5. \0 ", 10}, "Item 5.|"); // NUL is none of the marks
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
        cmocka_unit_test(test_threads),
        cmocka_unit_test(test_sentences),
        cmocka_unit_test(test_long),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
