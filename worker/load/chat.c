#include "worker/load/chat.h"

#include <stdlib.h>

#include "worker/load/chat_parts.h"

// ---- templates and tokens

void chat_add_template(struct chat *chat, const char *name, struct slice text, const char *where) {
    struct chat_template made = {.name = arena_copy(&chat->arena, name, strlen(name))};
    made.jinja = jinja_parse(text, where, &made.refusal);
    for (int i = 0; i < chat->n_templates; i++) {
        if (strcmp(chat->templates[i].name, name) != 0) continue;
        jinja_free(&chat->templates[i].jinja);
        chat->templates[i] = made;
        return;
    }
    size_t n = (size_t)chat->n_templates + 1;
    chat->templates = memory_resize(chat->templates, n, sizeof *chat->templates);
    chat->templates[chat->n_templates++] = made;
}

void chat_add_token(struct chat *chat, struct slice name, struct slice text) {
    struct chat_token token = {arena_copy(&chat->arena, name.ptr, name.len),
                               {arena_copy(&chat->arena, text.ptr, text.len), text.len}};
    for (int i = 0; i < chat->n_tokens; i++) {
        if (strcmp(chat->tokens[i].name, token.name) != 0) continue;
        chat->tokens[i] = token;
        return;
    }
    size_t n = (size_t)chat->n_tokens + 1;
    chat->tokens = memory_resize(chat->tokens, n, sizeof *chat->tokens);
    chat->tokens[chat->n_tokens++] = token;
}

void chat_add_usual_tokens(struct chat *chat) {
    chat_add_token(chat, slice_of("bos_token"), slice_of("<|startoftext|>"));
    chat_add_token(chat, slice_of("eos_token"), slice_of("<|im_end|>"));
}

struct chat *chat_parse(struct slice template_text) {
    struct chat *chat = memory_new(1, sizeof *chat);
    if (!template_text.ptr) template_text = slice_of(chat_default_template);
    chat_add_template(chat, "default", template_text, "the chat template");
    chat_add_usual_tokens(chat);
    return chat;
}

void chat_free(struct chat **chat) {
    if (!*chat) return;
    for (int i = 0; i < (*chat)->n_templates; i++) jinja_free(&(*chat)->templates[i].jinja);
    free((*chat)->templates);
    free((*chat)->tokens);
    arena_clear(&(*chat)->arena);
    free(*chat);
    *chat = NULL;
}

const char *chat_warning(const struct chat *chat) {
    for (int i = 0; i < chat->n_templates; i++)
        if (!chat->templates[i].jinja) return chat->templates[i].refusal.text;
    return NULL;
}

static const struct chat_template *find_template(const struct chat *chat, const char *name) {
    for (int i = 0; i < chat->n_templates; i++)
        if (strcmp(chat->templates[i].name, name) == 0) return &chat->templates[i];
    return NULL;
}

static int choose(const struct chat *chat, bool has_tools, const struct jinja **out,
                  struct error *err) {
    const struct chat_template *found = has_tools ? find_template(chat, "tool_use") : NULL;
    if (!found) found = find_template(chat, "default");
    if (!found)
        return error_set(err, ERROR_INPUT,
                         "The checkpoint has chat templates, but none called 'default'.");
    if (!found->jinja) return error_set(err, ERROR_INPUT, "%s", found->refusal.text);
    *out = found->jinja;
    return 0;
}

// ---- messages

static int check_messages(const struct json *messages, struct error *err) {
    bool is_list = messages && messages->type == JSON_ARRAY;
    if (!is_list || messages->n_children == 0)
        return error_set(err, ERROR_INPUT,
                         "messages is %s, expected an array of at least one message.",
                         is_list ? "an empty array" : json_type_name(messages));
    int place = 0;
    for (const struct json *m = messages->first; m; m = m->next, place++) {
        const struct json *role = json_get(m, "role");
        if (m->type != JSON_OBJECT)
            return error_set(err, ERROR_INPUT, "messages[%d] is %s, expected an object.", place,
                             json_type_name(m));
        if (!role || role->type != JSON_STRING)
            return error_set(err, ERROR_INPUT, "messages[%d].role is %s, expected a string.", place,
                             json_type_name(role));
    }
    return 0;
}

static int check_tools(const struct json *tools, struct error *err) {
    if (tools->type != JSON_ARRAY)
        return error_set(err, ERROR_INPUT, "tools is %s, expected a list of objects.",
                         json_type_name(tools));
    int place = 0;
    for (const struct json *t = tools->first; t; t = t->next, place++)
        if (t->type != JSON_OBJECT)
            return error_set(err, ERROR_INPUT, "tools[%d] is %s, expected an object.", place,
                             json_type_name(t));
    return 0;
}

// The first of reasoning's names that has a value.
static const struct value *find_reasoning(const struct dict *message) {
    static const char *const names[] = {"reasoning_content", "thinking", "reasoning"};
    for (int i = 0; i < 3; i++) {
        const struct value *found = value_dict_find(message, slice_of(names[i]));
        if (found && found->type != VALUE_NONE) return found;
    }
    return NULL;
}

// A message without its members that are null, and with its reasoning under the names that
// templates read: `thinking` in front of all unless the message has it, reasoning_content behind.
static int message_value(struct run *r, const struct json *json, struct value *out) {
    struct value all;
    if (value_from_json(r, json, &all)) return -1;
    const struct value *reasoning = find_reasoning(all.dict);
    struct dict *d = value_new_dict(r, all.dict->n + 2);
    if (!d) return -1;
    if (reasoning && value_dict_put(r, d, value_string(slice_of("thinking")), *reasoning))
        return -1;
    for (size_t i = 0; i < all.dict->n; i++) {
        const struct member *m = &all.dict->members[i];
        if (m->value.type != VALUE_NONE && value_dict_put(r, d, m->key, m->value)) return -1;
    }
    if (reasoning && value_dict_put(r, d, value_string(slice_of("reasoning_content")), *reasoning))
        return -1;
    *out = (struct value){.type = VALUE_DICT, .dict = d};
    return 0;
}

static int messages_value(struct run *r, const struct json *messages, struct value *out) {
    struct value *items = value_new_list(r, VALUE_LIST, (size_t)messages->n_children, out);
    if (!items) return -1;
    for (const struct json *m = messages->first; m; m = m->next)
        if (message_value(r, m, items++)) return -1;
    return 0;
}

// ---- prompts

static int render(struct run *r, const struct chat *chat, const struct jinja *jinja,
                  const struct json *messages, const struct json *tools, struct buffer *out) {
    int n = 4;
    struct jinja_variable *list = run_take(r, (size_t)(n + chat->n_tokens), sizeof *list);
    if (!list) return -1;
    list[0] = (struct jinja_variable){"messages", value_none()};
    list[1] = (struct jinja_variable){"tools", value_none()};
    list[2] = (struct jinja_variable){"documents", value_none()};
    list[3] = (struct jinja_variable){"add_generation_prompt", value_bool(true)};
    for (int i = 0; i < chat->n_tokens; i++)
        list[n++] =
            (struct jinja_variable){chat->tokens[i].name, value_string(chat->tokens[i].text)};
    if (messages_value(r, messages, &list[0].value)) return -1;
    if (tools && value_from_json(r, tools, &list[1].value)) return -1;
    return jinja_render(r, jinja, list, n, out);
}

int chat_render(const struct chat *chat, const struct json *messages, const struct json *tools,
                struct buffer *out, struct error *err) {
    const struct jinja *jinja = NULL;
    struct run run;
    if (tools && tools->type == JSON_NULL) tools = NULL;
    if (choose(chat, tools != NULL, &jinja, err)) return -1;
    if (check_messages(messages, err) || (tools && check_tools(tools, err))) return -1;
    jinja_open(&run, jinja, err);
    int failed = render(&run, chat, jinja, messages, tools, out);
    jinja_close(&run);
    return failed;
}

struct slice chat_without_bos(const struct chat *chat, struct slice prompt) {
    for (int i = 0; i < chat->n_tokens; i++) {
        struct slice bos = chat->tokens[i].text;
        if (strcmp(chat->tokens[i].name, "bos_token") != 0 || bos.len > prompt.len) continue;
        if (bos.len && memcmp(prompt.ptr, bos.ptr, bos.len) == 0)
            return (struct slice){prompt.ptr + bos.len, prompt.len - bos.len};
    }
    return prompt;
}

int chat_encode(const struct chat *chat, const struct tokenizer *t, const struct json *messages,
                const struct json *tools, struct token_list *out, struct error *err) {
    struct buffer text = {0};
    int failed = chat_render(chat, messages, tools, &text, err);
    if (!failed) failed = tokenizer_encode(t, buffer_slice(&text), false, out, err);
    buffer_free(&text);
    return failed;
}
