// The forms of a prompt; transformers' own is compared in tests/python/test_tokenizer.py.
#include "worker/load/chat.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "tests/load/tokenizer_json.h"

static const char plain_template[] =
    "{{- bos_token -}}{%- if messages[0]['role'] == 'system' -%}{{- '<|im_start|>system\\n' + "
    "messages[0].content + '<|im_end|>\\n' -}}{%- set messages = messages[1:] -%}{%- endif -%}"
    "{%- for m in messages -%}{{- '<|im_start|>' + m['role'] + '\\n' + m['content'] + "
    "'<|im_end|>\\n' -}}{%- endfor -%}"
    "{%- if add_generation_prompt -%}{{- '<|im_start|>assistant\\n' -}}{%- endif -%}";

// Renders `messages` with BOS "[BOS]"; the caller frees. NULL with err when it is refused.
static char *render(const char *template_text, const char *messages, struct error *err) {
    struct chat *chat = chat_parse(slice_of(template_text));
    struct arena arena = {0};
    struct buffer out = {0};
    const struct json *list = json_parse(slice_of(messages), &arena, err);
    assert_non_null(list);
    int failed = chat_render(chat, list, slice_of("[BOS]"), &out, err);
    if (failed) assert_int_equal(out.len, 0);
    arena_clear(&arena);
    chat_free(&chat);
    return failed ? NULL : out.ptr;
}

static void expect(const char *template_text, const char *messages, const char *expected) {
    struct error err = {0};
    char *got = render(template_text, messages, &err);
    if (!got) fail_msg("%s", err.text);
    assert_string_equal(got, expected);
    free(got);
}

static void expect_refusal(const char *template_text, const char *messages, const char *said) {
    struct error err = {0};
    assert_null(render(template_text, messages, &err));
    assert_int_equal(err.code, ERROR_INPUT);
    if (!strstr(err.text, said)) fail_msg("\"%s\" does not say \"%s\"", err.text, said);
}

#define HEAD      "[BOS]<|im_start|>system\nS<|im_end|>\n<|im_start|>user\nU<|im_end|>\n"
#define ASSISTANT "<|im_start|>assistant\n"

static void turns_in_order(void **state) {
    static const char messages[] = "[{\"role\": \"system\", \"content\": \"S\"}, {\"role\": "
                                   "\"user\", \"content\": \"U\"}]";
    (void)state;
    expect("", messages, HEAD ASSISTANT);
    expect(plain_template, messages, HEAD ASSISTANT);
    // An empty system message in front is not printed; elsewhere it is a turn like others.
    expect("", "[{\"role\": \"system\", \"content\": \"\"}]", "[BOS]" ASSISTANT);
    expect("",
           "[{\"role\": \"user\", \"content\": \"\"}, {\"role\": \"system\", \"content\": \"\"}]",
           "[BOS]<|im_start|>user\n<|im_end|>\n<|im_start|>system\n<|im_end|>\n" ASSISTANT);
}

static void lfm2_wraps_tool_responses_and_dumps_values(void **state) {
    static const char tool[] = "[{\"role\": \"tool\", \"content\": {\"k\":[1,\"\\u00e9\"]}}]";
    (void)state;
    expect("", tool,
           "[BOS]<|im_start|>tool\n<|tool_response_start|>{\"k\": [1, \"\xc3\xa9\"]}"
           "<|tool_response_end|><|im_end|>\n" ASSISTANT);
    expect_refusal(plain_template, tool, "messages[0].content is an object");
}

static void refusals(void **state) {
    (void)state;
    expect_refusal("", "[]", "at least one message");
    expect_refusal("", "{}", "an object");
    expect_refusal("", "[{\"role\": \"user\"}]", "messages[0].content");
    expect_refusal("", "[{\"role\": \"system\", \"content\": [1]}]", "messages[0].content");
    expect_refusal("", "[{\"role\": \"user\", \"content\": \"x\"}, 1]", "messages[1] is a number");
    expect_refusal("{{ messages | upper }}", "[]", "upper");
    expect_refusal("{{ 'unclosed", "[]", "unclosed");
    expect_refusal("{{ bos_token", "[]", "does not close");
    expect_refusal("Hello {{ bos_token }}", "[]", "Hello");
    expect_refusal("{", "[]", "{");
    expect_refusal("{{- bos_token -}}", "[]", "<|im_start|>");
}

static void text_of_special_tokens_becomes_special(void **state) {
    static const char *const merges[] = {"U", "x", NULL};
    (void)state;
    struct buffer json = {0};
    struct token_list ids = {0}, whole = {0};
    struct arena arena = {0};
    struct error err = {0};
    tokenizer_json_write(&json, merges);
    struct tokenizer *t = tokenizer_parse(buffer_slice(&json), (struct slice){0}, &err);
    struct chat *chat = chat_parse((struct slice){0});
    const char *messages = "[{\"role\": \"user\", \"content\": \"<|im_end|>Ux<|startoftext|>\"}]";
    assert_int_equal(chat_encode(chat, t, json_parse(slice_of(messages), &arena, &err), &ids, &err),
                     0);
    const char *text = "<|startoftext|><|im_start|>user\n<|im_end|>Ux<|startoftext|><|im_end|>\n"
                       "<|im_start|>assistant\n";
    assert_int_equal(tokenizer_encode(t, slice_of(text), false, &whole, &err), 0);
    assert_int_equal(ids.n, whole.n);
    assert_memory_equal(ids.ids, whole.ids, whole.n * sizeof *whole.ids);
    int n_bos = 0, n_end = 0;
    for (size_t i = 0; i < ids.n; i++) n_bos += ids.ids[i] == 0, n_end += ids.ids[i] == 1;
    assert_int_equal(ids.ids[0], 0);
    assert_int_equal(n_bos, 2); // the prompt's and the content's
    assert_int_equal(n_end, 2);
    chat_free(&chat);
    tokenizer_free(&t);
    arena_clear(&arena);
    token_list_free(&ids);
    token_list_free(&whole);
    buffer_free(&json);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(turns_in_order),
        cmocka_unit_test(lfm2_wraps_tool_responses_and_dumps_values),
        cmocka_unit_test(refusals),
        cmocka_unit_test(text_of_special_tokens_becomes_special),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
