// Every label of the public GSM8K completions is agreed with, and every GSM8K gold equals its own
// solution. Skipped where the data is not at hand (../shared/data, or $STAMPEDE_DATA).
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>

#include "protocol/base/json.h"
#include "verifiers/verify.h"

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

static double grade(const struct json *row, const char *gold, const char *completion,
                    enum reward_status *status) {
    struct arena arena = {0};
    struct buffer spec_json = {0};
    struct error err;
    buffer_add_text(&spec_json, "[{\"verifier\":\"math\",\"data\":\"gsm8k\",\"gold\":");
    buffer_add_slice(&spec_json, json_get(row, gold)->text);
    buffer_add_text(&spec_json, "}]");
    struct reward_spec *spec = reward_spec_parse(buffer_slice(&spec_json), NULL, 0, &err);
    if (!spec) print_error("%s\n", err.text);
    assert_non_null(spec);
    const struct verifier_sample sample = {
        .completion = json_string(json_get(row, completion), &arena), .n_tokens = -1};
    struct reward *reward = reward_grade(spec, &sample);
    const double value = reward->value;
    *status = reward->status;
    reward_free(&reward);
    reward_spec_free(&spec);
    buffer_free(&spec_json);
    arena_clear(&arena);
    return value;
}

// Returns the number of rows; `label` names a boolean, or is NULL where every row is right.
static int check_rows(FILE *f, const char *gold, const char *completion, const char *label) {
    char *line = NULL;
    size_t capacity = 0;
    ssize_t len;
    int n = 0, n_wrong = 0;
    while ((len = getline(&line, &capacity, f)) > 0) {
        struct arena arena = {0};
        struct error err;
        enum reward_status status;
        const struct json *row = json_parse((struct slice){line, (size_t)len}, &arena, &err);
        assert_non_null(row);
        const double want = !label || json_get(row, label)->type == JSON_TRUE;
        const double got = grade(row, gold, completion, &status);
        if (got != want) {
            print_error("row %d: %g (%s), the label says %g\n", n, got, reward_status_name(status),
                        want);
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

static void test_completions(void **state) {
    (void)state;
    FILE *f = open_data("gsm8k_completions_dev.jsonl");
    assert_int_equal(check_rows(f, "gold", "completion", "is_correct"), 2632);
}

static void test_solutions(void **state) {
    (void)state;
    FILE *f = open_data("gsm8k_test.jsonl");
    assert_int_equal(check_rows(f, "answer", "answer", NULL), 1319);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_completions),
        cmocka_unit_test(test_solutions),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
