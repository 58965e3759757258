#include "verifiers/math/math.h"

#include <stdlib.h>

#include "protocol/base/memory.h"
#include "verifiers/math/answer.h"
#include "verifiers/math/number.h"

struct math_gold {
    struct math_options options;
    int n;
    struct number_list list[]; // (n)
};

const char *math_verdict_name(enum math_verdict verdict) {
    static const char *const NAMES[] = {"equal",   "equal_num", "different",
                                        "unknown", "no_answer", "limit"};
    return NAMES[verdict];
}

// All parts of an answer as one list.
static enum number_result read_answer(const struct answer *answer, struct number_list *out) {
    struct number_list part;
    out->n = 0;
    for (int i = 0; i < answer->n_parts; i++) {
        enum number_result result = number_read(answer->parts[i], answer->prose, &part);
        if (result == NUMBER_NONE && answer->shorter.len)
            result = number_read(answer->shorter, answer->prose, &part);
        if (result != NUMBER_READ) return result;
        if (out->n + part.n > NUMBER_MAX_LIST) return NUMBER_LIMIT;
        memcpy(out->items + out->n, part.items, (size_t)part.n * sizeof part.items[0]);
        out->n += part.n;
    }
    return NUMBER_READ;
}

struct math_gold *math_gold_parse(const struct slice *golds, int n,
                                  const struct math_options *options, struct error *err) {
    struct math_gold *gold = memory_new(1, sizeof *gold + (size_t)n * sizeof gold->list[0]);
    gold->options = *options;
    gold->n = n;
    for (int i = 0; i < n; i++) {
        struct answer answer;
        enum number_result result = number_read(golds[i], false, &gold->list[i]);
        if (result == NUMBER_NONE && answer_select(golds[i], &answer) &&
            strcmp(answer.rule, "last") != 0)
            result = read_answer(&answer, &gold->list[i]);
        if (result == NUMBER_READ) continue;
        math_gold_free(&gold);
        if (result == NUMBER_LIMIT)
            error_set(err, ERROR_INPUT,
                      "The gold \"%.*s\" of the verifier math is over the budget of %d digits.",
                      SLICE_ARG(golds[i]), NUMBER_MAX_DIGITS);
        else
            error_set(err, ERROR_INPUT,
                      "The gold \"%.*s\" of the verifier math is no number: integers, decimals, "
                      "fractions, percentages and lists of them were expected.",
                      SLICE_ARG(golds[i]));
        return NULL;
    }
    return gold;
}

void math_gold_free(struct math_gold **gold) {
    free(*gold);
    *gold = NULL;
}

enum math_verdict math_grade(const struct math_gold *gold, struct slice completion,
                             const char **rule) {
    struct answer answer;
    struct number_list list;
    *rule = "";
    if (!answer_select(completion, &answer)) return MATH_NO_ANSWER;
    *rule = answer.rule;
    if (answer.n_parts == 1 && answer.parts[0].len == 0) return MATH_NO_ANSWER;
    const enum number_result result = read_answer(&answer, &list);
    if (result == NUMBER_LIMIT) return MATH_LIMIT;
    if (result == NUMBER_NONE) return MATH_UNKNOWN;
    enum math_verdict best = MATH_DIFFERENT;
    for (int i = 0; i < gold->n; i++) {
        switch (number_compare_lists(&gold->list[i], &list, gold->options.long_decimals)) {
        case NUMBER_EQUAL:
            return MATH_EQUAL;
        case NUMBER_EQUAL_ROUNDED:
            best = MATH_EQUAL_NUM;
            break;
        case NUMBER_UNDECIDED:
            if (best == MATH_DIFFERENT) best = MATH_UNKNOWN;
            break;
        case NUMBER_DIFFERENT:
            break;
        }
    }
    return best;
}
