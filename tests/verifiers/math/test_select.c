// Which part of a text is its answer: each rule with the texts that it is about.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <cmocka.h>

#include "protocol/base/buffer.h"
#include "verifiers/math/select/answer.h"

struct text {
    const char *text;
    const char *answer; // its parts with " & " between them; "(none)" where nothing is stated
    const char *rule;
};

static void show(const char *text, struct buffer *out, const char **rule) {
    struct answer answer;
    buffer_clear(out);
    *rule = "";
    if (!answer_select(slice_of(text), &answer)) {
        buffer_add_text(out, "(none)");
        return;
    }
    *rule = answer.rule;
    for (int i = 0; i < answer.n_parts; i++) {
        if (i) buffer_add_text(out, " & ");
        buffer_add_slice(out, answer.parts[i]);
    }
    if (answer.shorter.len) {
        buffer_add_text(out, " | ");
        buffer_add_slice(out, answer.shorter);
    }
    buffer_add_text(out, "");
}

static void check(const struct text *texts, size_t n) {
    struct buffer got = {0};
    int n_wrong = 0;
    for (size_t i = 0; i < n; i++) {
        const char *rule;
        show(texts[i].text, &got, &rule);
        if (slice_is(buffer_slice(&got), texts[i].answer) &&
            (!texts[i].rule || slice_is(slice_of(rule), texts[i].rule)))
            continue;
        print_error("%s\n   -> %.*s (%s)\n   expected %s (%s)\n", texts[i].text, (int)got.len,
                    got.ptr, rule, texts[i].answer, texts[i].rule ? texts[i].rule : "any");
        n_wrong++;
    }
    buffer_free(&got);
    assert_int_equal(n_wrong, 0);
}

#define CHECK(texts) check(texts, sizeof(texts) / sizeof *(texts))

static void test_boxes(void **state) {
    static const struct text TEXTS[] = {
        {"First \\boxed{1}. Then \\boxed{2}.", "2", "box"},
        {"\\fbox{2}", "2", "box"},
        {"$\\boxed 2$", "2", "box"},
        {"\\boxed{\\frac{1}{\\sqrt{2}}}", "\\frac{1}{\\sqrt{2}}", "box"},
        {"\\boxed{\\{1, 2\\}}", "\\{1, 2\\}", "box"},
        {"\\boxed{a \\boxed{b}}", "a \\boxed{b}", "box"},
        {"\\boxed\n{ 5 }", "5", "box"},
        {"\\boxed{5", "(none)", ""},
        {"\\boxed{4} or rather \\boxed{5", "(none)", ""},
        {"\\boxed{5 is what I start with, and then \\boxed{6}", "6", "box"},
        {"\\boxed{5 and The answer is 6.", "6", "phrase"},
        {"The answer is 6. \\boxed{", "(none)", ""},
        {"\\boxedx{5}", "\\boxedx{5}", "last"},
        {"\\boxed{ }", "", "box"},
        {"\\boxed{42}\n\nRemember to put the final answer within \\boxed{}.", "42", "box"},
        {"\\boxed{42} (I was told to write \\boxed{your answer}.)", "42", "box"},
    };
    (void)state;
    CHECK(TEXTS);
}

static void test_adjacent_boxes(void **state) {
    static const struct text TEXTS[] = {
        {"\\boxed{41} \\boxed{42}", "41 & 42", "box"},
        {"$\\boxed{41}$ and $\\boxed{42}$.", "41 & 42", "box"},
        {"\\[\\boxed{1},\\quad\\boxed{2}\\text{ or }\\boxed{3}\\]", "1 & 2 & 3", "box"},
        {"- \\boxed{1}\n- \\boxed{2}", "1 & 2", "box"},
        {"$x = \\boxed{1}$ and $y = \\boxed{2}$", "2", "box"},
        {"\\boxed{1} - \\boxed{2}", "2", "box"},
        {"\\boxed{1} or 2", "1 & 2", "box"},
        {"$\\boxed{1}$ or maybe $2$.", "1 & 2", "box"},
        {"$\\boxed{1}$ or so", "1", "box"},
        {"\\boxed{1} is one. \\boxed{2} and \\boxed{3}", "2 & 3", "box"},
    };
    (void)state;
    CHECK(TEXTS);
}

static void test_negated(void **state) {
    static const struct text TEXTS[] = {
        {"It is not \\boxed{42}.", "(none)", ""},
        {"It is \\boxed{41}, not \\boxed{42}.", "41", "box"},
        {"It is not \\boxed{42} but \\boxed{41}.", "41", "box"},
        {"It is \\boxed{41} rather than \\boxed{42}.", "41", "box"},
        {"We get \\boxed{41} instead of \\boxed{42}.", "41", "box"},
        {"It **isn't** \\boxed{42}.", "(none)", ""},
        {"$x \\neq \\boxed{42}$", "(none)", ""},
        {"It cannot be equal to \\boxed{42}.", "(none)", ""},
        {"We can rule out the value \\boxed{42}.", "(none)", ""},
        {"We can rule out 42.", "(none)", ""},
        {"\\boxed{42} is wrong.", "(none)", ""},
        {"$\\boxed{42}$ is not the answer.", "(none)", ""},
        {"\\boxed{41}. Note that \\boxed{42} can be ruled out.", "41", "box"},
        {"The answer is not 42.", "(none)", ""},
        {"It is not true that the answer is 42.", "(none)", ""},
        {"This is not hard: \\boxed{42}", "42", "box"},
        {"Since p is not prime the answer is 42.", "42", "phrase"},
        {"Not only is it even, it is \\boxed{42}.", "42", "box"},
        {"The answer is 42. Wait, that's not right.", "(none)", ""},
        {"\\boxed{42}.\n\nNo, that is wrong. \\boxed{41}", "41", "box"},
        {"\\boxed{42}. No other values work.", "42", "box"},
        {"If the answer is 42, we win.", "(none)", ""},
        {"Equality holds if $x = \\boxed{42}$.", "42", "box"},
    };
    (void)state;
    CHECK(TEXTS);
}

static void test_questioned_and_quoted(void **state) {
    static const struct text TEXTS[] = {
        {"Is it \\boxed{42}?", "(none)", ""},
        {"Is it 42?", "(none)", ""},
        {"Is the answer 42? The answer is 43.", "43", "phrase"},
        {"The answer is 42, right?", "(none)", ""},
        {"The task says \"write \\boxed{42} at the end\".", "(none)", ""},
        {"The task says “the answer is 42” and I agree.", "(none)", ""},
        {"The answer is \"42\".", "\"42\"", "phrase"},
        {"\\boxed{42} (what else could it be?)", "42", "box"},
    };
    (void)state;
    CHECK(TEXTS);
}

static void test_phrases(void **state) {
    static const struct text TEXTS[] = {
        {"The answer is 42.", "42", "phrase"},
        {"the final answer is $42$. I hope it is correct.", "42", "phrase"},
        {"**Final Answer:** 42", "42", "phrase"},
        {"**Answer: 42**", "42", "phrase"},
        {"Answer: **42**", "42", "phrase"},
        {"### Final Answer\n\n$42$\n\nDone with it.", "42", "phrase"},
        {"The final answer is:\n\n\\[\n42\n\\]", "42", "phrase"},
        {"The answer is therefore 42, because 6 times 7 is that.", "42", "phrase"},
        {"The answer is $x+1$ for all $x$.", "$x+1$ for all $x$ | x+1", "phrase"},
        {"The answer is $3$ or $4$ here.", "$3$ or $4$ here | $3$ or $4$", "phrase"},
        {"The answer is $3$ or maybe 4.", "$3$ or maybe 4", "phrase"},
        {"The answer is **42** because of that.", "42", "phrase"},
        {"The answer is $5$ cm, as we saw.", "$5$ cm | 5", "phrase"},
        {"The answer is 12 apples per day, because he eats them.", "12 apples per day", "phrase"},
        {"The answer is 3, or maybe 4.", "3, or maybe 4", "phrase"},
        {"The answer is C.", "C", "phrase"},
        {"The answer is (B) 5.", "(B) 5", "phrase"},
        {"The answer is Evelyn.", "Evelyn", "phrase"},
        {"\\boxed{5}. This answer is correct.", "5", "box"},
        {"\\boxed{5}. We may check our answer: $17 = 17$.", "5", "box"},
        {"Answer: the value of $x$ is $5$", "the value of $x$ is $5$ | 5", "phrase"},
        {"{\"answer\": 42}", "42", "phrase"},
        {"__Answer__: 42", "42", "phrase"},
        {"\\textbf{Answer: 42}", "42", "phrase"},
        {"\\textbf{Answer:} 42", "42", "phrase"},
        {"所以答案是12。", "12", "phrase"},
        {"La respuesta final es $12$.", "12", "phrase"},
        {"Die Antwort lautet: 12", "12", "phrase"},
        {"La respuesta no es 12, la respuesta es 13.", "13", "phrase"},
        {"A: 5", "5", "phrase"},
        {"A: 5\nB: 6\nC: 7", "7", "last"},
        {"<answer> 5 </answer>", "5", "tag"},
        {"<answer>\\boxed{5}</answer>", "5", "box"},
    };
    (void)state;
    CHECK(TEXTS);
}

static void test_hashes_and_bold(void **state) {
    static const struct text TEXTS[] = {
        {"text\n#### 42\n", "42", "hashes"},
        {"#### 3. Add up\nThe answer is 42.", "42", "phrase"},
        {"#### \\boxed{42}", "42", "box"},
        {"Some words.\n**5**", "5", "bold"},
        {"Some words.\n**x = 5**.", "x = 5", "bold"},
        {"So \\boxed{5}.\n\n**Hope this helps!**", "5", "box"},
        {"So \\boxed{5}.\n\n**6**", "6", "bold"},
    };
    (void)state;
    CHECK(TEXTS);
}

static void test_thinking(void **state) {
    static const struct text TEXTS[] = {
        {"<think>The answer is 5.</think>The answer is 6.", "6", "phrase"},
        {"<think>The answer is 5.", "(none)", ""},
        {"\\boxed{5}</think>", "(none)", ""},
        {"\\boxed{5}</think>\\boxed{6}<|im_end|>", "6", "box"},
        {"<think>a</think>\\boxed{5}<think>b", "(none)", ""},
    };
    (void)state;
    CHECK(TEXTS);
}

static void test_last_expression(void **state) {
    static const struct text TEXTS[] = {
        {"So she has 5 apples.", "5 apples | 5", "last"},
        {"So she has **5 apples**.", "5 apples | 5", "last"},
        {"First 3.\nThen it is either 4 or 5.", "4 or 5", "last"},
        {"x^2 + 2x + y", "x^2 + 2x + y", "last"},
        {"Hence $x = \\frac{1}{2}$.", "x = \\frac{1}{2}", "last"},
        {"Hence\n\\[\nx = 5\n\\]", "x = 5", "last"},
        {"C", "C", "last"},
        {"Evelyn", "Evelyn", "last"},
        {"I do not know.", "(none)", ""},
        {"  \n", "(none)", ""},
        {"", "(none)", ""},
    };
    (void)state;
    CHECK(TEXTS);
}

// What is before the window is not seen, and a window that begins within a box is no trouble.
static void test_window(void **state) {
    struct buffer text = {0};
    struct answer answer;
    (void)state;
    buffer_add_text(&text, "\\boxed{41} ");
    for (int i = 0; i < ANSWER_WINDOW_BYTES / 4; i++) buffer_add_text(&text, "word");
    buffer_add_text(&text, "}");
    assert_false(answer_select(buffer_slice(&text), &answer));
    buffer_add_text(&text, " \\boxed{42}");
    assert_true(answer_select(buffer_slice(&text), &answer));
    assert_true(slice_is(answer.parts[0], "42"));
    buffer_free(&text);
}

// The same statement said very often, and more boxes than a list may have.
static void test_repeated(void **state) {
    struct buffer text = {0};
    struct answer answer;
    (void)state;
    for (int i = 0; i < 1000; i++) buffer_add_text(&text, "The answer is 42. ");
    assert_true(answer_select(buffer_slice(&text), &answer));
    assert_true(slice_is(answer.parts[0], "42"));
    buffer_clear(&text);
    for (int i = 0; i < 40; i++) buffer_add_text(&text, "\\boxed{5} ");
    assert_true(answer_select(buffer_slice(&text), &answer));
    assert_int_equal(answer.n_parts, ANSWER_MAX_BOXES);
    assert_int_equal(answer.parts[0].len, 1);
    buffer_add_text(&text, "\\boxed{6}");
    assert_true(answer_select(buffer_slice(&text), &answer));
    assert_int_equal(answer.parts[0].len, 0); // reads as nothing
    buffer_free(&text);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_boxes),    cmocka_unit_test(test_adjacent_boxes),
        cmocka_unit_test(test_negated),  cmocka_unit_test(test_questioned_and_quoted),
        cmocka_unit_test(test_phrases),  cmocka_unit_test(test_hashes_and_bold),
        cmocka_unit_test(test_thinking), cmocka_unit_test(test_last_expression),
        cmocka_unit_test(test_window),   cmocka_unit_test(test_repeated),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
