// Inputs made to be slow, each against golds of every type. What is asserted is the work counted in
// the budget; the milliseconds of
// processor time are printed.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <time.h>
#include <cmocka.h>

#include "protocol/base/buffer.h"
#include "verifiers/math/math.h"

static const struct {
    const char *before, *again, *after, *closing;
    int n; // times of `again` and of `closing`
} INPUTS[] = {
    {"9^{9^{9^9}}", "", "", "", 0},
    {"10^{10^{10}}", "", "", "", 0},
    {"100000000!", "", "", "", 0},
    {"9^9^9^9^9", "", "", "", 0},
    {"\\dfrac{5^{\\left(5^{\\left(5^{\\left(5^5\\right)}\\right)} - 4\\right)} - 5}{16}", "", "",
     "", 0},
    {"", "(", "1", ")", 3000},
    {"", "{", "1", "}", 3000},
    {"", "(", "1", ")", 95},
    {"1", "+1", "", "", 5000},
    {"1", "+1", "", "", 2000},
    {"1", "+\\sqrt{2}", "", "", 600},
    {"", "\\sqrt{", "2", "}", 12},
    {"", "\\sqrt{2+", "2", "}", 12},
    {"", "\\sqrt{2+", "2", "}", 60},
    {"", "9", "", "", 100000},
    {"", "9", "", "", 18000},
    {"1/", "9", "", "", 18000},
    {"", "9", "^2", "", 18000},
    {"0.", "3", "", "", 18000},
    {"(x+1)^{60}(x+y+z)^{60}", "", "", "", 0},
    {"(a+b+c+d+e+f+g+h)^{60}", "", "", "", 0},
    {"(a+b+c+d+f)^{10}", "", "", "", 0},
    {"1", "+\\frac{1}{x+1+x^2}", "", "", 60},
    {"1", "+\\frac{1}{x^2+y^3+z}", "", "", 200},
    {"\\sqrt2+\\sqrt3+\\sqrt5+\\sqrt7+\\sqrt{11}", "", "", "", 0},
    {"(\\sqrt2+\\sqrt3+\\sqrt5+\\sqrt7+\\sqrt{11})^2", "", "", "", 0},
    {"\\sqrt{(\\sqrt2+\\sqrt3+\\sqrt5+\\sqrt7)^2}", "", "", "", 0},
    {"\\sin(10^{1000000})", "", "", "", 0},
    {"e^{e^{e^{e^e}}}", "", "", "", 0},
    {"\\sin(e^{e^{20}})", "", "", "", 0},
    {"2^{65537}", "", "", "", 0},
    {"(1/3)^{1000000}", "", "", "", 0},
    {"5000!-5000!", "", "", "", 0},
    {"\\binom{5000}{2500}", "", "", "", 0},
    {"x^{99999999999}", "", "", "", 0},
    {"\\cos1^\\circ\\cos2^\\circ\\cos3^\\circ\\cos4^\\circ", "", "", "", 0},
    {"\\cos\\frac{\\pi}{97}", "", "", "", 0},
    {"2\\cos^2\\frac{\\pi}{360}-\\cos\\frac{2\\pi}{360}+3", "", "", "", 0},
    {"2\\cos^2\\frac{\\pi}{180}-\\cos\\frac{\\pi}{90}+3", "", "", "", 0},
    {"4+\\sqrt{(\\sqrt2+\\sqrt3+\\sqrt5+\\sqrt7)^2}-\\sqrt2-\\sqrt3-\\sqrt5-\\sqrt7", "", "", "",
     0},
    {"4+\\sqrt{2\\sin^2\\frac{\\pi}{360}}-\\sqrt2\\sin\\frac{\\pi}{360}", "", "", "", 0},
    {"\\sqrt[97]{2}+\\sqrt[89]{3}", "", "", "", 0},
    {"\\sqrt2^{\\sqrt2^{\\sqrt2}}", "", "", "", 0},
    {"1", ",1", "", "", 1000},
    {"1", ",\\sqrt{2}", "", "", 60},
    {"\\{\\sin 1", ",\\sin 1", "\\}", "", 60},
    {"", "|", "", "", 300},
    {"", "|x", "", "", 300},
    {"", "\\frac", "", "", 20000},
    {"", "x_", "", "", 5000},
    {"", "-", "1", "", 150},
    {"3", "!", "", "", 50},
    {"1", "\\pm1", "", "", 40},
    {"", "\\begin{pmatrix}", "", "", 300},
    {"1e100000", "", "", "", 0},
    {"1e-99999", "", "", "", 0},
    {"", "1 ", "", "", 5000},
    {"5", "=5", "", "", 30},
    {"(0,1)", "\\cup(0,\\sqrt2)", "", "", 100},
    {"(0,1)", "\\cup(\\sqrt2,\\sqrt3)", "", "", 30},
    {"", "\\sin", " x", "", 150},
    {"", "\\ln", " 5", "", 100},
    {"", "\\arctan(", "1", ")", 60},
    {"", "e^{", "1", "}", 90},
    {"\\lfloor e^{e^{10}} \\rfloor", "", "", "", 0},
    {"\\sqrt{1+10^{-400}}", "", "", "", 0},
    {"\\gcd(12", ",18", ")", "", 60},
    {"", "\\text{a ", "", "", 500},
    {"", "\xff", "", "", 4000},
    {"x^{60}+x^{59}", "-7x^{31}", "+1>0", "", 9},
    {"x^{2000}-3x^{1999}+x-1>0", "", "", "", 0},
    {"(x-1)(x-2)(x-3)", "(x^2-x+41)(x-\\frac{1}{7})", "\\le0", "", 20},
    {"|x-1|", "+|x-\\frac{1}{3}|", "<7", "", 30},
    {"|||||x|-1|-1|-1|-1|<\\frac12", "", "", "", 0},
    {"\\frac{x+1}{x-2}", "+\\frac{x+3}{x^2-5}", ">1", "", 12},
    {"(x-1)^{2000}(x+1)^{2000}", "", "", "", 0},
    {"(x-1)^{2000}", "+(x+2)^{1999}", "", "", 20},
    {"\\begin{pmatrix}1&2\\\\3&4\\end{pmatrix}^{60000}", "", "", "", 0},
    {"\\begin{pmatrix}1&2\\\\3&4\\end{pmatrix}", "\\begin{pmatrix}9&7\\\\8&5\\end{pmatrix}", "", "",
     200},
    {"\\det\\begin{pmatrix}", "1&2&3&4&5&6&7&8&9&10&11&12\\\\", "\\end{pmatrix}", "", 12},
    {"\\begin{pmatrix}", "\\frac{1}{3}&\\sqrt{2}&\\sqrt{3}\\\\", "\\end{pmatrix}^{-1}", "", 3},
    {"", "\\begin{cases}1&x>0\\\\", "2", "\\end{cases}", 90},
    {"\\begin{cases}", "x&x>1\\\\", "\\end{cases}", "", 400},
    {"\\sum_{k=1}^{100000000}k^2", "", "", "", 0},
    {"\\sum_{k=1}^{5000}\\frac{1}{k^{50}}", "", "", "", 0},
    {"\\prod_{k=1}^{5000}k^k", "", "", "", 0},
    {"", "\\sum_{k=1}^{50}", "k", "", 12},
    {"\\int_0^1(x+1)^{500}\\,dx", "", "", "", 0},
    {"x>1", "\\text{ or }x<2\\text{ and }x>3", "", "", 60},
    {"5", "\\,\\mathrm{km^{-1}}", "", "", 300},
    {"", "\\textcolor{red}{", "7", "}", 150},
    {"", "{", "1", "\\over 2}", 90},
    {"", "\\sum_{n=1}^{\\infty}\\frac{1}{n^2}", "", "", 40},
    {"", "\\sum_{n=0}^{\\infty}\\frac{2^n}{n!}", "", "", 40},
    {"\\sum_{n=20}^{\\infty}", "\\frac{2^n}{n!}", "", "", 60},
    {"", "\\sum_{k=0}^n\\binom{n}{k}", "2^k", "", 20},
    {"1", ".234", "", "", 4000},
    {"1", ",23", ",456", "", 4000},
    {"12", "'", "", "", 4000},
    {"", "5'", "6''", "", 2000},
    {"", "\\text{H}_2", "", "", 1500},
    {"(a,b)=(2", ",1", ")", "", 900},
    {"\\{", "\\{", "1", "\\}", 60},
    {"1+2+\\dots+1000", "", "", "", 0},
    {"1^{50}+2^{50}+\\dots+900^{50}", "", "", "", 0},
    {"1\\cdot2", "\\cdots10\\cdot11", "", "", 60},
    {"", "(1+2+\\dots+", "900", ")", 12},
    {"1+2+\\dots+1000", "+1+2+\\dots+1000", "", "", 15},
    {"1", "+\\frac12", "+\\dots", "", 60},
    {"\\hat i", "+2\\hat j", "", "", 900},
    {"\\hat j", "(\\hat i+2)", "", "", 60},
    {"5", " m/s", "", "", 900},
    {"all real numbers except 2", " and 3", "", "", 2000},
    {"", "cent quatre-vingt-dix-", "neuf", "", 2000},
    {"", "<b>", "1", "</b>", 2000},
    {"", "VIII", "", "", 2000},
};

static const char *const GOLDS[] = {"4",
                                    "\\sqrt2",
                                    "\\sin x",
                                    "x^2+2x+1",
                                    "1,2,3",
                                    "(0,1)",
                                    "\\begin{pmatrix}1\\\\2\\end{pmatrix}",
                                    "\\frac13",
                                    "3.14159265",
                                    "x>3",
                                    "\\text{east}",
                                    "\\{1,2\\}",
                                    "y=2x+1",
                                    "(x-1)^{2000}",
                                    "\\sum_{k=1}^{n}k^2",
                                    "5\\text{ m/s}",
                                    "f(x)=\\begin{cases}x&x>0\\\\-x&x\\le0\\end{cases}"};

static void repeat(struct buffer *out, const char *text, int n) {
    for (int i = 0; i < n; i++) buffer_add_text(out, text);
}

// One check as it is made for a completion: reading and comparing in one budget.
static enum math_verdict check(struct slice gold_text, struct slice text, int64_t *steps,
                               int64_t *took) {
    struct arena arena = {0};
    struct math_budget reading = {0}, budget = {0};
    struct math_node *gold, *answer;
    struct math_result result = {MATH_NO_ANSWER, "", 0};
    const struct math_options options = {.long_decimals = true};
    if (math_parse(gold_text, false, &arena, &reading, &gold, NULL) == MATH_READ) {
        const clock_t start = clock();
        if (math_parse(text, false, &arena, &budget, &answer, NULL) == MATH_READ)
            math_equal(gold, answer, &options, &budget, &arena, &result);
        *took = (clock() - start) * 1000000 / CLOCKS_PER_SEC;
        *steps = budget.steps;
    }
    arena_clear(&arena);
    return result.verdict;
}

static void test_hostile(void **state) {
    int64_t slowest = 0, most = 0;
    size_t slow_input = 0;
    (void)state;
    for (size_t i = 0; i < sizeof INPUTS / sizeof *INPUTS; i++) {
        struct buffer text = {0};
        buffer_add_text(&text, INPUTS[i].before);
        repeat(&text, INPUTS[i].again, INPUTS[i].n);
        buffer_add_text(&text, INPUTS[i].after);
        repeat(&text, INPUTS[i].closing, INPUTS[i].n);
        for (size_t g = 0; g <= sizeof GOLDS / sizeof *GOLDS; g++) {
            int64_t steps = 0, took = 0;
            const bool itself = g == sizeof GOLDS / sizeof *GOLDS;
            const struct slice gold = itself ? buffer_slice(&text) : slice_of(GOLDS[g]);
            const enum math_verdict verdict = check(gold, buffer_slice(&text), &steps, &took);
            // One operation may pass the budget's end, by no more than its own cost.
            assert_in_range(steps, 0, MATH_MAX_STEPS + 2000);
            if (!itself) assert_int_not_equal(verdict, MATH_EQUAL);
            if (steps > most) most = steps;
            if (took <= slowest) continue;
            slowest = took;
            slow_input = i;
        }
        buffer_free(&text);
    }
    print_message("the slowest took %.2f ms (input %zu: %.40s), the most work was %lld steps\n",
                  (double)slowest / 1000, slow_input, INPUTS[slow_input].before, (long long)most);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_hostile)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
