// libFuzzer: any bytes as a gold, as an answer and as a completion. What is read equals itself, and
// no comparison takes more steps than the budget.
#include <stdlib.h>

#include "verifiers/math/base/tree.h"
#include "verifiers/math/math.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(struct slice gold_text, struct slice text, const struct math_options *options) {
    struct arena arena = {0};
    struct math_budget reading = {0}, budget = {0};
    struct math_node *gold, *answer;
    struct math_result result;
    if (math_parse(gold_text, false, &arena, &reading, &gold, NULL) == MATH_READ) {
        math_equal(gold, gold, options, &budget, &arena, &result);
        if (options->policy == MATH_VALUE && result.verdict != MATH_EQUAL) abort();
        if (math_parse(text, options->long_decimals, &arena, &budget, &answer, NULL) == MATH_READ)
            math_equal(gold, answer, options, &budget, &arena, &result);
        if (budget.steps > 2 * MATH_MAX_STEPS) abort();
        tree_show(gold, &arena);
    }
    arena_clear(&arena);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    // The first line break divides the gold from the answer; a byte before them has the options.
    if (size == 0) return 0;
    const char *text = (const char *)data + 1;
    const char *line = memchr(text, '\n', size - 1);
    const struct slice gold = {text, line ? (size_t)(line - text) : size - 1};
    const struct slice answer = {line ? line + 1 : text, line ? size - 2 - gold.len : size - 1};
    const struct math_options options = {
        .long_decimals = data[0] & 1, .ordered_lists = data[0] & 2, .policy = data[0] / 4 % 3};
    struct error err;
    const char *rule;
    check(gold, answer, &options);
    struct math_gold *parsed = math_gold_parse(&gold, 1, &options, &err);
    if (!parsed) return 0;
    math_grade(parsed, answer, &rule);
    math_gold_free(&parsed);
    return 0;
}
