// libFuzzer: any bytes as a reward of built-in terms and as a completion, divided by the first zero
// byte. Where they are no reward, the completion is graded by one of a fixed list. Values stay in
// the range of their verifier, and grading again gives the same.
#include <math.h>
#include <stdlib.h>

#include "protocol/base/json.h"
#include "verifiers/verifier.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const char *const SPECS[] = {
    "[{\"verifier\":\"choice\",\"gold\":\"B\"}]",
    "[{\"verifier\":\"choice\",\"gold\":\"C\",\"options\":[\"5\",\"\\\\frac{1}{2}\",\"C major\","
    "\"Both A and B\",\"mW\",\"MW\"]}]",
    "[{\"verifier\":\"tags\",\"tags\":[\"think\",\"answer\"],\"where\":\"full\",\"boxed\":true}]",
    "[{\"verifier\":\"tags\",\"tags\":[\"think\"],\"opened\":true}]",
    "[{\"verifier\":\"language\",\"language\":\"en\"}]",
    "[{\"verifier\":\"language\",\"language\":\"zh\",\"where\":\"answer\"}]",
    "[{\"verifier\":\"repetition\",\"ngram\":1}]",
    "[{\"verifier\":\"repetition\",\"ngram\":4,\"max_penalty\":0.5}]",
    "[{\"verifier\":\"exact\",\"gold\":\"B\"},{\"verifier\":\"length\",\"max\":9,\"soft\":4}]",
    "[{\"verifier\":\"regex_format\",\"pattern\":\"(a+)+b|\\\\\\\\boxed\"}]",
    "[{\"verifier\":\"math\",\"gold\":\"\\\\frac{1}{2}\"}]",
    "[{\"verifier\":\"ifeval\",\"instruction_id_list\":[\"punctuation:no_comma\","
    "\"language:response_language\"],\"kwargs\":[{},{\"language\":\"de\"}],\"mode\":\"loose\"}]",
};

enum { N_SPECS = sizeof SPECS / sizeof *SPECS };

static bool in_range(const struct reward_term *term) {
    if (slice_is(slice_of(term->verifier), "length")) return term->value >= -1 && term->value <= 0;
    if (slice_is(slice_of(term->verifier), "ifeval")) return term->value >= 0 && term->value <= 1;
    if (slice_is(slice_of(term->verifier), "repetition")) return term->value <= 0;
    return term->value == 0 || term->value == 1;
}

static void check(const struct reward_spec *spec, struct slice completion) {
    const struct verifier_sample sample = {.completion = completion,
                                           .n_tokens = (int64_t)completion.len};
    struct reward *first = reward_grade(spec, &sample), *second = reward_grade(spec, &sample);
    for (int i = 0; i < first->n_terms; i++) {
        const struct reward_term *a = &first->terms[i], *b = &second->terms[i];
        if (!reward_status_has_value(a->status) || !in_range(a)) abort();
        if (a->status != b->status || a->value != b->value) abort();
        if (a->status != REWARD_OK && a->value != 0) abort();
    }
    reward_free(&first);
    reward_free(&second);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    const char *text = (const char *)data;
    const char *zero = size ? memchr(text, 0, size) : NULL;
    const struct slice json = {text, zero ? (size_t)(zero - text) : 0};
    const struct slice completion = {zero ? zero + 1 : text, zero ? size - json.len - 1 : size};
    struct error err;
    struct reward_spec *spec = reward_spec_parse(json, NULL, 0, &err);
    if (!spec) {
        if (err.text[0] == 0 || err.code != ERROR_INPUT) abort();
        spec = reward_spec_parse(slice_of(SPECS[size % N_SPECS]), NULL, 0, &err);
        if (!spec) abort();
    }
    check(spec, completion);
    reward_spec_free(&spec);
    return 0;
}
