// libFuzzer: any bytes as a gold and as a completion. A gold that is accepted equals itself.
#include <stdlib.h>

#include "protocol/base/memory.h"
#include "verifiers/math/math.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

// A tree equals itself, unless a budget is used up.
static void check_itself(struct slice text, const struct math_options *options) {
    struct arena arena = {0};
    struct math_budget budget = {0};
    struct math_node *node;
    struct math_result result;
    if (math_parse(text, false, &arena, &budget, &node, NULL) == MATH_READ) {
        math_equal(node, node, options, &budget, &arena, &result);
        if (result.verdict != MATH_EQUAL && result.verdict != MATH_LIMIT) abort();
    }
    arena_clear(&arena);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    // The first zero byte divides the gold from the completion.
    const char *text = (const char *)data;
    const char *zero = size ? memchr(text, 0, size) : NULL;
    const struct slice gold = {text, zero ? (size_t)(zero - text) : size};
    const struct slice completion = {zero ? zero + 1 : text, zero ? size - gold.len - 1 : size};
    const struct math_options options = {.long_decimals = size % 2};
    struct error err;
    check_itself(gold, &options);
    struct math_gold *parsed = math_gold_parse(&gold, 1, &options, &err);
    if (!parsed) return 0;
    struct math_report report;
    math_report(parsed, completion, &report);
    if (report.span.len && (report.span.ptr < completion.ptr ||
                            report.span.ptr + report.span.len > completion.ptr + completion.len))
        abort();
    math_gold_free(&parsed);
    return 0;
}
