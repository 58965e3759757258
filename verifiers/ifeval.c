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
    bool answer; // only what is behind </think>, without the tags of an answer
};

static void *parse(const struct json *term, struct arena *arena, struct error *err) {
    static const char *const MODES[] = {"strict", "loose", NULL};
    static const char *const SCORES[] = {"all", "fraction", NULL};
    static const char *const PLACES[] = {"all", "answer", NULL};
    int mode, score, place;
    if (verifier_word(term, "mode", MODES, arena, &mode, err) ||
        verifier_word(term, "score", SCORES, arena, &score, err) ||
        verifier_word(term, "where", PLACES, arena, &place, err))
        return NULL;
    struct constraint_list *list =
        constraint_list_parse(json_get(term, "instruction_id_list"), json_get(term, "kwargs"), err);
    if (!list) return NULL;
    struct ifeval *ifeval = memory_new(1, sizeof *ifeval);
    *ifeval = (struct ifeval){list, mode == 1, score == 1, place == 1};
    return ifeval;
}

// As open-instruct's reward sees it.
static struct slice answer_of(struct slice completion, struct arena *arena) {
    static const char *const TAGS[] = {"<answer>", "</answer>"};
    struct slice s = verifier_behind_thinking(completion);
    char *out = arena_take(arena, s.len + 1, 1);
    size_t n = 0;
    for (size_t i = 0; i < s.len;) {
        size_t len = 0;
        for (int k = 0; k < 2 && s.ptr[i] == '<' && !len; k++)
            if (slice_starts(slice_from(s, i), slice_of(TAGS[k]))) len = strlen(TAGS[k]);
        if (!len) out[n++] = s.ptr[i];
        i += len ? len : 1;
    }
    return (struct slice){out, n};
}

static void grade(const void *state, const struct verifier_sample *sample,
                  struct verifier_outcome *out) {
    const struct ifeval *ifeval = state;
    enum constraint_verdict verdicts[CONSTRAINT_MAX_INSTRUCTIONS];
    const int n = constraint_list_n(ifeval->list);
    int n_followed = 0, at_limit = -1;
    struct arena arena = {0};
    struct slice text = sample->completion;
    if (ifeval->answer && text.len <= TEXT_MAX_BYTES) text = answer_of(text, &arena);
    const bool is_blank = slice_is_blank(text);
    constraint_list_check(ifeval->list, text, ifeval->loose, verdicts);
    arena_clear(&arena);
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
    } else if (is_blank) {
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

static const char *const KEYS[] = {"instruction_id_list", "kwargs", "mode", "score", "where", NULL};

const struct verifier ifeval_verifier = {
    .name = "ifeval", .keys = KEYS, .parse = parse, .grade = grade, .free = free_ifeval};
