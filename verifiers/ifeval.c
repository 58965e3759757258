// `ifeval`: whether the completion follows a list of instructions (constraints/).
#include <stdio.h>
#include <stdlib.h>

#include "verifiers/constraints/chars.h"
#include "verifiers/constraints/constraints.h"
#include "verifiers/verifier.h"

_Static_assert((int)VERIFIER_MAX_PARTS >= (int)CONSTRAINT_MAX_INSTRUCTIONS, "one part for each");

struct ifeval {
    struct constraint_list *list;
    bool loose, fraction;
};

// A key that is one of two words; the first is the default.
static int read_choice(const struct json *term, const char *key, const char *first,
                       const char *second, struct arena *arena, bool *is_second,
                       struct error *err) {
    struct slice text;
    const struct json *value = json_get(term, key);
    *is_second = false;
    if (!value) return 0;
    if (verifier_string(term, key, arena, &text, err)) return -1;
    *is_second = slice_is(text, second);
    if (*is_second || slice_is(text, first)) return 0;
    return error_set(err, ERROR_INPUT, "\"%s\" is \"%.*s\"; \"%s\" or \"%s\" was expected.", key,
                     SLICE_ARG(text), first, second);
}

static void *parse(const struct json *term, struct arena *arena, struct error *err) {
    bool loose, fraction;
    if (read_choice(term, "mode", "strict", "loose", arena, &loose, err) ||
        read_choice(term, "score", "all", "fraction", arena, &fraction, err))
        return NULL;
    struct constraint_list *list =
        constraint_list_parse(json_get(term, "instruction_id_list"), json_get(term, "kwargs"), err);
    if (!list) return NULL;
    struct ifeval *ifeval = memory_new(1, sizeof *ifeval);
    *ifeval = (struct ifeval){list, loose, fraction};
    return ifeval;
}

static void grade(const void *state, const struct verifier_sample *sample,
                  struct verifier_outcome *out) {
    const struct ifeval *ifeval = state;
    enum constraint_verdict verdicts[CONSTRAINT_MAX_INSTRUCTIONS];
    const int n = constraint_list_n(ifeval->list);
    int n_followed = 0, at_limit = -1;
    constraint_list_check(ifeval->list, sample->completion, ifeval->loose, verdicts);
    for (int i = 0; i < n; i++) {
        const enum constraint_verdict v = verdicts[i];
        out->parts[i] = v == CONSTRAINT_FOLLOWED ? '1' : v == CONSTRAINT_BROKEN ? '0' : '?';
        n_followed += v == CONSTRAINT_FOLLOWED;
        if (v == CONSTRAINT_LIMIT) at_limit = i;
    }
    out->parts[n] = 0;
    if (at_limit >= 0) {
        out->status = REWARD_LIMIT;
        snprintf(out->detail, sizeof out->detail,
                 "Instruction %d (%s) used up its budget of bytes or steps.", at_limit,
                 constraint_list_id(ifeval->list, at_limit));
    } else if (slice_is_blank(sample->completion)) {
        out->status = REWARD_NO_ANSWER;
    } else {
        out->value = ifeval->fraction ? (double)n_followed / n : n_followed == n;
    }
}

static void free_ifeval(void *state) {
    struct ifeval *ifeval = state;
    constraint_list_free(&ifeval->list);
    free(ifeval);
}

static const char *const KEYS[] = {"instruction_id_list", "kwargs", "mode", "score", NULL};

const struct verifier ifeval_verifier = {
    .name = "ifeval", .keys = KEYS, .parse = parse, .grade = grade, .free = free_ifeval};
