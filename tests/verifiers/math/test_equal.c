// The comparer: the table of pairs, then each policy, option and rule.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include "tests/verifiers/math/pairs_more.h"
#include "verifiers/math/base/tree.h"

static enum math_verdict compare(const char *gold, const char *answer,
                                 const struct math_options *options) {
    struct arena arena = {0};
    struct math_budget reading = {0}, budget = {0};
    struct math_node *g, *a;
    struct math_result result = {MATH_NO_ANSWER, "", 0};
    if (math_parse(slice_of(gold), false, &arena, &reading, &g, NULL) != MATH_READ)
        fail_msg("The gold %s was not read.", gold);
    if (math_parse(slice_of(answer), false, &arena, &budget, &a, NULL) == MATH_READ)
        math_equal(g, a, options, &budget, &arena, &result);
    arena_clear(&arena);
    return result.verdict;
}

static void check(const struct pair *pairs, size_t n, const struct math_options *options) {
    int n_wrong = 0;
    for (size_t i = 0; i < n; i++) {
        const enum math_verdict got = compare(pairs[i].gold, pairs[i].answer, options);
        if (got == pairs[i].verdict) continue;
        print_error("gold %s, answer %s: %s, expected %s\n", pairs[i].gold, pairs[i].answer,
                    math_verdict_name(got), math_verdict_name(pairs[i].verdict));
        n_wrong++;
    }
    assert_int_equal(n_wrong, 0);
}

#define CHECK(pairs, ...)                                                                          \
    check(pairs, sizeof(pairs) / sizeof *(pairs), &(const struct math_options){__VA_ARGS__})

static void test_value(void **state) {
    (void)state;
    CHECK(PAIRS, .policy = MATH_VALUE);
    CHECK(MORE_PAIRS, .policy = MATH_VALUE);
}

// Every gold of the table equals itself.
static void test_itself(void **state) {
    const struct math_options options = {0};
    (void)state;
    for (size_t i = 0; i < sizeof PAIRS / sizeof *PAIRS; i++)
        assert_int_equal(compare(PAIRS[i].gold, PAIRS[i].gold, &options), MATH_EQUAL);
}

static void test_literal(void **state) {
    static const struct pair ROWS[] = {
        {"12", "12", MATH_EQUAL},
        {"12", "12.0", MATH_EQUAL},
        {"12", "x = 12", MATH_EQUAL},
        {"12", "12\\text{ cm}", MATH_EQUAL},
        {"12", "3 \\cdot 4", MATH_DIFFERENT},
        {"12", "24/2", MATH_DIFFERENT},
        {"-12", "-12", MATH_EQUAL},
        {"-12", "12 - 24", MATH_DIFFERENT},
        {"\\frac12", "0.5", MATH_EQUAL},
        {"\\frac12", "\\frac{2}{4}", MATH_EQUAL},
        {"\\frac12", "1 - \\frac12", MATH_DIFFERENT},
        {"\\frac73", "2\\frac13", MATH_EQUAL},
        {"2\\sqrt3", "\\sqrt{12}", MATH_EQUAL},
    };
    (void)state;
    CHECK(ROWS, .policy = MATH_LITERAL);
}

static void test_simplified(void **state) {
    static const struct pair ROWS[] = {
        {"12", "12", MATH_EQUAL},
        {"12", "3 \\cdot 4", MATH_DIFFERENT},
        {"\\frac32", "\\frac64", MATH_DIFFERENT},
        {"\\frac32", "1.5", MATH_EQUAL},
        {"2\\sqrt3", "\\sqrt{12}", MATH_DIFFERENT},
        {"2\\sqrt3", "2\\sqrt{3}", MATH_EQUAL},
        {"8", "2^3", MATH_DIFFERENT},
        {"5", "2 + 3", MATH_DIFFERENT},
        {"120", "5!", MATH_DIFFERENT},
        {"x^2-1", "(x-1)(x+1)", MATH_EQUAL},
        {"x+5", "x+2+3", MATH_DIFFERENT},
    };
    (void)state;
    CHECK(ROWS, .policy = MATH_SIMPLIFIED);
}

static void test_options(void **state) {
    static const struct pair ORDER[] = {{"1,2", "2,1", MATH_DIFFERENT},
                                        {"1,2", "1,2", MATH_EQUAL},
                                        {"\\{1,2\\}", "\\{2,1\\}", MATH_EQUAL}};
    static const struct pair PERCENT[] = {{"50\\%", "50", MATH_DIFFERENT},
                                          {"50", "50\\%", MATH_DIFFERENT},
                                          {"50\\%", "0.5", MATH_EQUAL}};
    static const struct pair UNITS[] = {{"5", "5\\text{ cm}", MATH_DIFFERENT},
                                        {"5\\text{ cm}", "5", MATH_DIFFERENT},
                                        {"5\\text{ cm}", "50\\text{ mm}", MATH_EQUAL}};
    static const struct pair ROUNDING[] = {{"\\pi", "3.14159265", MATH_DIFFERENT},
                                           {"3.14", "\\pi", MATH_DIFFERENT}};
    static const struct pair LONG[] = {{"3.14", "3.14159", MATH_EQUAL_NUM},
                                       {"3.14", "3.149", MATH_DIFFERENT},
                                       {"3.1", "3.14159", MATH_DIFFERENT},
                                       {"0.00314", "0.003141", MATH_EQUAL_NUM},
                                       {"3.14", "3.1", MATH_DIFFERENT}};
    static const struct pair POINTS[] = {{"\\cos 2x", "1-2\\sin^2 x", MATH_UNKNOWN},
                                         {"\\cos 2x", "\\sin 2x", MATH_DIFFERENT},
                                         {"x^2-1", "(x-1)(x+1)", MATH_EQUAL}};
    (void)state;
    CHECK(ORDER, .ordered_lists = true);
    CHECK(PERCENT, .strict_percent = true);
    CHECK(UNITS, .strict_units = true);
    CHECK(ROUNDING, .no_rounding = true);
    CHECK(LONG, .long_decimals = true);
    CHECK(POINTS, .no_points = true);
}

// The rule that decided, and that each is counted.
static void test_rules(void **state) {
    static const struct {
        const char *gold, *answer, *rule;
    } ROWS[] = {
        {"42", "42", "same"},
        {"\\frac12", "0.5", "rational"},
        {"\\sqrt2", "1.5", "arb"},
        {"\\sqrt2\\sqrt3", "\\sqrt6", "calcium"},
        {"(x+1)^2", "x^2+2x+1", "polynomial"},
        {"\\cos 2x", "1-2\\sin^2 x", "points"},
        {"\\pi", "3.14159265", "decimal"},
        {"5\\text{ cm}", "5\\text{ s}", "unit"},
        {"1,2", "1,2,3", "count"},
        {"C", "(D)", "choice"},
    };
    const struct math_options options = {0};
    (void)state;
    for (size_t i = 0; i < sizeof ROWS / sizeof *ROWS; i++) {
        struct arena arena = {0};
        struct math_budget reading = {0}, budget = {0};
        struct math_node *gold, *answer;
        struct math_result result;
        assert_int_equal(math_parse(slice_of(ROWS[i].gold), false, &arena, &reading, &gold, NULL),
                         MATH_READ);
        assert_int_equal(
            math_parse(slice_of(ROWS[i].answer), false, &arena, &reading, &answer, NULL),
            MATH_READ);
        math_equal(gold, answer, &options, &budget, &arena, &result);
        assert_string_equal(result.rule, ROWS[i].rule);
        assert_true(i == 0 || result.steps > 0);
        arena_clear(&arena);
    }
}

// Any of several golds, and adjacent boxes as one list.
static void test_several(void **state) {
    struct arena arena = {0};
    struct math_budget budget = {0};
    const struct math_options options = {0};
    struct math_node *nodes[3], *list;
    struct math_result result;
    static const char *const TEXTS[] = {"3", "4", "4,3"};
    (void)state;
    for (int i = 0; i < 3; i++)
        assert_int_equal(math_parse(slice_of(TEXTS[i]), false, &arena, &budget, &nodes[i], NULL),
                         MATH_READ);
    const struct math_node *const golds[] = {nodes[0], nodes[1]};
    math_equal_any(golds, 2, nodes[1], &options, &budget, &arena, &result);
    assert_int_equal(result.verdict, MATH_EQUAL);
    math_equal_any(golds, 1, nodes[1], &options, &budget, &arena, &result);
    assert_int_equal(result.verdict, MATH_DIFFERENT);
    math_equal_any(golds, 0, nodes[1], &options, &budget, &arena, &result);
    assert_int_equal(result.verdict, MATH_NO_ANSWER);
    list = tree_join(nodes, 2, &arena);
    math_equal(nodes[2], list, &options, &budget, &arena, &result);
    assert_int_equal(result.verdict, MATH_EQUAL);
    math_equal(nodes[0], list, &options, &budget, &arena, &result);
    assert_int_equal(result.verdict, MATH_DIFFERENT);
    struct math_node *const twice[] = {nodes[0], nodes[0]};
    math_equal(nodes[0], tree_join(twice, 2, &arena), &options, &budget, &arena, &result);
    assert_int_equal(result.verdict, MATH_EQUAL);
    arena_clear(&arena);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_value),   cmocka_unit_test(test_itself),
        cmocka_unit_test(test_literal), cmocka_unit_test(test_simplified),
        cmocka_unit_test(test_options), cmocka_unit_test(test_rules),
        cmocka_unit_test(test_several),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
