// Lists that were written as text, and the golds and instructions that come out of them.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "verifiers/score/score_gold.h"
#include "verifiers/score/score_literal.h"

// NULL: it is no list.
static void check(const char *text, bool latex, const char *want) {
    struct buffer out = {0};
    buffer_add_text(&out, "before");
    const int failed = score_literal_json(slice_of(text), latex, &out);
    buffer_add(&out, "", 1);
    if ((failed != 0) != !want || strcmp(out.ptr + 6, want ? want : "") != 0)
        print_error("%s gives %s\n", text, out.ptr + 6);
    assert_int_equal(failed, want ? 0 : -1);
    assert_string_equal(out.ptr + 6, want ? want : "");
    buffer_free(&out);
}

static void test_lists(void **state) {
    static const struct {
        const char *text, *want;
    } cases[] = {
        {"[]", "[]"},
        {"{}", "{}"},
        {" [ 1 , \"a\" ] ", "[1,\"a\"]"},
        {"['a', \"it's\"]", "[\"a\",\"it's\"]"},
        {"[None, True, False, null, true, false, nan, NaN]",
         "[null,true,false,null,true,false,null,null]"},
        {"[(1, 2), (3,)]", "[[1,2],[3]]"},
        {"{'a': {\"b\": [1.5e3, -2]}, 'c': 0}", "{\"a\":{\"b\":[1.5e3,-2]},\"c\":0}"},
        {"['a',]", "[\"a\"]"},
        {"[\"\\u00e9\\ud83d\\ude00\\x41\\U0001F600\"]", "[\"\xC3\xA9\xF0\x9F\x98\x80"
                                                        "A\xF0\x9F\x98\x80\"]"},
        {"['\\ud83d', '\\ude00']", "[\"\xEF\xBF\xBD\",\"\xEF\xBF\xBD\"]"},
        {"['a\\nb\\tc', '\\\\', '\\'', '\\\"', '\\/']",
         "[\"a\\nb\\tc\",\"\\\\\",\"'\",\"\\\"\",\"/\"]"},
        {"['\\('", NULL},
        {"['\\(a\\)']", "[\"\\\\(a\\\\)\"]"},
        {"", NULL},
        {"[", NULL},
        {"]", NULL},
        {"[1", NULL},
        {"[1 2]", NULL},
        {"[,]", NULL},
        {"[1,,2]", NULL},
        {"[1}", NULL},
        {"{1: 2}", NULL},
        {"{'a'}", NULL},
        {"{'a': }", NULL},
        {"[a]", NULL},
        {"[01]", NULL},
        {"[1.]", NULL},
        {"[--1]", NULL},
        {"['a]", NULL},
        {"['a\n']", NULL},
        {"['a\\", NULL},
        {"['\\q']", NULL},
        {"['\\x4']", NULL},
        {"['\\u12']", NULL},
        {"[1] 2", NULL},
        {"(1, 2)", NULL}, // may be a point
        {"17", NULL},
        {"'a'", NULL},
        {"None", NULL},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        check(cases[i].text, false, cases[i].want);
    struct buffer deep = {0};
    for (int i = 0; i < SCORE_LITERAL_MAX_DEPTH; i++) buffer_add_text(&deep, "[");
    for (int i = 0; i < SCORE_LITERAL_MAX_DEPTH; i++) buffer_add_text(&deep, "]");
    buffer_add(&deep, "", 1);
    check(deep.ptr, false, deep.ptr);
    buffer_clear(&deep);
    for (int i = 0; i < 100000; i++) buffer_add_text(&deep, "[");
    buffer_add(&deep, "", 1);
    check(deep.ptr, false, NULL);
    buffer_free(&deep);
}

// LaTeX that nobody escaped; what is escaped means the same.
static void test_latex(void **state) {
    (void)state;
    check("['\\frac{1}{2}']", true, "[\"\\\\frac{1}{2}\"]");
    check("['\\\\frac{1}{2}']", true, "[\"\\\\frac{1}{2}\"]");
    check("[\"\\neq\", \"\\beta\", \"\\theta\", \"\\ref\"]", true,
          "[\"\\\\neq\",\"\\\\beta\",\"\\\\theta\",\"\\\\ref\"]");
    check("['\\u', '\\xi', '\\Upsilon', '\\uparrow']", true,
          "[\"\\\\u\",\"\\\\xi\",\"\\\\Upsilon\",\"\\\\uparrow\"]");
    check("['a\\n', '\\,x']", true, "[\"a\\n\",\"\\\\,x\"]");
    check("['\\(x\\)']", true, "[\"\\\\(x\\\\)\"]");
}

static void check_reward(const char *line, enum score_format format, const char *verifier,
                         const char *want) {
    struct arena arena = {0};
    struct score_map map = {0};
    struct score_record record;
    struct buffer out = {0};
    struct error err;
    score_record_read(slice_of(line), format, &map, &arena, &record, &err);
    const struct json *gold = record.values[SCORE_GOLD];
    const bool exists = score_gold_exists(&record, gold, verifier);
    const int failed =
        !exists || score_gold_reward(&record, gold, format, &map, verifier, &arena, &out, &err);
    buffer_add(&out, "", 1);
    if (failed != !want || (want && strcmp(out.ptr, want) != 0))
        print_error("%s gives %s\n", line, failed ? err.text : out.ptr);
    assert_int_equal(failed, want ? 0 : 1);
    if (want) assert_string_equal(out.ptr, want);
    buffer_free(&out);
    arena_clear(&arena);
}

#define MATH(gold) "[{\"verifier\":\"math\",\"gold\":" gold "}]"

static void test_golds(void **state) {
    static const struct {
        const char *gold, *verifier, *want;
    } cases[] = {
        {"\"17\"", "math", MATH("\"17\"")},
        {"17", "math", MATH("17")},
        {"\"[\\\"17\\\"]\"", "math", MATH("\"17\"")},
        {"\"['17', '18']\"", "math", MATH("[\"17\",\"18\"]")},
        {"[\"17\"]", "math", MATH("\"17\"")},
        {"[17]", "math", MATH("17")},
        {"[\"17\",\"18\"]", "math", MATH("[\"17\",\"18\"]")},
        {"\"[17, 18]\"", "math", MATH("\"[17, 18]\"")},
        {"\"[0,1)\"", "math", MATH("\"[0,1)\"")},
        {"\"('a', 'b')\"", "math", MATH("\"('a', 'b')\"")},
        {"\"[None]\"", "math", MATH("\"[None]\"")},
        {"\"[]\"", "math", MATH("\"[]\"")},
        {"\"['B']\"", "choice", "[{\"verifier\":\"choice\",\"gold\":\"B\"}]"},
        {"\"['B']\"", "exact", "[{\"verifier\":\"exact\",\"gold\":\"['B']\"}]"},
        {"NaN", "math", NULL},
        {"-Infinity", "exact", NULL},
        {"null", "math", NULL},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct buffer line = {0};
        buffer_printf(&line, "{\"completion\":\"a\",\"gold\":%s}", cases[i].gold);
        buffer_add(&line, "", 1);
        check_reward(line.ptr, SCORE_JSONL, cases[i].verifier, cases[i].want);
        buffer_free(&line);
    }
}

#define IFEVAL(rest) "[{\"verifier\":\"ifeval\",\"instruction_id_list\":[\"a:b\"]" rest "}]"

static void test_instructions(void **state) {
    static const struct {
        const char *line;
        enum score_format format;
        const char *want;
    } cases[] = {
        {"{\"instruction_id_list\":[\"a:b\"],\"kwargs\":[{}]}", SCORE_JSONL,
         IFEVAL(",\"kwargs\":[{}]")},
        {"{\"instruction_id\":\"a:b\",\"kwargs\":{\"n\":2}}", SCORE_JSONL,
         IFEVAL(",\"kwargs\":[{\"n\":2}]")},
        {"{\"instruction_id\":[\"a:b\"],\"kwargs\":null}", SCORE_JSONL, IFEVAL("")},
        {"{\"instruction_id\":[\"a:b\"],\"kwargs\":[{\"n\":NaN}]}", SCORE_JSONL,
         IFEVAL(",\"kwargs\":[{\"n\":null}]")},
        {"{\"instruction_id_list\":\"['a:b']\",\"kwargs\":\"[{'n': None}]\"}", SCORE_JSONL,
         IFEVAL(",\"kwargs\":[{\"n\":null}]")},
        {"{\"gold\":\"[{'instruction_id': ['a:b'], 'kwargs': [None]}]\"}", SCORE_JSONL,
         IFEVAL(",\"kwargs\":[null]")},
        {"{\"gold\":[\"{\\\"instruction_id\\\":[\\\"a:b\\\"],\\\"kwargs\\\":[{}]}\"]}", SCORE_JSONL,
         IFEVAL(",\"kwargs\":[{}]")},
        {"{\"ground_truth\":\"[{'instruction_id': ['a:b'], 'kwargs': [{}]}]\"}",
         SCORE_OPEN_INSTRUCT, IFEVAL(",\"kwargs\":[{}],\"where\":\"answer\"")},
        {"{\"doc\":{\"instruction_id_list\":[\"a:b\"],\"kwargs\":[{}]},\"target\":\"0\"}",
         SCORE_LM_EVAL, IFEVAL(",\"kwargs\":[{}]")},
        {"{\"doc\":{\"question\":\"q\"},\"target\":\"0\"}", SCORE_LM_EVAL, NULL},
        {"{\"gold\":\"17\"}", SCORE_JSONL, NULL},
        {"{\"gold\":[1,2]}", SCORE_JSONL, NULL},
        {"{\"gold\":\"[{'instruction_id': ['a:b']}]=\"}", SCORE_JSONL, NULL},
        {"{\"gold\":[[[[[{\"instruction_id\":[]}]]]]]}", SCORE_JSONL, NULL},
        {"{\"completion\":\"a\"}", SCORE_JSONL, NULL},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        check_reward(cases[i].line, cases[i].format, "ifeval", cases[i].want);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_lists),
        cmocka_unit_test(test_latex),
        cmocka_unit_test(test_golds),
        cmocka_unit_test(test_instructions),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
