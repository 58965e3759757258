// `language`: the language of what is prose in a completion.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <cmocka.h>

#include "verifiers/verifier.h"

#define GERMAN  "Zuerst rechnen wir die Summe aus, dann teilen wir sie durch zwei. "
#define ENGLISH "First we compute the sum of both numbers, then we divide it by two. "
#define CHINESE "首先我们计算这两个数的和，然后把它除以二。"

static struct reward *grade(const char *keys, struct slice completion) {
    char json[256];
    struct error err;
    snprintf(json, sizeof json, "[{\"verifier\":\"language\"%s}]", keys);
    struct reward_spec *spec = reward_spec_parse(slice_of(json), NULL, 0, &err);
    if (!spec) print_error("%s: %s\n", json, err.text);
    assert_non_null(spec);
    const struct verifier_sample sample = {.completion = completion, .n_tokens = -1};
    struct reward *reward = reward_grade(spec, &sample);
    reward_spec_free(&spec);
    return reward;
}

static void check(const char *language, const char *completion, double value,
                  enum reward_status status) {
    char keys[64];
    snprintf(keys, sizeof keys, ",\"language\":%s", language);
    struct reward *reward = grade(keys, slice_of(completion));
    if (reward->value != value || reward->status != status)
        print_error("%s on \"%.80s\": %g %s\n", language, completion, reward->value,
                    reward_status_name(reward->status));
    assert_true(reward->value == value);
    assert_int_equal(reward->status, status);
    reward_free(&reward);
}

static void test_languages(void **state) {
    (void)state;
    check("\"en\"", ENGLISH, 1, REWARD_OK);
    check("\"de\"", ENGLISH, 0, REWARD_OK);
    check("\"de\"", GERMAN, 1, REWARD_OK);
    check("\"zh-cn\"", CHINESE, 1, REWARD_OK);
    check("\"zh\"", CHINESE, 1, REWARD_OK);
    check("\"zh\"", ENGLISH, 0, REWARD_OK);
    check("\"en\"", CHINESE, 0, REWARD_OK);
    check("\"en\"", "The answer is 4.", 1, REWARD_OK);
}

// Code, mathematics and tags have no language.
static void test_stripped(void **state) {
    (void)state;
    check("\"de\"", GERMAN "```python\n" ENGLISH ENGLISH ENGLISH "\n```", 1, REWARD_OK);
    check("\"de\"", GERMAN "`" ENGLISH ENGLISH ENGLISH "`", 1, REWARD_OK);
    check("\"de\"", GERMAN "$$\\text{" ENGLISH ENGLISH ENGLISH "}$$", 1, REWARD_OK);
    check("\"de\"", GERMAN "\\[" ENGLISH ENGLISH ENGLISH "\\]", 1, REWARD_OK);
    check("\"de\"", "<answer>" GERMAN "</answer>", 1, REWARD_OK);
    check("\"de\"", GERMAN "```" ENGLISH ENGLISH ENGLISH, 0, REWARD_OK); // never closed
    check("\"en\"", "It costs $5, and the other one, which is better, costs $7.", 1, REWARD_OK);
}

static void test_short(void **state) {
    (void)state;
    check("\"en\"", "", 0, REWARD_NO_ANSWER);
    check("\"en\"", " \n", 0, REWARD_NO_ANSWER);
    check("\"en\"", "42", 0, REWARD_UNKNOWN);
    check("\"en\"", "Yes, sir.", 0, REWARD_UNKNOWN);
    check("\"en\"", "$\\text{the answer of this problem is seven}$", 0, REWARD_UNKNOWN);
    check("\"ja\"", "答えは", 0, REWARD_UNKNOWN);
    check("\"ja\"", "答えは五です", 1, REWARD_OK);
}

// A text cannot change its language behind its first page.
static void test_parts(void **state) {
    struct buffer text = {0};
    (void)state;
    for (int i = 0; i < 1000; i++) buffer_add_text(&text, ENGLISH);
    check("\"en\"", text.ptr, 1, REWARD_OK);
    for (int i = 0; i < 1000; i++) buffer_add_text(&text, GERMAN);
    check("\"en\"", text.ptr, 0, REWARD_OK);
    check("\"de\"", text.ptr, 0, REWARD_OK);
    buffer_free(&text);
    for (int i = 0; i < 1000; i++) buffer_add_text(&text, CHINESE); // cut at characters
    check("\"zh-cn\"", text.ptr, 1, REWARD_OK);
    buffer_free(&text);
}

static void test_where(void **state) {
    static const char *const TEXT = "<think>" GERMAN GERMAN GERMAN "</think>" ENGLISH;
    (void)state;
    check("\"en\"", TEXT, 0, REWARD_OK);
    check("\"en\",\"where\":\"answer\"", TEXT, 1, REWARD_OK);
    check("\"en\",\"where\":\"all\"", TEXT, 0, REWARD_OK);
    check("\"en\",\"where\":\"answer\"", "<think>" ENGLISH "</think> ", 0, REWARD_NO_ANSWER);
    check("\"en\",\"where\":\"answer\"", "<think>" ENGLISH, 0, REWARD_NO_ANSWER);
    check("\"en\",\"where\":\"answer\"", ENGLISH, 1, REWARD_OK);
}

static void test_hostile(void **state) {
    static const char *const UNITS[] = {"```x", "$ x", "$$",   "\\( x",    "`\n",
                                        "<a",   "\\",  "\xFF", "</think>", "a@b.c "};
    (void)state;
    for (size_t i = 0; i < sizeof UNITS / sizeof *UNITS; i++) {
        struct buffer text = {0};
        struct timespec from, to;
        while (text.len < (1 << 20) - 16) buffer_add_text(&text, UNITS[i]);
        clock_gettime(CLOCK_THREAD_CPUTIME_ID, &from);
        struct reward *reward =
            grade(",\"language\":\"en\",\"where\":\"answer\"", buffer_slice(&text));
        clock_gettime(CLOCK_THREAD_CPUTIME_ID, &to);
        print_message("%.1f ms: %zu bytes of \"%s\"\n",
                      (double)(to.tv_sec - from.tv_sec) * 1e3 +
                          (double)(to.tv_nsec - from.tv_nsec) / 1e6,
                      text.len, UNITS[i]);
        assert_true(reward->value == 0);
        reward_free(&reward);
        for (int k = 0; k < 32; k++) buffer_add_text(&text, "x");
        reward = grade(",\"language\":\"en\"", buffer_slice(&text));
        assert_int_equal(reward->status, REWARD_LIMIT);
        reward_free(&reward);
        buffer_free(&text);
    }
}

static void test_bad_specs(void **state) {
    static const struct {
        const char *keys, *sentence;
    } BAD[] = {
        {"", "The key \"language\" is missing."},
        {",\"language\":\"xx\"", "\"language\" is \"xx\"; one of the 55 codes of langdetect"},
        {",\"language\":\"EN\"", "\"language\" is \"EN\""},
        {",\"language\":[\"en\"]", "\"language\" is an array; a string was expected."},
        {",\"language\":\"en\",\"where\":\"think\"", "\"all\" or \"answer\" was expected."},
        {",\"language\":\"en\",\"min\":3", "The key \"min\" is not known."},
    };
    (void)state;
    for (size_t i = 0; i < sizeof BAD / sizeof *BAD; i++) {
        char json[256];
        struct error err = {0};
        snprintf(json, sizeof json, "[{\"verifier\":\"language\"%s}]", BAD[i].keys);
        assert_null(reward_spec_parse(slice_of(json), NULL, 0, &err));
        if (!strstr(err.text, BAD[i].sentence)) print_error("%s says: %s\n", json, err.text);
        assert_non_null(strstr(err.text, BAD[i].sentence));
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_languages), cmocka_unit_test(test_stripped),
        cmocka_unit_test(test_short),     cmocka_unit_test(test_parts),
        cmocka_unit_test(test_where),     cmocka_unit_test(test_hostile),
        cmocka_unit_test(test_bad_specs),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
