// Parses and compares mathematical answers for tests/python/test_math_data.py.
//
//     math_equal < lines > lines
//
// {"gold": "1/2", "answer": "0.5"} -> {"verdict": "equal", "rule": "rational", "steps": 9, "us": 3}
// {"parse": "\\frac12"}            -> {"read": 0, "tree": "(mul 1 ...)"}     read: enum math_read
// "policy" ("literal", "simplified") and the flags of struct math_options may be given as well. A
// gold that does not parse has the verdict "bad_gold"; an answer, "unreadable" or "limit".
// With "explain": true both trees are printed too.
#include <stdio.h>
#include <stdlib.h>

#include "protocol/base/clock.h"
#include "protocol/base/json.h"
#include "verifiers/math/base/tree.h"
#include "verifiers/math/math.h"

static bool flag(const struct json *line, const char *name) {
    const struct json *value = json_get(line, name);
    return value && value->type == JSON_TRUE;
}

static struct math_options read_options(const struct json *line, struct arena *arena) {
    struct math_options options = {.long_decimals = flag(line, "long_decimals"),
                                   .ordered_lists = flag(line, "ordered_lists"),
                                   .strict_percent = flag(line, "strict_percent"),
                                   .strict_units = flag(line, "strict_units"),
                                   .no_rounding = flag(line, "no_rounding"),
                                   .no_points = flag(line, "no_points")};
    const struct json *policy = json_get(line, "policy");
    if (policy && slice_is(json_string(policy, arena), "literal")) options.policy = MATH_LITERAL;
    if (policy && slice_is(json_string(policy, arena), "simplified"))
        options.policy = MATH_SIMPLIFIED;
    return options;
}

static void add_tree(struct buffer *out, const char *key, const struct math_node *node,
                     struct arena *arena) {
    buffer_printf(out, ", \"%s\": ", key);
    json_add_string(out, slice_of(node ? tree_show(node, arena) : "-"));
}

static void compare(const struct json *line, struct arena *arena, struct buffer *out) {
    const struct math_options options = read_options(line, arena);
    struct math_budget budget = {0}, parsing = {0};
    struct math_node *gold, *answer = NULL;
    struct math_result result = {MATH_UNKNOWN, "unreadable", 0};
    const struct slice g = json_string(json_get(line, "gold"), arena);
    const struct slice a = json_string(json_get(line, "answer"), arena);
    const char *verdict = NULL;
    const enum math_read gold_read = math_parse(g, false, arena, &parsing, &gold, NULL);
    const int64_t start = clock_us();
    const enum math_read read = math_parse(a, flag(line, "prose"), arena, &budget, &answer, NULL);
    if (gold_read != MATH_READ)
        verdict = "bad_gold";
    else if (read == MATH_OVER)
        verdict = "limit";
    else if (read != MATH_READ)
        verdict = "unreadable";
    else
        math_equal(gold, answer, &options, &budget, arena, &result);
    buffer_printf(out, "{\"verdict\": \"%s\", \"rule\": \"%s\", \"steps\": %lld, \"us\": %lld",
                  verdict ? verdict : math_verdict_name(result.verdict), result.rule,
                  (long long)budget.steps, (long long)(clock_us() - start));
    if (flag(line, "explain")) {
        add_tree(out, "gold", gold, arena);
        add_tree(out, "answer", answer, arena);
    }
    buffer_add_text(out, "}\n");
}

static void parse(const struct json *line, struct arena *arena, struct buffer *out) {
    struct math_budget budget = {0};
    struct math_node *node;
    const struct slice text = json_string(json_get(line, "parse"), arena);
    const enum math_read read = math_parse(text, false, arena, &budget, &node, NULL);
    buffer_printf(out, "{\"read\": %d", read);
    add_tree(out, "tree", node, arena);
    buffer_add_text(out, "}\n");
}

int main(void) {
    char *text = NULL;
    size_t capacity = 0;
    ssize_t len;
    struct buffer out = {0};
    while ((len = getline(&text, &capacity, stdin)) > 0) {
        struct arena arena = {0};
        struct error err;
        const struct json *line = json_parse((struct slice){text, (size_t)len}, &arena, &err);
        if (!line) {
            fprintf(stderr, "%s\n", err.text);
            return 1;
        }
        if (json_get(line, "parse"))
            parse(line, &arena, &out);
        else
            compare(line, &arena, &out);
        fwrite(out.ptr, 1, out.len, stdout);
        buffer_free(&out);
        arena_clear(&arena);
    }
    free(text);
    return 0;
}
