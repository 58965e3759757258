// The grader `math`: pairs of gold and boxed answer, then which part of a text is the answer, then
// inputs made to be slow.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <cmocka.h>

#include "protocol/base/buffer.h"
#include "protocol/base/memory.h"
#include "verifiers/math/math.h"

static enum math_verdict grade(const char *gold, struct slice text, bool long_decimals) {
    const struct slice golds[] = {slice_of(gold)};
    const struct math_options options = {.long_decimals = long_decimals};
    struct error err;
    const char *rule;
    struct math_gold *parsed = math_gold_parse(golds, 1, &options, &err);
    if (!parsed) print_error("%s\n", err.text);
    assert_non_null(parsed);
    const enum math_verdict verdict = math_grade(parsed, text, &rule);
    math_gold_free(&parsed);
    return verdict;
}

static enum math_verdict grade_boxed(const char *gold, const char *answer) {
    struct buffer text = {0};
    buffer_printf(&text, "So it is \\boxed{%s}.", answer);
    const enum math_verdict verdict = grade(gold, buffer_slice(&text), true);
    buffer_free(&text);
    return verdict;
}

struct pair {
    const char *gold, *answer;
    enum math_verdict verdict;
};

static void check_pairs(const struct pair *pairs, size_t n) {
    int n_wrong = 0;
    for (size_t i = 0; i < n; i++) {
        const enum math_verdict got = grade_boxed(pairs[i].gold, pairs[i].answer);
        if (got == pairs[i].verdict) continue;
        print_error("gold %s, answer %s: %s, expected %s\n", pairs[i].gold, pairs[i].answer,
                    math_verdict_name(got), math_verdict_name(pairs[i].verdict));
        n_wrong++;
    }
    assert_int_equal(n_wrong, 0);
}

#define CHECK_PAIRS(pairs) check_pairs(pairs, sizeof(pairs) / sizeof *(pairs))

// The rows of the public matrix of graders whose gold and answer are numbers.
static void test_matrix(void **state) {
    static const struct pair PAIRS[] = {
        {"42", "42", MATH_EQUAL},
        {"42", "42.0", MATH_EQUAL},
        {"10000", "10,000", MATH_EQUAL},
        {"10000", "10{,}000", MATH_EQUAL},
        {"10000", "10,\\!000", MATH_EQUAL},
        {"\\frac{1}{2}", "1/2", MATH_EQUAL},
        {"\\frac{1}{2}", "0.5", MATH_EQUAL},
        {"\\frac{1}{2}", "\\frac{2}{4}", MATH_EQUAL},
        {"\\frac{1}{2}", "\\frac12", MATH_EQUAL},
        {"\\frac{1}{2}", "\\dfrac{1}{2}", MATH_EQUAL},
        {"\\frac{7}{3}", "2\\frac{1}{3}", MATH_EQUAL},
        {"-\\frac{1}{2}", "\\frac{-1}{2}", MATH_EQUAL},
        {"\\frac{1}{3}", "0.\\overline{3}", MATH_EQUAL},
        {"\\frac{1}{3}", "0.333", MATH_DIFFERENT},
        {"1200", "1.2\\times 10^3", MATH_EQUAL},
        {"1200", "1.2e3", MATH_EQUAL},
        {"50\\%", "50\\%", MATH_EQUAL},
        {"50\\%", "50", MATH_EQUAL},
        {"50\\%", "\\frac12", MATH_EQUAL},
        {"50", "\\$50", MATH_EQUAL},
        {"5", "5\\text{ cm}", MATH_EQUAL},
        {"5\\text{ cm}", "5\\text{ m}", MATH_DIFFERENT}, // conversion is not done: no credit
        {"90^\\circ", "90", MATH_EQUAL},
        {"90", "90 degrees", MATH_EQUAL},
        {"5", "x=5", MATH_EQUAL},
        {"1,2,3", "3,1,2", MATH_EQUAL},
        {"1,2", "1 \\text{ and } 2", MATH_EQUAL},
        {"-3", "−3", MATH_EQUAL},
        {"\\frac12", "½", MATH_EQUAL},
        {"12", "\\text{12}", MATH_EQUAL},
        {"12", "12.", MATH_EQUAL},
        {"12", "$12$", MATH_EQUAL},
        {"12", "12 \\text{ or } 13", MATH_DIFFERENT},
        {"4", "x=3=4", MATH_DIFFERENT},
    };
    (void)state;
    CHECK_PAIRS(PAIRS);
}

static void test_numbers(void **state) {
    static const struct pair PAIRS[] = {
        {"0", "-0.00", MATH_EQUAL},
        {".5", "0.50", MATH_EQUAL},
        {"-5", "-\\$5.00", MATH_EQUAL},
        {"-5", "\\$-5", MATH_EQUAL},
        {"-5", "5", MATH_DIFFERENT},
        {"5", "+5", MATH_EQUAL},
        {"5", "5.0000001", MATH_DIFFERENT},
        {"1234567", "1,234,567", MATH_EQUAL},
        {"1234567", "1 234 567", MATH_EQUAL},
        {"1234567", "1\\,234\\,567", MATH_EQUAL},
        {"1234567.5", "\\$1,234,567.50", MATH_EQUAL},
        {"32349", "32, 349", MATH_DIFFERENT},
        {"1234", "1,23,4", MATH_DIFFERENT},
        {"2 1/3", "\\frac73", MATH_EQUAL},
        {"\\frac{-3}{-4}", "3/4", MATH_EQUAL},
        {"-3/4", "-\\dfrac{3}{4}", MATH_EQUAL},
        {"\\frac{1.5}{2}", ".75", MATH_EQUAL},
        {"3", "\\frac{3}{0}", MATH_UNKNOWN},
        {"\\frac16", "0.1\\overline{6}", MATH_EQUAL},
        {"1", "0.\\overline{9}", MATH_EQUAL},
        {"0.00012", "1.2 \\cdot 10^{-4}", MATH_EQUAL},
        {"6.02e23", "602000000000000000000000", MATH_EQUAL},
        {"1267650600228229401496703205376", "1267650600228229401496703205376", MATH_EQUAL},
        {"1267650600228229401496703205376", "1267650600228229401496703205377", MATH_DIFFERENT},
        {"(10,000)", "10000", MATH_EQUAL},
        {"5", "(5)", MATH_EQUAL},
        {"5", "5,", MATH_EQUAL},
        {"3,4", "4 or 3", MATH_EQUAL},
        {"3", "3, 3", MATH_DIFFERENT},
        {"3, 4", "3", MATH_DIFFERENT},
        {"3,3,4", "3,4,4", MATH_DIFFERENT},
        {"1,2", "(1,2)", MATH_EQUAL}, // a point is no list
    };
    (void)state;
    CHECK_PAIRS(PAIRS);
}

static void test_decimals(void **state) {
    static const struct pair PAIRS[] = {
        {"\\frac13", "0.333333", MATH_EQUAL_NUM},
        {"\\frac13", "0.33333", MATH_DIFFERENT},
        {"\\frac23", "0.666667", MATH_EQUAL_NUM}, // rounded
        {"\\frac23", "0.666666", MATH_EQUAL_NUM}, // cut
        {"\\frac23", "0.666668", MATH_DIFFERENT},
        {"-\\frac23", "-0.666667", MATH_EQUAL_NUM},
        {"-\\frac23", "0.666667", MATH_DIFFERENT},
        {"\\frac18", "0.125000", MATH_EQUAL},
        {"\\frac18", "0.12500001", MATH_DIFFERENT}, // a terminating gold is exact
        {"0.125", "0", MATH_DIFFERENT},
        {"0.125", "0.1", MATH_DIFFERENT},
        {"0.125", "0.13", MATH_DIFFERENT},
        {"0.33", "1/3", MATH_EQUAL_NUM},
        {"0.33", "\\frac{34}{100}", MATH_DIFFERENT},
        {"3.14", "3.14159", MATH_EQUAL_NUM},
        {"3.14", "3.146", MATH_DIFFERENT},
        {"3.1", "3.14159", MATH_DIFFERENT},    // two digits only
        {"0.0012", "0.00123", MATH_DIFFERENT}, // leading zeros do not count
        {"0.00123", "0.001234", MATH_EQUAL_NUM},
    };
    (void)state;
    CHECK_PAIRS(PAIRS);
    assert_int_equal(grade("3.14", slice_of("#### 3.14159"), false), MATH_DIFFERENT);
}

static void test_percent_and_units(void **state) {
    static const struct pair PAIRS[] = {
        {"50", "50\\%", MATH_EQUAL},
        {"50", "50 percent", MATH_EQUAL},
        {"0.5", "50%", MATH_EQUAL},
        {"0.5", "0.5\\%", MATH_DIFFERENT},
        {"0.5\\%", "0.005", MATH_EQUAL},
        {"50\\%", "0.5", MATH_EQUAL},
        {"50\\%", "5\\%", MATH_DIFFERENT},
        {"5 \\text{ cm}^2", "5 square centimeters", MATH_EQUAL},
        {"5 \\text{ cm}^2", "5 cm", MATH_DIFFERENT},
        {"60", "60 \\text{ miles per hour}", MATH_EQUAL},
        {"60 miles per hour", "60 miles/hr", MATH_EQUAL},
        {"\\$5", "5 dollars", MATH_EQUAL},
        {"\\$5", "€5", MATH_DIFFERENT},
        {"30^{\\circ}", "30°", MATH_EQUAL},
        {"5", "5m", MATH_DIFFERENT}, // a product
        {"5", "5 \\text{ apples or } 6", MATH_UNKNOWN},
        {"5", "5\\text{ or more}", MATH_UNKNOWN},
        {"5", "5 thousand", MATH_DIFFERENT},
        {"5", "about 5", MATH_UNKNOWN},
    };
    (void)state;
    CHECK_PAIRS(PAIRS);
}

// Nothing is taken out of what was not understood.
static void test_not_fooled(void **state) {
    static const struct pair PAIRS[] = {
        {"4", "4\\sqrt(2)", MATH_DIFFERENT},
        {"12", "13=12", MATH_DIFFERENT},
        {"1", "1+1/\\mathrm{e}", MATH_DIFFERENT},
        {"0", "f(x)=0", MATH_EQUAL},
        {"204", "204_6", MATH_DIFFERENT},
        {"12", "1, 2, \\ldots, 12", MATH_DIFFERENT},
        {"12", "12!", MATH_DIFFERENT},
        {"12", "3 \\cdot 4", MATH_EQUAL},
        {"12", "12x", MATH_DIFFERENT},
        {"12", "12:00", MATH_DIFFERENT},
        {"2", "2^5", MATH_DIFFERENT},
        {"5", "3-5", MATH_DIFFERENT},
        {"5", "5 - 3", MATH_DIFFERENT},
        {"5", "5 \\pm 1", MATH_DIFFERENT},
        {"5", "--5", MATH_EQUAL},
        {"5", "5; drop", MATH_DIFFERENT},
        {"5", "", MATH_NO_ANSWER},
    };
    (void)state;
    CHECK_PAIRS(PAIRS);
}

static void test_selection(void **state) {
    static const struct pair CASES[] = {
        {"42", "x \\boxed{41} then \\boxed{42}", MATH_EQUAL},
        {"42", "x \\boxed{42} then \\boxed{41}", MATH_DIFFERENT},
        {"42", "\\fbox{42}", MATH_EQUAL},
        {"42", "$\\boxed 42$", MATH_EQUAL},
        {"42", "\\boxed{\\text{42}}", MATH_EQUAL},
        {"42", "\\boxed{42", MATH_NO_ANSWER},
        {"42", "\\boxed{42} and then \\boxed{4", MATH_NO_ANSWER},
        {"42", "\\boxed{41} \\boxed{42}", MATH_DIFFERENT}, // one list
        {"41, 42", "$\\boxed{41}$ and $\\boxed{42}$", MATH_EQUAL},
        {"42", "It is not \\boxed{42}.", MATH_NO_ANSWER},
        {"41", "It is \\boxed{41}, not \\boxed{42}.", MATH_EQUAL},
        {"42", "Is it \\boxed{42}?", MATH_NO_ANSWER},
        {"42", "We can rule out 42.", MATH_NO_ANSWER},
        {"42", "Is it 42?", MATH_NO_ANSWER},
        {"42", "They said \"write \\boxed{42} at the end\".", MATH_NO_ANSWER},
        {"42", "#### 42", MATH_EQUAL},
        {"42", "text\n#### 42\n", MATH_EQUAL},
        {"42", "#### 3. Add up\nThe answer is 42.", MATH_EQUAL},
        {"3", "#### 3. Add up\nWe get 42.", MATH_DIFFERENT},
        {"42", "The answer is 42.", MATH_EQUAL},
        {"42.5", "The answer is 42.5. Nice.", MATH_EQUAL},
        {"42", "the final answer is $42$. I hope it is correct.", MATH_EQUAL},
        {"42", "Therefore, the answer to the question is **42**.", MATH_EQUAL},
        {"42", "**Final Answer:** 42", MATH_EQUAL},
        {"42", "Final Answer:\n\n42", MATH_EQUAL},
        {"42", "Answer: \\$42", MATH_EQUAL},
        {"42", "Answer: x = 42", MATH_EQUAL},
        {"12", "The answer is 12 apples per day, because he eats them.", MATH_EQUAL},
        {"12", "The answer is 12 or 13 apples.", MATH_DIFFERENT},
        {"12", "The answer is 12 and a half.", MATH_DIFFERENT},
        {"12", "The answer is 12 thousand.", MATH_DIFFERENT},
        {"12", "The answer is not 12.", MATH_NO_ANSWER},
        {"12", "The answer is 12. Wait, the answer is 13.", MATH_DIFFERENT},
        {"12", "\\boxed{12}\n\nThis answer is correct because 3 times 4 is 12.", MATH_EQUAL},
        {"44", "So $\\boxed{44}$.\n\nWe may check our answer: $17 = 17$.", MATH_EQUAL},
        {"5", "He has 2 + 3 = <<2+3=5>>5 apples\nA: 5", MATH_EQUAL},
        {"5", "A: 5\nB: 6\nC: 7\nIt is 6.", MATH_DIFFERENT},
        {"5", "<think>The answer is 5.</think>The answer is 6.", MATH_DIFFERENT},
        {"5", "<think>The answer is 6.</think>The answer is 5.", MATH_EQUAL},
        {"5", "<think>The answer is 5.", MATH_NO_ANSWER},
        {"5", "Some words.\n**5**", MATH_EQUAL},
        {"5", "So she has 5 apples.", MATH_EQUAL},
        {"5", "2 + 3 = 5", MATH_EQUAL}, // both sides are 5
        {"5", "It is either 4 or 5.", MATH_DIFFERENT},
        {"5", "I do not know.", MATH_NO_ANSWER},
        {"5", "   \n", MATH_NO_ANSWER},
        {"5", "\\boxed{ }", MATH_NO_ANSWER},
    };
    int n_wrong = 0;
    (void)state;
    for (size_t i = 0; i < sizeof CASES / sizeof *CASES; i++) {
        const enum math_verdict got = grade(CASES[i].gold, slice_of(CASES[i].answer), true);
        if (got == CASES[i].verdict) continue;
        print_error("%s: %s, expected %s\n", CASES[i].answer, math_verdict_name(got),
                    math_verdict_name(CASES[i].verdict));
        n_wrong++;
    }
    assert_int_equal(n_wrong, 0);
}

static void test_golds(void **state) {
    static const char *const GOOD[] = {
        "5",
        "$5$",
        "\\( 5 \\)",
        "\\boxed{5}",
        "#### 5",
        "2+3\n#### 5",
        "We get $2+3 = \\boxed{5}$.",
        "\\$5",
        "5.0",
        "10/2",
    };
    static const char *const BAD[] = {"", " ", "(", "\\frac{5}", "5 +", "\\sqrt", "5 \\cdot"};
    struct error err;
    const struct math_options options = {.long_decimals = true};
    (void)state;
    for (size_t i = 0; i < sizeof GOOD / sizeof *GOOD; i++)
        assert_int_equal(grade(GOOD[i], slice_of("#### 5"), true), MATH_EQUAL);
    for (size_t i = 0; i < sizeof BAD / sizeof *BAD; i++) {
        const struct slice gold = slice_of(BAD[i]);
        assert_null(math_gold_parse(&gold, 1, &options, &err));
        assert_int_equal(err.code, ERROR_INPUT);
    }
    const struct slice several[] = {slice_of("5"), slice_of("1/6")};
    struct math_gold *gold = math_gold_parse(several, 2, &options, &err);
    const char *rule;
    assert_int_equal(math_grade(gold, slice_of("#### 5"), &rule), MATH_EQUAL);
    assert_string_equal(rule, "hashes");
    assert_int_equal(math_grade(gold, slice_of("\\boxed{0.166667}"), &rule), MATH_EQUAL_NUM);
    assert_string_equal(rule, "box");
    assert_int_equal(math_grade(gold, slice_of("\\boxed{6}"), &rule), MATH_DIFFERENT);
    math_gold_free(&gold);
    assert_null(gold);
}

static void repeat(struct buffer *out, const char *text, int n) {
    for (int i = 0; i < n; i++) buffer_add_text(out, text);
}

// Every one of these made some public grader hang. Work is bounded by the budgets; the times are
// printed, not asserted.
// A gold needs its text no more once it is parsed.
static void test_golds_outlive_their_texts(void **state) {
    static const char *const GOLDS[] = {"\\int_0^1 x^2\\,dx",
                                        "\\frac{d}{dx} x^2",
                                        "x_{12}+f(y)",
                                        "\\text{Monday}",
                                        "\\{n : n > 2\\}",
                                        "12\\text{ cm}",
                                        "\\sum_{k=1}^n k",
                                        "\\mathbb{Z}_6",
                                        "\\vec{v}\\perp w",
                                        "①③",
                                        "y''+y=0",
                                        "204_5"};
    (void)state;
    for (size_t i = 0; i < sizeof GOLDS / sizeof *GOLDS; i++) {
        struct error err;
        struct buffer text = {0}, gold = {0};
        const struct math_options options = {0};
        buffer_add_text(&gold, GOLDS[i]);
        buffer_printf(&text, "So it is \\boxed{%s}.", GOLDS[i]);
        const struct slice given = buffer_slice(&gold);
        struct math_gold *parsed = math_gold_parse(&given, 1, &options, &err);
        assert_non_null(parsed);
        memset(gold.ptr, '#', gold.len);
        const char *rule;
        const enum math_verdict verdict = math_grade(parsed, buffer_slice(&text), &rule);
        if (verdict != MATH_EQUAL) print_error("%s: %s\n", GOLDS[i], math_verdict_name(verdict));
        assert_int_equal(verdict, MATH_EQUAL);
        math_gold_free(&parsed);
        buffer_free(&gold);
        buffer_free(&text);
    }
}

static const struct {
    const char *before, *again, *after;
    int n;
} HOSTILE[] = {
    {"\\boxed{9^{9^{9^{9}}}", "", "}", 0},
    {"\\boxed{1e", "9", "}", 12},
    {"\\boxed{10^{", "9", "}}", 20},
    {"\\boxed{", "(", "1}", 3000},
    {"\\boxed{", "{", "1}", 3000},
    {"\\boxed{1", "+1", "}", 5000},
    {"\\boxed{", "9", "}", 100000},
    {"\\boxed{0.", "9", "}", 1000},
    {"\\boxed{1/", "9", "}", 599},
    {"", "\\boxed{", "1", 20000},
    {"", "\\boxed{1}x", "", 20000},
    {"", "\\boxed{1} ", "", 20000},
    {"", "\"\\boxed{1}", "", 20000},
    {"", "the answer is 1 ", "", 20000},
    {"", "answer", "", 30000},
    {"", "answer: ", "", 30000},
    {"", "####1 ", "", 20000},
    {"", "#### 1 x\n", "", 20000},
    {"", "A:\n", "", 60000},
    {"", "\\frac", "", 20000},
    {"\\boxed{", "\\frac1", "}", 600},
    {"\\boxed{", "1,", "}", 1000},
    {"\\boxed{1", ",000", "}", 150},
    {"", "<think>", "", 20000},
    {"", "\xff\xfe", "", 40000},
    {"", "\n", "1", 100000},
    {"", "2 + ", "3", 20000},
    {"", "%a", " \\boxed{12}", 32000},
    {"", "the answer is 12 % ", "", 4000},
    {"", "\\boxed{12} % x ", "", 4000},
    {"", "(\\boxed{1}, ", "", 5000},
    {"", "\\frac{\\boxed{1", "", 4000},
    {"\\boxed{12}-", "1", "", 60000},
    {"\\boxed{12}. ", "Wait, so so so so so so ", "", 2500},
    {"The answer is 12. ", "Let me recompute. So 13 x. ", "", 2400},
    {"", "x = lambda a, b, ", "12", 3700},
    {"", "\"x_answer\": 1, ", "", 4000},
    {"\\boxed{12} ", "wait. ", "", 10000},
    {"\\boxed{12} ", "unfortunately, ", "", 4000},
    {"12 ", "qed ", "", 16000},
};

static void test_hostile(void **state) {
    const char *const golds[] = {"1", "1/3", "0.123456789"};
    (void)state;
    clock_t slowest = 0;
    for (size_t i = 0; i < sizeof HOSTILE / sizeof *HOSTILE; i++) {
        struct buffer text = {0};
        buffer_add_text(&text, HOSTILE[i].before);
        repeat(&text, HOSTILE[i].again, HOSTILE[i].n);
        buffer_add_text(&text, HOSTILE[i].after);
        for (size_t g = 0; g < sizeof golds / sizeof *golds; g++) {
            const clock_t before = clock();
            const enum math_verdict verdict = grade(golds[g], buffer_slice(&text), true);
            const clock_t took = clock() - before;
            if (took > slowest) slowest = took;
            if (i < 9) assert_int_not_equal(verdict, MATH_EQUAL);
        }
        buffer_free(&text);
    }
    print_message("the slowest took %.2f ms\n", (double)slowest * 1000 / CLOCKS_PER_SEC);
    assert_true(slowest < 3 * CLOCKS_PER_SEC); // what is not linear takes longer
    struct buffer digits = {0};
    repeat(&digits, "9", 20000);
    assert_int_equal(grade_boxed("1", digits.ptr), MATH_LIMIT);
    assert_int_equal(grade_boxed("1", "1e6010000"), MATH_LIMIT);
    digits.ptr[10000] = 0;
    assert_int_equal(grade_boxed("1", digits.ptr), MATH_DIFFERENT);
    assert_int_equal(grade_boxed(digits.ptr, digits.ptr), MATH_EQUAL);
    buffer_free(&digits);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_matrix),     cmocka_unit_test(test_numbers),
        cmocka_unit_test(test_decimals),   cmocka_unit_test(test_percent_and_units),
        cmocka_unit_test(test_not_fooled), cmocka_unit_test(test_selection),
        cmocka_unit_test(test_golds),      cmocka_unit_test(test_golds_outlive_their_texts),
        cmocka_unit_test(test_hostile),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
