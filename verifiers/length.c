// `length`: DAPO's soft overlong punishment (arXiv 2503.14476, equation 13), in tokens. With
// L = max and C = soft: 0 up to L - C, then a line down to -1 at L, and -1 beyond.
#include <stdio.h>
#include <stdlib.h>

#include "verifiers/verifier.h"

struct length {
    int64_t max, soft;
};

static int read_count(const struct json *term, const char *key, int64_t low, int64_t *out,
                      struct error *err) {
    const struct json *value = json_get(term, key);
    if (value && value->type == JSON_NUMBER && json_int64(value, out) == 0 && *out >= low &&
        *out <= INT32_MAX)
        return 0;
    return error_set(err, ERROR_INPUT,
                     "\"%s\" is %.*s; a number of tokens, %lld or more, was "
                     "expected.",
                     key, SLICE_ARG(value ? value->text : slice_of("missing")), (long long)low);
}

static void *parse(const struct json *term, struct arena *arena, struct error *err) {
    struct length length = {0, 0};
    (void)arena;
    if (read_count(term, "max", 1, &length.max, err)) return NULL;
    if (json_get(term, "soft") && read_count(term, "soft", 0, &length.soft, err)) return NULL;
    if (length.soft > length.max) {
        error_set(err, ERROR_INPUT, "\"soft\" is %lld; at most \"max\", %lld, was expected.",
                  (long long)length.soft, (long long)length.max);
        return NULL;
    }
    struct length *state = memory_new(1, sizeof *state);
    *state = length;
    return state;
}

static void grade(const void *state, const struct verifier_sample *sample,
                  struct verifier_outcome *out) {
    const struct length *length = state;
    if (sample->n_tokens < 0) {
        out->status = REWARD_UNSUPPORTED;
        snprintf(out->detail, sizeof out->detail, "The number of tokens is not known.");
        return;
    }
    const int64_t over = sample->n_tokens - (length->max - length->soft);
    if (over <= 0)
        out->value = 0;
    else
        out->value = over >= length->soft ? -1 : -(double)over / (double)length->soft;
}

static const char *const KEYS[] = {"max", "soft", NULL};

const struct verifier length_verifier = {
    .name = "length", .no_gate = true, .keys = KEYS, .parse = parse, .grade = grade, .free = free};
