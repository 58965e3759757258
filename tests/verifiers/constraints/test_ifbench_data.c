// Every case of IFBench's own tests is agreed with, and the arguments of all of its prompts parse.
// Skipped where the data is not at hand (../shared/data, or $STAMPEDE_DATA). And what needs no
// data: all ids are there, and none needs more than its budget on hostile texts.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>

#include "verifiers/constraints/constraints.h"

static FILE *open_data(const char *name) {
    const char *folder = getenv("STAMPEDE_DATA");
    char path[4096];
    snprintf(path, sizeof path, "%s/%s", folder ? folder : "../shared/data", name);
    FILE *f = fopen(path, "r");
    if (!f) {
        print_message("%s is not here: skipped\n", path);
        skip();
    }
    return f;
}

// Calls `check` with each row; returns how many there were, and asserts that none was wrong.
static int check_rows(FILE *f, bool (*check)(const struct json *row, struct arena *arena)) {
    char *line = NULL;
    size_t capacity = 0;
    ssize_t len;
    int n = 0, n_wrong = 0;
    while ((len = getline(&line, &capacity, f)) > 0) {
        struct arena arena = {0};
        struct error err;
        const struct json *row = json_parse((struct slice){line, (size_t)len}, &arena, &err);
        assert_non_null(row);
        if (!check(row, &arena)) {
            print_error("row %d: %.300s\n", n, line);
            n_wrong++;
        }
        n++;
        arena_clear(&arena);
    }
    free(line);
    fclose(f);
    assert_int_equal(n_wrong, 0);
    return n;
}

static bool check_case(const struct json *row, struct arena *arena) {
    struct constraint_text text;
    struct error err;
    struct buffer ids = {0}, kwargs = {0};
    buffer_printf(&ids, "[%.*s]", (int)json_get(row, "instruction_id")->text.len,
                  json_get(row, "instruction_id")->text.ptr);
    buffer_printf(&kwargs, "[%.*s]", (int)json_get(row, "kwargs")->text.len,
                  json_get(row, "kwargs")->text.ptr);
    struct constraint_list *list =
        constraint_list_parse(json_parse(buffer_slice(&ids), arena, &err),
                              json_parse(buffer_slice(&kwargs), arena, &err), &err);
    if (!list) print_error("%s\n", err.text);
    assert_non_null(list);
    text_open(&text, json_string(json_get(row, "response"), arena), arena);
    const bool follows = constraint_list_follows(list, 0, &text);
    constraint_list_free(&list);
    buffer_free(&ids);
    buffer_free(&kwargs);
    return !text.over && follows == (json_get(row, "expected")->type == JSON_TRUE);
}

static void test_cases(void **state) {
    (void)state;
    assert_int_equal(check_rows(open_data("ifbench_cases.jsonl"), check_case), 174);
}

static bool check_prompt(const struct json *row, struct arena *arena) {
    struct error err;
    (void)arena;
    struct constraint_list *list =
        constraint_list_parse(json_get(row, "instruction_id_list"), json_get(row, "kwargs"), &err);
    if (!list) print_error("%s\n", err.text);
    const bool parsed = list != NULL;
    constraint_list_free(&list);
    return parsed;
}

static void test_prompts(void **state) {
    (void)state;
    assert_int_equal(check_rows(open_data("ifbench_test.jsonl"), check_prompt), 300);
}

// ---- Ids and budgets ---------------------------------------------------------------------------

static void test_ids(void **state) {
    static const char *const FAMILIES[] = {
        "count:", "ratio:", "words:",   "sentence:",   "format:",     "custom:",   "repeat:",
        "copy:",  "new:",   "letters:", "paragraphs:", "first_word:", "last_word:"};
    static const int N[] = {9 + 4, 5, 16 - 3, 3, 14, 11, 3, 4, 1, 2, 2, 2, 2};
    (void)state;
    for (size_t f = 0; f < sizeof N / sizeof *N; f++) {
        int n = 0;
        for (int i = 0; constraint_at(i); i++)
            n += strncmp(constraint_at(i)->id, FAMILIES[f], strlen(FAMILIES[f])) == 0;
        if (n != N[f]) print_error("%s has %d ids\n", FAMILIES[f], n);
        assert_int_equal(n, N[f]);
    }
}

// Arguments that suit any row: 1, 50, "a", "at least".
static void add_kwargs(struct buffer *out, const struct constraint *row) {
    buffer_add_text(out, "[{");
    for (int i = 0; row->params[i].name; i++) {
        static const char *const VALUES[] = {
            [CONSTRAINT_INTEGER] = "1",
            [CONSTRAINT_REAL] = "50",
            [CONSTRAINT_STRING] = "\"a\"",
            [CONSTRAINT_STRINGS] = "[\"a\"]",
            [CONSTRAINT_RELATION] = "\"at least\"",
        };
        buffer_printf(out, "%s\"%s\":%s", i ? "," : "", row->params[i].name,
                      VALUES[row->params[i].type]);
    }
    buffer_add_text(out, "}]");
}

static struct constraint_list *list_of(const struct constraint *row, struct error *err) {
    struct arena arena = {0};
    struct buffer ids = {0}, kwargs = {0};
    buffer_printf(&ids, "[\"%s\"]", row->id);
    add_kwargs(&kwargs, row);
    struct constraint_list *list =
        constraint_list_parse(json_parse(buffer_slice(&ids), &arena, err),
                              json_parse(buffer_slice(&kwargs), &arena, err), err);
    buffer_free(&ids);
    buffer_free(&kwargs);
    arena_clear(&arena);
    return list;
}

// The steps that a constraint takes on 32 KB of `unit` over and over. They may not run out.
static uint64_t count_steps(const struct constraint *row, const char *unit) {
    enum { N_BYTES = 32 << 10 };
    struct arena arena = {0};
    struct buffer hostile = {0};
    struct constraint_text text;
    struct error err = {0};
    struct constraint_list *list = list_of(row, &err);
    if (!list) print_error("%s: %s\n", row->id, err.text);
    assert_non_null(list);
    while (hostile.len < N_BYTES) buffer_add_text(&hostile, unit);
    text_open(&text, buffer_slice(&hostile), &arena);
    const uint64_t budget = text.steps_left;
    constraint_list_follows(list, 0, &text);
    const uint64_t n = budget - text.steps_left;
    if (text.over) print_error("%s is over its budget on \"%s\"\n", row->id, unit);
    assert_false(text.over);
    constraint_list_free(&list);
    buffer_free(&hostile);
    arena_clear(&arena);
    return n;
}

static void test_budgets(void **state) {
    static const char *const UNITS[] = {"a ",
                                        "\n",
                                        " \n\n",
                                        "*\n",
                                        "\"'",
                                        "([{",
                                        "A.B. ",
                                        "\"\n",
                                        "Question 1 ",
                                        "? ",
                                        "a. b! c? ",
                                        "\"a\",",
                                        "\xF0\x9F\x98\x80. ",
                                        "1",
                                        "Inc. He ",
                                        "a-a"};
    int from = 0;
    (void)state;
    while (strcmp(constraint_at(from)->id, "count:word_count_range") != 0) from++;
    for (size_t u = 0; u < sizeof UNITS / sizeof *UNITS; u++) {
        uint64_t most = 0;
        const char *id = "";
        for (int i = from; constraint_at(i); i++) {
            const uint64_t n = count_steps(constraint_at(i), UNITS[u]);
            if (n > most) {
                most = n;
                id = constraint_at(i)->id;
            }
        }
        assert_int_not_equal(most, 0);
        print_message("%8llu steps of %s\n", (unsigned long long)most, id);
    }
}

// Wherever the budget ends, a check ends: nothing is read that was not made.
static void test_small_budgets(void **state) {
    static const char TEXT[] =
        "He said \"a, b.\" Then 1,2 \xF0\x9F\x98\x80. A\n\n \n\t\n* a\n- [b] <<c>>\n"
        "Question 1: a\nA) b\n***\nStudentID\tSubject\n'a' (\"b\") p.s. \xFF";
    (void)state;
    for (int i = 0; constraint_at(i); i++) {
        struct error err;
        struct constraint_list *list = list_of(constraint_at(i), &err);
        for (uint64_t steps = 0; list && steps < 2000; steps += steps / 16 + 1) {
            struct arena arena = {0};
            struct constraint_text text;
            text_open(&text, slice_of(TEXT), &arena);
            text.steps_left = steps;
            constraint_list_follows(list, 0, &text);
            arena_clear(&arena);
        }
        constraint_list_free(&list);
    }
}

// What is no UTF-8 grows when it is mended: beyond the limit it is not looked at. And marks that
// are out of their canonical order are not sorted.
static void test_a_megabyte(void **state) {
    enum { N_BYTES = 1000000 };
    static const char *const UNITS[] = {"\xFF", "\xCC\x95\xCC\x80\xCC\x9A"};
    (void)state;
    for (int u = 0; u < 2; u++) {
        struct buffer hostile = {0};
        while (hostile.len < N_BYTES) buffer_add_text(&hostile, UNITS[u]);
        for (int i = 0; constraint_at(i); i++) {
            struct error err;
            enum constraint_verdict verdict;
            struct constraint_list *list = list_of(constraint_at(i), &err);
            if (!list) continue;
            constraint_list_check(list, buffer_slice(&hostile), false, &verdict);
            if (u == 0) assert_int_equal(verdict, CONSTRAINT_LIMIT);
            if (u == 1) assert_int_not_equal(verdict, CONSTRAINT_LIMIT);
            constraint_list_free(&list);
        }
        buffer_free(&hostile);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_cases),         cmocka_unit_test(test_prompts),
        cmocka_unit_test(test_ids),           cmocka_unit_test(test_budgets),
        cmocka_unit_test(test_small_budgets), cmocka_unit_test(test_a_megabyte),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
