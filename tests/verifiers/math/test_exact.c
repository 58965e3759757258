// Exact decisions on their own: rationals, balls, proofs, polynomials, sample points, rounding.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <cmocka.h>

#include "verifiers/math/exact/exact.h"
#include "verifiers/math/math.h"

static struct math_node *node_of(const char *text, struct arena *arena) {
    struct math_budget budget = {0};
    struct math_node *node;
    if (math_parse(slice_of(text), false, arena, &budget, &node, NULL) != MATH_READ)
        fail_msg("%s was not read.", text);
    return node;
}

struct row {
    const char *a, *b;
    enum exact answer;
    const char *rule;
};

typedef enum exact (*decision)(const struct math_node *, const struct math_node *,
                               struct math_budget *, const char **);

static void check(const struct row *rows, size_t n, decision decide) {
    for (size_t i = 0; i < n; i++) {
        struct arena arena = {0};
        struct math_budget budget = {0};
        const char *rule = "";
        const enum exact got =
            decide(node_of(rows[i].a, &arena), node_of(rows[i].b, &arena), &budget, &rule);
        if (got != rows[i].answer || (rows[i].rule && strcmp(rule, rows[i].rule) != 0))
            fail_msg("%s and %s: %d by %s.", rows[i].a, rows[i].b, got, rule);
        arena_clear(&arena);
    }
}

#define CHECK(rows, decide) check(rows, sizeof(rows) / sizeof *(rows), decide)

static void test_constants(void **state) {
    static const struct row ROWS[] = {
        {"\\frac{1}{3}", "0.\\overline{3}", EXACT_YES, "rational"},
        {"2^{100}", "1267650600228229401496703205376", EXACT_YES, "rational"},
        {"2^{1000}", "2^{1001}", EXACT_NO, "rational"},
        {"100!", "99! \\cdot 100", EXACT_YES, "rational"},
        {"\\sqrt{144}", "12", EXACT_YES, "rational"},
        {"\\binom{10}{3}", "120", EXACT_YES, "rational"},
        {"17 \\mod 5", "2", EXACT_YES, "rational"},
        {"\\sqrt2", "1.41421356", EXACT_NO, "arb"},
        {"e^\\pi", "\\pi^e", EXACT_NO, "arb"},
        {"e^{\\pi\\sqrt{163}}", "262537412640768744", EXACT_NO, "arb"},
        {"9^{9^7}", "4", EXACT_NO, "arb"},
        {"\\sqrt2\\sqrt3", "\\sqrt6", EXACT_YES, "calcium"},
        {"\\sqrt{5+2\\sqrt6}", "\\sqrt2+\\sqrt3", EXACT_YES, "calcium"},
        {"\\cos\\frac{\\pi}{5}", "\\frac{1+\\sqrt5}{4}", EXACT_YES, "calcium"},
        {"\\cos 58^\\circ", "\\sin 32^\\circ", EXACT_YES, "calcium"},
        {"\\frac{\\ln 8}{\\ln 2}", "3", EXACT_YES, "calcium"},
        {"\\arctan 1", "\\frac{\\pi}{4}", EXACT_YES, "calcium"},
        {"(1+i)^2", "2i", EXACT_YES, "arb"},
        {"\\ln(e\\sqrt e)", "\\frac32", EXACT_YES, "calcium"},
        {"2^{\\log_2 5}", "5", EXACT_YES, "calcium"},
        {"\\sinh(\\ln 2)", "\\frac34", EXACT_YES, "calcium"},
        {"\\sin 18^\\circ", "\\frac{\\sqrt5-1}{4}", EXACT_YES, "calcium"},
        {"\\tan 20^\\circ\\tan40^\\circ\\tan 80^\\circ", "\\sqrt3", EXACT_YES, "calcium"},
        {"\\sqrt[3]{2+\\sqrt5}+\\sqrt[3]{2-\\sqrt5}", "1", EXACT_YES, "calcium"},
        {"2\\cos^2\\frac{\\pi}{360}-1", "\\cos\\frac{2\\pi}{360}", EXACT_UNKNOWN, "arb"},
        {"\\lceil\\pi\\rceil", "4", EXACT_YES, "arb"},
        {"\\int_0^1 x dx", "\\frac12", EXACT_UNKNOWN, NULL},
    };
    (void)state;
    CHECK(ROWS, exact_equal);
}

static void test_expressions(void **state) {
    static const struct row ROWS[] = {
        {"(x+y)^8", "(y+x)^8", EXACT_YES, "polynomial"},
        {"\\frac{(x+y)^2}{x^2-y^2}", "\\frac{x+y}{x-y}", EXACT_YES, "polynomial"},
        {"x+1", "y+1", EXACT_NO, "polynomial"},
        {"x-x+5", "5", EXACT_YES, "polynomial"},
        {"f(x)+1", "1+f(x)", EXACT_YES, "polynomial"},
        {"f(x)", "f(y)", EXACT_UNKNOWN, NULL},
        {"\\sin 2x", "2\\sin x\\cos x", EXACT_AGREE, "points"},
        {"\\sin 2x", "2\\sin x", EXACT_NO, "points"},
        {"2^{n+1}", "2 \\cdot 2^n", EXACT_AGREE, "points"},
        {"\\sqrt{\\frac1n}", "\\frac{1}{\\sqrt n}", EXACT_AGREE, "points"},
        {"\\sqrt{x^2}", "x", EXACT_NO, "points"},
        {"\\sin x + e^{-10000}", "\\sin x", EXACT_UNKNOWN, "points"},
        {"\\sin x + 10^{-500}\\cos x", "\\sin x", EXACT_UNKNOWN, "points"},
        {"\\sqrt{x}+10^{-30}", "\\sqrt{x}", EXACT_NO, "points"},
    };
    (void)state;
    CHECK(ROWS, exact_identity);
}

static enum exact proportional(const struct math_node *a, const struct math_node *b,
                               struct math_budget *budget, const char **rule) {
    int sign;
    const enum exact answer = exact_proportional(a, b, budget, rule, &sign);
    if (answer == EXACT_YES) *rule = sign > 0 ? "+" : sign < 0 ? "-" : "0";
    return answer;
}

static void test_proportional(void **state) {
    static const struct row ROWS[] = {
        {"2x+4y-6", "x+2y-3", EXACT_YES, "+"},
        {"2x+4y-6", "3-x-2y", EXACT_YES, "-"},
        {"2x+4y-6", "x+2y-4", EXACT_NO, NULL},
        {"\\frac{x}{2}+\\frac{y}{3}-1", "3x+2y-6", EXACT_YES, "+"},
        {"\\frac1x-2", "1-2x", EXACT_YES, NULL},
        {"\\sin x - \\frac12", "1 - 2\\sin x", EXACT_AGREE, NULL},
    };
    (void)state;
    CHECK(ROWS, proportional);
}

static void test_order(void **state) {
    static const struct {
        const char *a, *b;
        int order;
        enum exact answer;
    } ROWS[] = {
        {"1/3", "0.3333", 1, EXACT_YES},
        {"\\sqrt2", "1.5", -1, EXACT_YES},
        {"\\sqrt2\\sqrt3", "\\sqrt6", 0, EXACT_YES},
        {"-\\pi", "3", -1, EXACT_YES},
        {"i", "1", 0, EXACT_UNKNOWN},
        {"2^{100}", "2^{99}", 1, EXACT_YES},
    };
    (void)state;
    for (size_t i = 0; i < sizeof ROWS / sizeof *ROWS; i++) {
        struct arena arena = {0};
        struct math_budget budget = {0};
        int order = 7;
        assert_int_equal(
            exact_order(node_of(ROWS[i].a, &arena), node_of(ROWS[i].b, &arena), &budget, &order),
            ROWS[i].answer);
        if (ROWS[i].answer == EXACT_YES) assert_int_equal(order, ROWS[i].order);
        arena_clear(&arena);
    }
}

static void test_rounding(void **state) {
    static const struct {
        const char *value, *decimal;
        bool cut;
        enum exact answer;
    } ROWS[] = {
        {"\\pi", "3.14", false, EXACT_YES},    {"\\pi", "3.15", false, EXACT_NO},
        {"\\pi", "3.1416", false, EXACT_YES},  {"\\pi", "3.1415", false, EXACT_NO},
        {"\\pi", "3.1415", true, EXACT_YES},   {"-\\pi", "-3.1416", false, EXACT_YES},
        {"-\\pi", "-3.1415", true, EXACT_YES}, {"-\\pi", "3.1415", true, EXACT_NO},
        {"2/3", "0.666", true, EXACT_YES},     {"2/3", "0.666", false, EXACT_NO},
        {"2/3", "0.667", false, EXACT_YES},    {"2/3", "0.668", true, EXACT_NO},
        {"0.126", "0.13", false, EXACT_YES},   {"i", "1.0", false, EXACT_UNKNOWN},
    };
    static const struct {
        const char *value;
        enum exact answer;
    } FINITE[] = {{"1/8", EXACT_YES},  {"1/3", EXACT_NO},       {"0.\\overline{3}", EXACT_NO},
                  {"7/50", EXACT_YES}, {"\\pi", EXACT_UNKNOWN}, {"3", EXACT_YES}};
    (void)state;
    for (size_t i = 0; i < sizeof ROWS / sizeof *ROWS; i++) {
        struct arena arena = {0};
        struct math_budget budget = {0};
        const enum exact got = exact_rounds(node_of(ROWS[i].value, &arena),
                                            node_of(ROWS[i].decimal, &arena), ROWS[i].cut, &budget);
        if (got != ROWS[i].answer) fail_msg("%s, %s: %d.", ROWS[i].value, ROWS[i].decimal, got);
        arena_clear(&arena);
    }
    for (size_t i = 0; i < sizeof FINITE / sizeof *FINITE; i++) {
        struct arena arena = {0};
        struct math_budget budget = {0};
        assert_int_equal(exact_is_terminating(node_of(FINITE[i].value, &arena), &budget),
                         FINITE[i].answer);
        arena_clear(&arena);
    }
}

// 64-bit values without a library, and that what does not fit is refused instead of wrapped.
static void test_ratio(void **state) {
    static const struct {
        const char *text;
        bool good;
        int64_t num, den;
    } ROWS[] = {
        {"-6/4", true, -3, 2},
        {"0.125", true, 1, 8},
        {"0.1\\overline{6}", true, 1, 6},
        {"2\\frac13", true, 7, 3},
        {"50\\%", true, 1, 2},
        {"2^{10}", true, 1024, 1},
        {"2^{-3}", true, 1, 8},
        {"2^{62}", true, (int64_t)1 << 62, 1},
        {"2^{63}", false, 0, 0},
        {"10^{17}+10^{17}", true, 200000000000000000, 1},
        {"99999999999999999 \\cdot 99999999999999999", false, 0, 0},
        {"123456789012345678901234567890", false, 0, 0},
        {"1/0", false, 0, 0},
        {"0^0", false, 0, 0},
        {"\\sqrt4", false, 0, 0},
        {"1e5", true, 100000, 1},
    };
    (void)state;
    for (size_t i = 0; i < sizeof ROWS / sizeof *ROWS; i++) {
        struct arena arena = {0};
        struct ratio r = {0, 0};
        const bool good = ratio_of(node_of(ROWS[i].text, &arena), &r);
        if (good != ROWS[i].good || (good && (r.num != ROWS[i].num || r.den != ROWS[i].den)))
            fail_msg("%s: %d, %lld/%lld.", ROWS[i].text, good, (long long)r.num, (long long)r.den);
        arena_clear(&arena);
    }
}

// A budget that is used up is no answer.
static void test_budget(void **state) {
    struct arena arena = {0};
    struct math_budget budget = {.max_steps = 3};
    const char *rule;
    (void)state;
    assert_int_equal(exact_equal(node_of("\\sqrt2+\\sqrt3+\\sqrt5", &arena),
                                 node_of("\\sqrt{10}", &arena), &budget, &rule),
                     EXACT_LIMIT);
    arena_clear(&arena);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_constants),    cmocka_unit_test(test_expressions),
        cmocka_unit_test(test_proportional), cmocka_unit_test(test_order),
        cmocka_unit_test(test_rounding),     cmocka_unit_test(test_ratio),
        cmocka_unit_test(test_budget),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
