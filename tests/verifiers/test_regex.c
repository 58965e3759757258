// `regex_format`: what matches, and patterns that would take hours.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <time.h>
#include <cmocka.h>

#include "protocol/base/json.h"
#include "verifiers/verify.h"

static struct reward *match(const char *pattern, const char *where, struct slice text) {
    struct buffer json = {0};
    struct error err;
    buffer_add_text(&json, "[{\"verifier\":\"regex_format\",\"pattern\":");
    json_add_string(&json, slice_of(pattern));
    buffer_printf(&json, ",\"where\":\"%s\"}]", where);
    struct reward_spec *spec = reward_spec_parse(buffer_slice(&json), NULL, 0, &err);
    buffer_free(&json);
    if (!spec) print_error("%s\n", err.text);
    assert_non_null(spec);
    const struct verifier_sample sample = {.completion = text, .n_tokens = -1};
    struct reward *reward = reward_grade(spec, &sample);
    reward_spec_free(&spec);
    return reward;
}

static void test_matches(void **state) {
    static const struct {
        const char *pattern, *where, *text;
        int value;
    } CASES[] = {
        {"b+", "search", "abbc", 1},
        {"b+", "full", "abbc", 0},
        {"b+", "full", "bbb", 1},
        {"a|ab", "full", "ab", 1}, // the other alternative is tried
        {"^x", "search", "y\nx", 0},
        {"(?m)^x", "search", "y\nx", 1},
        {"(?s)<think>.*</think>\\s*<answer>.*</answer>", "full",
         "<think>a\nb</think>\n<answer>4</answer>", 1},
        {"\\d", "search", "٣", 1}, // Unicode digits, as in Python
        {"^.$", "search", "é", 1},
        {"x?", "search", "", 1},
        {"(\\w+) \\1", "search", "a the the b", 1},
        {"(?i)BOXED", "search", "\\boxed{1}", 1},
    };
    (void)state;
    for (size_t i = 0; i < sizeof CASES / sizeof *CASES; i++) {
        struct reward *r = match(CASES[i].pattern, CASES[i].where, slice_of(CASES[i].text));
        if (r->value != CASES[i].value) print_error("%s\n", CASES[i].pattern);
        assert_int_equal(r->status, REWARD_OK);
        assert_true(r->value == CASES[i].value);
        reward_free(&r);
    }
}

static void test_bytes(void **state) {
    (void)state;
    struct reward *r = match("a.c", "search",
                             (struct slice){"\xff\xfe"
                                            "abc\0",
                                            6});
    assert_int_equal(r->status, REWARD_OK);
    assert_true(r->value == 1);
    reward_free(&r);
}

// Texts on which the patterns below are slow; all of 64 KiB.
static void fill(char *text, size_t n, int kind) {
    for (size_t i = 0; i < n; i++) switch (kind) {
        case 0:
            text[i] = 'a';
            break;
        case 1:
            text[i] = "ab "[i % 3];
            break;
        case 2:
            text[i] = (char)('a' + i * 2654435761u % 4294967296u / 171798692u % 25u);
            break;
        case 3:
            text[i] = i > n - 1000 ? '!' : 'a';
            break;
        default:
            text[i] = i % 97 == 96 ? '1' : 'a';
            break;
        }
}

static void test_catastrophes(void **state) {
    static const char *const PATTERNS[] = {
        "(a+)+$",
        "(a|aa)+$",
        "(a|a?)+!$",
        "(a*)*[b-z!]!!!x|q",
        "^(?:(?:a|b)*)*c",
        ".*.*.*.*[x-z][0-9]",
        "[a-z]*+[0-9][0-9]",
        "(?:[a-z]{30000})!x",
        "(a?){60}a{60}",
        "(.+)\\1\\1[!1]",
        "(?=(a+))a*b\\1",
        "(a(?1)?)+[^a]{9}",
        "(?<![a-z]{200})[!1]x",
        "(?:a{1,200}){1,200}[!1]{7}x",
        "(\\w+\\s*)+:",
        "\\X+[xyz]9",
        "((((a+)+)+)+)+[!]{2000}",
        "^(([a-z])+.)+[A-Z]([a-z])+$",
    };
    enum { N = 64 << 10 };
    char *text = malloc(N);
    int n_limit = 0;
    clock_t slowest = 0;
    (void)state;
    assert_non_null(text);
    for (size_t p = 0; p < sizeof PATTERNS / sizeof *PATTERNS; p++)
        for (int kind = 0; kind < 5; kind++) {
            fill(text, N, kind);
            const clock_t before = clock();
            struct reward *r = match(PATTERNS[p], "search", (struct slice){text, N});
            const clock_t took = clock() - before;
            if (took > slowest) slowest = took;
            assert_true(r->status == REWARD_OK || r->status == REWARD_LIMIT);
            if (r->status == REWARD_LIMIT) assert_true(r->value == 0);
            n_limit += r->status == REWARD_LIMIT;
            reward_free(&r);
        }
    print_message("%d of %zu at their limit, the slowest took %.1f ms\n", n_limit,
                  5 * sizeof PATTERNS / sizeof *PATTERNS, (double)slowest * 1000 / CLOCKS_PER_SEC);
    assert_true(n_limit >= 10);
    struct reward *r = match("(a+)+$", "full", slice_of("aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaab"));
    assert_int_equal(r->status, REWARD_LIMIT); // exponential on 38 bytes
    reward_free(&r);
    free(text);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_matches),
        cmocka_unit_test(test_bytes),
        cmocka_unit_test(test_catastrophes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
