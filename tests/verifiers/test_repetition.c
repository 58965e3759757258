// `repetition`: the share of n-grams that come again, as a penalty.
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <cmocka.h>

#include "verifiers/verifier.h"

static struct reward *grade(const char *keys, struct slice completion) {
    char json[256];
    struct error err;
    snprintf(json, sizeof json, "[{\"verifier\":\"repetition\"%s}]", keys);
    struct reward_spec *spec = reward_spec_parse(slice_of(json), NULL, 0, &err);
    if (!spec) print_error("%s: %s\n", json, err.text);
    assert_non_null(spec);
    const struct verifier_sample sample = {.completion = completion, .n_tokens = -1};
    struct reward *reward = reward_grade(spec, &sample);
    reward_spec_free(&spec);
    return reward;
}

static double value_of(const char *keys, const char *completion) {
    struct reward *reward = grade(keys, slice_of(completion));
    const double value = reward->value;
    assert_int_equal(reward->status, REWARD_OK);
    reward_free(&reward);
    return value;
}

static void check(const char *keys, const char *completion, double value) {
    const double got = value_of(keys, completion);
    if (fabs(got - value) > 1e-12) print_error("%s on \"%s\": %g\n", keys, completion, got);
    assert_true(fabs(got - value) <= 1e-12);
    assert_false(signbit(got) && got == 0);
}

static void test_formula(void **state) {
    (void)state;
    check("", "", 0);
    check("", "one two", 0);
    check("", "one two three four five six", 0);
    check("", "one two three one two three", -0.25); // 4 trigrams, one again
    check("", "One  TWO\nthree one two THREE", -0.25);
    check(",\"ngram\":2", "a b a b a b", -3.0 / 5);
    check(",\"ngram\":1", "a a a a", -0.75);
    check(",\"ngram\":1,\"max_penalty\":0.5", "a a a a", -0.375);
    check(",\"ngram\":2,\"max_penalty\":2", "a b a b a b", -6.0 / 5);
    check(",\"ngram\":4", "a b c a b c", 0);
    check(",\"ngram\":64", "a b c a b c", 0);
    // Order counts, and what words run together to does not.
    check(",\"ngram\":2", "a b b a", 0);
    check(",\"ngram\":2", "ab c a bc", 0);
    check(",\"ngram\":1", "Ä ä", -0.5);
}

// Text without spaces repeats too.
static void test_scripts(void **state) {
    struct buffer text = {0};
    (void)state;
    check(",\"ngram\":1", "我我我我", -0.75);
    check("", "我们走我们走", -0.25);
    check("", "答案是五。", 0);
    check(",\"ngram\":1", "한국어 한국어", -0.5); // Korean has spaces
    for (int i = 0; i < 1000; i++) buffer_add_text(&text, "ha");
    assert_true(value_of("", text.ptr) < -0.9);
    buffer_free(&text);
    check(",\"ngram\":1", "\xFF \xFE", -0.5); // both are U+FFFD
}

// The same as counting them one by one.
static void test_reference(void **state) {
    enum { N = 300, NGRAM = 3 };
    char words[N];
    struct buffer text = {0};
    unsigned random = 1;
    int n_again = 0;
    (void)state;
    for (int i = 0; i < N; i++) {
        random = random * 1103515245u + 12345u;
        words[i] = (char)('a' + (random >> 16) % 5);
        buffer_add(&text, &words[i], 1);
        buffer_add(&text, " ", 1);
    }
    for (int i = 0; i + NGRAM <= N; i++)
        for (int j = 0; j < i; j++)
            if (memcmp(words + i, words + j, NGRAM) == 0) {
                n_again++;
                break;
            }
    assert_true(n_again > 100);
    check("", text.ptr, -(double)n_again / (N - NGRAM + 1));
    buffer_free(&text);
}

static void test_budget(void **state) {
    struct buffer text = {0};
    struct timespec from, to;
    (void)state;
    for (unsigned i = 0; text.len < (1 << 20) - 16; i++) buffer_printf(&text, "%x ", i % 100000);
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &from);
    struct reward *reward = grade("", buffer_slice(&text));
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &to);
    print_message("%.1f ms for %zu bytes\n",
                  (double)(to.tv_sec - from.tv_sec) * 1e3 +
                      (double)(to.tv_nsec - from.tv_nsec) / 1e6,
                  text.len);
    assert_int_equal(reward->status, REWARD_OK);
    assert_true(reward->value < 0 && reward->value > -1);
    reward_free(&reward);
    while (text.len <= 1 << 20) buffer_add_text(&text, "more ");
    reward = grade("", buffer_slice(&text));
    assert_int_equal(reward->status, REWARD_LIMIT);
    reward_free(&reward);
    buffer_free(&text);
}

static void test_bad_specs(void **state) {
    static const struct {
        const char *keys, *sentence;
    } BAD[] = {
        {",\"ngram\":0", "\"ngram\" is 0; a number of words, 1 to 64, was expected."},
        {",\"ngram\":65", "\"ngram\" is 65"},
        {",\"ngram\":2.5", "\"ngram\" is 2.5"},
        {",\"ngram\":\"3\"", "\"ngram\" is \"3\""},
        {",\"max_penalty\":-1", "\"max_penalty\" is -1; a finite number above 0 was expected"},
        {",\"max_penalty\":0", "\"max_penalty\" is 0"},
        {",\"max_penalty\":1e999", "\"max_penalty\" is 1e999"},
        {",\"n\":3", "The key \"n\" is not known."},
        {",\"gate\":true", "The verifier repetition cannot be a gate."},
    };
    (void)state;
    for (size_t i = 0; i < sizeof BAD / sizeof *BAD; i++) {
        char json[256];
        struct error err = {0};
        snprintf(json, sizeof json, "[{\"verifier\":\"repetition\"%s}]", BAD[i].keys);
        assert_null(reward_spec_parse(slice_of(json), NULL, 0, &err));
        if (!strstr(err.text, BAD[i].sentence)) print_error("%s says: %s\n", json, err.text);
        assert_non_null(strstr(err.text, BAD[i].sentence));
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_formula),   cmocka_unit_test(test_scripts),
        cmocka_unit_test(test_reference), cmocka_unit_test(test_budget),
        cmocka_unit_test(test_bad_specs),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
