#include "worker/load/chat.h"

#include <stdlib.h>

#include "protocol/base/utf8.h"
#include "worker/load/chat_template.h"
#include "worker/load/file.h"

enum { MAX_TEMPLATE_BYTES = 1 << 20, MAX_CONFIG_BYTES = 256 << 20 };

struct chat {
    struct chat_shape shape;
    struct error refusal; // why the template is not known; code ERROR_NONE when it is
};

// LFM2's own, for a checkpoint without a template.
static const struct chat_shape lfm2 = {.wraps_tool_responses = true, .dumps_content = true};

struct chat *chat_parse(struct slice template_text) {
    struct chat *chat = memory_new(1, sizeof *chat);
    chat->shape = lfm2;
    if (template_text.len > 0) chat_template_read(template_text, &chat->shape, &chat->refusal);
    return chat;
}

void chat_free(struct chat **chat) {
    free(*chat);
    *chat = NULL;
}

// `chat_template` of tokenizer_config.json: a string, or [{"name", "template"}].
static int template_of_config(struct slice text, struct buffer *out, struct error *err) {
    struct arena arena = {0};
    const struct json *config = json_parse(text, &arena, err);
    const struct json *found = json_get(config, "chat_template");
    int failed = config ? 0 : -1;
    if (failed && err) err->code = ERROR_CONFIG;
    if (found && found->type == JSON_ARRAY) {
        const struct json *named = found->first;
        found = NULL;
        for (; named && !found; named = named->next) {
            const struct json *name = json_get(named, "name");
            if (name && name->type == JSON_STRING && slice_is(json_string(name, &arena), "default"))
                found = json_get(named, "template");
        }
    }
    if (found && found->type == JSON_STRING)
        buffer_add_slice(out, json_string(found, &arena));
    else if (found && found->type != JSON_NULL)
        failed = error_set(err, ERROR_CONFIG,
                           "chat_template is %s, expected a string or a list of named ones.",
                           json_type_name(found));
    arena_clear(&arena);
    return failed;
}

struct chat *chat_load(const char *directory, struct error *err) {
    char *path = file_join(directory, slice_of("chat_template.jinja"));
    char *config_path = file_join(directory, slice_of("tokenizer_config.json"));
    struct buffer text = {0}, config = {0};
    int failed = 0;
    if (file_exists(path)) {
        failed = file_read(path, MAX_TEMPLATE_BYTES, &text, err);
    } else if (file_exists(config_path)) {
        failed = file_read(config_path, MAX_CONFIG_BYTES, &config, err);
        if (!failed && template_of_config(buffer_slice(&config), &text, err))
            failed = error_prefix(err, "%s", config_path);
    }
    struct chat *chat = failed ? NULL : chat_parse(buffer_slice(&text));
    buffer_free(&text);
    buffer_free(&config);
    free(path);
    free(config_path);
    return chat;
}

// The text which json.dumps(value, ensure_ascii=False) gives: ", " and ": " between the parts.
static void dump(struct buffer *out, const struct json *value) {
    if (value->type != JSON_ARRAY && value->type != JSON_OBJECT) {
        json_add_compact(out, value);
        return;
    }
    bool object = value->type == JSON_OBJECT;
    buffer_add(out, object ? "{" : "[", 1);
    for (const struct json *c = value->first; c; c = c->next) {
        if (object) json_add_string(out, c->key), buffer_add(out, ": ", 2);
        dump(out, c);
        if (c->next) buffer_add(out, ", ", 2);
    }
    buffer_add(out, object ? "}" : "]", 1);
}

// Python's str.isspace for one character, which Jinja's trim strips by.
static bool is_python_space(uint32_t c) {
    return (c >= 0x9 && c <= 0xd) || (c >= 0x1c && c <= 0x20) || c == 0x85 || c == 0xa0 ||
           c == 0x1680 || (c >= 0x2000 && c <= 0x200a) || c == 0x2028 || c == 0x2029 ||
           c == 0x202f || c == 0x205f || c == 0x3000;
}

static struct slice trim(struct slice s) {
    uint32_t code = 0;
    for (;;) {
        int len = utf8_next(s, &code);
        if (len == 0 || !is_python_space(code)) break;
        s = (struct slice){s.ptr + len, s.len - (size_t)len};
    }
    while (s.len > 0) {
        size_t start = s.len - 1;
        while (start > 0 && ((unsigned char)s.ptr[start] & 0xc0) == 0x80) start--;
        utf8_next((struct slice){s.ptr + start, s.len - start}, &code);
        if (!is_python_space(code)) break;
        s.len = start;
    }
    return s;
}

static struct slice behind_thinking(struct slice content) {
    static const char end[] = "</think>";
    size_t n = sizeof end - 1;
    for (size_t at = content.len; at >= n; at--)
        if (memcmp(content.ptr + at - n, end, n) == 0)
            return trim((struct slice){content.ptr + at, content.len - at});
    return content;
}

struct message {
    struct slice role, content;
};

static int read_message(const struct chat *chat, const struct json *message, int place,
                        struct message *out, struct arena *arena, struct error *err) {
    static const char *const unwritten[] = {"tool_calls", "thinking"};
    const struct json *role = json_get(message, "role"), *content = json_get(message, "content");
    if (message->type != JSON_OBJECT)
        return error_set(err, ERROR_INPUT, "messages[%d] is %s, expected an object.", place,
                         json_type_name(message));
    if (!role || role->type != JSON_STRING)
        return error_set(err, ERROR_INPUT, "messages[%d].role is %s, expected a string.", place,
                         json_type_name(role));
    for (int i = 0; i < 2; i++) {
        const struct json *value = json_get(message, unwritten[i]);
        if (value && value->type != JSON_NULL)
            return error_set(err, ERROR_INPUT,
                             "messages[%d].%s is not supported; expected its text in content.",
                             place, unwritten[i]);
    }
    out->role = json_string(role, arena);
    bool is_system = place == 0 && slice_is(out->role, "system");
    if (content && content->type == JSON_STRING) {
        out->content = json_string(content, arena);
        return 0;
    }
    // transformers drops members that are null before it renders.
    if (!content || content->type == JSON_NULL || is_system || !chat->shape.dumps_content)
        return error_set(err, ERROR_INPUT, "messages[%d].content is %s, expected a string.", place,
                         json_type_name(content));
    struct buffer text = {0};
    dump(&text, content);
    out->content = (struct slice){arena_copy(arena, text.ptr, text.len), text.len};
    buffer_free(&text);
    return 0;
}

static void add_turn(struct buffer *out, struct message m, bool wrapped) {
    buffer_add_text(out, "<|im_start|>");
    buffer_add_slice(out, m.role);
    buffer_add_text(out, wrapped ? "\n<|tool_response_start|>" : "\n");
    buffer_add_slice(out, m.content);
    buffer_add_text(out, wrapped ? "<|tool_response_end|><|im_end|>\n" : "<|im_end|>\n");
}

static void add_turns(const struct chat *chat, struct message *messages, int n,
                      struct buffer *out) {
    int last_assistant = -1;
    for (int i = 0; i < n; i++)
        if (slice_is(messages[i].role, "assistant")) last_assistant = i;
    for (int i = 0; i < n; i++) {
        struct message m = messages[i];
        bool is_system = i == 0 && slice_is(m.role, "system");
        if (is_system && m.content.len == 0) continue;
        if (chat->shape.drops_thinking && slice_is(m.role, "assistant") && i != last_assistant)
            m.content = behind_thinking(m.content);
        add_turn(out, m, chat->shape.wraps_tool_responses && slice_is(m.role, "tool"));
    }
    buffer_add_text(out, "<|im_start|>assistant\n");
}

int chat_render(const struct chat *chat, const struct json *messages, struct slice bos,
                struct buffer *out, struct error *err) {
    if (chat->refusal.code != ERROR_NONE)
        return error_set(err, chat->refusal.code, "%s", chat->refusal.text);
    if (!messages || messages->type != JSON_ARRAY || messages->n_children == 0)
        return error_set(
            err, ERROR_INPUT, "messages is %s, expected an array of at least one message.",
            messages && messages->type == JSON_ARRAY ? "an empty array" : json_type_name(messages));
    struct arena arena = {0};
    int n = messages->n_children, place = 0, failed = 0;
    struct message *list = arena_take(&arena, (size_t)n, sizeof *list);
    for (const struct json *m = messages->first; m && !failed; m = m->next, place++)
        failed = read_message(chat, m, place, &list[place], &arena, err);
    if (!failed) {
        buffer_add_slice(out, bos);
        add_turns(chat, list, n, out);
    }
    arena_clear(&arena);
    return failed;
}

int chat_encode(const struct chat *chat, const struct tokenizer *t, const struct json *messages,
                struct token_list *out, struct error *err) {
    struct buffer text = {0};
    struct slice bos = tokenizer_token_bytes(t, tokenizer_bos(t));
    int failed = chat_render(chat, messages, bos, &text, err);
    if (!failed) failed = tokenizer_encode(t, buffer_slice(&text), false, out, err);
    buffer_free(&text);
    return failed;
}
