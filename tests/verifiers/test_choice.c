// `choice`: multiple choice with and without the options' texts.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <cmocka.h>

#include "verifiers/verifier.h"

struct example {
    const char *completion;
    const char *letter; // what it names; "": a wrong answer for every gold; NULL: no answer
};

static struct reward *grade(const char *json, struct slice completion) {
    struct error err;
    struct reward_spec *spec = reward_spec_parse(slice_of(json), NULL, 0, &err);
    if (!spec) print_error("%s: %s\n", json, err.text);
    assert_non_null(spec);
    const struct verifier_sample sample = {.completion = completion, .n_tokens = -1};
    struct reward *reward = reward_grade(spec, &sample);
    reward_spec_free(&spec);
    return reward;
}

// Every gold of `n` letters: the one that is named has value 1, the others 0.
static int check(const char *options, int n, const struct example *e) {
    int n_failed = 0;
    for (int gold = 0; gold < n; gold++) {
        char json[512];
        snprintf(json, sizeof json, "[{\"verifier\":\"choice\",\"gold\":\"%c\"%s}]", 'A' + gold,
                 options);
        struct reward *reward = grade(json, slice_of(e->completion));
        const double value = e->letter && e->letter[0] == 'A' + gold;
        const enum reward_status status = e->letter ? REWARD_OK : REWARD_NO_ANSWER;
        if (reward->value != value || reward->status != status) {
            print_error("gold %c, \"%s\": %g %s\n", 'A' + gold, e->completion, reward->value,
                        reward_status_name(reward->status));
            n_failed++;
        }
        reward_free(&reward);
    }
    return n_failed;
}

static void check_all(const char *options, int n, const struct example *examples, size_t count) {
    int n_failed = 0;
    for (size_t i = 0; i < count; i++) n_failed += check(options, n, &examples[i]);
    assert_int_equal(n_failed, 0);
}

#define CHECK_ALL(options, n, list) check_all(options, n, list, sizeof(list) / sizeof *(list))

static const struct example FORMS[] = {
    {"B", "B"},
    {"b", "B"},
    {" (B) ", "B"},
    {"(b)", "B"},
    {"[B]", "B"},
    {"B.", "B"},
    {"b)", "B"},
    {"B: because it fits", "B"},
    {"**B**", "B"},
    {"$B$", "B"},
    {"a", "A"},
    {"(a)", "A"},
    {"\\boxed{B}", "B"},
    {"\\boxed{b}", "B"},
    {"\\boxed{(B)}", "B"},
    {"\\boxed{\\text{(B)}}", "B"},
    {"\\boxed{\\textbf{(B)}}", "B"},
    {"\\boxed{\\textbf{(B) } 5}", "B"},
    {"\\boxed{\\mathrm{B}}", "B"},
    {"\\boxed{(\\text{B})}", "B"},
    {"\\boxed{\\text{B. } \\frac{1}{2}}", "B"},
    {"$\\boxed{B}$.", "B"},
    {"\\text{(B)}", "B"},
    {"\\fbox{B}", "B"},
    {"<answer>B</answer>", "B"},
    {"<answer>\n(B) Rome\n</answer>", "B"},
    {"<think>It must be A. The answer is A.</think>B", "B"},
    {"#### B", "B"},
    {"B<|im_end|>", "B"},
    {"The answer is B", "B"},
    {"The answer is B.", "B"},
    {"The answer is (B).", "B"},
    {"The answer is (B) 42.", "B"},
    {"The answer is: B", "B"},
    {"The answer is b.", "B"},
    {"The answer is **B**.", "B"},
    {"The answer is \"B\".", "B"},
    {"The answer is $\\boxed{B}$.", "B"},
    {"The answer is A.", "A"},
    {"The answer is A because it fits.", "A"},
    {"The answer is I.", "I"},
    {"(I)", "I"},
    {"The answer is I, since the others fail.", "I"},
    {"The correct answer is option B.", "B"},
    {"The correct option is (B)", "B"},
    {"The best choice would be D.", "D"},
    {"The answer to the question is B, as shown above.", "B"},
    {"Answer: B", "B"},
    {"ANSWER: B", "B"},
    {"Answer B", "B"},
    {"answer (B)", "B"},
    {"**Answer:** B", "B"},
    {"**Answer: (B)**", "B"},
    {"Answer:\n\n**B) Rome**", "B"},
    {"### Final Answer\n\nB", "B"},
    {"Final answer: B\n\nExplanation: (A) is wrong because it is too small.", "B"},
    {"Final Answer: The final answer is (B). I hope it is correct.", "B"},
    {"Option B is correct.", "B"},
    {"Therefore, (B) is the correct answer.", "B"},
    {"So B is the right choice.", "B"},
    {"I choose B.", "B"},
    {"I would go with option C here.", "C"},
    {"Let me think.\n\n(B)", "B"},
    {"Let me think.\n\nB", "B"},
    {"Let me think.\n\nB. Rome", "B"},
    {"Let me think. So it must be B.", "B"},
    {"Let me think. So it is (B).", "B"},
    {"The answer is J.", "J"},
    {"The best answer is: (C)", "C"},
    {"Therefore, the correct answer is:\n\n**C) 10^-4 eV**", "C"},
    {"The answer is (C) because it is the largest, whereas (A) is small.", "C"},
    {"**Final Answer: C**", "C"},
    {"Answer: C\n\nLet me know if you have questions!", "C"},
    {"Thus, the correct choice is: $\\boxed{C}$", "C"},
    {"The correct answer is **D. All of the above**.", "D"},
    {"The correct answer is (D) Both A and C.", "D"},
    {"The answer is definitely A!", "A"},
    {"My answer: c", "C"},
    {"I think it's C", "C"},
    {"The answer is 'B'.", "B"},
    {"Answer - B", "B"},
    {"{\"answer\": \"B\"}", "B"},
    {"{\"reason\": \"none\", \"answer\": \"B\"}", "B"},
    {"B) is correct.", "B"},
    {"$$\\boxed{\\text{Answer: B}}$$", "B"},
    {"\\boxed{B \\text{ (Rome)}}", "B"},
    {"A: Rome\nB: Paris\n\nAnswer: B", "B"},
    {"The answer is A and the reason is simple.", "A"},
    {"The answer is therefore letter B.", "B"},
    {"C\n\nExplanation: The cell needs energy.", "C"},
    {"(C) The cell\n\nIt needs energy, it does that.", "C"},
    {"A is wrong. B is wrong. C is wrong. So D.", "D"},
    {"It can't be A, B, or C, so it's D.", "D"},
    {"Eliminating A and B leaves C.", "C"},
    {"The answer isn't A; it's C.", "C"},
    {"The answer is B. A and C are wrong.", "B"},
    {"The answer is B. A is wrong.", "B"},
    {"So the answer must be (D), because A, B and C are wrong.", "D"},
};

static void test_forms(void **state) {
    (void)state;
    CHECK_ALL("", 10, FORMS);
}

static void test_unicode(void **state) {
    static const struct example EXAMPLES[] = {
        {"Ｂ", "B"},
        {"（Ｂ）", "B"},
        {"The answer is Ｂ。", "B"},
        {"Ⓑ", "B"},
        {"🄑", "B"},
        {"\\boxed{𝐁}", "B"},
        {"答案是B。", "B"},
        {"答案：Ｂ", "B"},
        {"The answer is “B”.", "B"},
        {"The answer\u00A0is\u00A0B.", "B"},
    };
    (void)state;
    CHECK_ALL("", 10, EXAMPLES);
}

static const struct example STATEMENTS[] = {
    // The last statement, whatever its kind.
    {"The answer is A. Wait, let me check again. The answer is B.", "B"},
    {"\\boxed{A}\n\nOn reflection, the answer is B.", "B"},
    {"The answer is A, at first sight. \\boxed{B}", "B"},
    {"I choose A.\n\n<answer>B</answer>", "B"},
    {"A is correct at first sight.\n\n(B)", "B"},
    // Negated, questioned, quoted, supposed, taken back.
    {"The answer is B. It is not A.", "B"},
    {"The answer is B, not A.", "B"},
    {"The answer is not A but B.", "B"},
    {"The answer is not A.", NULL},
    {"It is not \\boxed{A}.", NULL},
    {"We can rule out \\boxed{A}. The answer is B.", "B"},
    {"The answer is B. Is the answer A?", "B"},
    {"Is the answer B?", NULL},
    {"Is it B?", NULL},
    {"If the answer is B, then we are done.", NULL},
    {"The answer is B. You might say \"the answer is A\" at first.", "B"},
    {"It's not A, it's B.", "B"},
    {"I would not choose A. I choose B.", "B"},
    {"Neither A nor C is correct. B is correct.", "B"},
    {"The answer is A. That is wrong. The answer is B.", "B"},
    {"The answer is B rather than C.", "B"},
    {"The answer is B, since A is too small.", "B"},
    {"The answer is B, and C is wrong.", "B"},
    // Unclosed.
    {"The answer is A. \\boxed{B", NULL},
    {"<think>The answer is B", NULL},
    // Several.
    {"A or B", ""},
    {"The answer is A or B.", ""},
    {"The answer is (A) or (B).", ""},
    {"The answer is A and B.", ""},
    {"The answer is A, B.", ""},
    {"The answer is A/B.", ""},
    {"The answer is either A or B.", ""},
    {"The answer is B, or maybe C.", ""},
    {"The answer is B. Or maybe C.", ""},
    {"The answer is B, possibly C.", ""},
    {"The answer is (A) 5 (B) 6 (C) 7.", ""},
    {"Either A or B is correct.", ""},
    {"The correct answer is A) Paris and B) Rome.", ""},
    {"Answer: A; B", ""},
    {"Answer: (A)(B)", ""},
    {"Answer: B (C)", ""},
    {"Answer: A. B. C. D.", ""},
    {"Answer: B C D", ""},
    {"Answer: A as well as B", ""},
    {"Answer: A, B is also possible.", ""},
    {"A&B", ""},
    {"\\boxed{B C}", ""},
    {"The answer could be A or C.", NULL},
    {"The correct answer is A) Paris or B.", ""},
    {"The answer is A (or B).", ""},
    {"The correct answer is (B), (A) is incorrect.", "B"},
    {"The answer is (B) and not (A).", "B"},
    {"Answer: (B). (A) is wrong because of the sign.", "B"},
    {"The answer is A. Wait, no, B.", "B"},
    {"You might say \"answer: A\". The answer is B.", "B"},
    {"Please choose A, B, C or D.\nLet me see. So it is (B).", "B"},
    {"Both A and B are correct.", ""},
    {"\\boxed{A, B}", ""},
    {"\\boxed{A} or \\boxed{B}", ""},
    {"\\boxed{A} \\boxed{B}", ""},
    {"\\boxed{A} or maybe B", ""},
    {"\\boxed{\\text{A or B}}", ""},
    {"It is either A or B.", ""},
    {"The answer is B or B.", "B"},
    // The hidden guess: everything that follows a word is not dropped.
    {"\\boxed{A \\text{ or } B}", ""},
    {"A\nB\nC\nD", NULL},
    {"A) 5\nB) 6\nC) 7\nD) 8", NULL},
    // "A:" in front of an answer that is no choice, letters that are names or words.
    {"Q: What is 2 + 2?\nA: 4", NULL},
    {"Q: Which one is it?\nA: B", "B"},
    {"It is the answer, and I, your servant, am sure.", NULL},
    {"So do I.", NULL},
    {"Therefore, with a = 10 and c = 20, the value of (a + b) / c is 2.", NULL},
    {"The letter 'c' occurs often.", NULL},
    {"Only graph \\boxed{A} shows both features.", "A"},
    {"I think it is (b).", "B"},
    // Nothing.
    {"", NULL},
    {" \n ", NULL},
    {"I do not know.", NULL},
    {"The answer is a large number.", NULL},
    {"The answer is correct.", NULL},
    {"A large dog ate it.", NULL},
    {"The answer is 5.", NULL},
    {"Answer choices:", NULL},
    {"\\boxed{}", NULL},
    {"The function f(b) grows.", NULL},
    {"I'd say so.", NULL},
    {"\\boxed{42}", ""},
    {"The answer is K.", NULL},
};

static void test_which_counts(void **state) {
    (void)state;
    CHECK_ALL("", 4, STATEMENTS);
}

static void test_options(void **state) {
    static const struct example EXAMPLES[] = {
        {"Rome", "B"},
        {"rome", "B"},
        {"Rome.", "B"},
        {"**Rome**", "B"},
        {"\\boxed{\\text{Rome}}", "B"},
        {"\\boxed{Rome}", "B"},
        {"The answer is Rome.", "B"},
        {"The answer is the city of Rome.", "B"},
        {"The answer is Paris, Texas.", "C"},
        {"The answer is Paris.", "A"},
        {"Answer: (B) Rome", "B"},
        {"Answer: B. Rome", "B"},
        {"Answer: B", "B"},
        {"So the capital of Italy is Rome.", "B"},
        {"It is not Paris. The capital is Rome.", "B"},
        {"The capital is Rome, not Paris.", "B"},
        // The letter and the text contradict each other.
        {"Answer: (A) Rome", ""},
        {"\\boxed{A. Rome}", ""},
        {"The answer is Paris or Rome.", ""},
        {"It is Paris or Rome.", ""},
        {"The answer is Milan.", NULL},
        {"Everything points to vitamin C.", "E"},
        {"The answer is vitamin C.", "E"},
        {"\\boxed{Milan}", ""},
        {"The answer is Romeo.", NULL},
        {"The answer is 42 km.", "D"},
        {"The answer is F.", ""},
    };
    (void)state;
    CHECK_ALL(",\"options\":[\"Paris\",\"Rome\",\"Paris, Texas\",\"42 km\","
              "\"Vitamin C\"]",
              5, EXAMPLES);
}

static void test_number_options(void **state) {
    static const struct example EXAMPLES[] = {
        {"\\boxed{5}", "A"},
        {"\\boxed{-5}", "B"},
        {"\\boxed{15}", "C"},
        {"\\boxed{\\frac{1}{2}}", "D"},
        {"The answer is $\\frac{1}{2}$.", "D"},
        {"The answer is -5.", "B"},
        {"The answer is 15.", "C"},
        {"The answer is 155.", NULL},
        {"The answer is 1.5.", NULL},
        {"The answer is 5.5", NULL},
        {"The answer is 5%.", NULL},
        {"The answer is 2 + 5.", NULL},
        {"\\boxed{5 or 15}", ""},
        {"The answer is (D) 1/2.", "D"},
        {"The answer is mW.", "E"},
        {"The answer is $\\frac{1} {2}$.", "D"},
        {"The answer is MW.", "F"},
        {"The answer is Mw.", NULL},
        {"\\boxed{E}", "E"},
    };
    (void)state;
    CHECK_ALL(",\"options\":[\"5\",\"-5\",\"$15$\",\"\\\\(\\\\frac{1}{2}\\\\)\",\"mW\",\"MW\"]", 6,
              EXAMPLES);
}

static void test_bad_specs(void **state) {
    static const struct {
        const char *keys, *sentence;
    } BAD[] = {
        {"", "The key \"gold\" is missing."},
        {",\"gold\":\"K\"", "\"gold\" is \"K\"; a letter from \"A\" to \"J\" was expected."},
        {",\"gold\":\"AB\"", "\"gold\" is \"AB\""},
        {",\"gold\":\"\"", "\"gold\" is \"\""},
        {",\"gold\":\"a\"", "\"gold\" is \"a\""},
        {",\"gold\":1", "\"gold\" is a number; a string was expected."},
        {",\"gold\":\"C\",\"options\":[\"x\",\"y\"]",
         "\"gold\" is \"C\", but the last of the 2 options is \"B\"."},
        {",\"gold\":\"A\",\"options\":[\"x\"]", "\"options\" has 1 texts; 2 to 10 were expected."},
        {",\"gold\":\"A\",\"options\":[1,2,3,4,5,6,7,8,9,10,11]", "\"options\" has 11 texts"},
        {",\"gold\":\"A\",\"options\":\"xy\"", "\"options\" is a string; a list of texts"},
        {",\"gold\":\"A\",\"options\":[\"x\",2]", "Option B is a number; a text was expected."},
        {",\"gold\":\"A\",\"options\":[\"x\",\" \"]", "Option B is blank"},
        {",\"gold\":\"A\",\"options\":[\"x\",\"y\",\" x \"]",
         "The options A and C have the same text, \" x \"."},
        {",\"gold\":\"A\",\"option\":[\"x\",\"y\"]", "The key \"option\" is not known."},
    };
    (void)state;
    for (size_t i = 0; i < sizeof BAD / sizeof *BAD; i++) {
        char json[256];
        struct error err = {0};
        snprintf(json, sizeof json, "[{\"verifier\":\"choice\"%s}]", BAD[i].keys);
        assert_null(reward_spec_parse(slice_of(json), NULL, 0, &err));
        if (!strstr(err.text, BAD[i].sentence)) print_error("%s says: %s\n", json, err.text);
        assert_non_null(strstr(err.text, BAD[i].sentence));
        assert_int_equal(err.code, ERROR_INPUT);
    }
}

// Long texts that make each walk start often and end late. The times are printed, not asserted.
static void test_hostile(void **state) {
    static const char *const UNITS[] = {"the answer is ",
                                        "A or ",
                                        "(A) ",
                                        "answer: not A but ",
                                        "\\boxed{",
                                        "\\boxed{A} ",
                                        "A is ",
                                        "option ",
                                        "\"the answer is A\" ",
                                        "<answer>",
                                        "{",
                                        "\\text{",
                                        "Paris ",
                                        "answer is the city of Paris x ",
                                        "choose A, ",
                                        "A\n",
                                        "a, b, c, d ",
                                        "\xFF",
                                        "Ⓐ",
                                        "the answer is A?\n"};
    (void)state;
    for (size_t i = 0; i < sizeof UNITS / sizeof *UNITS; i++) {
        struct buffer text = {0};
        struct timespec from, to;
        while (text.len < 300000) buffer_add_text(&text, UNITS[i]);
        clock_gettime(CLOCK_THREAD_CPUTIME_ID, &from);
        struct reward *reward = grade("[{\"verifier\":\"choice\",\"gold\":\"D\",\"options\":"
                                      "[\"Paris\",\"Rome\",\"P\",\"A nor\"]}]",
                                      buffer_slice(&text));
        clock_gettime(CLOCK_THREAD_CPUTIME_ID, &to);
        print_message("%.1f ms: %zu bytes of \"%s\"\n",
                      (double)(to.tv_sec - from.tv_sec) * 1e3 +
                          (double)(to.tv_nsec - from.tv_nsec) / 1e6,
                      text.len, UNITS[i]);
        assert_true(reward->value == 0);
        reward_free(&reward);
        buffer_free(&text);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_forms),          cmocka_unit_test(test_unicode),
        cmocka_unit_test(test_which_counts),   cmocka_unit_test(test_options),
        cmocka_unit_test(test_number_options), cmocka_unit_test(test_bad_specs),
        cmocka_unit_test(test_hostile),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
