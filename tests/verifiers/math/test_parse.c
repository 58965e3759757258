// The reader: trees of each form, spans that are refused, limits.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

#include "protocol/base/buffer.h"
#include "verifiers/math/base/tree.h"
#include "verifiers/math/math.h"
#include "verifiers/math/read/token_table.h"

static enum math_read read_text(struct slice text, bool prose, struct arena *arena,
                                struct math_node **out) {
    struct math_budget budget = {0};
    return math_parse(text, prose, arena, &budget, out, NULL);
}

// clang-format off
static const struct { const char *text, *tree; } TREES[] = {
    {"42", "42"},
    {"-3.14", "(minus 314e-2)"},
    {"2x", "(mul 2 x)"},
    {"2x^2 - 3xy + 1", "(add (mul 2 (pow x 2)) (minus (mul 3 x y)) 1)"},
    {"\\frac12", "(mul 1 (pow 2 (minus 1)))"},
    {"\\frac{a+b}{c}", "(mul (add a b) (pow c (minus 1)))"},
    {"1 \\frac{1}{2} + 3", "(add (mixed 1 (mul 1 (pow 2 (minus 1)))) 3)"},
    {"0.1\\overline{6}", "16r1e-2"},
    {"1,234,567", "1234567"},
    {"(1,234)", "(tuple 1 234)"},
    {"[-36,104]", "(brackets (minus 36) 104 [])"},
    {"(3,4]", "(brackets 3 4 (])"},
    {"1.2\\times 10^{3}", "(mul 12e-1 (pow 10 3))"},
    {"1.5E-7", "15e-8"},
    {"2e-3", "(add (mul 2 e) (minus 3))"},
    {"10^300", "(pow 10 300)"},
    {"9^9^9", "(pow 9 (pow 9 9))"},
    {"\\sqrt[3]{2}", "(root 2 3)"},
    {"√2", "(root 2 2)"},
    {"x²⁰", "(pow x 20)"},
    {"\\sin^2 x", "(pow (sin x) 2)"},
    {"\\sin^{-1} a", "(asin a)"},
    {"\\sin a \\cos b", "(mul (sin a) (cos b))"},
    {"\\cos(x)^2", "(pow (cos x) 2)"},
    {"\\log_2 8", "(log 8 2)"},
    {"\\ln xy", "(ln (mul x y))"},
    {"sin(30°)", "(sin (degree 30))"},
    {"x!!", "(factorial (factorial x))"},
    {"\\binom{16}{2}", "(binomial 16 2)"},
    {"||x||y||", "(abs (mul (abs x) (abs y)))"},
    {"|x||y|", "(mul (abs x) (abs y))"},
    {"x_{1}+h_\\theta", "(add x_1 h_theta)"},
    {"f(x) = 2", "(relation (apply \"f\" x) = 2)"},
    {"1 < x \\le 3", "(relation 1 < x <= 3)"},
    {"5!=120", "(relation (factorial 5) = 120)"},
    {"x != 3", "(relation x != 3)"},
    {"1, 2 \\text{ and } 3", "(list 1 2 3)"},
    {"1,2;3,4", "(list (list 1 2) (list 3 4))"},
    {"\\{1, 2\\}", "(set 1 2)"},
    {"\\{\\}", "(setname 0)"},
    {"\\{x \\mid x > 3\\}", "(builder x (relation x > 3))"},
    {"(0,1) \\cup [2,3)", "(union (tuple 0 1) (brackets 2 3 [)))"},
    {"1 \\pm \\sqrt{2}", "(+- 1 (root 2 2))"},
    {"204_5", "(based \"204\" 5)"},
    {"1A_{16}", "(based \"1A\" 16)"},
    {"7:32", "(ratio 7 32)"},
    {"5 \\text{ cm}", "(quantity [cm] 5)"},
    {"\\$18.90", "(quantity [dollar] 1890e-2)"},
    {"50\\%", "(percent 50)"},
    {"90^\\circ", "(degree 90)"},
    {"\\text{C. 5}", "(choice C \"5\")"},
    {"4:30 p.m.", "(time 990)"},
    {"\\text{Evelyn}", "(text \"evelyn\" evelyn)"},
    {"\\begin{pmatrix}1&2\\\\3&4\\end{pmatrix}", "(matrix 2 columns 1 2 3 4)"},
    {"\\int_0^1 x\\,dx", "(big \"int\" x x 0 1)"},
    {"\\sum_{k=1}^{3} k", "(big \"sum\" k (relation k = 1) 3)"},
    {"$\\boxed{\\left(1,\\frac{1}{2}\\right)}$", "(tuple 1 (mul 1 (pow 2 (minus 1))))"},
    {"**42**", "42"},
    {"e^{i\\pi}", "(pow e (mul i pi))"},
    {"a \\equiv 3 \\pmod{5}", "(relation a === 3 mod 5)"},
};

static const char *const REFUSED[] = {
    "(", ")", "1+", "*3", "\\frac{1}", "\\frac{}{2}", "\\sqrt", "{", "}", "()", "\\int", "_", "^",
    "||x|", "\\lfloor x", "\\lfloor a \\rceil", "\\frac{(2 + x}{1 - x)}", "a\\%", "\\%100", "2 3",
    "\\sin^x", "\\cos^2", "\\frac{d}{dx}", "1 + @", "x=", "[1,2", "(1,2,3]",
    "\\begin{pmatrix}1&2\\\\3\\end{pmatrix}", "\\operatorname{floor}(12.3, 123.4)", "1/", "\xff",
};
// clang-format on

static void test_trees(void **state) {
    int n_wrong = 0;
    (void)state;
    for (size_t i = 0; i < sizeof TREES / sizeof *TREES; i++) {
        struct arena arena = {0};
        struct math_node *node = NULL;
        const enum math_read got = read_text(slice_of(TREES[i].text), false, &arena, &node);
        const char *tree = got == MATH_READ ? tree_show(node, &arena) : "nothing";
        if (strcmp(tree, TREES[i].tree) != 0) {
            print_error("%s: %s, expected %s\n", TREES[i].text, tree, TREES[i].tree);
            n_wrong++;
        }
        arena_clear(&arena);
    }
    assert_int_equal(n_wrong, 0);
}

static void test_refused(void **state) {
    (void)state;
    for (size_t i = 0; i < sizeof REFUSED / sizeof *REFUSED; i++) {
        struct arena arena = {0};
        struct math_node *node;
        const enum math_read got = read_text(slice_of(REFUSED[i]), false, &arena, &node);
        if (got != MATH_UNREADABLE) fail_msg("%s was read as %d.", REFUSED[i], got);
        assert_null(node);
        arena_clear(&arena);
    }
}

static void test_empty(void **state) {
    static const char *const TEXTS[] = {"", "  ", "$$", "\\,", "\n\t"};
    (void)state;
    for (size_t i = 0; i < sizeof TEXTS / sizeof *TEXTS; i++) {
        struct arena arena = {0};
        struct math_node *node;
        assert_int_equal(read_text(slice_of(TEXTS[i]), false, &arena, &node), MATH_EMPTY);
        arena_clear(&arena);
    }
}

// Words may follow a number in a sentence, unless they change it.
static void test_prose(void **state) {
    static const struct {
        const char *text;
        bool good;
    } ROWS[] = {
        {"12 apples a day, because he eats them", true},
        {"12 meters of rope", true},
        {"$5 per child", true},
        {"12 times as many", false},
        {"12 minus something", false},
        {"12 or so 13", false},
        {"x apples", false},
    };
    (void)state;
    for (size_t i = 0; i < sizeof ROWS / sizeof *ROWS; i++) {
        struct arena arena = {0};
        struct math_node *node;
        const enum math_read got = read_text(slice_of(ROWS[i].text), true, &arena, &node);
        const bool number =
            got == MATH_READ && (node->kind == MATH_NUMBER || node->kind == MATH_QUANTITY);
        if (number != ROWS[i].good) fail_msg("%s: %d.", ROWS[i].text, number);
        arena_clear(&arena);
    }
}

static enum math_read read_repeated(const char *before, const char *again, int n,
                                    const char *after) {
    struct buffer text = {0};
    struct arena arena = {0};
    struct math_node *node;
    buffer_add_text(&text, before);
    for (int i = 0; i < n; i++) buffer_add_text(&text, again);
    buffer_add_text(&text, after);
    const enum math_read got = read_text(buffer_slice(&text), false, &arena, &node);
    arena_clear(&arena);
    buffer_free(&text);
    return got;
}

static void test_limits(void **state) {
    (void)state;
    assert_int_equal(read_repeated("", "-", 90, "1"), MATH_READ);
    assert_int_equal(read_repeated("", "-", 300, "1"), MATH_OVER);
    assert_int_equal(read_repeated("", "\\sqrt{", 300, "1"), MATH_OVER);
    assert_int_equal(read_repeated("", "(", 3000, "1"), MATH_OVER);
    assert_int_equal(read_repeated("1", "+1", 1000, ""), MATH_READ);
    assert_int_equal(read_repeated("1", "+1", 5000, ""), MATH_OVER);
    assert_int_equal(read_repeated("", "9", 10000, ""), MATH_READ);
    assert_int_equal(read_repeated("", "9", 20000, ""), MATH_OVER);
    assert_int_equal(read_repeated("", "9", 70000, ""), MATH_OVER);
    assert_int_equal(read_repeated("", "x ", 20000, ""), MATH_OVER);
    assert_int_equal(read_repeated("1e", "9", 9, ""), MATH_OVER);
}

// Every command of the table is found in it, so that the table is in order.
static void test_table(void **state) {
    static const char *const NAMES[] = {"Delta", "arcsin", "cdot",         "frac",  "leq",  "O",
                                        "pi",    "sqrt",   "text",         "theta", "zeta", "wedge",
                                        "Xi",    "beta",   "operatorname", "rceil"};
    (void)state;
    for (size_t i = 0; i < sizeof NAMES / sizeof *NAMES; i++)
        if (!token_command(slice_of(NAMES[i]))) fail_msg("\\%s is missing.", NAMES[i]);
    assert_null(token_command(slice_of("fra")));
    assert_null(token_command(slice_of("fracc")));
    assert_true(token_is_layout(slice_of("left")));
    assert_false(token_is_layout(slice_of("lef")));
    assert_string_equal(token_greek(0x3B8), "theta");
    assert_int_equal(token_character(0x2264)->op, MATH_LE);
    assert_null(token_character(0x41));
}

// Where reading stopped.
static void test_stopped(void **state) {
    struct arena arena = {0};
    struct math_budget budget = {0};
    struct math_node *node;
    size_t stopped;
    (void)state;
    assert_int_equal(math_parse(slice_of("12 + @ 3"), false, &arena, &budget, &node, &stopped),
                     MATH_UNREADABLE);
    assert_int_equal(stopped, 5);
    assert_true(budget.steps > 0);
    arena_clear(&arena);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_trees),   cmocka_unit_test(test_refused),
        cmocka_unit_test(test_empty),   cmocka_unit_test(test_prose),
        cmocka_unit_test(test_limits),  cmocka_unit_test(test_table),
        cmocka_unit_test(test_stopped),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
