// `math`: the term's keys, and the verdict as an outcome.
#include <stdio.h>

#include "verifiers/math/math.h"
#include "verifiers/verifier.h"

enum { MAX_GOLDS = 64 };

// Data sets by name, and whether a longer decimal that rounds to a decimal gold is right.
static const struct preset {
    const char *name;
    bool long_decimals;
} PRESETS[] = {
    {"gsm8k", true},   {"math", false}, {"math500", false},
    {"aime", false},   {"amc", false},  {"olympiadbench", false},
    {"minerva", true}, {"gpqa", true},  {"mmlu_pro", true},
};

// Keys that hold a word: the words that it may be, by value.
static const char *const POLICIES[] = {"value", "literal", "simplified", NULL};
static const char *const LISTS[] = {"any_order", "ordered", NULL};
static const char *const PERCENT[] = {"either", "strict", NULL};
static const char *const UNITS[] = {"optional", "required", NULL};
static const char *const ROUNDING[] = {"allowed", "none", NULL};
static const char *const PROOF[] = {"optional", "required", NULL};

// `*out` is the place of the key's word in `words`, 0 where the key is not given.
static int read_word(const struct json *term, const char *key, const char *const *words,
                     struct arena *arena, int *out, struct error *err) {
    struct slice word;
    char list[128] = "";
    *out = 0;
    if (!json_get(term, key)) return 0;
    if (verifier_string(term, key, arena, &word, err)) return -1;
    for (size_t i = 0, n = 0; words[i]; i++) {
        if (slice_is(word, words[i])) {
            *out = (int)i;
            return 0;
        }
        n += (size_t)snprintf(list + n, sizeof list - n, "%s\"%s\"",
                              i == 0         ? ""
                              : words[i + 1] ? ", "
                                             : " or ",
                              words[i]);
    }
    return error_set(err, ERROR_INPUT, "\"%s\" is \"%.*s\"; %s was expected.", key, SLICE_ARG(word),
                     list);
}

static int read_preset(const struct json *term, struct arena *arena, struct math_options *options,
                       struct error *err) {
    struct slice name;
    options->long_decimals = true;
    if (!json_get(term, "data")) return 0;
    if (verifier_string(term, "data", arena, &name, err)) return -1;
    for (size_t i = 0; i < sizeof PRESETS / sizeof *PRESETS; i++)
        if (slice_is(name, PRESETS[i].name)) {
            options->long_decimals = PRESETS[i].long_decimals;
            return 0;
        }
    return error_set(err, ERROR_INPUT,
                     "\"data\" is \"%.*s\"; \"gsm8k\", \"math\", \"math500\", \"aime\", "
                     "\"amc\", \"olympiadbench\", \"minerva\", \"gpqa\" or \"mmlu_pro\" was "
                     "expected.",
                     SLICE_ARG(name));
}

static int read_options(const struct json *term, struct arena *arena, struct math_options *options,
                        struct error *err) {
    int policy, lists, percent, units, rounding, proof;
    *options = (struct math_options){0};
    if (read_preset(term, arena, options, err) ||
        read_word(term, "policy", POLICIES, arena, &policy, err) ||
        read_word(term, "lists", LISTS, arena, &lists, err) ||
        read_word(term, "percent", PERCENT, arena, &percent, err) ||
        read_word(term, "units", UNITS, arena, &units, err) ||
        read_word(term, "rounding", ROUNDING, arena, &rounding, err) ||
        read_word(term, "proof", PROOF, arena, &proof, err))
        return -1;
    options->policy = (enum math_policy)policy;
    options->ordered_lists = lists;
    options->strict_percent = percent;
    options->strict_units = units;
    options->no_rounding = rounding;
    options->no_points = proof;
    return 0;
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
    struct math_report report;
    math_report(state, sample->completion, &report);
    out->found = report.found;
    out->rule = report.decided;
    out->span = report.span;
    out->steps = report.steps;
    switch (report.verdict) {
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
                 strcmp(report.decided, "unreadable") == 0
                     ? "The answer (%s) was not understood."
                     : "The answer (%s) could not be decided.",
                 report.found);
        return;
    case MATH_NO_ANSWER:
        out->status = REWARD_NO_ANSWER;
        return;
    case MATH_LIMIT:
        out->status = REWARD_LIMIT;
        snprintf(out->detail, sizeof out->detail, "The answer (%s) is over a budget.",
                 report.found);
        return;
    }
}

static void free_gold(void *state) {
    struct math_gold *gold = state;
    math_gold_free(&gold);
}

static const char *const KEYS[] = {"gold",  "policy",   "data",  "lists", "percent",
                                   "units", "rounding", "proof", NULL};

const struct verifier math_verifier = {
    .name = "math", .keys = KEYS, .parse = parse, .grade = grade, .free = free_gold};
