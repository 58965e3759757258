#include "verifiers/score/score_gold.h"

#include "verifiers/score/score_literal.h"

// ---- Golds -------------------------------------------------------------------------------------

static bool takes_lists(const char *verifier) {
    return strcmp(verifier, "math") == 0 || strcmp(verifier, "choice") == 0;
}

static bool are_strings(const struct json *list) {
    if (!list || list->type != JSON_ARRAY || list->n_children == 0) return false;
    for (const struct json *c = list->first; c; c = c->next)
        if (c->type != JSON_STRING) return false;
    return true;
}

// The list of texts that a text says, or NULL. A list of numbers may be an interval or a vector.
static const struct json *listed(struct slice text, struct arena *arena) {
    struct buffer json = {0};
    const struct json *list = NULL;
    if (score_literal_json(text, true, &json) == 0)
        list = json_parse((struct slice){arena_copy(arena, json.ptr, json.len), json.len}, arena,
                          NULL);
    buffer_free(&json);
    return are_strings(list) ? list : NULL;
}

static void add_gold(const struct json *gold, const char *verifier, struct arena *arena,
                     struct buffer *out) {
    const struct json *list = NULL;
    if (gold->type == JSON_STRING && takes_lists(verifier) && gold->text.len > 4 &&
        strchr("[{(", gold->text.ptr[1]))
        list = listed(json_string(gold, arena), arena);
    if (gold->type == JSON_ARRAY && takes_lists(verifier) && gold->n_children == 1)
        list = json_parse_python(gold->text, arena, NULL);
    if (list && list->n_children == 1) list = list->first; // one is not a choice
    buffer_add_slice(out, list ? list->text : gold->text);
}

// open-instruct keeps golds as the ids of their tokens. Read as golds they would be "any of these
// numbers".
static int decoded(const struct json *gold, const struct score_map *map, struct arena *arena,
                   const struct json **out, struct error *err) {
    struct slice text;
    int64_t n_tokens;
    if (!map->decode)
        return error_set(err, ERROR_INPUT,
                         "Its gold is a list of token ids; --tokenizer DIR, or a text by --golds "
                         "or --map was expected.");
    if (score_decode(map, gold, arena, &text, &n_tokens, err)) return -1;
    struct buffer quoted = {0};
    json_add_string(&quoted, text);
    *out = json_parse((struct slice){arena_copy(arena, quoted.ptr, quoted.len), quoted.len}, arena,
                      err);
    buffer_free(&quoted);
    return *out ? 0 : -1;
}

// ---- Instructions ------------------------------------------------------------------------------

struct instructions {
    const struct json *ids, *kwargs; // kwargs NULL: none
};

// {"instruction_id_list" or "instruction_id", "kwargs"}.
static bool find_instructions(const struct json *object, struct instructions *out) {
    const struct json *ids = json_get(object, "instruction_id_list");
    if (!ids) ids = json_get(object, "instruction_id");
    out->ids = ids;
    out->kwargs = json_get(object, "kwargs");
    return ids != NULL;
}

// Whatever a value says: itself, or the list or dictionary that its text says.
static const struct json *opened(const struct json *value, struct arena *arena) {
    struct slice text = value->text;
    if (value->type == JSON_STRING) {
        struct buffer json = {0};
        const int failed = score_literal_json(json_string(value, arena), false, &json);
        text = (struct slice){arena_copy(arena, json.ptr, json.len), json.len};
        buffer_free(&json);
        if (failed) return value;
    }
    const struct json *found = json_parse_python(text, arena, NULL);
    return found ? found : value;
}

// open-instruct: a list of one dictionary, or of its text, or the text of either.
static bool gold_instructions(const struct json *gold, struct arena *arena,
                              struct instructions *out) {
    for (int depth = 0; gold && depth < 4; depth++) {
        gold = opened(gold, arena);
        if (find_instructions(gold, out)) return true;
        if (gold->type != JSON_ARRAY || gold->n_children != 1) return false;
        gold = gold->first;
    }
    return false;
}

static bool record_instructions(const struct score_record *record, struct arena *arena,
                                struct instructions *out) {
    const struct json *doc = json_get(record->root, "doc");
    if (find_instructions(record->root, out)) return true;
    return doc && find_instructions(json_parse_python_shallow(doc->text, arena, NULL), out);
}

static int instructions_reward(const struct score_record *record, const struct json *gold,
                               enum score_format format, struct arena *arena, struct buffer *out,
                               struct error *err) {
    struct instructions found;
    const struct slice shown = gold ? gold->text : slice_of("missing");
    if (!record_instructions(record, arena, &found) &&
        !(gold && gold_instructions(gold, arena, &found)))
        return error_set(err, ERROR_SPEC,
                         "Its gold is %.*s; \"instruction_id\" and \"kwargs\" were expected for "
                         "the verifier ifeval.",
                         SLICE_ARG(shown));
    const struct json *ids = opened(found.ids, arena);
    const struct json *kwargs = found.kwargs ? opened(found.kwargs, arena) : NULL;
    const bool single = ids->type == JSON_STRING;
    buffer_add_text(out, "[{\"verifier\":\"ifeval\",\"instruction_id_list\":");
    if (single) buffer_add_text(out, "[");
    buffer_add_slice(out, ids->text);
    if (single) buffer_add_text(out, "]");
    if (kwargs && kwargs->type != JSON_NULL) {
        const bool one = single && kwargs->type == JSON_OBJECT;
        buffer_add_text(out, one ? ",\"kwargs\":[" : ",\"kwargs\":");
        if (score_literal_json(kwargs->text, false, out)) // NaN becomes null: an absent argument
            buffer_add_slice(out, kwargs->text);
        if (one) buffer_add_text(out, "]");
    }
    // Its own reward looks behind the thoughts.
    if (format == SCORE_OPEN_INSTRUCT) buffer_add_text(out, ",\"where\":\"answer\"");
    buffer_add_text(out, "}]");
    return 0;
}

// ---- The reward --------------------------------------------------------------------------------

bool score_gold_exists(const struct score_record *record, const struct json *gold,
                       const char *verifier) {
    struct instructions unused;
    struct arena arena = {0};
    bool exists = gold != NULL;
    if (!exists && verifier && strcmp(verifier, "ifeval") == 0)
        exists = record_instructions(record, &arena, &unused);
    arena_clear(&arena);
    return exists;
}

int score_gold_reward(const struct score_record *record, const struct json *gold,
                      enum score_format format, const struct score_map *map, const char *verifier,
                      struct arena *arena, struct buffer *out, struct error *err) {
    const bool ids = gold && format == SCORE_OPEN_INSTRUCT && score_is_token_ids(gold);
    if (gold && json_is_not_finite(gold))
        return error_set(err, ERROR_INPUT, "Its gold is %.*s; a text or a number was expected.",
                         SLICE_ARG(gold->text));
    if (ids && decoded(gold, map, arena, &gold, err)) return -1;
    buffer_clear(out);
    if (strcmp(verifier, "ifeval") == 0)
        return instructions_reward(record, gold, format, arena, out, err);
    buffer_add_text(out, "[{\"verifier\":");
    json_add_string(out, slice_of(verifier));
    buffer_add_text(out, ",\"gold\":");
    add_gold(gold, verifier, arena, out);
    buffer_add_text(out, "}]");
    return 0;
}
