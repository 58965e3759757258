// `exact`: the completion is the gold, after white space around both is trimmed.
#include <stdlib.h>

#include "verifiers/constraints/chars.h"
#include "verifiers/verifier.h"

struct exact {
    size_t len;
    char text[];
};

static void *parse(const struct json *term, struct arena *arena, struct error *err) {
    struct slice gold;
    if (verifier_string(term, "gold", arena, &gold, err)) return NULL;
    gold = slice_strip(gold, CHAR_SPACE);
    if (gold.len == 0) {
        error_set(err, ERROR_INPUT, "\"gold\" is blank; a text to compare with was expected.");
        return NULL;
    }
    struct exact *exact = memory_new(1, sizeof *exact + gold.len);
    exact->len = gold.len;
    memcpy(exact->text, gold.ptr, gold.len);
    return exact;
}

static void grade(const void *state, const struct verifier_sample *sample,
                  struct verifier_outcome *out) {
    const struct exact *exact = state;
    const struct slice text = slice_strip(sample->completion, CHAR_SPACE);
    if (text.len == 0)
        out->status = REWARD_NO_ANSWER;
    else
        out->value = slice_equal(text, (struct slice){exact->text, exact->len});
}

static const char *const KEYS[] = {"gold", NULL};

const struct verifier exact_verifier = {
    .name = "exact", .keys = KEYS, .parse = parse, .grade = grade, .free = free};
