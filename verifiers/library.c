#include "verifiers/library.h"

#include <stdio.h>
#include <stdlib.h>

#include "protocol/base/json.h"
#include "protocol/base/locale.h"
#include "verifiers/math/math.h"
#include "verifiers/math/select/answer.h"
#include "verifiers/verify.h"

// The reward of completion i, or of all; the one before is used again when it is the same text.
static struct reward_spec *get_spec(struct reward_spec **last, struct slice json,
                                    struct error *err) {
    if (*last && slice_equal(reward_spec_json(*last), json)) return *last;
    reward_spec_free(last);
    return *last = reward_spec_parse(json, NULL, 0, err);
}

char *stampede_score(const char *const *completions, const size_t *lens, size_t n,
                     const char *const *rewards, const size_t *reward_lens, size_t n_rewards,
                     const int64_t *n_tokens, size_t *out_len) {
    struct buffer out = {0};
    struct reward_spec *spec = NULL;
    struct error err = {0};
    buffer_add_text(&out, "[");
    for (size_t i = 0; i < n; i++) {
        const size_t r = n_rewards == n ? i : 0;
        const struct verifier_sample sample = {.completion = {completions[i], lens[i]},
                                               .n_tokens = n_tokens ? n_tokens[i] : -1};
        if (i) buffer_add_text(&out, ",");
        if (get_spec(&spec, (struct slice){rewards[r], reward_lens[r]}, &err)) {
            struct reward *reward = reward_grade(spec, &sample);
            reward_to_json(reward, &out);
            reward_free(&reward);
        } else {
            buffer_add_text(&out,
                            "{\"value\":null,\"status\":\"bad_spec\",\"terms\":[],\"error\":");
            json_add_string(&out, slice_of(err.text));
            buffer_add_text(&out, "}");
        }
    }
    buffer_add_text(&out, "]");
    reward_spec_free(&spec);
    *out_len = out.len;
    return out.ptr;
}

static int read_policy(const char *name, enum math_policy *out) {
    static const char *const NAMES[] = {
        [MATH_VALUE] = "value", [MATH_LITERAL] = "literal", [MATH_SIMPLIFIED] = "simplified"};
    for (size_t i = 0; i < sizeof NAMES / sizeof *NAMES; i++)
        if (strcmp(name, NAMES[i]) == 0) {
            *out = (enum math_policy)i;
            return 0;
        }
    return -1;
}

static int equal(const char *gold, size_t gold_len, const char *answer, size_t answer_len,
                 const char *policy, char *message) {
    struct math_options options = {.long_decimals = true};
    const struct slice golds[] = {{gold, gold_len}};
    struct math_report report;
    struct error err;
    if (read_policy(policy, &options.policy)) {
        snprintf(message, STAMPEDE_MESSAGE_BYTES,
                 "The policy is '%s'; value, literal or simplified was expected.", policy);
        return -1;
    }
    struct math_gold *parsed = math_gold_parse(golds, 1, &options, &err);
    if (!parsed) {
        snprintf(message, STAMPEDE_MESSAGE_BYTES, "%s", err.text);
        return -1;
    }
    math_report_answer(parsed, (struct slice){answer, answer_len}, &report);
    math_gold_free(&parsed);
    return report.verdict == MATH_EQUAL || report.verdict == MATH_EQUAL_NUM;
}

int stampede_equal(const char *gold, size_t gold_len, const char *answer, size_t answer_len,
                   const char *policy, char *message) {
    locale_t before = locale_enter();
    int verdict = equal(gold, gold_len, answer, answer_len, policy, message);
    locale_leave(before);
    return verdict;
}

char *stampede_extract(const char *text, size_t len, size_t *out_len) {
    struct answer answer;
    struct buffer out = {0};
    locale_t before = locale_enter();
    bool found = answer_select((struct slice){text, len}, &answer);
    locale_leave(before);
    if (!found) return NULL;
    for (int i = 0; i < answer.n_parts; i++) {
        if (i) buffer_add_text(&out, ", ");
        buffer_add_slice(&out, answer.parts[i]);
    }
    buffer_add(&out, "", 1);
    *out_len = out.len - 1;
    return out.ptr;
}

void stampede_free(void *memory) {
    free(memory);
}
