#include "verifiers/score/score_completion.h"

#include "protocol/base/utf8.h"

static const struct json *present(const struct json *value) {
    return value && value->type != JSON_NULL ? value : NULL;
}

static const char *name_of(const struct json *value) {
    return value && json_is_not_finite(value) ? "NaN" : json_type_name(value);
}

static int wrong_type(const struct json *value, const char *what, const char *expected,
                      struct error *err) {
    return error_set(err, ERROR_INPUT, "The %s is %s; %s was expected.", what, name_of(value),
                     expected);
}

static int add(struct score_completions *out, struct slice text, struct arena *arena,
               struct error *err) {
    if (out->n == SCORE_MAX_SAMPLES)
        return error_set(err, ERROR_INPUT, "It has more than %d completions.", SCORE_MAX_SAMPLES);
    if ((out->n & (out->n - 1)) == 0) { // 0, 1, 2, 4, ...
        const int n = out->n ? 2 * out->n : 1;
        struct slice *more = arena_take(arena, (size_t)n, sizeof *more);
        if (out->n) memcpy(more, out->texts, (size_t)out->n * sizeof *more);
        out->texts = more;
    }
    out->texts[out->n++] = text;
    return 0;
}

// ---- Chats -------------------------------------------------------------------------------------

// A chat message's text: a string, or the texts of its parts.
static int message_text(const struct json *message, struct arena *arena, struct slice *out,
                        struct error *err) {
    const struct json *content = present(json_get(message, "content"));
    *out = (struct slice){"", 0};
    if (!content) return 0; // a call of a tool, or a refusal
    if (content->type == JSON_STRING) {
        *out = json_string(content, arena);
        return 0;
    }
    if (content->type != JSON_ARRAY)
        return wrong_type(content, "content of the last assistant turn", "a text", err);
    struct buffer text = {0};
    for (const struct json *part = content->first; part; part = part->next) {
        const struct json *piece = json_get(part, "text");
        if (piece && piece->type == JSON_STRING) buffer_add_slice(&text, json_string(piece, arena));
    }
    *out = (struct slice){arena_copy(arena, text.ptr, text.len), text.len};
    buffer_free(&text);
    return 0;
}

static bool is_chat(const struct json *list) {
    return list->type == JSON_ARRAY && list->first && json_get(list->first, "role");
}

static int add_chat(const struct json *messages, struct arena *arena, struct score_completions *out,
                    struct error *err) {
    const struct json *last = NULL;
    struct slice text;
    for (const struct json *m = messages->first; m; m = m->next) {
        const struct json *role = json_get(m, "role");
        if (role && slice_is(role->text, "\"assistant\"")) last = m;
    }
    if (!last) return error_set(err, ERROR_INPUT, "No message has the role assistant.");
    return message_text(last, arena, &text, err) || add(out, text, arena, err);
}

// ---- Values ------------------------------------------------------------------------------------

// `value` is parsed to its depth.
static int add_value(const struct json *value, const char *what, struct arena *arena,
                     struct score_completions *out, struct error *err) {
    const struct json *text = json_get(value, "text");
    if (value->type == JSON_STRING) return add(out, json_string(value, arena), arena, err);
    if (is_chat(value)) return add_chat(value, arena, out, err);
    if (text && text->type == JSON_STRING) return add(out, json_string(text, arena), arena, err);
    if (value->type != JSON_ARRAY) return wrong_type(value, what, "a text or a list of them", err);
    for (const struct json *c = value->first; c; c = c->next) {
        const int failed = c->type == JSON_NULL ? add(out, (struct slice){NULL, 0}, arena, err)
                                                : add_value(c, what, arena, out, err);
        if (failed) return -1;
    }
    return 0;
}

int score_completions_read(const struct json *value, const char *what, struct arena *arena,
                           struct score_completions *out, struct error *err) {
    if (value->type == JSON_STRING) return add(out, json_string(value, arena), arena, err);
    if (score_is_token_ids(value))
        return error_set(err, ERROR_INPUT, "The %s is a list of numbers; texts were expected.",
                         what);
    const struct json *whole = json_parse_python(value->text, arena, err);
    if (!whole) return -1;
    const struct json *role = json_get(whole, "role");
    struct slice text;
    if (role) // one message, as it comes from a chat
        return message_text(whole, arena, &text, err) || add(out, text, arena, err);
    if (add_value(whole, what, arena, out, err)) return -1;
    return out->n ? 0 : error_set(err, ERROR_INPUT, "The %s is an empty list.", what);
}

// ---- lm-eval -----------------------------------------------------------------------------------

static bool is_boolean(const struct json *value) {
    return value->type == JSON_TRUE || value->type == JSON_FALSE ||
           slice_is(value->text, "\"True\"") || slice_is(value->text, "\"False\"");
}

// [log-likelihood, is greedy], which the harness writes as texts.
static bool is_likelihood(const struct json *value) {
    return value->type == JSON_ARRAY && value->n_children == 2 && value->first->n_children == 0 &&
           is_boolean(value->first->next);
}

// A generative request's second argument holds its settings; that of a likelihood is the text that
// was judged, or (of whole texts) there is none. Without arguments the shape of the responses
// tells: a request of likelihoods has a pair where a generative one has a text.
static bool has_likelihoods(const struct json *root, const struct json *resps,
                            struct arena *arena) {
    const struct json *arguments = present(json_get(root, "arguments"));
    if (arguments) arguments = json_parse_python(arguments->text, arena, NULL);
    const struct json *request = arguments ? arguments->first : NULL;
    const struct json *second = request && request->first ? request->first->next : NULL;
    if (second && second->type == JSON_OBJECT) return false;
    if (second || (request && request->n_children == 1)) return true;
    const struct json *responses = resps->type == JSON_ARRAY ? resps->first : NULL;
    return responses && responses->type == JSON_ARRAY && responses->first &&
           is_likelihood(responses->first);
}

int score_completions_of_lm_eval(const struct json *root, const struct json *resps,
                                 struct arena *arena, struct score_completions *out,
                                 struct error *err) {
    const struct json *whole = json_parse_python(resps->text, arena, err);
    if (!whole) return -1;
    if (has_likelihoods(root, whole, arena))
        return error_set(err, ERROR_INPUT,
                         "Its responses are log-likelihoods; texts were expected, as a generative "
                         "task has them.");
    return score_completions_read(resps, "response", arena, out, err);
}

// ---- AReaL -------------------------------------------------------------------------------------

// The text is decoded with its special tokens: those at its end are none of what was said.
static struct slice without_end_tokens(struct slice s) {
    static const char *const ENDS[] = {"</s>", "<eos>", "<end_of_turn>"};
    for (bool found = true; found;) {
        struct slice rest = s;
        found = false;
        while (rest.len && strchr(" \t\r\n", rest.ptr[rest.len - 1]) && rest.ptr[rest.len - 1])
            rest.len--;
        for (size_t i = 0; i < sizeof ENDS / sizeof *ENDS && !found; i++) {
            const size_t n = strlen(ENDS[i]);
            found = rest.len >= n && memcmp(rest.ptr + rest.len - n, ENDS[i], n) == 0;
            if (found) s.len = rest.len - n;
        }
        if (found || rest.len < 4 || memcmp(rest.ptr + rest.len - 2, "|>", 2) != 0) continue;
        const char *open = memrchr(rest.ptr, '<', rest.len);
        const size_t at = open ? (size_t)(open - rest.ptr) : rest.len;
        found = at + 4 < rest.len && open[1] == '|' && !memchr(open, ' ', rest.len - at) &&
                !memchr(open, '\n', rest.len - at);
        if (found) s.len = at;
    }
    return s;
}

// {"role": "gen" | "prompt" | "context", "len", "text"}, where there was more than one turn.
static const struct json *last_turn(const struct json *root, struct arena *arena) {
    const struct json *segments = present(json_get(root, "segments")), *found = NULL;
    if (segments) segments = json_parse_python(segments->text, arena, NULL);
    if (!segments || segments->type != JSON_ARRAY) return NULL;
    for (const struct json *s = segments->first; s; s = s->next) {
        const struct json *role = json_get(s, "role"), *text = json_get(s, "text");
        if (role && text && slice_is(role->text, "\"gen\"") && text->type == JSON_STRING)
            found = text;
    }
    return found;
}

int score_completions_of_areal(const struct json *root, const struct json *completion,
                               struct arena *arena, struct score_completions *out,
                               struct error *err) {
    const struct json *turn = last_turn(root, arena);
    if (score_completions_read(turn ? turn : completion, "completion", arena, out, err)) return -1;
    for (int i = 0; i < out->n; i++) out->texts[i] = without_end_tokens(out->texts[i]);
    return 0;
}

// ---- OpenAI's batches --------------------------------------------------------------------------

static int read_choices(const struct json *body, struct arena *arena, struct score_completions *out,
                        struct error *err) {
    const struct json *choices = json_get(body, "choices");
    if (!choices || choices->n_children == 0 || choices->n_children > SCORE_MAX_SAMPLES)
        return error_set(err, ERROR_INPUT, "Its body has no choices.");
    out->finish_reasons = arena_take(arena, (size_t)choices->n_children, sizeof(char *));
    for (const struct json *c = choices->first; c; c = c->next) {
        const struct json *reason = json_get(c, "finish_reason"), *text = json_get(c, "text");
        struct slice found;
        if (reason && reason->type == JSON_STRING)
            out->finish_reasons[out->n] = json_string(reason, arena).ptr;
        if (text && text->type == JSON_STRING)
            found = json_string(text, arena);
        else if (message_text(json_get(c, "message"), arena, &found, err))
            return -1;
        if (add(out, found, arena, err)) return -1;
    }
    return 0;
}

// The body of /v1/responses: {"output": [{"type": "message", "content": [{"text"}]}, ...]}.
static int read_output(const struct json *output, struct arena *arena,
                       struct score_completions *out, struct error *err) {
    struct slice text = {"", 0};
    for (const struct json *item = output->first; item; item = item->next) {
        const struct json *type = json_get(item, "type");
        if (type && slice_is(type->text, "\"message\"") && message_text(item, arena, &text, err))
            return -1;
    }
    return add(out, text, arena, err);
}

int score_completions_of_batch(const struct json *root, struct arena *arena,
                               struct score_completions *out, struct error *err) {
    const struct json *failure = present(json_get(root, "error"));
    const struct json *shallow = present(json_get(root, "response"));
    const struct json *response = shallow ? json_parse_python(shallow->text, arena, NULL) : NULL;
    const struct json *code = json_get(response, "status_code"), *body = json_get(response, "body");
    if (failure)
        return error_set(err, ERROR_INPUT, "The request failed: %.*s", SLICE_ARG(failure->text));
    if (!response) return error_set(err, ERROR_INPUT, "The key \"response\" is missing.");
    if (code && !slice_is(code->text, "200"))
        return error_set(err, ERROR_INPUT, "The request failed with status %.*s.",
                         SLICE_ARG(code->text));
    const struct json *usage = json_get(body, "usage"), *output = json_get(body, "output");
    const struct json *tokens = json_get(usage, output ? "output_tokens" : "completion_tokens");
    if (output ? read_output(output, arena, out, err) : read_choices(body, arena, out, err))
        return -1;
    if (out->n == 1 && tokens) json_int64(tokens, &out->n_tokens);
    return 0;
}

// ---- Token ids ---------------------------------------------------------------------------------

bool score_is_token_ids(const struct json *value) {
    if (value->type != JSON_ARRAY || value->text.len < 2) return false;
    size_t i = 1;
    while (i < value->text.len && strchr(" \t", value->text.ptr[i])) i++;
    return strchr("-0123456789", value->text.ptr[i]) != NULL;
}

int score_decode(const struct score_map *map, const struct json *value, struct arena *arena,
                 struct slice *out, int64_t *n_tokens, struct error *err) {
    const struct json *list = json_parse_python(value->text, arena, err);
    if (!list) return -1;
    int32_t *ids = arena_take(arena, (size_t)list->n_children, sizeof *ids);
    size_t n = 0;
    for (const struct json *c = list->first; c; c = c->next) {
        int64_t id;
        if (json_int64(c, &id) || id < 0 || id > INT32_MAX)
            return error_set(err, ERROR_INPUT, "Its token %zu is %.*s; an id was expected.", n,
                             SLICE_ARG(c->text));
        ids[n++] = (int32_t)id;
    }
    struct buffer bytes = {0}, text = {0};
    map->decode(map->decode_self, ids, n, &bytes);
    utf8_add_lossy(&text, buffer_slice(&bytes));
    *out = (struct slice){arena_copy(arena, text.ptr, text.len), text.len};
    *n_tokens = (int64_t)n;
    buffer_free(&bytes);
    buffer_free(&text);
    return 0;
}

int score_completions_of_tokens(const struct json *root, const struct score_map *map,
                                struct arena *arena, struct score_completions *out,
                                struct error *err) {
    const struct json *tokens = present(json_get(root, "response_tokens"));
    struct slice text;
    int64_t n;
    if (!tokens || !map->decode)
        return error_set(err, ERROR_INPUT,
                         "It holds token ids and no text; --tokenizer DIR, a key \"response\" or "
                         "--map completion=PATH was expected.");
    if (tokens->type != JSON_ARRAY)
        return wrong_type(tokens, "value of response_tokens", "a list of ids", err);
    if (score_decode(map, tokens, arena, &text, &n, err)) return -1;
    if (out->n_tokens < 0) out->n_tokens = n;
    return add(out, text, arena, err);
}
