// Grades completions for tests/python/test_math_data.py and tests/tools/verify_report.py.
//
//     math_grade < lines > lines
//
// {"gold": "5" or ["5", "6"], "text": "... \\boxed{5}"} ->
//     {"verdict": "equal", "found": "box", "decided": "rational", "span": "5", "steps": 9, "us": 3}
// "policy" ("literal", "simplified") and "long_decimals" may be given. A gold that is refused has
// the verdict "bad_gold" and its sentence as "error". "us" is the time of the best of "runs" checks
// (default 1), the gold parsed before.
#include <stdio.h>
#include <stdlib.h>

#include "protocol/base/clock.h"
#include "protocol/base/json.h"
#include "verifiers/math/math.h"

enum { MAX_GOLDS = 16 };

static bool has(const struct json *line, const char *key, const char *value) {
    const struct json *found = json_get(line, key);
    struct arena arena = {0};
    const bool yes =
        found && found->type == JSON_STRING && slice_is(json_string(found, &arena), value);
    arena_clear(&arena);
    return yes;
}

static struct math_gold *read_gold(const struct json *line, struct arena *arena,
                                   struct error *err) {
    struct slice golds[MAX_GOLDS];
    const struct json *gold = json_get(line, "gold"), *flag = json_get(line, "long_decimals");
    int n = 0;
    struct math_options options = {.long_decimals = flag && flag->type == JSON_TRUE};
    if (has(line, "policy", "literal")) options.policy = MATH_LITERAL;
    if (has(line, "policy", "simplified")) options.policy = MATH_SIMPLIFIED;
    if (gold->type == JSON_STRING) golds[n++] = json_string(gold, arena);
    for (const struct json *g = gold->type == JSON_ARRAY ? gold->first : NULL; g && n < MAX_GOLDS;
         g = g->next)
        golds[n++] = json_string(g, arena);
    return math_gold_parse(golds, n, &options, err);
}

static void grade(const struct json *line, struct arena *arena, struct buffer *out) {
    struct error err;
    struct math_gold *gold = read_gold(line, arena, &err);
    const struct slice text = json_string(json_get(line, "text"), arena);
    int64_t runs = 1, best = INT64_MAX;
    struct math_report report;
    if (json_get(line, "runs")) json_int64(json_get(line, "runs"), &runs);
    if (!gold) {
        buffer_add_text(out, "{\"verdict\": \"bad_gold\", \"error\": ");
        json_add_string(out, slice_of(err.text));
        buffer_add_text(out, "}\n");
        return;
    }
    for (int64_t i = 0; i < runs; i++) {
        const int64_t start = clock_us();
        math_report(gold, text, &report);
        const int64_t us = clock_us() - start;
        if (us < best) best = us;
    }
    buffer_printf(out, "{\"verdict\": \"%s\", \"found\": \"%s\", \"decided\": \"%s\", \"span\": ",
                  math_verdict_name(report.verdict), report.found, report.decided);
    json_add_string(out, report.span);
    buffer_printf(out, ", \"steps\": %lld, \"us\": %lld}\n", (long long)report.steps,
                  (long long)best);
    math_gold_free(&gold);
}

int main(void) {
    char *text = NULL;
    size_t capacity = 0;
    struct buffer out = {0};
    for (ssize_t len; (len = getline(&text, &capacity, stdin)) > 0;) {
        struct arena arena = {0};
        struct error err;
        const struct json *line = json_parse((struct slice){text, (size_t)len}, &arena, &err);
        if (!line || !json_get(line, "gold") || !json_get(line, "text")) {
            fprintf(stderr, "A line with \"gold\" and \"text\" was expected.\n");
            return 2;
        }
        buffer_clear(&out);
        grade(line, &arena, &out);
        fwrite(out.ptr, 1, out.len, stdout);
        fflush(stdout);
        arena_clear(&arena);
    }
    buffer_free(&out);
    free(text);
    return 0;
}
