#include "verifiers/score/score_record.h"

#include <stdlib.h>

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
    {SCORE_TRL, {"step", "prompt", "completion"}, "step, prompt, completion"},
    {SCORE_TRL, {"advantage", "prompt", "completion"}, "advantage, prompt, completion"},
};

enum score_format score_format_detect(struct slice line, const char **why) {
    struct arena arena = {0};
    const struct json *root = json_parse_shallow(line, &arena, NULL);
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

// Where each format has the fields; NULL where it has none. Those of native records are tried as
// well, so that a column that was added by hand is found.
static const char *const PLACES[SCORE_N_FORMATS][SCORE_N_FIELDS] = {
    [SCORE_VERL] = {[SCORE_COMPLETION] = "output", [SCORE_GOLD] = "gts", [SCORE_PROMPT] = "input"},
    [SCORE_AREAL] = {[SCORE_ID] = "task_id", [SCORE_GROUP] = "task_id"},
    [SCORE_OPEN_INSTRUCT] = {[SCORE_COMPLETION] = "response", [SCORE_GOLD] = "ground_truth"},
    [SCORE_LM_EVAL] = {[SCORE_COMPLETION] = "resps",
                       [SCORE_GOLD] = "target",
                       [SCORE_ID] = "doc_id",
                       [SCORE_GROUP] = "doc_id",
                       [SCORE_DATASET] = "filter"},
    [SCORE_OPENAI_BATCH] = {[SCORE_ID] = "custom_id", [SCORE_GROUP] = "custom_id"},
};
static const char *const NATIVE[SCORE_N_FIELDS] = {
    "completion", "messages", "gold",  "reward",   "id",           "prompt",
    "group",      "dataset",  "label", "n_tokens", "finish_reason"};

// The field `reward` of these is a number that the trainer gave.
static bool reward_is_spec(const struct json *value, struct arena *arena) {
    if (value->type == JSON_ARRAY) return true;
    if (value->type != JSON_OBJECT) return false;
    const struct json *object = json_parse_shallow(value->text, arena, NULL);
    return !json_get(object, "status") || !json_get(object, "value"); // else a result of ours
}

static const struct json *present(const struct json *value) {
    return value && value->type != JSON_NULL ? value : NULL;
}

static void find_fields(const struct json *root, enum score_format format,
                        const struct score_map *map, struct arena *arena,
                        struct score_record *out) {
    for (int f = 0; f < SCORE_N_FIELDS; f++) {
        if (map->fields[f].n > 0) {
            out->values[f] = score_path_find(&map->fields[f], root, arena);
            continue;
        }
        const char *place = PLACES[format][f];
        if (place) out->values[f] = present(json_get(root, place));
        if (!out->values[f]) out->values[f] = present(json_get(root, NATIVE[f]));
    }
    const struct json *reward = out->values[SCORE_REWARD];
    if (reward && map->fields[SCORE_REWARD].n == 0 && !reward_is_spec(reward, arena))
        out->values[SCORE_REWARD] = NULL;
    if (!out->values[SCORE_COMPLETION] && !out->values[SCORE_MESSAGES] && format == SCORE_JSONL)
        out->values[SCORE_COMPLETION] = present(json_get(root, "text")); // as generate writes it
    if (out->values[SCORE_DATASET]) return;
    static const struct score_path PATH = {
        .n = 2, .steps = {{.key = {"meta", 4}}, {.key = {"dataset", 7}}}};
    out->values[SCORE_DATASET] = score_path_find(&PATH, root, arena);
}

static void add_completion(struct score_record *out, struct slice text, struct arena *arena) {
    if ((out->n_samples & (out->n_samples - 1)) == 0) { // 0, 1, 2, 4, ...
        int n = out->n_samples ? 2 * out->n_samples : 1;
        struct slice *more = arena_take(arena, (size_t)n, sizeof *more);
        if (out->n_samples) memcpy(more, out->completions, (size_t)out->n_samples * sizeof *more);
        out->completions = more;
    }
    out->completions[out->n_samples++] = text;
}

static int wrong_type(const struct json *value, const char *what, struct error *err) {
    return error_set(err, ERROR_INPUT, "The %s is %s.", what, json_type_name(value));
}

// A chat message's text: a string, or the texts of its parts.
static int message_text(const struct json *message, struct arena *arena, struct slice *out,
                        struct error *err) {
    const struct json *content = present(json_get(message, "content"));
    *out = (struct slice){"", 0};
    if (!content) return 0; // a call of a tool only
    if (content->type == JSON_STRING) {
        *out = json_string(content, arena);
        return 0;
    }
    if (content->type != JSON_ARRAY)
        return wrong_type(content, "content of the last assistant turn", err);
    struct buffer text = {0};
    for (const struct json *part = content->first; part; part = part->next) {
        const struct json *piece = json_get(part, "text");
        if (piece && piece->type == JSON_STRING) buffer_add_slice(&text, json_string(piece, arena));
    }
    *out = (struct slice){arena_copy(arena, text.ptr, text.len), text.len};
    buffer_free(&text);
    return 0;
}

static int last_assistant(const struct json *list, struct arena *arena, struct slice *out,
                          struct error *err) {
    const struct json *messages = json_parse(list->text, arena, NULL), *last = NULL;
    if (!messages || messages->type != JSON_ARRAY) return wrong_type(list, "list of messages", err);
    for (const struct json *m = messages->first; m; m = m->next) {
        const struct json *role = json_get(m, "role");
        if (role && slice_is(role->text, "\"assistant\"")) last = m;
    }
    if (last) return message_text(last, arena, out, err);
    return error_set(err, ERROR_INPUT, "No message has the role assistant.");
}

// Strings, at any depth: lm-eval nests the responses of a document by request and repetition.
static int nested_texts(const struct json *value, struct arena *arena, struct score_record *out,
                        struct error *err) {
    if (value->type == JSON_STRING) {
        if (out->n_samples == SCORE_MAX_SAMPLES)
            return error_set(err, ERROR_INPUT, "It has more than %d completions.",
                             SCORE_MAX_SAMPLES);
        add_completion(out, json_string(value, arena), arena);
        return 0;
    }
    if (value->type != JSON_ARRAY)
        return error_set(err, ERROR_INPUT,
                         "A response is %s; texts were expected, as a generative task has them.",
                         json_type_name(value));
    for (const struct json *c = value->first; c; c = c->next)
        if (nested_texts(c, arena, out, err)) return -1;
    return 0;
}

static int read_completion(const struct json *value, enum score_format format, struct arena *arena,
                           struct score_record *out, struct error *err) {
    struct slice text;
    if (value->type == JSON_STRING) {
        add_completion(out, json_string(value, arena), arena);
        return 0;
    }
    if (value->type != JSON_ARRAY) return wrong_type(value, "completion", err);
    if (format == SCORE_LM_EVAL) {
        const struct json *whole = json_parse(value->text, arena, err);
        if (!whole || nested_texts(whole, arena, out, err)) return -1;
        return out->n_samples ? 0 : error_set(err, ERROR_INPUT, "It holds no response.");
    }
    if (last_assistant(value, arena, &text, err)) return -1;
    add_completion(out, text, arena);
    return 0;
}

// ---- OpenAI's batch output: {"custom_id", "response": {"status_code", "body"}, "error"}

static int read_choices(const struct json *body, struct arena *arena, struct score_record *out,
                        struct error *err) {
    const struct json *choices = json_get(body, "choices");
    if (!choices || choices->n_children == 0 || choices->n_children > SCORE_MAX_SAMPLES)
        return error_set(err, ERROR_INPUT, "Its body has no choices.");
    const char **reasons = arena_take(arena, (size_t)choices->n_children, sizeof *reasons);
    for (const struct json *c = choices->first; c; c = c->next) {
        const struct json *reason = json_get(c, "finish_reason"), *text = json_get(c, "text");
        struct slice found;
        if (reason && reason->type == JSON_STRING)
            reasons[out->n_samples] = json_string(reason, arena).ptr;
        if (text && text->type == JSON_STRING)
            found = json_string(text, arena);
        else if (message_text(json_get(c, "message"), arena, &found, err))
            return -1;
        add_completion(out, found, arena);
    }
    out->finish_reasons = reasons;
    return 0;
}

// The body of /v1/responses: {"output": [{"type": "message", "content": [{"text"}]}, ...]}.
static int read_output(const struct json *output, struct arena *arena, struct score_record *out,
                       struct error *err) {
    struct slice text = {"", 0};
    for (const struct json *item = output->first; item; item = item->next) {
        const struct json *type = json_get(item, "type");
        if (type && slice_is(type->text, "\"message\"") && message_text(item, arena, &text, err))
            return -1;
    }
    add_completion(out, text, arena);
    return 0;
}

static int read_batch(const struct json *root, struct arena *arena, struct score_record *out,
                      struct error *err) {
    const struct json *failure = present(json_get(root, "error"));
    const struct json *shallow = present(json_get(root, "response"));
    const struct json *response = shallow ? json_parse(shallow->text, arena, NULL) : NULL;
    const struct json *code = json_get(response, "status_code"), *body = json_get(response, "body");
    if (failure)
        return error_set(err, ERROR_INPUT, "The request failed: %.*s", SLICE_ARG(failure->text));
    if (!response) return error_set(err, ERROR_INPUT, "The key \"response\" is missing.");
    if (code && !slice_is(code->text, "200"))
        return error_set(err, ERROR_INPUT, "The request failed with status %.*s.",
                         SLICE_ARG(code->text));
    const struct json *tokens = json_get(json_get(body, "usage"), "completion_tokens");
    const struct json *output = json_get(body, "output");
    if (output ? read_output(output, arena, out, err) : read_choices(body, arena, out, err))
        return -1;
    if (out->n_samples == 1 && tokens) json_int64(tokens, &out->n_tokens);
    return 0;
}

// open-instruct stores token ids.
static int read_tokens(const struct json *root, const struct score_map *map, struct arena *arena,
                       struct score_record *out, struct error *err) {
    const struct json *tokens = json_get(root, "response_tokens");
    struct slice text;
    int64_t n;
    if (!tokens || !map->decode)
        return error_set(err, ERROR_INPUT,
                         "It holds token ids and no text; --tokenizer DIR, a key \"response\" or "
                         "--map completion=PATH was expected.");
    if (tokens->type != JSON_ARRAY) return wrong_type(tokens, "value of response_tokens", err);
    if (score_decode(map, tokens, arena, &text, &n, err)) return -1;
    if (out->n_tokens < 0) out->n_tokens = n;
    add_completion(out, text, arena);
    return 0;
}

static int read_texts(const struct json *root, enum score_format format,
                      const struct score_map *map, struct arena *arena, struct score_record *out,
                      struct error *err) {
    struct slice text;
    if (format == SCORE_OPENAI_BATCH && map->fields[SCORE_COMPLETION].n == 0)
        return read_batch(root, arena, out, err);
    if (out->values[SCORE_COMPLETION])
        return read_completion(out->values[SCORE_COMPLETION], format, arena, out, err);
    if (out->values[SCORE_MESSAGES]) {
        if (last_assistant(out->values[SCORE_MESSAGES], arena, &text, err)) return -1;
        add_completion(out, text, arena);
        return 0;
    }
    if (map->fields[SCORE_COMPLETION].n > 0)
        return error_set(err, ERROR_INPUT, "The completion is not where --map says.");
    if (format == SCORE_OPEN_INSTRUCT) return read_tokens(root, map, arena, out, err);
    const char *place = PLACES[format][SCORE_COMPLETION];
    return error_set(err, ERROR_INPUT, "The key \"%s\" is missing.",
                     place ? place : "completion\" or \"messages");
}

// What makes records of one group: said, or the same prompt where a format has no name for it.
static void find_group(enum score_format format, struct arena *arena, struct score_record *out) {
    const struct json *value = out->values[SCORE_GROUP];
    if (!value && (format == SCORE_VERL || format == SCORE_TRL)) value = out->values[SCORE_PROMPT];
    if (!value) return;
    out->group = score_key(value, arena);
    const struct json *filter = out->values[SCORE_DATASET];
    if (format != SCORE_LM_EVAL || !filter) return;
    // lm-eval writes every document once for each of its filters.
    struct slice name = score_key(filter, arena);
    char *both = arena_take(arena, out->group.len + name.len + 1, 1);
    memcpy(both, out->group.ptr, out->group.len);
    memcpy(both + out->group.len + 1, name.ptr, name.len);
    out->group = (struct slice){both, out->group.len + name.len + 1};
}

int score_record_read(struct slice line, enum score_format format, const struct score_map *map,
                      struct arena *arena, struct score_record *out, struct error *err) {
    *out = (struct score_record){.n_tokens = -1};
    const struct json *root = json_parse_shallow(line, arena, err);
    if (!root) return -1;
    if (root->type != JSON_OBJECT)
        return error_set(err, ERROR_INPUT, "It is %s; a JSON object was expected.",
                         json_type_name(root));
    find_fields(root, format, map, arena, out);
    find_group(format, arena, out);
    const struct json *tokens = out->values[SCORE_N_TOKENS];
    if (tokens && (json_int64(tokens, &out->n_tokens) || out->n_tokens < 0)) {
        out->n_tokens = -1;
        return error_set(err, ERROR_INPUT,
                         "\"n_tokens\" is %.*s; an integer of 0 or more was "
                         "expected.",
                         SLICE_ARG(tokens->text));
    }
    return read_texts(root, format, map, arena, out, err);
}
