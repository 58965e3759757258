// Two answers are compared, and the policy has the last word.
#include <assert.h>

#include "verifiers/math/grade/policy.h"
#include "verifiers/math/math.h"

enum math_read math_parse(struct slice text, bool prose, struct arena *arena,
                          struct math_budget *budget, struct math_node **out, size_t *stopped) {
    return kinds_read(text, prose, arena, budget, out, stopped);
}

void math_equal(const struct math_node *gold, const struct math_node *answer,
                const struct math_options *options, struct math_budget *budget, struct arena *arena,
                struct math_result *out) {
    struct comparison c = {.options = options, .budget = budget, .arena = arena, .rule = "form"};
    const int64_t before = budget->steps;
    assert(gold && answer);
    out->verdict = kinds_compare(&c, gold, answer);
    out->rule = c.rule;
    if (out->verdict == MATH_DIFFERENT || out->verdict == MATH_UNKNOWN) {
        const enum math_verdict other = commas_compare(&c, gold, answer);
        if (other <= MATH_EQUAL_NUM) {
            out->verdict = other;
            out->rule = "thousands";
        }
    }
    if (out->verdict <= MATH_EQUAL_NUM && options->policy != MATH_VALUE &&
        !policy_allows(options, gold, answer)) {
        out->verdict = MATH_DIFFERENT;
        out->rule = options->policy == MATH_LITERAL ? "literal" : "simplified";
    }
    if (budget->steps > budget->max_steps && budget->max_steps && out->verdict > MATH_EQUAL_NUM) {
        out->verdict = MATH_LIMIT;
        out->rule = "budget";
    }
    out->steps = budget->steps - before;
}

void math_equal_any(const struct math_node *const *golds, int n, const struct math_node *answer,
                    const struct math_options *options, struct math_budget *budget,
                    struct arena *arena, struct math_result *out) {
    static const int RANK[] = {[MATH_EQUAL] = 0,   [MATH_EQUAL_NUM] = 1, [MATH_LIMIT] = 2,
                               [MATH_UNKNOWN] = 3, [MATH_DIFFERENT] = 4, [MATH_NO_ANSWER] = 5};
    struct math_result result;
    *out = (struct math_result){MATH_NO_ANSWER, "", 0};
    for (int i = 0; i < n && out->verdict != MATH_EQUAL; i++) {
        math_equal(golds[i], answer, options, budget, arena, &result);
        result.steps += out->steps;
        if (RANK[result.verdict] < RANK[out->verdict])
            *out = result;
        else
            out->steps = result.steps;
    }
}
