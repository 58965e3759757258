// `math`: the term's keys, and the verdict as an outcome.
#include <stdio.h>

#include "verifiers/math/math.h"
#include "verifiers/verifier.h"

enum { MAX_GOLDS = 64 };

// Data sets by name, and whether a longer decimal that rounds to a decimal gold is right.
static const struct preset {
    const char *name;
    bool long_decimals;
} PRESETS[] = {{"gsm8k", true}, {"math", false}, {"aime", false}};

static int read_options(const struct json *term, struct arena *arena, struct math_options *options,
                        struct error *err) {
    struct slice name;
    *options = (struct math_options){.long_decimals = true};
    if (json_get(term, "policy")) {
        if (verifier_string(term, "policy", arena, &name, err)) return -1;
        if (!slice_is(name, "value"))
            return error_set(err, ERROR_INPUT,
                             "\"policy\" is \"%.*s\"; this build has \"value\" only.",
                             SLICE_ARG(name));
    }
    if (!json_get(term, "data")) return 0;
    if (verifier_string(term, "data", arena, &name, err)) return -1;
    for (size_t i = 0; i < sizeof PRESETS / sizeof *PRESETS; i++)
        if (slice_is(name, PRESETS[i].name)) {
            options->long_decimals = PRESETS[i].long_decimals;
            return 0;
        }
    return error_set(err, ERROR_INPUT,
                     "\"data\" is \"%.*s\"; \"gsm8k\", \"math\" or \"aime\" was expected.",
                     SLICE_ARG(name));
}

static int read_gold(const struct json *value, struct arena *arena, struct slice *out,
                     struct error *err) {
    if (value && value->type == JSON_STRING) {
        *out = json_string(value, arena);
        return 0;
    }
    if (value && value->type == JSON_NUMBER) {
        *out = value->text;
        return 0;
    }
    if (!value) return error_set(err, ERROR_INPUT, "The key \"gold\" is missing.");
    return error_set(err, ERROR_INPUT,
                     "\"gold\" is or holds %s; a string, a number or a list of them was expected.",
                     json_type_name(value));
}

static void *parse(const struct json *term, struct arena *arena, struct error *err) {
    struct slice golds[MAX_GOLDS];
    int n = 0;
    struct math_options options;
    const struct json *gold = json_get(term, "gold");
    if (read_options(term, arena, &options, err)) return NULL;
    if (!gold || gold->type != JSON_ARRAY) {
        if (read_gold(gold, arena, &golds[n++], err)) return NULL;
    } else {
        if (gold->n_children < 1 || gold->n_children > MAX_GOLDS) {
            error_set(err, ERROR_INPUT, "\"gold\" has %d elements; 1 to %d were expected.",
                      gold->n_children, MAX_GOLDS);
            return NULL;
        }
        for (const struct json *g = gold->first; g; g = g->next)
            if (read_gold(g, arena, &golds[n++], err)) return NULL;
    }
    return math_gold_parse(golds, n, &options, err);
}

static void grade(const void *state, const struct verifier_sample *sample,
                  struct verifier_outcome *out) {
    const char *rule;
    const enum math_verdict verdict = math_grade(state, sample->completion, &rule);
    switch (verdict) {
    case MATH_EQUAL:
    case MATH_EQUAL_NUM:
        out->value = 1;
        return;
    case MATH_DIFFERENT:
        out->value = 0;
        return;
    case MATH_UNKNOWN:
        out->status = REWARD_UNKNOWN;
        snprintf(out->detail, sizeof out->detail,
                 "The answer (%s) was not understood or has another unit.", rule);
        return;
    case MATH_NO_ANSWER:
        out->status = REWARD_NO_ANSWER;
        return;
    case MATH_LIMIT:
        out->status = REWARD_LIMIT;
        snprintf(out->detail, sizeof out->detail, "The answer (%s) is over a budget.", rule);
        return;
    }
}

static void free_gold(void *state) {
    struct math_gold *gold = state;
    math_gold_free(&gold);
}

static const char *const KEYS[] = {"gold", "policy", "data", NULL};

const struct verifier math_verifier = {
    .name = "math", .keys = KEYS, .parse = parse, .grade = grade, .free = free_gold};
