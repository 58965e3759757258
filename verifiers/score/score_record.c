#include "verifiers/score/score_record.h"

#include <math.h>

// The field `reward` of these is a number that the trainer gave.
static bool reward_is_spec(const struct json *value, struct arena *arena) {
    if (value->type == JSON_ARRAY) return true;
    if (value->type != JSON_OBJECT) return false;
    const struct json *object = json_parse_python_shallow(value->text, arena, NULL);
    return !json_get(object, "status") || !json_get(object, "value"); // else a result of ours
}

// NaN where a sentence is owed for it; elsewhere it is nothing, as a data frame has it.
static bool may_be_nan(int field) {
    return field == SCORE_COMPLETION || field == SCORE_GOLD || field == SCORE_N_TOKENS;
}

// A list of one, as some trainers keep the name of a data set.
static const struct json *only_element(const struct json *value, struct arena *arena) {
    if (!value || value->type != JSON_ARRAY || value->n_children != 1) return value;
    const struct json *list = json_parse_python_shallow(value->text, arena, NULL);
    return list ? list->first : value;
}

static void find_fields(enum score_format format, const struct score_map *map, struct arena *arena,
                        struct score_record *out) {
    for (int f = 0; f < SCORE_N_FIELDS; f++) {
        const struct json **value = &out->values[f];
        if (map->fields[f].n > 0)
            *value = score_path_find(&map->fields[f], out->root, arena);
        else
            *value = score_format_find(format, (enum score_field)f, out->root, arena);
        if (*value && json_is_not_finite(*value) && !may_be_nan(f)) *value = NULL;
    }
    const struct json **reward = &out->values[SCORE_REWARD];
    if (*reward && map->fields[SCORE_REWARD].n == 0 && !reward_is_spec(*reward, arena))
        *reward = NULL;
    out->values[SCORE_DATASET] = only_element(out->values[SCORE_DATASET], arena);
    const struct json **completion = &out->values[SCORE_COMPLETION];
    const struct json *text = json_get(out->root, "text"); // as generate writes it
    if (!*completion && !out->values[SCORE_MESSAGES] && format == SCORE_JSONL && text &&
        text->type != JSON_NULL)
        *completion = text;
}

// ---- Groups ------------------------------------------------------------------------------------

static struct slice join(struct slice a, struct slice b, struct arena *arena) {
    char *both = arena_take(arena, a.len + b.len + 1, 1);
    memcpy(both, a.ptr, a.len);
    memcpy(both + a.len + 1, b.ptr, b.len);
    return (struct slice){both, a.len + b.len + 1};
}

// verl's uid: {prompt}_{rollout}_{output}.
static struct slice uid_prompt(struct slice uid) {
    for (int i = 0; i < 2; i++) {
        size_t n = uid.len;
        while (n > 0 && uid.ptr[n - 1] >= '0' && uid.ptr[n - 1] <= '9') n--;
        if (n == uid.len || n < 2 || uid.ptr[n - 1] != '_') return (struct slice){"", 0};
        uid.len = n - 1;
    }
    return uid;
}

// What makes records of one group: said, or what tells prompts apart where a format has no name.
static struct slice find_group(enum score_format format, const struct score_record *r,
                               struct arena *arena) {
    const struct json *group = r->values[SCORE_GROUP], *id = r->values[SCORE_ID];
    const struct json *filter = r->values[SCORE_DATASET], *prompt = r->values[SCORE_PROMPT];
    const struct json *step = json_get(r->root, "step"), *at = json_get(r->root, "prompt_idx");
    if (group && format == SCORE_LM_EVAL && filter) // each document once for each of its filters
        return join(score_key(group, arena), score_key(filter, arena), arena);
    if (group) return score_key(group, arena);
    if (format == SCORE_OPEN_INSTRUCT && step && at)
        return join(score_key(step, arena), score_key(at, arena), arena);
    if (format == SCORE_VERL && id && id->type == JSON_STRING) {
        const struct slice uid = uid_prompt(json_string(id, arena));
        if (uid.len) return uid;
    }
    if ((format == SCORE_VERL || format == SCORE_TRL) && prompt) return score_key(prompt, arena);
    return (struct slice){"", 0};
}

// ---- The record --------------------------------------------------------------------------------

static int read_n_tokens(const struct json *value, int64_t *out, struct error *err) {
    double real;
    if (json_int64(value, out) == 0 && *out >= 0) return 0;
    // A column of integers with gaps holds floats.
    if (json_double(value, &real) == 0 && real >= 0 && real < 1e15 && real == floor(real)) {
        *out = (int64_t)real;
        return 0;
    }
    *out = -1;
    return error_set(err, ERROR_INPUT,
                     "\"n_tokens\" is %.*s; an integer of 0 or more was expected.",
                     SLICE_ARG(value->text));
}

static int read_completions(enum score_format format, const struct score_map *map,
                            struct arena *arena, struct score_record *r, struct error *err) {
    const struct json *completion = r->values[SCORE_COMPLETION];
    const bool mapped = map->fields[SCORE_COMPLETION].n > 0;
    struct score_completions *out = &r->completions;
    if (format == SCORE_OPENAI_BATCH && !mapped)
        return score_completions_of_batch(r->root, arena, out, err);
    if (completion && format == SCORE_LM_EVAL && !mapped)
        return score_completions_of_lm_eval(r->root, completion, arena, out, err);
    if (completion && format == SCORE_AREAL && !mapped)
        return score_completions_of_areal(r->root, completion, arena, out, err);
    if (completion) return score_completions_read(completion, "completion", arena, out, err);
    if (r->values[SCORE_MESSAGES])
        return score_completions_read(r->values[SCORE_MESSAGES], "list of messages", arena, out,
                                      err);
    if (mapped) return error_set(err, ERROR_INPUT, "The completion is not where --map says.");
    if (format == SCORE_OPEN_INSTRUCT)
        return score_completions_of_tokens(r->root, map, arena, out, err);
    return error_set(err, ERROR_INPUT, "The key \"%s\" is missing.",
                     score_format_completion(format));
}

int score_record_read(struct slice line, enum score_format format, const struct score_map *map,
                      struct arena *arena, struct score_record *out, struct error *err) {
    *out = (struct score_record){.completions.n_tokens = -1};
    const struct json *root = json_parse_python_shallow(line, arena, err);
    if (!root) return -1;
    if (root->type != JSON_OBJECT)
        return error_set(err, ERROR_INPUT, "It is %s; a JSON object was expected.",
                         json_type_name(root));
    out->root = root;
    find_fields(format, map, arena, out);
    out->group = find_group(format, out, arena);
    const struct json *tokens = out->values[SCORE_N_TOKENS];
    if (tokens && read_n_tokens(tokens, &out->completions.n_tokens, err)) return -1;
    return read_completions(format, map, arena, out, err);
}
