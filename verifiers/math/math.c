#include "verifiers/math/math.h"

#include <stdlib.h>

#include "verifiers/math/answer.h"
#include "verifiers/math/tree.h"

struct math_gold {
    struct math_options options;
    struct arena arena;
    int n;
    const struct math_node *nodes[]; // (n)
};

const char *math_verdict_name(enum math_verdict verdict) {
    static const char *const NAMES[] = {"equal",   "equal_num", "different",
                                        "unknown", "no_answer", "limit"};
    return NAMES[verdict];
}

// All parts of an answer as one list. Where the only part is not understood, or only as words, its
// beginning counts.
static enum math_read read_answer(const struct answer *answer, struct arena *arena,
                                  struct math_budget *budget, struct math_node **out) {
    struct math_node *parts[ANSWER_MAX_BOXES], *shorter;
    for (int i = 0; i < answer->n_parts; i++) {
        enum math_read read =
            math_parse(answer->parts[i], answer->prose, arena, budget, &parts[i], NULL);
        const bool words = read == MATH_READ && parts[i]->kind == MATH_TEXT;
        if (answer->shorter.len && (words || read == MATH_UNREADABLE) &&
            math_parse(answer->shorter, answer->prose, arena, budget, &shorter, NULL) ==
                MATH_READ) {
            parts[i] = shorter;
            read = MATH_READ;
        }
        if (read != MATH_READ) return read;
    }
    *out = math_list(parts, answer->n_parts, arena);
    return MATH_READ;
}

static enum math_read read_gold(struct slice text, struct arena *arena, struct math_node **out) {
    struct math_budget budget = {0};
    struct answer answer;
    const enum math_read read = math_parse(text, false, arena, &budget, out, NULL);
    if (read == MATH_READ || read == MATH_EMPTY) return read;
    // A whole solution: its last answer statement.
    if (!answer_select(text, &answer) || strcmp(answer.rule, "last") == 0) return read;
    budget = (struct math_budget){0};
    return read_answer(&answer, arena, &budget, out);
}

struct math_gold *math_gold_parse(const struct slice *golds, int n,
                                  const struct math_options *options, struct error *err) {
    struct math_gold *gold = memory_new(1, sizeof *gold + (size_t)n * sizeof gold->nodes[0]);
    gold->options = *options;
    gold->n = n;
    for (int i = 0; i < n; i++) {
        struct math_node *node;
        const enum math_read read = read_gold(golds[i], &gold->arena, &node);
        gold->nodes[i] = node;
        if (read == MATH_READ) continue;
        math_gold_free(&gold);
        if (read == MATH_OVER)
            error_set(err, ERROR_INPUT,
                      "The gold \"%.*s\" of the verifier math is over a budget of the reader: %d "
                      "bytes, %d nodes, %d levels of brackets.",
                      SLICE_ARG(golds[i]), MATH_MAX_BYTES, MATH_MAX_NODES, MATH_MAX_DEPTH);
        else
            error_set(err, ERROR_INPUT,
                      "The gold \"%.*s\" of the verifier math is not understood; a mathematical "
                      "answer in LaTeX or plain text was expected.",
                      SLICE_ARG(golds[i]));
        return NULL;
    }
    return gold;
}

void math_gold_free(struct math_gold **gold) {
    if (*gold) arena_clear(&(*gold)->arena);
    free(*gold);
    *gold = NULL;
}

enum math_verdict math_grade(const struct math_gold *gold, struct slice completion,
                             const char **rule) {
    struct answer answer;
    struct arena arena = {0};
    struct math_budget budget = {0};
    struct math_result result = {MATH_UNKNOWN, "", 0};
    struct math_node *node;
    *rule = "";
    if (!answer_select(completion, &answer)) return MATH_NO_ANSWER;
    *rule = answer.rule;
    switch (read_answer(&answer, &arena, &budget, &node)) {
    case MATH_READ:
        math_equal_any(gold->nodes, gold->n, node, &gold->options, &budget, &arena, &result);
        break;
    case MATH_EMPTY:
        result.verdict = MATH_NO_ANSWER;
        break;
    case MATH_UNREADABLE:
        break;
    case MATH_OVER:
        result.verdict = MATH_LIMIT;
        break;
    }
    arena_clear(&arena);
    return result.verdict;
}
