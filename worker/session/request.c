#include "worker/session/request.h"

#include <assert.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>

#include "protocol/base/hash.h"

static struct slice keep(struct task *t, struct slice s) {
    return (struct slice){arena_copy(&t->arena, s.ptr, s.len), s.len};
}

static void keep_ids(struct task *t, const int32_t *ids, size_t n) {
    int32_t *copy = arena_take(&t->arena, n, sizeof *copy);
    if (n) memcpy(copy, ids, n * sizeof *copy);
    t->prompt_ids = copy;
    t->n_prompt = (int)n;
}

static int need_tokenizer(const struct request_context *c, const char *what, struct error *err) {
    if (c->tokenizer) return 0;
    return error_set(err, ERROR_INPUT,
                     "%s needs a tokenizer and this checkpoint has none; expected prompt_ids.",
                     what);
}

static int take_tokens(struct task *t, struct token_list *list, int failed) {
    if (!failed && list->n <= INT_MAX) keep_ids(t, list->ids, list->n);
    token_list_free(list);
    return failed;
}

static int prompt_from_text(const struct request_context *c, struct task *t, struct slice text,
                            struct error *err) {
    struct token_list list = {0};
    if (need_tokenizer(c, "A prompt as text", err)) return -1;
    t->prompt_text = keep(t, text);
    return take_tokens(t, &list, tokenizer_encode(c->tokenizer, text, true, &list, err));
}

static int prompt_from_messages(const struct request_context *c, struct task *t,
                                const struct json *messages, const struct json *tools,
                                struct error *err) {
    struct token_list list = {0};
    struct buffer text = {0};
    if (need_tokenizer(c, "A prompt as messages", err)) return -1;
    int failed = chat_render(c->chat, messages, tools, &text, err);
    if (!failed) failed = tokenizer_encode(c->tokenizer, buffer_slice(&text), false, &list, err);
    t->prompt_text = keep(t, chat_without_bos(c->chat, buffer_slice(&text)));
    buffer_free(&text);
    return take_tokens(t, &list, failed);
}

static int prompt_from_ids(const struct request_context *c, struct task *t,
                           const struct json *value, struct error *err) {
    if (value->type != JSON_ARRAY)
        return error_set(err, ERROR_INPUT, "prompt_ids is %s; expected a list of token ids.",
                         json_type_name(value));
    int32_t *ids = arena_take(&t->arena, (size_t)value->n_children, sizeof *ids);
    int n = 0;
    for (const struct json *item = value->first; item; item = item->next) {
        int64_t id;
        if (json_int64(item, &id) || id < 0 || id >= c->vocab)
            return error_set(err, ERROR_INPUT,
                             "prompt_ids[%d] is %.*s; expected an id from 0 "
                             "to %d.",
                             n, SLICE_ARG(item->text), c->vocab - 1);
        ids[n++] = (int32_t)id;
    }
    t->prompt_ids = ids;
    t->n_prompt = n;
    return 0;
}

static int parse_reward(const struct request_context *c, struct task *t, struct slice json,
                        struct error *err) {
    t->reward_json = keep(t, json);
    reward_spec_free(&t->reward); // of a key that stands twice
    t->reward = reward_spec_parse(json, c->externals, c->n_externals, err);
    if (!t->reward) {
        if (err) err->code = ERROR_SPEC;
        return error_prefix(err, "reward");
    }
    if (c->no_verify) reward_spec_free(&t->reward);
    return 0;
}

// What every task is checked for, however it came; then its limits and its seed are known.
static int finish(const struct request_context *c, struct task *t, struct error *err) {
    if (sampling_check(&t->sampling, c->vocab, &t->arena, err)) return -1;
    if (t->n_prompt < 1)
        return error_set(err, ERROR_INPUT, "The prompt has no tokens; expected at least one.");
    if (t->n_prompt > c->max_context)
        return error_set(err, ERROR_INPUT,
                         "The prompt has %d tokens; this worker holds at most %d (--max-context).",
                         t->n_prompt, c->max_context);
    if (t->routed_experts && !c->has_moe)
        return error_set(err, ERROR_INPUT,
                         "routed_experts was asked for, and this model has no experts.");
    int room = c->max_context - t->n_prompt;
    if (t->sampling.max_new_tokens > room) t->sampling.max_new_tokens = room;
    t->n_left = t->n_samples;
    return 0;
}

// ---- a line of a prompt file

static int refuse_tools(struct error *err) {
    return error_set(err, ERROR_INPUT, "tools stand without messages; expected both.");
}

static int set_prompt(const struct request_context *c, struct task *t, const struct json *line,
                      struct error *err) {
    const struct json *text = json_get(line, "prompt"), *ids = json_get(line, "prompt_ids");
    const struct json *messages = json_get(line, "messages"), *tools = json_get(line, "tools");
    if (!!text + !!ids + !!messages != 1)
        return error_set(err, ERROR_INPUT,
                         "A prompt needs exactly one of prompt, messages and prompt_ids; %d of "
                         "them stand here.",
                         !!text + !!ids + !!messages);
    if (tools && !messages) return refuse_tools(err);
    if (ids) return prompt_from_ids(c, t, ids, err);
    if (messages) return prompt_from_messages(c, t, messages, tools, err);
    if (text->type != JSON_STRING)
        return error_set(err, ERROR_INPUT, "prompt is %s; expected a text.", json_type_name(text));
    return prompt_from_text(c, t, json_string(text, &t->arena), err);
}

static bool is_prompt_key(struct slice key) {
    return slice_is(key, "prompt") || slice_is(key, "prompt_ids") || slice_is(key, "messages") ||
           slice_is(key, "tools");
}

static int set_sampling(const struct request_context *c, struct task *t, struct wanted *wanted,
                        const struct json *value, struct error *err) {
    if (value->type != JSON_OBJECT)
        return error_set(err, ERROR_INPUT, "sampling is %s; expected an object.",
                         json_type_name(value));
    for (const struct json *m = value->first; m; m = m->next)
        if (sampling_set(&t->sampling, wanted, m->key, m, c->vocab, &t->arena, err)) return -1;
    return 0;
}

static int set_member(const struct request_context *c, struct task *t, struct wanted *wanted,
                      const struct json *m, struct error *err) {
    struct slice key = m->key;
    if (is_prompt_key(key)) return 0;
    if (slice_is(key, "id")) {
        t->id = keep(t, m->text);
        return 0;
    }
    if (slice_is(key, "n"))
        return sampling_set(&t->sampling, wanted, key, m, c->vocab, &t->arena, err);
    if (slice_is(key, "sampling")) return set_sampling(c, t, wanted, m, err);
    if (slice_is(key, "meta")) {
        t->meta = keep(t, m->text);
        return 0;
    }
    if (slice_is(key, "reward")) return m->type == JSON_NULL ? 0 : parse_reward(c, t, m->text, err);
    return error_set(err, ERROR_INPUT,
                     "The key '%.*s' is not known; expected prompt, messages, tools, prompt_ids, "
                     "id, n, sampling, reward or meta.",
                     SLICE_ARG(key));
}

static int fill_from_line(const struct request_context *c, struct task *t, const struct json *line,
                          struct error *err) {
    if (line->type != JSON_OBJECT)
        return error_set(err, ERROR_INPUT, "The line is %s; expected one JSON object.",
                         json_type_name(line));
    struct wanted wanted = c->wanted;
    for (const struct json *m = line->first; m; m = m->next)
        if (set_member(c, t, &wanted, m, err)) return -1;
    t->prompt_logprobs = wanted.prompt_logprobs;
    t->routed_experts = wanted.routed_experts;
    t->n_samples = t->sampling.n;
    if (set_prompt(c, t, line, err)) return -1;
    return finish(c, t, err);
}

// The seed is made of the id as Python would write it, so that the client's groups draw the same.
static uint64_t seed_of(const struct task *t, const struct json *line) {
    const struct json *id = json_get(line, "id");
    struct buffer text = {0};
    if (id)
        json_add_compact(&text, id);
    else
        buffer_add_slice(&text, t->id);
    uint64_t seed = hash_group_seed(t->sampling.seed, text.ptr, text.len);
    buffer_free(&text);
    return seed;
}

struct task *request_from_line(const struct request_context *c, struct slice text, uint64_t line,
                               struct error *err) {
    struct task *t = task_new();
    t->sampling = c->defaults;
    t->serial = line;
    char number[24];
    snprintf(number, sizeof number, "%llu", (unsigned long long)line);
    t->id = keep(t, slice_of(number));
    struct arena scratch = {0};
    const struct json *json = json_parse(text, &scratch, err);
    int failed = !json || fill_from_line(c, t, json, err);
    if (!failed) t->group_seed = seed_of(t, json);
    arena_clear(&scratch);
    if (failed) task_free(&t);
    return t;
}

// ---- a TASK of the wire

static int check_ids(const struct request_context *c, struct column ids, struct error *err) {
    for (uint64_t i = 0; i < ids.n; i++)
        if (column_i32(ids)[i] < 0 || column_i32(ids)[i] >= c->vocab)
            return error_set(err, ERROR_INPUT,
                             "prompt_ids[%llu] is %d; expected an id from 0 to "
                             "%d.",
                             (unsigned long long)i, column_i32(ids)[i], c->vocab - 1);
    return 0;
}

static int prompt_from_message(const struct request_context *c, struct task *t,
                               const struct message_task *m, struct error *err) {
    if (m->tools.dtype && !m->messages.dtype) return refuse_tools(err);
    if (m->prompt_ids.dtype) {
        if (check_ids(c, m->prompt_ids, err)) return -1;
        keep_ids(t, column_i32(m->prompt_ids), m->prompt_ids.n);
        return 0;
    }
    if (m->prompt.dtype) return prompt_from_text(c, t, column_slice(m->prompt), err);
    struct arena scratch = {0};
    const struct json *messages = json_parse(column_slice(m->messages), &scratch, err),
                      *tools = NULL;
    int failed = messages ? 0 : error_prefix(err, "messages");
    if (!failed && m->tools.dtype) {
        tools = json_parse(column_slice(m->tools), &scratch, err);
        failed = tools ? 0 : error_prefix(err, "tools");
    }
    if (!failed) failed = prompt_from_messages(c, t, messages, tools, err);
    arena_clear(&scratch);
    return failed;
}

static const void *keep_column(struct task *t, struct column column) {
    return arena_copy(&t->arena, column.data, column.n * column_dtype_bytes(column.dtype));
}

static void sampling_from_message(struct task *t, const struct message_task *m) {
    struct sampling *s = &t->sampling;
    *s = sampling_defaults();
    s->max_new_tokens = m->max_new_tokens > INT_MAX ? INT_MAX : (int)m->max_new_tokens;
    s->temperature = (float)m->temperature;
    s->top_p = (float)m->top_p;
    s->min_p = (float)m->min_p;
    s->repetition_penalty = (float)m->repetition_penalty;
    s->top_k = m->top_k > INT_MAX ? INT_MAX : (int)m->top_k;
    s->ignore_eos = m->ignore_eos;
    s->draft = (int)m->draft;
    s->n_stop_ids = (int)m->stop_ids.n;
    s->stop_ids = keep_column(t, m->stop_ids);
    s->n_bias = (int)m->bias_ids.n;
    s->bias_ids = keep_column(t, m->bias_ids);
    s->bias = keep_column(t, m->bias_values);
    if (!m->stop_offsets.n) return;
    s->n_stops = (int)m->stop_offsets.n - 1;
    struct slice *stops = arena_take(&t->arena, (size_t)s->n_stops, sizeof *stops);
    for (int i = 0; i < s->n_stops; i++)
        stops[i] = keep(t, column_text(m->stop, m->stop_offsets, (uint64_t)i));
    s->stops = stops;
}

static int fill_from_message(const struct request_context *c, struct task *t,
                             const struct message_task *m, struct error *err) {
    t->id = keep(t, m->id);
    t->meta = keep(t, column_slice(m->meta));
    if (prompt_from_message(c, t, m, err)) return -1;
    if (m->reward.n && parse_reward(c, t, column_slice(m->reward), err)) return -1;
    return finish(c, t, err);
}

static int set_deadline(struct task *t, const struct message_task *m, int64_t now_ms,
                        struct error *err) {
    if (m->deadline_ms > MESSAGE_MAX_DEADLINE_MS)
        return error_set(err, ERROR_INPUT,
                         "deadline_ms is %llu; expected 0 (none) to %d milliseconds.",
                         (unsigned long long)m->deadline_ms, MESSAGE_MAX_DEADLINE_MS);
    if (m->deadline_ms) t->deadline_ms = now_ms + (int64_t)m->deadline_ms;
    return 0;
}

struct task *request_from_message(const struct request_context *c, const struct message_task *m,
                                  int64_t now_ms, struct error *err) {
    struct task *t = task_new();
    t->serial = m->serial;
    t->attempt = m->attempt;
    t->group_seed = m->seed;
    t->first_sample = (int)m->first;
    t->n_samples = (int)m->n;
    t->min_version = m->min_version;
    t->on_update = (enum message_on_update)m->on_update;
    if (m->max_version_lag) t->max_version_lag = m->max_version_lag - 1;
    t->prompt_logprobs = m->prompt_logprobs;
    t->routed_experts = m->routed_experts;
    sampling_from_message(t, m);
    if (set_deadline(t, m, now_ms, err) || fill_from_message(c, t, m, err)) task_free(&t);
    return t;
}
