// `tags`: the shape of a template.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>

#include "verifiers/verifier.h"

static struct reward *grade(const char *keys, struct slice completion) {
    char json[256];
    struct error err;
    snprintf(json, sizeof json, "[{\"verifier\":\"tags\",%s}]", keys);
    struct reward_spec *spec = reward_spec_parse(slice_of(json), NULL, 0, &err);
    if (!spec) print_error("%s: %s\n", json, err.text);
    assert_non_null(spec);
    const struct verifier_sample sample = {.completion = completion, .n_tokens = -1};
    struct reward *reward = reward_grade(spec, &sample);
    reward_spec_free(&spec);
    return reward;
}

static void check(const char *keys, const char *completion, double value) {
    struct reward *reward = grade(keys, slice_of(completion));
    if (reward->value != value || reward->status != REWARD_OK)
        print_error("%s on \"%s\": %g %s\n", keys, completion, reward->value,
                    reward_status_name(reward->status));
    assert_true(reward->value == value);
    assert_int_equal(reward->status, REWARD_OK);
    reward_free(&reward);
}

#define BOTH "\"tags\":[\"think\",\"answer\"]"

static void test_order(void **state) {
    (void)state;
    check(BOTH, "<think>a</think><answer>b</answer>", 1);
    check(BOTH, "Well. <think>\na\n</think>\nSo <answer>b</answer>.", 1);
    check(BOTH, "<think></think><answer></answer>", 1);
    check(BOTH, "<answer>b</answer><think>a</think>", 0);
    check(BOTH, "<think>a<answer>b</answer></think>", 0);
    check(BOTH, "<think>a<answer>b</think></answer>", 0);
    check(BOTH, "<think>a</think>", 0);
    check(BOTH, "<think>a</think><answer>b", 0);
    check(BOTH, "<think>a<answer>b</answer>", 0);
    check(BOTH, "a</think><answer>b</answer>", 0);
    check(BOTH, "</think><think>a</think><answer>b</answer>", 0);
    check(BOTH, "<think>a</think><think>c</think><answer>b</answer>", 0);
    check(BOTH, "<think>a</think><answer>b</answer><answer>c</answer>", 0);
    check(BOTH, "<think>a</think><answer>b</answer></answer>", 0);
    check(BOTH, "<Think>a</Think><answer>b</answer>", 0);
    check(BOTH, "<think >a</think><answer>b</answer>", 0);
    check("\"tags\":[\"a\"]", "x <a>1</a>", 1);
}

static void test_full(void **state) {
    static const char KEYS[] = BOTH ",\"where\":\"full\"";
    (void)state;
    check(KEYS, "<think>a</think><answer>b</answer>", 1);
    check(KEYS, " <think>a</think>\n\n<answer>b</answer>\n", 1);
    check(KEYS, "Well. <think>a</think><answer>b</answer>", 0);
    check(KEYS, "<think>a</think> So <answer>b</answer>", 0);
    check(KEYS, "<think>a</think><answer>b</answer>.", 0);
    check(BOTH ",\"where\":\"search\"", "<think>a</think><answer>b</answer>.", 1);
}

static void test_opened(void **state) {
    static const char KEYS[] = BOTH ",\"where\":\"full\",\"opened\":true";
    (void)state;
    check(KEYS, "a</think><answer>b</answer>", 1);
    check(KEYS, "<think>a</think><answer>b</answer>", 0);
    check(KEYS, "a</think>x<answer>b</answer>", 0);
    check(KEYS, "a</think>b</think><answer>b</answer>", 0);
    check(KEYS, "a</think>", 0);
    check("\"tags\":[\"think\"],\"opened\":true", "a</think>b", 1);
    check("\"tags\":[\"think\"],\"opened\":true", "a", 0);
}

static void test_boxed(void **state) {
    (void)state;
    check("\"boxed\":true", "So \\boxed{42}.", 1);
    check("\"boxed\":true", "So \\boxed{\\frac{1}{2}}", 1);
    check("\"boxed\":true", "So \\boxed{\\{1\\}}", 1);
    check("\"boxed\":true", "So \\boxed{42", 0);
    check("\"boxed\":true", "So \\boxed{\\frac{1}{2}", 0);
    check("\"boxed\":true", "So \\boxed{4\\}", 0);
    check("\"boxed\":true", "So \\boxed{ }", 0);
    check("\"boxed\":true", "So 42.", 0);
    check("\"boxed\":true", "\\boxed{1} and \\boxed{2", 0);
    check("\"boxed\":true", "<think>\\boxed{1}</think> one", 0);
    check("\"boxed\":true", "<think>\\boxed{1</think> \\boxed{2}", 1);
    check("\"tags\":[\"think\"],\"boxed\":true", "<think>a</think>\\boxed{1}", 1);
    check("\"tags\":[\"think\"],\"boxed\":true", "<think>a</think>1", 0);
    check("\"tags\":[\"think\"],\"boxed\":true", "\\boxed{1}", 0);
    check("\"tags\":[\"think\"],\"boxed\":false", "<think>a</think>1", 1);
}

static void test_statuses(void **state) {
    struct buffer text = {0};
    (void)state;
    struct reward *reward = grade(BOTH, slice_of(" \n"));
    assert_int_equal(reward->status, REWARD_NO_ANSWER);
    reward_free(&reward);
    while (text.len <= 1 << 20) buffer_add_text(&text, "<think>\\boxed{");
    reward = grade(BOTH ",\"boxed\":true", buffer_slice(&text));
    assert_int_equal(reward->status, REWARD_LIMIT);
    reward_free(&reward);
    text.len = 1 << 20;
    reward = grade(BOTH ",\"boxed\":true", buffer_slice(&text));
    assert_int_equal(reward->status, REWARD_OK);
    reward_free(&reward);
    buffer_free(&text);
}

static void test_bad_specs(void **state) {
    static const struct {
        const char *keys, *sentence;
    } BAD[] = {
        {"", "The key \"tags\" is missing; only \"boxed\": true can do without it."},
        {",\"boxed\":true,\"where\":\"full\"", "The key \"tags\" is missing"},
        {",\"boxed\":1", "\"boxed\" is a number; true or false was expected."},
        {",\"tags\":[\"a\"],\"opened\":\"no\"", "\"opened\" is a string; true or false"},
        {",\"tags\":\"think\"", "\"tags\" is \"think\"; a list of 1 to 8 names was expected."},
        {",\"tags\":[]", "\"tags\" is []; a list of 1 to 8 names was expected."},
        {",\"tags\":[1]", "\"tags\" holds 1; a name such as \"think\""},
        {",\"tags\":[\"<think>\"]", "\"tags\" holds \"<think>\"; a name"},
        {",\"tags\":[\"a\",\"b\",\"a\"]", "\"tags\" names \"a\" twice."},
        {",\"tags\":[\"a\"],\"where\":\"all\"",
         "\"where\" is \"all\"; \"search\" or \"full\" was expected."},
        {",\"tags\":[\"a\"],\"box\":true", "The key \"box\" is not known."},
    };
    (void)state;
    for (size_t i = 0; i < sizeof BAD / sizeof *BAD; i++) {
        char json[256];
        struct error err = {0};
        snprintf(json, sizeof json, "[{\"verifier\":\"tags\"%s}]", BAD[i].keys);
        assert_null(reward_spec_parse(slice_of(json), NULL, 0, &err));
        if (!strstr(err.text, BAD[i].sentence)) print_error("%s says: %s\n", json, err.text);
        assert_non_null(strstr(err.text, BAD[i].sentence));
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_order),    cmocka_unit_test(test_full),
        cmocka_unit_test(test_opened),   cmocka_unit_test(test_boxed),
        cmocka_unit_test(test_statuses), cmocka_unit_test(test_bad_specs),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
