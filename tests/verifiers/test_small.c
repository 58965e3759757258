// The small verifiers (`exact`, `tags`, `length`, `repetition`, `language`, `regex_format`): what
// README says of each, and hostile completions.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <cmocka.h>

#include "protocol/base/buffer.h"
#include "verifiers/verifier.h"

enum { LARGE = 1000000 };

struct probe {
    const char *term; // without its braces
    const char *completion;
    double value;
    enum reward_status status;
};

static struct reward *grade(const char *term, struct slice completion, int64_t n_tokens) {
    struct buffer json = {0};
    struct error err;
    buffer_add_text(&json, "[{");
    buffer_add_text(&json, term);
    buffer_add_text(&json, "}]");
    struct reward_spec *spec = reward_spec_parse((struct slice){json.ptr, json.len}, NULL, 0, &err);
    if (!spec) print_error("%s: %s\n", term, err.text);
    assert_non_null(spec);
    const struct verifier_sample sample = {.completion = completion, .n_tokens = n_tokens};
    struct reward *reward = reward_grade(spec, &sample);
    reward_spec_free(&spec);
    buffer_free(&json);
    return reward;
}

static int check(const struct probe *p, struct slice completion, int64_t n_tokens) {
    struct reward *reward = grade(p->term, completion, n_tokens);
    const double off = reward->value - p->value;
    const bool right = (off < 1e-9 && off > -1e-9) && reward->status == p->status;
    if (!right)
        print_error("{%s} on \"%.60s\" (%zu bytes): %g %s, should be %g %s\n", p->term,
                    completion.ptr, completion.len, reward->value,
                    reward_status_name(reward->status), p->value, reward_status_name(p->status));
    reward_free(&reward);
    return !right;
}

static void check_all(const struct probe *probes, size_t n) {
    int n_wrong = 0;
    for (size_t i = 0; i < n; i++) n_wrong += check(&probes[i], slice_of(probes[i].completion), -1);
    assert_int_equal(n_wrong, 0);
}

#define CHECK_ALL(list) check_all(list, sizeof(list) / sizeof *(list))

#define EXACT(gold) "\"verifier\":\"exact\",\"gold\":\"" gold "\""

static const struct probe EXACTS[] = {
    {EXACT("42"), "42", 1, REWARD_OK},
    {EXACT("42"), " 42\n", 1, REWARD_OK},
    {EXACT("42"), "\r\n42\r\n", 1, REWARD_OK},
    {EXACT(" 42\\n"), "42", 1, REWARD_OK},
    {EXACT("42"), "42.", 0, REWARD_OK},
    {EXACT("42"), "4 2", 0, REWARD_OK},
    {EXACT("Yes"), "yes", 0, REWARD_OK},
    {EXACT("42"), "", 0, REWARD_NO_ANSWER},
    {EXACT("42"), " \n\t", 0, REWARD_NO_ANSWER},
    {EXACT("42"), "\u00A042\u3000", 1, REWARD_OK}, // no-break and wide spaces are white space
    {EXACT("\\u00a042"), "42", 1, REWARD_OK},
    {EXACT("42"), "\u2003\u3000", 0, REWARD_NO_ANSWER},
    {EXACT("42"), "\u200B42", 0, REWARD_OK}, // of no width, but no space
    {EXACT("a\\r\\nb"), "a\r\nb", 1, REWARD_OK},
    {EXACT("a\\nb"), "a\r\nb", 0, REWARD_OK},
    {EXACT("\\u00e9"), "e\u0301", 0, REWARD_OK}, // other code points
    {EXACT("\\u00e9"), "\u00e9", 1, REWARD_OK},
    {EXACT("42"), "<think>42</think>42", 0, REWARD_OK}, // nothing is cut
    {EXACT("42"), "\xFF\xFE", 0, REWARD_OK},
    {EXACT("42"), "42\xC2", 0, REWARD_OK},
    {EXACT("\\ud83d\\ude00"), "\U0001F600", 1, REWARD_OK},
};

static void test_exact(void **state) {
    (void)state;
    CHECK_ALL(EXACTS);
    const struct probe nul = {EXACT("4\\u00002"), "", 1, REWARD_OK};
    assert_int_equal(check(&nul, (struct slice){"4\0002", 3}, -1), 0);
    const struct probe tail = {EXACT("42"), "", 0, REWARD_OK};
    assert_int_equal(check(&tail, (struct slice){"42\0", 3}, -1), 0);
}

#define TAGS(more) "\"verifier\":\"tags\",\"tags\":[\"think\",\"answer\"]" more
#define FULL       TAGS(",\"where\":\"full\"")

static const struct probe SHAPES[] = {
    {FULL, "<think>\r\na\r\n</think>\r\n<answer>b</answer>\r\n", 1, REWARD_OK},
    {FULL, "\u00A0<think>a</think>\u3000<answer>b</answer>\u2003", 1, REWARD_OK},
    {FULL, "<think>a</think>\u200B<answer>b</answer>", 0, REWARD_OK},
    {FULL, "\uFEFF<think>a</think><answer>b</answer>", 0, REWARD_OK},
    {FULL, "<think>a<think>b</think></think><answer>c</answer>", 0, REWARD_OK},
    {FULL, "<think><answer>c</answer></think>", 0, REWARD_OK},
    {FULL, "<think/><answer>c</answer>", 0, REWARD_OK},
    {FULL, "<think>a</ think><answer>c</answer>", 0, REWARD_OK},
    {FULL, "<think>a</think>\n<answer>c</answer>\n<|im_end|>", 0, REWARD_OK},
    {FULL, "<think>a < b > c</think><answer>1 < 2</answer>", 1, REWARD_OK},
    {TAGS(""), "", 0, REWARD_NO_ANSWER},
    {TAGS(""), "\u00A0\u3000\n", 0, REWARD_NO_ANSWER},
    {TAGS(""), "\xFF<think>\xC3</think><answer>\xE2\x82</answer>", 1, REWARD_OK},
    {TAGS(""), "<thinking>a</thinking><answer>b</answer>", 0, REWARD_OK},
    {TAGS(""), "<th\u0301ink>a</think><answer>b</answer>", 0, REWARD_OK},
    {TAGS(",\"boxed\":true"), "<think>\\boxed{1}</think><answer>2</answer>", 0, REWARD_OK},
    {TAGS(",\"boxed\":true"), "<think>1</think><answer>\\boxed{2}</answer>", 1, REWARD_OK},
    {TAGS(",\"boxed\":true"), "<think>1</think><answer>\\boxed{2</answer>", 0, REWARD_OK},
    {TAGS(",\"boxed\":true"), "<think>1</think><answer>\\boxed{ \u3000}</answer>", 0, REWARD_OK},
};

static void test_tags(void **state) {
    (void)state;
    CHECK_ALL(SHAPES);
    const struct probe nul = {FULL, "", 1, REWARD_OK};
    static const char TEXT[] = "<think>a\0b</think><answer>\0</answer>";
    assert_int_equal(check(&nul, (struct slice){TEXT, sizeof TEXT - 1}, -1), 0);
}

#define LENGTH(max, soft) "\"verifier\":\"length\",\"max\":" max ",\"soft\":" soft

static const struct {
    const char *term;
    int64_t n_tokens;
    double value;
} LENGTHS[] = {{LENGTH("100", "20"), 0, 0},
               {LENGTH("100", "20"), 1, 0},
               {LENGTH("100", "20"), 80, 0},
               {LENGTH("100", "20"), 81, -0.05},
               {LENGTH("100", "20"), 90, -0.5},
               {LENGTH("100", "20"), 100, -1},
               {LENGTH("100", "20"), INT64_MAX, -1},
               {LENGTH("100", "0"), 100, 0},
               {LENGTH("100", "0"), 101, -1},
               {LENGTH("100", "100"), 1, -0.01},
               {LENGTH("2147483647", "2147483647"), 0, 0}};

static void test_length(void **state) {
    (void)state;
    for (size_t i = 0; i < sizeof LENGTHS / sizeof *LENGTHS; i++) {
        const struct probe p = {LENGTHS[i].term, "", LENGTHS[i].value, REWARD_OK};
        assert_int_equal(check(&p, slice_of(""), LENGTHS[i].n_tokens), 0);
    }
    struct reward *reward = grade(LENGTH("100", "20"), slice_of("x"), -1);
    assert_int_equal(reward->status, REWARD_UNSUPPORTED);
    assert_true(reward->value != reward->value);
    reward_free(&reward);
}

#define REPETITION "\"verifier\":\"repetition\",\"ngram\":2"

static const struct probe REPEATS[] = {
    {REPETITION, "", 0, REWARD_OK},
    {REPETITION, "a", 0, REWARD_OK},
    {REPETITION, "a b c", 0, REWARD_OK},
    {REPETITION, "a b a b", -1.0 / 3, REWARD_OK},
    {REPETITION, "A b a B", -1.0 / 3, REWARD_OK},
    {REPETITION, "a\r\nb\ta\u3000b", -1.0 / 3, REWARD_OK},
    {REPETITION, "\u4F60\u597D\u4F60\u597D", -1.0 / 3, REWARD_OK},
    {REPETITION, "\u00C9 x \u00E9 x", -1.0 / 3, REWARD_OK},
    {REPETITION, "\xFF \xFF \xFF", -0.5, REWARD_OK},
    {REPETITION ",\"max_penalty\":0.5", "a a a", -0.25, REWARD_OK},
};

static void test_repetition(void **state) {
    (void)state;
    CHECK_ALL(REPEATS);
    const struct probe nul = {REPETITION, "", -0.5, REWARD_OK};
    assert_int_equal(check(&nul, (struct slice){"\0 \0 \0", 5}, -1), 0);
}

#define LANGUAGE(code) "\"verifier\":\"language\",\"language\":\"" code "\""
#define ANSWER(code)   LANGUAGE(code) ",\"where\":\"answer\""
#define GERMAN         "Der schnelle Fuchs springt heute \u00FCber den faulen Hund im Garten."
#define ENGLISH        "The quick brown fox jumps over the lazy dog in the garden again today."

static const struct probe LANGUAGES[] = {
    {LANGUAGE("de"), GERMAN, 1, REWARD_OK},
    {LANGUAGE("de"), ENGLISH, 0, REWARD_OK},
    {LANGUAGE("en"), "\uFEFF" ENGLISH "\r\n", 1, REWARD_OK},
    {LANGUAGE("zh"), "\u4ECA\u5929\u5929\u6C14\u5F88\u597D\u6211\u4EEC", 1, REWARD_OK},
    {LANGUAGE("en"), "", 0, REWARD_NO_ANSWER},
    {LANGUAGE("en"), " \u3000\n", 0, REWARD_NO_ANSWER},
    {LANGUAGE("en"), "12345", 0, REWARD_UNKNOWN},
    {LANGUAGE("en"), "$x^2 + y^2 = z^2$ `int main(void)`", 0, REWARD_UNKNOWN},
    {LANGUAGE("de"), GERMAN " \\(x \\text{ is a number that we use in the text}\\)", 1, REWARD_OK},
    {LANGUAGE("en"), ENGLISH " \xFF\xC2", 1, REWARD_OK},
    {ANSWER("de"), "<think>" ENGLISH ENGLISH "</think>" GERMAN, 1, REWARD_OK},
    {ANSWER("en"), "<think>" ENGLISH "</think>" GERMAN, 0, REWARD_OK},
    {ANSWER("en"), "<think>" ENGLISH, 0, REWARD_NO_ANSWER},
    {ANSWER("en"), "<think>" ENGLISH "</think>\u3000", 0, REWARD_NO_ANSWER},
    {ANSWER("en"), ENGLISH, 1, REWARD_OK},
    {ANSWER("en"), "x</think>y</think>" ENGLISH, 1, REWARD_OK},
};

static void test_language(void **state) {
    (void)state;
    CHECK_ALL(LANGUAGES);
}

#define REGEX(pattern) "\"verifier\":\"regex_format\",\"pattern\":\"" pattern "\""
#define WHOLE(pattern) REGEX(pattern) ",\"where\":\"full\""

static const struct probe PATTERNS[] = {
    {REGEX("b+"), "abbc", 1, REWARD_OK},
    {REGEX("^b"), "abbc", 0, REWARD_OK},
    {REGEX("."), "", 0, REWARD_OK},
    {REGEX("^$"), "", 1, REWARD_OK},
    {WHOLE("a|ab"), "ab", 1, REWARD_OK},
    {WHOLE("a"), "a\n", 0, REWARD_OK},
    {WHOLE("a$"), "a\n", 0, REWARD_OK},
    {WHOLE("a.b"), "a\nb", 0, REWARD_OK},
    {WHOLE("(?s)a.b"), "a\nb", 1, REWARD_OK},
    {WHOLE("a\\\\r\\\\nb"), "a\r\nb", 1, REWARD_OK},
    {WHOLE("(?m)a$\\\\s^b"), "a\nb", 1, REWARD_OK},
    {WHOLE("\\\\w+"), "\u00E9\u4F60", 1, REWARD_OK},
    {WHOLE("\\\\X"), "e\u0301", 1, REWARD_OK},
    {WHOLE("(?i)STRASSE"), "strasse", 1, REWARD_OK},
    {WHOLE("\\\\p{Han}+"), "\u4F60\u597D", 1, REWARD_OK},
    {REGEX("^\\uFEFF?x"), "\uFEFFx", 1, REWARD_OK},
    {REGEX("a\\u0000b"), "ab", 0, REWARD_OK},
    {WHOLE("(?s).*"),
     "a\xFF"
     "b",
     0, REWARD_OK}, // a byte that is no UTF-8 matches nothing
    {WHOLE("(?s)b.*"),
     "a\xFF"
     "b",
     0, REWARD_OK},
    {WHOLE("(?s).*\\\\K.*b"), "ab", 1, REWARD_OK},
    {REGEX("a"),
     "\xFF\xFE"
     "a",
     1, REWARD_OK},
    {REGEX("(?<=</think>)\\\\s*<answer>"), "<think></think>\n<answer>", 1, REWARD_OK},
    {REGEX("(a+)+$"), "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaab", 0, REWARD_LIMIT},
    {REGEX("(?R)?"), "a", 0, REWARD_LIMIT},
};

static void test_regex(void **state) {
    (void)state;
    CHECK_ALL(PATTERNS);
    const struct probe nul = {WHOLE("a\\u0000b"), "", 1, REWARD_OK};
    assert_int_equal(check(&nul, (struct slice){"a\0b", 3}, -1), 0);
}

// `unit` over and over, up to LARGE bytes.
static struct slice large_of(const char *unit, char *out) {
    const size_t len = strlen(unit), n = LARGE / len * len;
    for (size_t i = 0; i < n; i += len) memcpy(out + i, unit, len);
    return (struct slice){out, n};
}

static double seconds(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

// Whatever the text, every verifier ends at once.
static void test_hostile(void **state) {
    static const char *const TERMS[] = {
        EXACT("42"),
        TAGS(",\"boxed\":true"),
        FULL,
        LENGTH("100", "20"),
        REPETITION,
        LANGUAGE("en"),
        ANSWER("zh"),
        REGEX("(a|a)*b"),
        REGEX("(.*)(.*)(.*)(.*)x\\\\1"),
        REGEX("\\\\X{2}$"),
        REGEX("\\\\X\\\\X$"),
        REGEX("\\\\X{500}"),
        REGEX("(*sr:.+)\\\\x00"),
        REGEX("(\\\\w+\\\\s?)+!"),
        REGEX("[^q]*q"),
        REGEX("(?:a?){40}a{40}x"),
        REGEX("(?<=aaaa)z"),
        REGEX("(?i)(\\\\w{3,}).*\\\\1.*\\\\1z"),
        REGEX("(a(?1)?b)z"),
        REGEX("^(?:.|\\\\n)*?</answer>$"),
    };
    static const char *const UNITS[] = {"a",
                                        "\xFF",
                                        "<think>",
                                        "</think>",
                                        "<think></think>",
                                        "\\boxed{",
                                        "e\u0301",
                                        "\u0301",
                                        "\u4F60",
                                        "`",
                                        "$",
                                        "\r\n",
                                        " ",
                                        "{",
                                        "}",
                                        "ab ",
                                        "\\(",
                                        "\u200D\U0001F468",
                                        "\U0001F1E6",
                                        "\xE2\x82",
                                        "```\n"};
    enum { N_TERMS = sizeof TERMS / sizeof *TERMS, N_UNITS = sizeof UNITS / sizeof *UNITS };
    char *text = malloc(LARGE);
    (void)state;
    double worst = 0;
    assert_non_null(text);
    for (int t = 0; t < N_TERMS; t++)
        for (int u = 0; u < N_UNITS; u++) {
            const double start = seconds();
            struct reward *reward = grade(TERMS[t], large_of(UNITS[u], text), LARGE);
            const double took = seconds() - start;
            if (took > 0.5) print_error("{%s} on \"%s\": %.3f s\n", TERMS[t], UNITS[u], took);
            if (took > worst) worst = took;
            reward_free(&reward);
        }
    free(text);
    print_message("%.0f ms is the longest check\n", 1e3 * worst);
    assert_true(worst < 2);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_exact),    cmocka_unit_test(test_tags),
        cmocka_unit_test(test_length),   cmocka_unit_test(test_repetition),
        cmocka_unit_test(test_language), cmocka_unit_test(test_regex),
        cmocka_unit_test(test_hostile)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
