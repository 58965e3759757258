// Chat templates and conversations from an enemy: the first line is the messages (JSON), the rest
// the template. Whatever parses must run within its bounds, print UTF-8, and print it again.
#include <stdlib.h>

#include "protocol/base/utf8.h"
#include "worker/load/chat.h"
#include "worker/load/jinja/jinja.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

// Less than the bounds allow, so that many inputs are tried.
enum { MAX_STEPS = 200 * 1000, MAX_BYTES = 32 * 1024 * 1024 };

static int render(const struct jinja *jinja, const struct json *messages, struct buffer *out,
                  struct error *err) {
    struct jinja_variable list[] = {{.name = "messages"},
                                    {"tools", value_none()},
                                    {"bos_token", value_string(slice_of("<s>"))},
                                    {"add_generation_prompt", value_bool(true)}};
    struct run run;
    jinja_open(&run, jinja, err);
    run.now = 1700000000;
    run.n_steps = RUN_MAX_STEPS - MAX_STEPS;
    run.arena.n_bytes = RUN_MAX_BYTES - MAX_BYTES;
    int failed =
        value_from_json(&run, messages, &list[0].value) || jinja_render(&run, jinja, list, 4, out);
    jinja_close(&run);
    return failed;
}

static void check_refusal(const struct error *err, enum error_code code) {
    if (err->code != code || !err->text[0]) abort();
}

static void run_template(struct slice text, const struct json *messages) {
    struct error err = {0};
    struct buffer first = {0}, again = {0};
    struct jinja *jinja = jinja_parse(text, "template", &err);
    if (!jinja) {
        check_refusal(&err, ERROR_CONFIG);
        return;
    }
    int failed = render(jinja, messages, &first, &err);
    if (failed) check_refusal(&err, ERROR_INPUT);
    if (failed && first.len) abort();
    if (render(jinja, messages, &again, &err) != failed) abort();
    if (!slice_equal(buffer_slice(&first), buffer_slice(&again))) abort();
    if (utf8_valid_prefix(buffer_slice(&first)) < first.len) abort();
    buffer_free(&first);
    buffer_free(&again);
    jinja_free(&jinja);
}

// LFM2's own template, and what is done to messages before it.
static void run_chat(const struct json *messages) {
    struct chat *chat = chat_parse((struct slice){0});
    struct buffer out = {0};
    struct error err = {0};
    if (chat_render(chat, messages, messages, &out, &err)) check_refusal(&err, ERROR_INPUT);
    buffer_free(&out);
    chat_free(&chat);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    const char *text = (const char *)data, *end = size ? memchr(text, '\n', size) : NULL;
    struct arena arena = {0};
    struct error err = {0};
    if (!end) return 0;
    struct slice line = {text, (size_t)(end - text)};
    const struct json *messages = json_parse(line, &arena, &err);
    if (messages) {
        run_template((struct slice){end + 1, size - line.len - 1}, messages);
        run_chat(messages);
    }
    arena_clear(&arena);
    return 0;
}
