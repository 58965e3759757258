// The keys of a `math` term: policies, presets of data sets, and their options.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>

#include "protocol/base/json.h"
#include "verifiers/verify.h"

struct row {
    const char *keys; // ", \"policy\": ..." or ""
    const char *gold, *answer;
    double value;
};

static struct reward_spec *parse(const char *gold, const char *keys) {
    struct buffer json = {0};
    struct error err;
    buffer_add_text(&json, "[{\"verifier\":\"math\",\"gold\":");
    json_add_string(&json, slice_of(gold));
    buffer_add_text(&json, keys);
    buffer_add_text(&json, "}]");
    struct reward_spec *spec = reward_spec_parse(buffer_slice(&json), NULL, 0, &err);
    buffer_free(&json);
    return spec;
}

static void check(const struct row *rows, size_t n) {
    int n_wrong = 0;
    for (size_t i = 0; i < n; i++) {
        struct buffer text = {0};
        buffer_printf(&text, "So \\boxed{%s}.", rows[i].answer);
        struct reward_spec *spec = parse(rows[i].gold, rows[i].keys);
        assert_non_null(spec);
        const struct verifier_sample sample = {.completion = buffer_slice(&text), .n_tokens = -1};
        struct reward *reward = reward_grade(spec, &sample);
        if (reward->value != rows[i].value) {
            print_error("gold %s%s, answer %s: %g (%s), expected %g\n", rows[i].gold, rows[i].keys,
                        rows[i].answer, reward->value, reward_status_name(reward->status),
                        rows[i].value);
            n_wrong++;
        }
        reward_free(&reward);
        reward_spec_free(&spec);
        buffer_free(&text);
    }
    assert_int_equal(n_wrong, 0);
}

#define CHECK(rows) check(rows, sizeof(rows) / sizeof *(rows))
#define LITERAL     ",\"policy\":\"literal\""
#define SIMPLIFIED  ",\"policy\":\"simplified\""

static void test_policies(void **state) {
    static const struct row ROWS[] = {
        {"", "12", "3 \\cdot 4", 1},
        {",\"policy\":\"value\"", "12", "3 \\cdot 4", 1},
        {LITERAL, "12", "3 \\cdot 4", 0},
        {LITERAL, "12", "12", 1},
        {LITERAL, "12", "x = 12", 1},
        {LITERAL, "1200", "1,200", 1},
        {LITERAL, "\\frac{1}{2}", "0.5", 1},
        {LITERAL, "\\frac{1}{2}", "\\frac{1}{2}", 1},
        {LITERAL, "\\frac{1}{2}", "1 - \\frac{1}{2}", 0},
        {LITERAL, "12", "\\sqrt{144}", 0},
        {SIMPLIFIED, "12", "3 \\cdot 4", 0},
        {SIMPLIFIED, "12", "12", 1},
        {SIMPLIFIED, "\\frac{3}{2}", "\\frac{6}{4}", 0},
        {SIMPLIFIED, "\\frac{3}{2}", "\\frac{3}{2}", 1},
        {SIMPLIFIED, "2\\sqrt{3}", "2\\sqrt{3}", 1},
    };
    (void)state;
    CHECK(ROWS);
}

static void test_options(void **state) {
    static const struct row ROWS[] = {
        {"", "1, 2", "2, 1", 1},
        {",\"lists\":\"ordered\"", "1, 2", "2, 1", 0},
        {",\"lists\":\"ordered\"", "1, 2", "1, 2", 1},
        {",\"lists\":\"ordered\"", "\\{1, 2\\}", "\\{2, 1\\}", 1}, // a set has no order
        {"", "50\\%", "50", 1},
        {",\"percent\":\"strict\"", "50\\%", "50", 0},
        {",\"percent\":\"strict\"", "50\\%", "0.5", 1},
        {"", "5 \\text{ cm}", "5", 1},
        {",\"units\":\"required\"", "5 \\text{ cm}", "5", 0},
        {",\"units\":\"required\"", "5 \\text{ cm}", "50 \\text{ mm}", 1},
        {"", "\\frac13", "0.333333", 1},
        {",\"rounding\":\"none\"", "\\frac13", "0.333333", 0},
        {",\"rounding\":\"none\"", "\\frac13", "0.\\overline{3}", 1},
    };
    (void)state;
    CHECK(ROWS);
}

static void test_presets(void **state) {
    static const struct row ROWS[] = {
        {"", "3.14", "3.14159", 1},
        {",\"data\":\"gsm8k\"", "3.14", "3.14159", 1},
        {",\"data\":\"math\"", "3.14", "3.14159", 0},
        {",\"data\":\"aime\"", "3.14", "3.14159", 0},
        {",\"data\":\"aime\"", "204", "204", 1},
        {",\"data\":\"gpqa\"", "C", "(C)", 1},
    };
    (void)state;
    CHECK(ROWS);
}

// A gold that is no mathematics is refused, but compared word for word under `literal`.
static void test_words(void **state) {
    static const struct row ROWS[] = {
        {LITERAL, "a + ( b", "a + ( b", 1},
        {LITERAL, "a + ( b", " a +  ( b ", 1},
        {LITERAL, "a + ( b", "a + b", 0},
        {LITERAL, "a + ( b", "4", 0},
    };
    (void)state;
    CHECK(ROWS);
    assert_null(parse("a + ( b", ""));
    assert_null(parse("", LITERAL));
    char deep[600];
    memset(deep, '(', sizeof deep - 1);
    deep[sizeof deep - 1] = 0;
    assert_null(parse(deep, ""));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_policies),
        cmocka_unit_test(test_options),
        cmocka_unit_test(test_presets),
        cmocka_unit_test(test_words),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
