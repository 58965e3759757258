// Completions with what they are worth, one a line, of every kind that once was graded wrong and
// the neighbours of it: cases/math/*.txt and cases/choice/*.txt. "⏎" is a line feed, a line that
// starts with "# " a comment.
//
//     gold ||| completion ||| 1 or 0 [||| more members of the term, as JSON]      (math)
//     letter or "-" ||| completion [||| options with ";" between them]            (choice)
#include <dirent.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>

#include "protocol/base/buffer.h"
#include "protocol/base/json.h"
#include "verifiers/constraints/chars.h"
#include "verifiers/verifier.h"

enum { MAX_FIELDS = 4, N_LETTERS = 8 };

struct line {
    const char *where;
    int n;                           // fields
    struct slice fields[MAX_FIELDS]; // "⏎" is a line feed
};

static struct slice unfold(struct slice field, struct arena *arena) {
    static const char mark[] = "⏎";
    const size_t len = sizeof mark - 1;
    char *out = arena_take(arena, field.len + 1, 1);
    size_t n = 0;
    for (size_t i = 0; i < field.len; n++) {
        const bool is_mark = field.len - i >= len && memcmp(field.ptr + i, mark, len) == 0;
        out[n] = is_mark ? '\n' : field.ptr[i];
        i += is_mark ? len : 1;
    }
    return (struct slice){out, n};
}

static struct line split(struct slice text, const char *where, struct arena *arena) {
    struct line line = {.where = where};
    while (line.n < MAX_FIELDS) {
        const char *end = memmem(text.ptr, text.len, " ||| ", 5);
        const struct slice field = {text.ptr, end ? (size_t)(end - text.ptr) : text.len};
        line.fields[line.n++] = unfold(field, arena);
        if (!end) return line;
        text = slice_from(text, field.len + 5);
    }
    print_error("%s: more than %d fields: %.*s\n", where, MAX_FIELDS, SLICE_ARG(text));
    fail();
    return line;
}

static double grade(const char *json, struct slice completion, enum reward_status *status) {
    struct error err;
    struct reward_spec *spec = reward_spec_parse(slice_of(json), NULL, 0, &err);
    *status = REWARD_BAD_SPEC;
    if (!spec) return 0;
    const struct verifier_sample sample = {.completion = completion, .n_tokens = -1};
    struct reward *reward = reward_grade(spec, &sample);
    const double value = reward->value;
    *status = reward->status;
    reward_free(&reward);
    reward_spec_free(&spec);
    return value;
}

static int check_math(const struct line *line) {
    struct buffer json = {0};
    enum reward_status status;
    assert_true(line->n >= 3);
    buffer_add_text(&json, "[{\"verifier\":\"math\",\"gold\":");
    json_add_string(&json, line->fields[0]);
    if (line->n > 3) {
        buffer_add_text(&json, ",");
        buffer_add_slice(&json, line->fields[3]);
    }
    buffer_add_text(&json, "}]");
    buffer_add(&json, "", 1);
    const bool want = slice_is(line->fields[2], "1");
    assert_true(want || slice_is(line->fields[2], "0"));
    const double value = grade(json.ptr, line->fields[1], &status);
    const bool right = value == want && status != REWARD_BAD_SPEC;
    if (!right)
        print_error("%s: %s: gold %.*s, %.*s: %g, %s\n", line->where,
                    value != 0 ? "ACCEPTED" : "refused", SLICE_ARG(line->fields[0]),
                    SLICE_ARG(line->fields[1]), value, reward_status_name(status));
    buffer_free(&json);
    return !right;
}

static void add_options(struct buffer *json, struct slice options) {
    buffer_add_text(json, ",\"options\":[");
    while (options.len) {
        const char *end = memchr(options.ptr, ';', options.len);
        const size_t len = end ? (size_t)(end - options.ptr) : options.len;
        json_add_string(json, (struct slice){options.ptr, len});
        options = slice_from(options, end ? len + 1 : len);
        if (options.len) buffer_add_text(json, ",");
    }
    buffer_add_text(json, "]");
}

static int n_options(const struct line *line) {
    int n = 1;
    if (line->n < 3) return N_LETTERS;
    for (size_t i = 0; i < line->fields[2].len; i++) n += line->fields[2].ptr[i] == ';';
    return n;
}

// Every letter is tried as the gold: the one that is named has value 1, the others 0.
static int check_choice(const struct line *line) {
    char named[N_LETTERS + 1] = "";
    size_t n_named = 0;
    assert_true(line->n >= 2 && line->fields[0].len == 1);
    for (int gold = 0; gold < n_options(line); gold++) {
        struct buffer json = {0};
        enum reward_status status;
        buffer_add_text(&json, "[{\"verifier\":\"choice\",\"gold\":\"");
        buffer_add(&json, &"ABCDEFGH"[gold], 1);
        buffer_add_text(&json, "\"");
        if (line->n > 2) add_options(&json, line->fields[2]);
        buffer_add_text(&json, "}]");
        buffer_add(&json, "", 1);
        if (grade(json.ptr, line->fields[1], &status) == 1) named[n_named++] = (char)('A' + gold);
        assert_int_not_equal(status, REWARD_BAD_SPEC);
        buffer_free(&json);
    }
    const bool none = slice_is(line->fields[0], "-");
    if (none ? n_named == 0 : slice_is(line->fields[0], named)) return 0;
    print_error("%s: %s: %.*s names \"%s\", should name %.*s\n", line->where,
                n_named ? "ACCEPTED" : "refused", SLICE_ARG(line->fields[1]), named,
                SLICE_ARG(line->fields[0]));
    return 1;
}

// Returns how many lines of the file are not graded as they say; `*n` counts the lines.
static int check_file(const char *folder, const char *name, int (*check)(const struct line *),
                      int *n) {
    char path[4096], where[4224], *text = NULL;
    size_t capacity = 0;
    ssize_t len;
    int n_wrong = 0;
    snprintf(path, sizeof path, "%s/%s", folder, name);
    FILE *f = fopen(path, "r");
    assert_non_null(f);
    for (int i = 1; (len = getline(&text, &capacity, f)) > 0; i++) {
        if (text[len - 1] == '\n') len--;
        if (len == 0 || (len > 1 && text[0] == '#' && text[1] == ' ')) continue;
        struct arena arena = {0};
        snprintf(where, sizeof where, "%s:%d", path, i);
        const struct line line = split((struct slice){text, (size_t)len}, where, &arena);
        n_wrong += check(&line);
        ++*n;
        arena_clear(&arena);
    }
    free(text);
    fclose(f);
    return n_wrong;
}

static void check_folder(const char *folder, int (*check)(const struct line *)) {
    struct dirent **files;
    int n_lines = 0, n_wrong = 0;
    const int n = scandir(folder, &files, NULL, alphasort);
    assert_true(n > 0);
    for (int i = 0; i < n; i++) {
        if (files[i]->d_name[0] != '.')
            n_wrong += check_file(folder, files[i]->d_name, check, &n_lines);
        free(files[i]);
    }
    free(files);
    print_message("%d lines of %s, %d not as they say\n", n_lines, folder, n_wrong);
    assert_true(n_lines > 0);
    assert_int_equal(n_wrong, 0);
}

static void test_math(void **state) {
    (void)state;
    check_folder("tests/verifiers/cases/math", check_math);
}

static void test_choice(void **state) {
    (void)state;
    check_folder("tests/verifiers/cases/choice", check_choice);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_math), cmocka_unit_test(test_choice)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
