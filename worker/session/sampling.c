#include "worker/session/sampling.h"

#include <limits.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

struct sampling sampling_defaults(void) {
    return (struct sampling){.n = 1,
                             .max_new_tokens = 512,
                             .temperature = 1,
                             .top_p = 1,
                             .min_p = 0,
                             .repetition_penalty = 1};
}

int sampling_parse_draft(struct slice text, int *draft) {
    int n = 0;
    if (slice_is(text, "auto")) return *draft = DRAFT_AUTO, 0;
    if (slice_is(text, "off")) return *draft = DRAFT_OFF, 0;
    for (size_t i = 0; i < text.len; i++) {
        if (text.ptr[i] < '0' || text.ptr[i] > '9') return -1;
        n = 10 * n + text.ptr[i] - '0';
        if (n > MESSAGE_MAX_DRAFT) return -1;
    }
    *draft = DRAFT_OFF + n;
    return text.len ? 0 : -1;
}

static int wrong(struct error *err, struct slice key, const char *expected,
                 const struct json *value) {
    return error_set(err, ERROR_INPUT, "sampling.%.*s is %.*s; expected %s.", SLICE_ARG(key),
                     SLICE_ARG(value->text), expected);
}

static int set_int(int *out, int low, int high, struct slice key, const struct json *value,
                   struct error *err) {
    int64_t v;
    if (json_int64(value, &v) || v < low || v > high) {
        char expected[80];
        snprintf(expected, sizeof expected, "an integer from %d to %d", low, high);
        return wrong(err, key, expected, value);
    }
    *out = (int)v;
    return 0;
}

static int set_float(float *out, struct slice key, const struct json *value, struct error *err) {
    double v;
    if (json_double(value, &v) || !isfinite((float)v)) return wrong(err, key, "a number", value);
    *out = (float)v;
    return 0;
}

static int set_bool(bool *out, struct slice key, const struct json *value, struct error *err) {
    if (value->type != JSON_TRUE && value->type != JSON_FALSE)
        return wrong(err, key, "true or false", value);
    *out = value->type == JSON_TRUE;
    return 0;
}

static int set_stops(struct sampling *s, struct slice key, const struct json *value,
                     struct arena *arena, struct error *err) {
    bool one = value->type == JSON_STRING;
    int n = one ? 1 : value->n_children;
    if (!one && value->type != JSON_ARRAY)
        return wrong(err, key, "a text or a list of them", value);
    struct slice *stops = arena_take(arena, (size_t)n, sizeof *stops);
    const struct json *item = one ? value : value->first;
    for (int i = 0; i < n; i++, item = item->next) {
        if (item->type != JSON_STRING) return wrong(err, key, "a text or a list of them", item);
        stops[i] = json_string(item, arena);
    }
    s->stops = stops;
    s->n_stops = n;
    return 0;
}

static int set_stop_ids(struct sampling *s, struct slice key, const struct json *value, int vocab,
                        struct arena *arena, struct error *err) {
    if (value->type != JSON_ARRAY) return wrong(err, key, "a list of token ids", value);
    int32_t *ids = arena_take(arena, (size_t)value->n_children, sizeof *ids);
    int i = 0;
    for (const struct json *item = value->first; item; item = item->next)
        if (set_int(&ids[i++], 0, vocab - 1, key, item, err)) return -1;
    s->stop_ids = ids;
    s->n_stop_ids = i;
    return 0;
}

static int set_bias(struct sampling *s, struct slice key, const struct json *value, int vocab,
                    struct arena *arena, struct error *err) {
    if (value->type != JSON_OBJECT) return wrong(err, key, "an object {\"id\": bias}", value);
    int32_t *ids = arena_take(arena, (size_t)value->n_children, sizeof *ids);
    float *bias = arena_take(arena, (size_t)value->n_children, sizeof *bias);
    int n = 0;
    for (const struct json *m = value->first; m; m = m->next, n++) {
        struct json id = {.type = JSON_NUMBER, .text = m->key};
        if (set_int(&ids[n], 0, vocab - 1, key, &id, err)) return -1;
        if (set_float(&bias[n], key, m, err)) return -1;
    }
    s->bias_ids = ids;
    s->bias = bias;
    s->n_bias = n;
    return 0;
}

static int set_seed(struct sampling *s, struct slice key, const struct json *value,
                    struct error *err) {
    if (json_uint64(value, &s->seed))
        return wrong(err, key, "an integer from 0 to 2^64 - 1", value);
    return 0;
}

static int set_draft(struct sampling *s, struct slice key, const struct json *value,
                     struct error *err) {
    struct slice text = value->text;
    if (value->type == JSON_STRING) // neither word has anything to escape
        text = (struct slice){text.ptr + 1, text.len - 2};
    bool is_right = value->type == JSON_STRING || value->type == JSON_NUMBER;
    if (is_right && !sampling_parse_draft(text, &s->draft)) return 0;
    return wrong(err, key, "\"auto\", \"off\", or an integer from 0 to 64", value);
}

int sampling_set(struct sampling *s, struct wanted *wanted, struct slice key,
                 const struct json *value, int vocab, struct arena *arena, struct error *err) {
    if (slice_is(key, "n")) return set_int(&s->n, 1, MESSAGE_MAX_SAMPLES, key, value, err);
    if (slice_is(key, "max_new_tokens"))
        return set_int(&s->max_new_tokens, 0, INT_MAX, key, value, err);
    if (slice_is(key, "temperature")) return set_float(&s->temperature, key, value, err);
    if (slice_is(key, "top_k")) return set_int(&s->top_k, 0, INT_MAX, key, value, err);
    if (slice_is(key, "top_p")) return set_float(&s->top_p, key, value, err);
    if (slice_is(key, "min_p")) return set_float(&s->min_p, key, value, err);
    if (slice_is(key, "repetition_penalty"))
        return set_float(&s->repetition_penalty, key, value, err);
    if (slice_is(key, "seed")) return set_seed(s, key, value, err);
    if (slice_is(key, "draft")) return set_draft(s, key, value, err);
    if (slice_is(key, "stop")) return set_stops(s, key, value, arena, err);
    if (slice_is(key, "stop_ids")) return set_stop_ids(s, key, value, vocab, arena, err);
    if (slice_is(key, "logit_bias")) return set_bias(s, key, value, vocab, arena, err);
    if (slice_is(key, "ignore_eos")) return set_bool(&s->ignore_eos, key, value, err);
    if (slice_is(key, "prompt_logprobs"))
        return set_bool(&wanted->prompt_logprobs, key, value, err);
    if (slice_is(key, "routed_experts")) return set_bool(&wanted->routed_experts, key, value, err);
    return error_set(err, ERROR_INPUT, "sampling.%.*s is no setting that this build knows.",
                     SLICE_ARG(key));
}

// ---- the one check

static int out_of_range(struct error *err, const char *what, double value, const char *expected) {
    return error_set(err, ERROR_INPUT, "%s is %g; expected %s.", what, value, expected);
}

static int check_numbers(const struct sampling *s, struct error *err) {
    if (s->n < 1 || s->n > MESSAGE_MAX_SAMPLES)
        return out_of_range(err, "n", s->n, "1 to 65536 samples");
    if (s->max_new_tokens < 0)
        return out_of_range(err, "max_new_tokens", s->max_new_tokens, "0 or more");
    // A tiny temperature would overflow logit / T; 0 says greedy.
    if (!(s->temperature == 0 || (s->temperature >= 1e-5f && s->temperature <= 1e5f)))
        return out_of_range(err, "temperature", (double)s->temperature, "0, or 1e-5 to 1e5");
    if (s->top_k < 0) return out_of_range(err, "top_k", s->top_k, "0 (off) or more");
    if (!(s->top_p > 0 && s->top_p <= 1))
        return out_of_range(err, "top_p", (double)s->top_p, "a number in (0, 1]");
    if (!(s->min_p >= 0 && s->min_p <= 1))
        return out_of_range(err, "min_p", (double)s->min_p, "a number in [0, 1]");
    if (!(s->repetition_penalty >= 1e-3f && s->repetition_penalty <= 1e3f))
        return out_of_range(err, "repetition_penalty", (double)s->repetition_penalty,
                            "0.001 to 1000");
    return 0;
}

static int check_stops(const struct sampling *s, struct error *err) {
    size_t bytes = 0;
    if (s->n_stops > MESSAGE_MAX_STOPS)
        return error_set(err, ERROR_INPUT, "stop holds %d texts; expected at most %d.", s->n_stops,
                         MESSAGE_MAX_STOPS);
    for (int i = 0; i < s->n_stops; i++) {
        if (!s->stops[i].len)
            return error_set(err, ERROR_INPUT, "stop holds an empty text; expected texts.");
        bytes += s->stops[i].len;
    }
    if (bytes <= MESSAGE_MAX_STOP_BYTES) return 0;
    return error_set(err, ERROR_INPUT, "stop holds %zu bytes; expected at most %d in all.", bytes,
                     MESSAGE_MAX_STOP_BYTES);
}

static int check_ids(const char *what, const int32_t *ids, int n, int most, int vocab,
                     struct error *err) {
    if (n > most)
        return error_set(err, ERROR_INPUT, "%s holds %d ids; expected at most %d.", what, n, most);
    for (int i = 0; i < n; i++)
        if (ids[i] < 0 || ids[i] >= vocab)
            return error_set(err, ERROR_INPUT, "%s holds id %d; expected ids from 0 to %d.", what,
                             ids[i], vocab - 1);
    return 0;
}

static int compare_ids(const void *a, const void *b) {
    int32_t x = *(const int32_t *)a, y = *(const int32_t *)b;
    return (x > y) - (x < y);
}

static void order_stop_ids(struct sampling *s, struct arena *arena) {
    int32_t *ids = arena_take(arena, (size_t)s->n_stop_ids, sizeof *ids);
    int n = 0;
    if (s->n_stop_ids) memcpy(ids, s->stop_ids, (size_t)s->n_stop_ids * sizeof *ids);
    qsort(ids, (size_t)s->n_stop_ids, sizeof *ids, compare_ids);
    for (int i = 0; i < s->n_stop_ids; i++)
        if (!n || ids[n - 1] != ids[i]) ids[n++] = ids[i];
    s->stop_ids = ids;
    s->n_stop_ids = n;
}

struct biased {
    int32_t id; // first, for compare_ids
    float bias;
};

// -1 where an id comes twice: which of its values was meant is not ours to guess.
static int order_bias(struct sampling *s, struct arena *arena, struct error *err) {
    size_t n = (size_t)s->n_bias;
    struct biased *pairs = arena_take(arena, n, sizeof *pairs);
    int32_t *ids = arena_take(arena, n, sizeof *ids);
    float *bias = arena_take(arena, n, sizeof *bias);
    for (size_t i = 0; i < n; i++) {
        pairs[i] = (struct biased){s->bias_ids[i], s->bias[i]};
        if (!isfinite(s->bias[i]))
            return error_set(err, ERROR_INPUT,
                             "logit_bias of id %d is not finite; expected a number.",
                             s->bias_ids[i]);
    }
    qsort(pairs, n, sizeof *pairs, compare_ids);
    for (size_t i = 0; i < n; i++) {
        ids[i] = pairs[i].id;
        bias[i] = pairs[i].bias;
        if (i && ids[i] == ids[i - 1])
            return error_set(err, ERROR_INPUT,
                             "logit_bias holds id %d twice; expected each id once.", ids[i]);
    }
    s->bias_ids = ids;
    s->bias = bias;
    return 0;
}

int sampling_check(struct sampling *s, int vocab, struct arena *arena, struct error *err) {
    if (check_numbers(s, err) || check_stops(s, err)) return -1;
    if (check_ids("stop_ids", s->stop_ids, s->n_stop_ids, MESSAGE_MAX_STOP_IDS, vocab, err) ||
        check_ids("logit_bias", s->bias_ids, s->n_bias, MESSAGE_MAX_BIAS_IDS, vocab, err))
        return -1;
    order_stop_ids(s, arena);
    return order_bias(s, arena, err);
}
