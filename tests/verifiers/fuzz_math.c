// libFuzzer: any bytes as a gold and as a completion. A gold that is accepted equals itself in a
// box wherever it can stand in one, and comparing is symmetric for exact verdicts.
#include <stdlib.h>

#include "protocol/base/buffer.h"
#include "verifiers/math/math.h"
#include "verifiers/math/number.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct number_list list;

static void check_itself(struct slice text) {
    if (number_read(text, false, &list) != NUMBER_READ) return;
    if (number_compare_lists(&list, &list, true) != NUMBER_EQUAL) abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    // The first zero byte divides the gold from the completion.
    const char *text = (const char *)data;
    const char *zero = size ? memchr(text, 0, size) : NULL;
    const struct slice gold = {text, zero ? (size_t)(zero - text) : size};
    const struct slice completion = {zero ? zero + 1 : text, zero ? size - gold.len - 1 : size};
    const struct math_options options = {.long_decimals = size % 2};
    struct error err;
    check_itself(gold);
    struct math_gold *parsed = math_gold_parse(&gold, 1, &options, &err);
    if (!parsed) return 0;
    const char *rule;
    math_grade(parsed, completion, &rule);
    math_gold_free(&parsed);
    return 0;
}
