// Runs a checkpoint's tokenizer and chat template for tests/python/test_tokenizer.py.
//
//     tokenize DIRECTORY < requests > answers
//
// A request and an answer is one JSON object a line.
//     {"text": "...", "add_special": false}    {"ids": [...], "text": "..."}    text: decoded again
//     {"messages": [...], "tools": [...]}      {"ids": [...], "text": "..."}    text: the prompt
//     {"decode": [ids]}                        {"text": "..."}                  lossy, as UTF-8
//     {"cut": "..."}                           {"lengths": [...]}               of pieces, bytes
//     {"about": true}                          n_ids, bos, adds_bos, end_ids, special, holes
// What is refused is answered with {"error": "..."}; a tokenizer that does not load, in one line.
#include <stdio.h>
#include <stdlib.h>

#include "protocol/base/utf8.h"
#include "worker/load/chat.h"
#include "worker/load/pretokenize.h"

struct tool {
    struct tokenizer *t;
    struct chat *chat;
    struct arena arena;
    struct buffer out;
    struct error err;
};

static void add_ids(struct buffer *out, const char *name, const int32_t *ids, size_t n) {
    buffer_printf(out, "\"%s\": [", name);
    for (size_t i = 0; i < n; i++) buffer_printf(out, "%s%d", i ? ", " : "", ids[i]);
    buffer_add_text(out, "]");
}

static void about(struct tool *tool) {
    const int32_t *end_ids;
    int n_end_ids = tokenizer_end_ids(tool->t, &end_ids);
    struct token_list special = {0}, holes = {0};
    for (int32_t id = 0; id < tokenizer_n_ids(tool->t); id++) {
        if (tokenizer_is_special(tool->t, id)) token_list_add(&special, id);
        if (!tokenizer_has_id(tool->t, id)) token_list_add(&holes, id);
    }
    buffer_printf(&tool->out, "{\"n_ids\": %d, \"bos\": %d, \"adds_bos\": %s, ",
                  tokenizer_n_ids(tool->t), tokenizer_bos(tool->t),
                  tokenizer_adds_bos(tool->t) ? "true" : "false");
    add_ids(&tool->out, "end_ids", end_ids, (size_t)n_end_ids);
    buffer_add_text(&tool->out, ", ");
    add_ids(&tool->out, "special", special.ids, special.n);
    buffer_add_text(&tool->out, ", ");
    add_ids(&tool->out, "holes", holes.ids, holes.n);
    buffer_add_text(&tool->out, "}");
    token_list_free(&special);
    token_list_free(&holes);
}

static int text_answer(struct tool *tool, const struct json *request) {
    const struct json *special = json_get(request, "add_special");
    struct slice text = json_string(json_get(request, "text"), &tool->arena);
    struct token_list ids = {0};
    struct buffer decoded = {0};
    int failed =
        tokenizer_encode(tool->t, text, special && special->type == JSON_TRUE, &ids, &tool->err);
    tokenizer_decode(tool->t, ids.ids, ids.n, &decoded);
    buffer_add_text(&tool->out, "{");
    add_ids(&tool->out, "ids", ids.ids, ids.n);
    buffer_add_text(&tool->out, ", \"text\": ");
    json_add_string(&tool->out, buffer_slice(&decoded));
    buffer_add_text(&tool->out, "}");
    token_list_free(&ids);
    buffer_free(&decoded);
    return failed;
}

static int cut_answer(struct tool *tool, const struct json *value) {
    struct slice text = json_string(value, &tool->arena);
    struct token_list lengths = {0};
    while (text.len > 0) {
        size_t len = pretokenize_next(text);
        token_list_add(&lengths, (int32_t)len);
        text = (struct slice){text.ptr + len, text.len - len};
    }
    buffer_add_text(&tool->out, "{");
    add_ids(&tool->out, "lengths", lengths.ids, lengths.n);
    buffer_add_text(&tool->out, "}");
    token_list_free(&lengths);
    return 0;
}

static int decode_answer(struct tool *tool, const struct json *list) {
    struct token_list ids = {0};
    struct buffer decoded = {0};
    int64_t id;
    for (const struct json *i = list->first; i; i = i->next)
        if (json_int64(i, &id) == 0) token_list_add(&ids, (int32_t)id);
    tokenizer_decode(tool->t, ids.ids, ids.n, &decoded);
    buffer_add_text(&tool->out, "{\"text\": ");
    json_add_string(&tool->out, buffer_slice(&decoded));
    buffer_add_text(&tool->out, "}");
    token_list_free(&ids);
    buffer_free(&decoded);
    return 0;
}

static int chat_answer(struct tool *tool, const struct json *messages, const struct json *tools) {
    struct token_list ids = {0};
    struct buffer prompt = {0};
    int failed = chat_render(tool->chat, messages, tools, &prompt, &tool->err) ||
                 chat_encode(tool->chat, tool->t, messages, tools, &ids, &tool->err);
    buffer_add_text(&tool->out, "{");
    add_ids(&tool->out, "ids", ids.ids, ids.n);
    buffer_add_text(&tool->out, ", \"text\": ");
    json_add_string(&tool->out, buffer_slice(&prompt));
    buffer_add_text(&tool->out, "}");
    token_list_free(&ids);
    buffer_free(&prompt);
    return failed ? -1 : 0;
}

static void answer(struct tool *tool, struct slice line) {
    int failed = -1;
    buffer_clear(&tool->out);
    const struct json *request = json_parse(line, &tool->arena, &tool->err);
    const struct json *messages = json_get(request, "messages");
    if (request && messages)
        failed = chat_answer(tool, messages, json_get(request, "tools"));
    else if (request && json_get(request, "text"))
        failed = text_answer(tool, request);
    else if (request && json_get(request, "cut"))
        failed = cut_answer(tool, json_get(request, "cut"));
    else if (request && json_get(request, "decode"))
        failed = decode_answer(tool, json_get(request, "decode"));
    else if (request)
        about(tool), failed = 0;
    if (failed) {
        buffer_clear(&tool->out);
        buffer_add_text(&tool->out, "{\"error\": ");
        json_add_string(&tool->out, slice_of(tool->err.text));
        buffer_add_text(&tool->out, "}");
    }
    arena_clear(&tool->arena);
}

int main(int argc, char **argv) {
    struct tool tool = {0};
    char *line = NULL;
    size_t capacity = 0;
    if (argc != 2) return fprintf(stderr, "usage: tokenize DIRECTORY\n"), 2;
    tool.t = tokenizer_load(argv[1], &tool.err);
    if (tool.t) tool.chat = chat_load(argv[1], &tool.err);
    if (!tool.t || !tool.chat) {
        json_add_string(&tool.out, slice_of(tool.err.text));
        printf("{\"error\": %.*s}\n", (int)tool.out.len, tool.out.ptr);
    }
    while (tool.t && tool.chat) {
        ssize_t len = getline(&line, &capacity, stdin);
        if (len < 0) break;
        answer(&tool, (struct slice){line, (size_t)len});
        printf("%.*s\n", (int)tool.out.len, tool.out.ptr);
    }
    free(line);
    buffer_free(&tool.out);
    chat_free(&tool.chat);
    tokenizer_free(&tool.t);
    return 0;
}
