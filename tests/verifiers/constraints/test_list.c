// Instruction lists: what is refused, positions, modes, budgets; and the verifier `ifeval`.
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <cmocka.h>

#include "protocol/base/clock.h"
#include "verifiers/constraints/constraints.h"
#include "verifiers/process/wire.h"

static struct constraint_list *parse(const char *ids, const char *kwargs, struct error *err) {
    struct arena arena = {0};
    struct buffer json = {0};
    buffer_printf(&json, "{\"ids\":%s,\"kwargs\":%s}", ids, kwargs);
    const struct json *root = json_parse(buffer_slice(&json), &arena, err);
    assert_non_null(root);
    struct constraint_list *list =
        constraint_list_parse(json_get(root, "ids"), json_get(root, "kwargs"), err);
    arena_clear(&arena);
    buffer_free(&json);
    return list;
}

static void test_refused(void **state) {
    static const struct {
        const char *ids, *kwargs, *part; // of the sentence
    } CASES[] = {
        {"null", "null", "instruction_id_list"},
        {"[]", "[]", "0 entries"},
        {"\"punctuation:no_comma\"", "[{}]", "a list of strings"},
        {"[7]", "[{}]", "an id was expected"},
        {"[\"keywords:exist\"]", "[{}]", "\"keywords:exist\" is not known"},
        {"[\"punctuation:no_comma\"]", "[]", "a list of 1 objects"},
        {"[\"punctuation:no_comma\"]", "{}", "a list of 1 objects"},
        {"[\"punctuation:no_comma\"]", "[3]", "an object was expected"},
        {"[\"punctuation:no_comma\"]", "[{\"x\":1}]", "no argument \"x\""},
        {"[\"keywords:existence\"]", "null", "\"keywords\" is missing"},
        {"[\"keywords:existence\"]", "[{\"keywords\":null}]", "\"keywords\" is missing"},
        {"[\"keywords:existence\"]", "[{\"keywords\":\"a\"}]", "a list of strings was expected"},
        {"[\"keywords:existence\"]", "[{\"keywords\":[]}]", "0 entries"},
        {"[\"keywords:existence\"]", "[{\"keywords\":[\"a\",1]}]", "a string was expected"},
        {"[\"keywords:existence\"]", "[{\"keywords\":[\"\"]}]", "0 characters"},
        {"[\"punctuation:no_comma\",\"length_constraints:number_words\"]",
         "[{},{\"num_words\":3,\"relation\":\"more than\"}]",
         "Instruction 1 (length_constraints:number_words): \"relation\" is \"more than\""},
        {"[\"length_constraints:number_words\"]", "[{\"num_words\":3}]", "\"relation\" is missing"},
        {"[\"length_constraints:number_words\"]", "[{\"num_words\":3.5,\"relation\":\"at least\"}]",
         "an integer was expected"},
        {"[\"length_constraints:number_words\"]",
         "[{\"num_words\":\"3\",\"relation\":\"at least\"}]", "an integer was expected"},
        {"[\"length_constraints:number_words\"]", "[{\"num_words\":-1,\"relation\":\"at least\"}]",
         "\"num_words\" is -1"},
        {"[\"length_constraints:number_words\"]",
         "[{\"num_words\":1e300,\"relation\":\"at least\"}]", "an integer was expected"},
        {"[\"keywords:letter_frequency\"]",
         "[{\"letter\":\"ab\",\"let_frequency\":1,\"let_relation\":\"at least\"}]", "2 characters"},
        {"[\"keywords:letter_frequency\"]",
         "[{\"letter\":\" \",\"let_frequency\":1,\"let_relation\":\"at least\"}]", "white space"},
        {"[\"keywords:letter_frequency\"]",
         "[{\"letter\":\"a\",\"let_frequency\":-1,\"let_relation\":\"at least\"}]", "is -1"},
        {"[\"language:response_language\"]", "[{\"language\":\"xx\"}]", "\"xx\""},
        {"[\"length_constraints:nth_paragraph_first_word\"]",
         "[{\"num_paragraphs\":1,\"nth_paragraph\":2,\"first_word\":\"a\"}]", "at most"},
        {"[\"detectable_format:rephrasing\"]", "[{\"original_message\":\"a * b\"}]",
         "between stars"},
        {"[\"detectable_format:multiple_sections\"]",
         "[{\"section_spliter\":\" \",\"num_sections\":1}]", "blank"},
        {"[\"detectable_content:rephrase_paragraph\"]",
         "[{\"original_paragraph\":\"a\",\"low\":2,\"high\":1}]", "greater"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof CASES / sizeof *CASES; i++) {
        struct error err = {0};
        struct constraint_list *list = parse(CASES[i].ids, CASES[i].kwargs, &err);
        if (list || !strstr(err.text, CASES[i].part))
            print_error("%s %s: %s\n", CASES[i].ids, CASES[i].kwargs, err.text);
        assert_null(list);
        assert_int_equal(err.code, ERROR_INPUT);
        assert_non_null(strstr(err.text, CASES[i].part));
    }
}

static void test_accepted(void **state) {
    struct error err;
    (void)state;
    // Members that are null are absent; kwargs may be null where none is needed; 3.0 is 3.
    struct constraint_list *list =
        parse("[\"punctuation:no_comma\",\"length_constraints:number_words\"]",
              "[null,{\"num_words\":3.0,\"relation\":\"at least\",\"keyword\":null}]", &err);
    assert_non_null(list);
    assert_int_equal(constraint_list_n(list), 2);
    assert_string_equal(constraint_list_id(list, 1), "length_constraints:number_words");
    constraint_list_free(&list);
    assert_null(list);
    constraint_list_free(&list);
    list = parse("[\"punctuation:no_comma\"]", "null", &err);
    assert_non_null(list);
    constraint_list_free(&list);
    struct buffer many = {0};
    for (int i = 0; i < 65; i++)
        buffer_add_text(&many, i ? ",\"punctuation:no_comma\"" : "[\"punctuation:no_comma\"");
    buffer_add_text(&many, "]");
    assert_null(parse(many.ptr, "null", &err));
    buffer_free(&many);
}

// Ids are unique, found by name, and have checkable parameters.
static void test_table(void **state) {
    (void)state;
    int n = 0;
    for (const struct constraint *row; (row = constraint_at(n)); n++) {
        assert_ptr_equal(constraint_find(slice_of(row->id)), row);
        assert_non_null(strchr(row->id, ':'));
        assert_non_null(row->follows);
        assert_null(row->params[CONSTRAINT_MAX_PARAMS].name);
        for (int p = 0; row->params[p].name; p++)
            assert_true(row->params[p].max == 0 || row->params[p].min <= row->params[p].max);
    }
    assert_true(n >= 29);
    assert_null(constraint_find(slice_of("")));
}

// The same id twice keeps both results, by position.
static void test_positions(void **state) {
    struct error err;
    enum constraint_verdict v[3];
    (void)state;
    struct constraint_list *list =
        parse("[\"keywords:existence\",\"punctuation:no_comma\",\"keywords:existence\"]",
              "[{\"keywords\":[\"a\"]},{},{\"keywords\":[\"b\"]}]", &err);
    assert_non_null(list);
    constraint_list_check(list, slice_of("a"), false, v);
    assert_int_equal(v[0], CONSTRAINT_FOLLOWED);
    assert_int_equal(v[1], CONSTRAINT_FOLLOWED);
    assert_int_equal(v[2], CONSTRAINT_BROKEN);
    constraint_list_check(list, slice_of(" \n"), true, v); // blank: nothing is followed
    assert_int_equal(v[1], CONSTRAINT_BROKEN);
    constraint_list_free(&list);
}

static struct reward *grade(const char *term, struct slice completion) {
    struct error err;
    struct reward_spec *spec = reward_spec_parse(slice_of(term), NULL, 0, &err);
    if (!spec) print_error("%s\n", err.text);
    assert_non_null(spec);
    const struct verifier_sample sample = {.completion = completion, .n_tokens = -1};
    struct reward *reward = reward_grade(spec, &sample);
    reward_spec_free(&spec);
    return reward;
}

#define TERM(rest)                                                                                 \
    "[{\"verifier\":\"ifeval\",\"instruction_id_list\":[\"punctuation:no_comma\","                 \
    "\"keywords:existence\"],\"kwargs\":[{},{\"keywords\":[\"tea\"]}]" rest "}]"

static void check_reward(const char *term, const char *completion, double value,
                         enum reward_status status, const char *parts) {
    struct reward *reward = grade(term, slice_of(completion));
    assert_true(reward->value == value);
    assert_int_equal(reward->status, status);
    assert_string_equal(reward->terms[0].parts, parts);
    reward_free(&reward);
}

static void test_verifier(void **state) {
    (void)state;
    check_reward(TERM(""), "tea", 1, REWARD_OK, "11");
    check_reward(TERM(""), "tea, tea", 0, REWARD_OK, "01");
    check_reward(TERM(",\"score\":\"fraction\""), "tea, tea", 0.5, REWARD_OK, "01");
    check_reward(TERM(",\"mode\":\"loose\""), "Yes, sure\ntea", 1, REWARD_OK, "11");
    check_reward(TERM(",\"mode\":\"strict\",\"score\":\"all\""), "Yes, sure\ntea", 0, REWARD_OK,
                 "01");
    check_reward(TERM(""), " \n", 0, REWARD_NO_ANSWER, "00");
    check_reward(TERM(",\"where\":\"all\""), "<think>a, b</think>tea", 0, REWARD_OK, "01");
    check_reward(TERM(",\"where\":\"answer\""), "<think>a, b</think>tea", 1, REWARD_OK, "11");
    check_reward(TERM(",\"where\":\"answer\""), "<answer>te<answer>a</answer>", 1, REWARD_OK, "11");
    check_reward(TERM(",\"where\":\"answer\""), "tea</think> a, <", 0, REWARD_OK, "00");
    check_reward(TERM(",\"where\":\"answer\""), "<think>tea", 0, REWARD_NO_ANSWER, "00");
    check_reward(TERM(",\"where\":\"answer\""), "tea</think> <answer></answer>\n", 0,
                 REWARD_NO_ANSWER, "00");
    struct buffer json = {0};
    struct reward *reward = grade(TERM(""), slice_of("tea, tea"));
    reward_to_json(reward, &json);
    assert_non_null(strstr(json.ptr, "\"instructions\":[false,true]"));
    reward_free(&reward);
    buffer_free(&json);
    struct error err;
    assert_null(reward_spec_parse(slice_of(TERM(",\"mode\":\"exact\"")), NULL, 0, &err));
    assert_non_null(strstr(err.text, "\"strict\" or \"loose\" was expected"));
    assert_null(reward_spec_parse(slice_of(TERM(",\"score\":1")), NULL, 0, &err));
    assert_null(reward_spec_parse(slice_of(TERM(",\"where\":\"think\"")), NULL, 0, &err));
    assert_null(
        reward_spec_parse(slice_of("[{\"verifier\":\"ifeval\",\"instruction_id_list\":[\"x:y\"],"
                                   "\"kwargs\":[{}]}]"),
                          NULL, 0, &err));
    assert_non_null(strstr(err.text, "\"x:y\" is not known"));
}

// What a child process found comes back to its parent.
static void test_wire(void **state) {
    (void)state;
    struct error err;
    struct buffer line = {0};
    struct verifier_outcome sent[1] = {0}, got[1] = {0};
    struct reward_spec *spec = reward_spec_parse(slice_of(TERM("")), NULL, 0, &err);
    const struct verifier_sample sample = {.completion = slice_of("tea, tea"), .n_tokens = -1};
    assert_non_null(spec);
    reward_grade_terms(spec, &sample, sent);
    wire_add_slot_reply(&line, 7, spec, sent);
    line.len--; // the newline
    assert_int_equal(wire_read_slot_reply(buffer_slice(&line), 7, spec, got, &err), 0);
    assert_string_equal(got[0].parts, "01");
    assert_int_equal(got[0].status, REWARD_OK);
    buffer_free(&line);
    reward_spec_free(&spec);
}

static void test_limit(void **state) {
    (void)state;
    char *large = memory_new(TEXT_MAX_BYTES + 2, 1);
    memset(large, 'a', TEXT_MAX_BYTES + 1);
    struct reward *reward = grade(TERM(""), slice_of(large));
    assert_int_equal(reward->status, REWARD_LIMIT);
    assert_true(reward->value == 0);
    assert_string_equal(reward->terms[0].parts, "\?\?");
    assert_non_null(strstr(reward->terms[0].detail, "budget"));
    reward_free(&reward);
    free(large);
}

// Texts that would cost a careless checker quadratic time: the work is charged, and the worst
// milliseconds of each are printed.
static void test_hostile(void **state) {
    static const char *const UNITS[] = {
        "a",    "*",     "-\n", "\n",  "[",   "<<",        "{\"a\":",
        "[[",   "\"",    "p.",  "p. ", ". ",  "Day ",      "\xF0\x9F\x98\x80",
        "\xFF", "***\n", "* ",  "'",   "a@b", "https://a", "A",
        "\t\n "};
    struct error err;
    (void)state;
    struct constraint_list *list = parse(
        "[\"keywords:existence\",\"keywords:forbidden_words\",\"length_constraints:number_sentences"
        "\",\"detectable_format:number_bullet_lists\",\"detectable_format:title\","
        "\"detectable_format:number_highlighted_sections\",\"detectable_content:postscript\","
        "\"detectable_format:multiple_sections\",\"detectable_format:json_format\","
        "\"change_case:capital_word_frequency\",\"language:response_language\","
        "\"detectable_content:number_placeholders\",\"combination:two_responses\","
        "\"length_constraints:number_paragraphs\",\"multi-turn:constrained_start\"]",
        "[{\"keywords\":[\"aaaaaaaab\"]},{\"forbidden_words\":[\"a\",\"aaa\"]},{\"num_sentences\":"
        "3,\"relation\":\"at least\"},{\"num_bullets\":3},{},{\"num_highlights\":100},"
        "{\"postscript_marker\":\"P.S.\"},{\"section_spliter\":\"Day\",\"num_sections\":3},{},"
        "{\"capital_frequency\":3,\"capital_relation\":\"at least\"},{\"language\":\"en\"},"
        "{\"num_placeholders\":3},{},{\"num_paragraphs\":2},{\"starter\":\"aaab\"}]",
        &err);
    if (!list) print_error("%s\n", err.text);
    assert_non_null(list);
    for (size_t u = 0; u < sizeof UNITS / sizeof *UNITS; u++) {
        struct buffer response = {0};
        while (response.len < 100000) buffer_add_text(&response, UNITS[u]);
        double worst_ms = 0;
        for (int i = 0; i < constraint_list_n(list); i++) {
            struct arena arena = {0};
            struct constraint_text text;
            text_open(&text, buffer_slice(&response), &arena);
            const uint64_t before = text.steps_left;
            const int64_t start = clock_us();
            constraint_list_follows(list, i, &text);
            const double ms = (double)(clock_us() - start) / 1000;
            if (ms > worst_ms) worst_ms = ms;
            assert_false(text.over);
            assert_true(before - text.steps_left < 48 * response.len + (1 << 20));
            arena_clear(&arena);
        }
        print_message("100 KB of %-10.10s at most %.2f ms a check\n",
                      *UNITS[u] < ' ' ? "controls" : UNITS[u], worst_ms);
        buffer_free(&response);
    }
    constraint_list_free(&list);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_refused),  cmocka_unit_test(test_accepted),
        cmocka_unit_test(test_table),    cmocka_unit_test(test_positions),
        cmocka_unit_test(test_verifier), cmocka_unit_test(test_limit),
        cmocka_unit_test(test_wire),     cmocka_unit_test(test_hostile),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
