// Reward specs, their refusals, and how terms make a reward (README.md, Rewards).
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>

#include "verifiers/verifier.h"

static struct verifier_command EXTERNALS[] = {{.name = (char *)"judge"}};

static struct reward_spec *spec_of(const char *json) {
    struct error err;
    struct reward_spec *spec = reward_spec_parse(slice_of(json), EXTERNALS, 1, &err);
    if (!spec) print_error("%s: %s\n", json, err.text);
    assert_non_null(spec);
    return spec;
}

static struct reward *grade(const char *json, const char *completion, int64_t n_tokens) {
    struct reward_spec *spec = spec_of(json);
    const struct verifier_sample sample = {.completion = slice_of(completion),
                                           .n_tokens = n_tokens};
    struct reward *reward = reward_grade(spec, &sample);
    reward_spec_free(&spec);
    assert_null(spec);
    return reward;
}

static void check(const char *json, const char *completion, double value,
                  enum reward_status status) {
    struct reward *reward = grade(json, completion, 100);
    if (reward->status != status || (reward->value != value && !isnan(value)))
        print_error("%s on %s: %g %s\n", json, completion, reward->value,
                    reward_status_name(reward->status));
    assert_int_equal(reward->status, status);
    if (isnan(value))
        assert_true(isnan(reward->value));
    else
        assert_true(reward->value == value);
    reward_free(&reward);
}

#define MATH          "{\"verifier\":\"math\",\"gold\":\"4\"}"
#define MATH_GATE     "{\"verifier\":\"math\",\"gold\":\"4\",\"gate\":true}"
#define EXACT(weight) "{\"verifier\":\"exact\",\"gold\":\"#### 4\",\"weight\":" weight "}"
#define BOX           "{\"verifier\":\"regex_format\",\"pattern\":\"boxed\",\"weight\":0.25}"
#define BOX_GATE      "{\"verifier\":\"regex_format\",\"pattern\":\"boxed\",\"gate\":true}"

static void test_compose(void **state) {
    (void)state;
    check("[" MATH "]", "#### 4", 1, REWARD_OK);
    check("[" MATH "]", "#### 5", 0, REWARD_OK);
    check("[" MATH "," BOX "]", "\\boxed{4}", 1.25, REWARD_OK);
    check("[" MATH "," EXACT("2") "," EXACT("-0.5") "]", " #### 4\n", 2.5, REWARD_OK);
    check("{\"terms\":[" MATH "]}", "#### 4", 1, REWARD_OK);
}

static void test_gate(void **state) {
    (void)state;
    check("[" MATH "," BOX_GATE "]", "\\boxed{4}", 2, REWARD_OK);
    check("[" MATH "," BOX_GATE "]", "#### 4", 0, REWARD_OK);
    check("[" MATH_GATE "," EXACT("3") "]", "#### 5", 0, REWARD_OK);
    check("{\"terms\":[" MATH "," BOX_GATE "],\"scale\":\"pm1\"}", "#### 4", -1, REWARD_OK);
    // A status without a value wins over a gate.
    check("[" BOX_GATE ",{\"verifier\":\"judge\"}]", "none", NAN, REWARD_UNSUPPORTED);
}

static void test_shape(void **state) {
    (void)state;
    check("{\"terms\":[" MATH "],\"scale\":\"01\"}", "#### 5", 0, REWARD_OK);
    check("{\"terms\":[" MATH "],\"scale\":\"pm1\"}", "#### 5", -1, REWARD_OK);
    check("{\"terms\":[" MATH "],\"scale\":\"pm1\"}", "#### 4", 1, REWARD_OK);
    // Clamped first: 3 becomes 0.75, then 2v - 1.
    check("{\"terms\":[" EXACT("3") "],\"clamp\":[0,0.75],\"scale\":\"pm1\"}", "#### 4", 0.5,
          REWARD_OK);
    check("{\"terms\":[" EXACT("-3") "],\"clamp\":[-2,0.75]}", "#### 4", -2, REWARD_OK);
    check("{\"terms\":[" EXACT("3") "],\"clamp\":null}", "#### 4", 3, REWARD_OK);
}

static void test_statuses(void **state) {
    (void)state;
    check("[" MATH "]", "", 0, REWARD_NO_ANSWER);
    check("[" MATH "]", "\\boxed{4 +}", 0, REWARD_UNKNOWN);
    check("[" EXACT("1") "]", " \n", 0, REWARD_NO_ANSWER);
    check("[{\"verifier\":\"judge\",\"anything\":[1]}]", "x", NAN, REWARD_UNSUPPORTED);
    // The others still count: no_answer has value 0.
    check("[" MATH ",{\"verifier\":\"length\",\"max\":90,\"weight\":2}]", "", -2, REWARD_NO_ANSWER);
    assert_true(REWARD_BAD_SPEC < REWARD_UNSUPPORTED && REWARD_UNSUPPORTED < REWARD_CRASH &&
                REWARD_CRASH < REWARD_TIMEOUT && REWARD_TIMEOUT < REWARD_UNKNOWN &&
                REWARD_UNKNOWN < REWARD_LIMIT && REWARD_LIMIT < REWARD_NO_ANSWER &&
                REWARD_NO_ANSWER < REWARD_OK);
    for (int i = REWARD_BAD_SPEC; i <= REWARD_OK; i++) {
        enum reward_status parsed;
        assert_true(
            reward_status_parse(slice_of(reward_status_name((enum reward_status)i)), &parsed));
        assert_int_equal(parsed, i);
        assert_int_equal(reward_status_has_value(parsed), i >= REWARD_UNKNOWN);
    }
}

// Every pair of statuses: the first in the order is the reward's, and nulls spread.
static void test_status_order(void **state) {
    struct reward_spec *spec = spec_of("[" MATH "," EXACT("2") "]");
    (void)state;
    for (int i = REWARD_BAD_SPEC; i <= REWARD_OK; i++)
        for (int j = REWARD_BAD_SPEC; j <= REWARD_OK; j++) {
            const struct verifier_outcome outcomes[] = {
                {.value = 1, .status = (enum reward_status)i},
                {.value = 1, .status = (enum reward_status)j}};
            struct reward *reward = reward_compose(spec, outcomes);
            assert_int_equal(reward->status, i < j ? i : j);
            assert_int_equal(isnan(reward->value), i <= REWARD_TIMEOUT || j <= REWARD_TIMEOUT);
            if (i >= REWARD_UNKNOWN && j >= REWARD_UNKNOWN)
                assert_true(reward->value == (i == REWARD_OK) + 2 * (j == REWARD_OK));
            reward_free(&reward);
        }
    struct reward *failed = reward_failed(spec, REWARD_TIMEOUT, "Late.");
    assert_true(isnan(failed->value) && failed->status == REWARD_TIMEOUT);
    assert_string_equal(failed->terms[1].detail, "Late.");
    reward_free(&failed);
    reward_spec_free(&spec);
}

static void check_length(int64_t n_tokens, double value) {
    struct reward *reward =
        grade("[{\"verifier\":\"length\",\"max\":100,\"soft\":20}]", "x", n_tokens);
    assert_true(fabs(reward->value - value) < 1e-12);
    reward_free(&reward);
}

static void test_length(void **state) {
    (void)state;
    check_length(0, 0);
    check_length(80, 0);
    check_length(81, -0.05);
    check_length(90, -0.5);
    check_length(100, -1);
    check_length(1000, -1);
    struct reward *reward = grade("[{\"verifier\":\"length\",\"max\":100}]", "x", -1);
    assert_int_equal(reward->status, REWARD_UNSUPPORTED);
    assert_true(isnan(reward->value));
    reward_free(&reward);
    check("[{\"verifier\":\"length\",\"max\":100}]", "x", 0, REWARD_OK);
    check("[{\"verifier\":\"length\",\"max\":99}]", "x", -1, REWARD_OK);
}

static void test_json(void **state) {
    struct buffer out = {0};
    struct reward *reward = grade("[{\"verifier\":\"math\",\"gold\":[\"3\",4],\"name\":\"a\\\"b\"},"
                                  "{\"verifier\":\"judge\",\"weight\":0.1}]",
                                  "#### 4", -1);
    (void)state;
    reward_to_json(reward, &out);
    assert_string_equal(
        out.ptr, "{\"value\":null,\"status\":\"unsupported\",\"terms\":["
                 "{\"name\":\"a\\\"b\",\"verifier\":\"math\",\"value\":1.0,\"status\":\"ok\","
                 "\"weight\":1.0},"
                 "{\"name\":\"judge\",\"verifier\":\"judge\",\"value\":null,"
                 "\"status\":\"unsupported\",\"weight\":0.1,"
                 "\"detail\":\"The program of the verifier judge is not running.\"}]}");
    reward_free(&reward);
    buffer_free(&out);
}

static void test_bad_specs(void **state) {
    static const struct {
        const char *json, *sentence; // the sentence holds this
    } BAD[] = {
        {"", "reward: "},
        {"[", "reward: "},
        {"7", "It is a number; a list of terms was expected."},
        {"[]", "It has 0 terms; 1 to 32 were expected."},
        {"{}", "The key \"terms\" is missing."},
        {"{\"terms\":{}}", "It is an object; a list of terms was expected."},
        {"{\"terms\":[" MATH "],\"clip\":[0,1]}", "The key \"clip\" is not known."},
        {"{\"terms\":[" MATH "],\"clamp\":[1]}", "\"clamp\" is [1]; [low, high] was expected."},
        {"{\"terms\":[" MATH "],\"clamp\":[1,0]}", "low <= high was expected."},
        {"{\"terms\":[" MATH "],\"clamp\":[1,1e999]}", "a finite number was expected."},
        {"{\"terms\":[" MATH "],\"scale\":2}", "\"scale\" is 2; \"01\" or \"pm1\" was expected."},
        {"[3]", "Term 0: It is a number; an object was expected."},
        {"[" MATH ",{}]", "Term 1: The key \"verifier\" is missing."},
        {"[{\"verifier\":3}]", "\"verifier\" is a number; a string was expected."},
        {"[{\"verifier\":\"maths\"}]", "The verifier \"maths\" is not known"},
        {"[{\"verifier\":\"ifeval\"}]", "\"instruction_id_list\" is missing"},
        {"[{\"verifier\":\"judge\",\"weight\":\"1\"}]", "\"weight\" is \"1\""},
        {"[{\"verifier\":\"judge\",\"gate\":1}]", "\"gate\" is a number; true or false was"},
        {"[{\"verifier\":\"judge\",\"name\":\"\"}]", "\"name\" has 0 bytes; 1 to 64 were"},
        {"[{\"verifier\":\"math\"}]", "The key \"gold\" is missing."},
        {"[{\"verifier\":\"math\",\"gold\":null}]", "\"gold\" is or holds null"},
        {"[{\"verifier\":\"math\",\"gold\":[]}]", "\"gold\" has 0 elements; 1 to 64"},
        {"[{\"verifier\":\"math\",\"gold\":[[1]]}]", "\"gold\" is or holds an array"},
        {"[{\"verifier\":\"math\",\"gold\":\"\"}]", "A gold of the verifier math is empty."},
        {"[{\"verifier\":\"math\",\"gold\":\"4 +\"}]", "The gold \"4 +\" of the verifier"},
        {"[{\"verifier\":\"math\",\"gold\":\"4\",\"policy\":\"lax\"}]",
         "\"policy\" is \"lax\"; \"value\", \"literal\" or \"simplified\" was expected."},
        {"[{\"verifier\":\"math\",\"gold\":\"4\",\"lists\":\"sorted\"}]",
         "\"lists\" is \"sorted\"; \"any_order\" or \"ordered\" was expected."},
        {"[{\"verifier\":\"math\",\"gold\":\"4\",\"units\":1}]", "\"units\" is a number"},
        {"[{\"verifier\":\"math\",\"gold\":\"4\",\"data\":\"mars\"}]", "\"data\" is \"mars\""},
        {"[{\"verifier\":\"math\",\"gold\":\"4\",\"weigth\":2}]", "The key \"weigth\" is not"},
        {"[{\"verifier\":\"exact\",\"gold\":4}]", "\"gold\" is a number; a string was expected."},
        {"[{\"verifier\":\"exact\",\"gold\":\" \"}]", "\"gold\" is blank"},
        {"[{\"verifier\":\"regex_format\"}]", "The key \"pattern\" is missing."},
        {"[{\"verifier\":\"regex_format\",\"pattern\":\"(a\"}]",
         "\"pattern\" is no PCRE2 pattern: missing closing parenthesis at offset 2."},
        {"[{\"verifier\":\"regex_format\",\"pattern\":\"\"}]", "\"pattern\" has 0 bytes"},
        {"[{\"verifier\":\"regex_format\",\"pattern\":\"a\",\"where\":\"here\"}]",
         "\"search\" or \"full\" was expected."},
        {"[{\"verifier\":\"length\"}]", "\"max\" is missing; a number of tokens, 1 or more"},
        {"[{\"verifier\":\"length\",\"max\":0}]", "\"max\" is 0"},
        {"[{\"verifier\":\"length\",\"max\":5,\"soft\":6}]", "at most \"max\", 5, was expected."},
        {"[{\"verifier\":\"length\",\"max\":5,\"gate\":true}]",
         "The verifier length cannot be a gate."},
    };
    (void)state;
    for (size_t i = 0; i < sizeof BAD / sizeof *BAD; i++) {
        struct error err = {0};
        struct reward_spec *spec = reward_spec_parse(slice_of(BAD[i].json), EXTERNALS, 1, &err);
        assert_null(spec);
        if (!strstr(err.text, BAD[i].sentence))
            print_error("%s\n  says: %s\n", BAD[i].json, err.text);
        assert_non_null(strstr(err.text, BAD[i].sentence));
        assert_int_equal(err.code, ERROR_INPUT);
    }
}

static void test_budgets_of_specs(void **state) {
    struct buffer json = {0};
    struct error err;
    (void)state;
    buffer_add_text(&json, "[");
    for (int i = 0; i < 33; i++) buffer_printf(&json, "%s" MATH, i ? "," : "");
    buffer_add_text(&json, "]");
    assert_null(reward_spec_parse(buffer_slice(&json), NULL, 0, &err));
    assert_non_null(strstr(err.text, "It has 33 terms; 1 to 32 were expected."));
    buffer_clear(&json);
    for (int i = 0; i < REWARD_MAX_SPEC_BYTES + 1; i++) buffer_add(&json, " ", 1);
    assert_null(reward_spec_parse(buffer_slice(&json), NULL, 0, &err));
    assert_non_null(strstr(err.text, "at most 1048576 were expected."));
    buffer_free(&json);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_compose),
        cmocka_unit_test(test_gate),
        cmocka_unit_test(test_shape),
        cmocka_unit_test(test_statuses),
        cmocka_unit_test(test_status_order),
        cmocka_unit_test(test_length),
        cmocka_unit_test(test_json),
        cmocka_unit_test(test_bad_specs),
        cmocka_unit_test(test_budgets_of_specs),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
