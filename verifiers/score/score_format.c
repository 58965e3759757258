#include "verifiers/score/score_format.h"

static const char *const NAMES[SCORE_N_FORMATS] = {
    "auto", "jsonl", "verl", "trl", "areal", "open-instruct", "lm-eval", "openai-batch"};

const char *score_format_name(enum score_format format) {
    return NAMES[format];
}

int score_format_parse(const char *name, enum score_format *out, struct error *err) {
    for (int i = 0; i < SCORE_N_FORMATS; i++)
        if (strcmp(name, NAMES[i]) == 0) {
            *out = (enum score_format)i;
            return 0;
        }
    return error_set(err, ERROR_USAGE,
                     "--format is '%s'; expected auto, jsonl, verl, trl, areal, open-instruct, "
                     "lm-eval or openai-batch.",
                     name);
}

// The keys that a producer always writes, the most telling format first.
static const struct {
    enum score_format format;
    const char *keys[3];
    const char *why;
} MARKS[] = {
    {SCORE_OPENAI_BATCH, {"custom_id", "response", NULL}, "custom_id, response"},
    {SCORE_LM_EVAL, {"doc_id", "resps", NULL}, "doc_id, resps"},
    {SCORE_OPEN_INSTRUCT, {"response_tokens", NULL, NULL}, "response_tokens"},
    {SCORE_AREAL, {"task_id", "sample_idx", "completion"}, "task_id, sample_idx, completion"},
    {SCORE_VERL, {"input", "output", "score"}, "input, output, score"},
    {SCORE_VERL, {"input", "output", "gts"}, "input, output, gts"},
    {SCORE_VERL, {"data_source", "reward_model", NULL}, "data_source, reward_model"},
    {SCORE_TRL, {"step", "prompt", "completion"}, "step, prompt, completion"},
    {SCORE_TRL, {"advantage", "prompt", "completion"}, "advantage, prompt, completion"},
};

enum score_format score_format_detect(struct slice line, const char **why) {
    struct arena arena = {0};
    const struct json *root = json_parse_python_shallow(line, &arena, NULL);
    enum score_format found = root && root->type == JSON_OBJECT ? SCORE_JSONL : SCORE_AUTO;
    *why = "no key of another format";
    for (size_t i = 0; i < sizeof MARKS / sizeof *MARKS && found == SCORE_JSONL; i++) {
        bool all = true;
        for (int k = 0; k < 3 && MARKS[i].keys[k]; k++)
            all = all && json_get(root, MARKS[i].keys[k]);
        if (!all) continue;
        found = MARKS[i].format;
        *why = MARKS[i].why;
    }
    arena_clear(&arena);
    return found;
}

// A format's own places, in the order in which they are tried.
static const struct {
    enum score_format format;
    enum score_field field;
    const char *outer, *inner; // inner: a member of the object there, or NULL
} PLACES[] = {
    {SCORE_JSONL, SCORE_COMPLETION, "completions", NULL},
    {SCORE_JSONL, SCORE_COMPLETION, "responses", NULL},
    {SCORE_JSONL, SCORE_COMPLETION, "response", NULL},
    // Rollout and validation dumps; then the data set with what main_generation added to it.
    {SCORE_VERL, SCORE_COMPLETION, "output", NULL},
    {SCORE_VERL, SCORE_COMPLETION, "responses", NULL},
    {SCORE_VERL, SCORE_GOLD, "gts", NULL},
    {SCORE_VERL, SCORE_GOLD, "reward_model", "ground_truth"},
    {SCORE_VERL, SCORE_PROMPT, "input", NULL},
    {SCORE_VERL, SCORE_ID, "uid", NULL},
    {SCORE_VERL, SCORE_DATASET, "data_source", NULL},
    {SCORE_AREAL, SCORE_ID, "task_id", NULL},
    {SCORE_AREAL, SCORE_GROUP, "task_id", NULL},
    {SCORE_OPEN_INSTRUCT, SCORE_COMPLETION, "response", NULL},
    {SCORE_OPEN_INSTRUCT, SCORE_GOLD, "ground_truth", NULL},
    {SCORE_LM_EVAL, SCORE_COMPLETION, "resps", NULL},
    {SCORE_LM_EVAL, SCORE_GOLD, "target", NULL},
    {SCORE_LM_EVAL, SCORE_ID, "doc_id", NULL},
    {SCORE_LM_EVAL, SCORE_GROUP, "doc_id", NULL},
    {SCORE_LM_EVAL, SCORE_DATASET, "filter", NULL},
    {SCORE_OPENAI_BATCH, SCORE_ID, "custom_id", NULL},
    {SCORE_OPENAI_BATCH, SCORE_GROUP, "custom_id", NULL},
};

static const struct json *at_place(const struct json *root, const char *outer, const char *inner,
                                   struct arena *arena) {
    struct score_path path = {.n = inner ? 2 : 1, .steps = {{.key = slice_of(outer)}}};
    if (inner) path.steps[1].key = slice_of(inner);
    return score_path_find(&path, root, arena);
}

const struct json *score_format_find(enum score_format format, enum score_field field,
                                     const struct json *root, struct arena *arena) {
    const struct json *found = NULL;
    const bool native_first = format == SCORE_JSONL;
    if (native_first) found = at_place(root, score_field_name(field), NULL, arena);
    for (size_t i = 0; i < sizeof PLACES / sizeof *PLACES && !found; i++) {
        if (PLACES[i].format != format || PLACES[i].field != field) continue;
        found = at_place(root, PLACES[i].outer, PLACES[i].inner, arena);
        // Other programs' records have objects by these names.
        if (found && native_first && found->type == JSON_OBJECT) found = NULL;
    }
    if (!found && !native_first) found = at_place(root, score_field_name(field), NULL, arena);
    if (found || field != SCORE_DATASET) return found;
    return at_place(root, "meta", "dataset", arena);
}

const char *score_format_completion(enum score_format format) {
    for (size_t i = 0; i < sizeof PLACES / sizeof *PLACES; i++)
        if (PLACES[i].format == format && PLACES[i].field == SCORE_COMPLETION &&
            format != SCORE_JSONL)
            return PLACES[i].outer;
    return "completion\" or \"messages";
}
