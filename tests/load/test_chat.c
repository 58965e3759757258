// The forms of a prompt; transformers' own is compared in tests/python/test_tokenizer.py, and the
// interpreter of templates in tests/python/test_jinja.py.
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

// Renders; the caller frees. NULL with err when it is refused. LFM2's template for NULL.
static char *render(const char *template_text, const char *messages, const char *tools,
                    struct error *err) {
    struct chat *chat =
        chat_parse(template_text ? slice_of(template_text) : (struct slice){NULL, 0});
    struct arena arena = {0};
    struct buffer out = {0};
    const struct json *list = json_parse(slice_of(messages), &arena, err);
    const struct json *tool_list = tools ? json_parse(slice_of(tools), &arena, err) : NULL;
    assert_non_null(list);
    int failed = chat_render(chat, list, tool_list, &out, err);
    if (failed) assert_int_equal(out.len, 0);
    arena_clear(&arena);
    chat_free(&chat);
    return failed ? NULL : out.ptr;
}

static void expect_with_tools(const char *template_text, const char *messages, const char *tools,
                              const char *expected) {
    struct error err = {0};
    char *got = render(template_text, messages, tools, &err);
    if (!got) fail_msg("%s", err.text);
    assert_string_equal(got, expected);
    free(got);
}

static void expect(const char *template_text, const char *messages, const char *expected) {
    expect_with_tools(template_text, messages, NULL, expected);
}

static void expect_refusal(const char *template_text, const char *messages, const char *said) {
    struct error err = {0};
    assert_null(render(template_text, messages, NULL, &err));
    assert_int_equal(err.code, ERROR_INPUT);
    if (!strstr(err.text, said)) fail_msg("\"%s\" does not say \"%s\"", err.text, said);
}

#define HEAD      "<|startoftext|><|im_start|>system\nS<|im_end|>\n<|im_start|>user\nU<|im_end|>\n"
#define ASSISTANT "<|im_start|>assistant\n"
#define USER_X    "[{\"role\": \"user\", \"content\": \"x\"}]"

static void turns_in_order(void **state) {
    static const char messages[] = "[{\"role\": \"system\", \"content\": \"S\"}, {\"role\": "
                                   "\"user\", \"content\": \"U\"}]";
    (void)state;
    expect(NULL, messages, HEAD ASSISTANT);
    expect(plain_template, messages, HEAD ASSISTANT);
    // An empty system message in front is not printed; elsewhere it is a turn like others.
    expect(NULL, "[{\"role\": \"system\", \"content\": \"\"}]", "<|startoftext|>" ASSISTANT);
    expect(
        NULL,
        "[{\"role\": \"user\", \"content\": \"\"}, {\"role\": \"system\", \"content\": \"\"}]",
        "<|startoftext|><|im_start|>user\n<|im_end|>\n<|im_start|>system\n<|im_end|>\n" ASSISTANT);
}

static void lfm2_wraps_tool_responses_and_dumps_values(void **state) {
    static const char tool[] = "[{\"role\": \"tool\", \"content\": {\"k\":[1,\"\\u00e9\"]}}]";
    (void)state;
    expect(NULL, tool,
           "<|startoftext|><|im_start|>tool\n<|tool_response_start|>{\"k\": [1, \"\xc3\xa9\"]}"
           "<|tool_response_end|><|im_end|>\n" ASSISTANT);
    expect_refusal(plain_template, tool, "the chat template, line 1: a string + a dict");
}

static void lfm2_lists_tools_and_writes_calls(void **state) {
    (void)state;
    expect_with_tools(NULL, USER_X, "[{\"name\": \"f\"}, {\"name\": \"g\"}]",
                      "<|startoftext|><|im_start|>system\nList of tools: <|tool_list_start|>"
                      "[{\"name\": \"f\"}, {\"name\": \"g\"}]<|tool_list_end|><|im_end|>\n"
                      "<|im_start|>user\nx<|im_end|>\n" ASSISTANT);
    expect(NULL,
           "[{\"role\": \"assistant\", \"tool_calls\": [{\"type\": \"function\", \"function\": "
           "{\"name\": \"f\", \"arguments\": {\"a\": \"it's\\n\", \"b\": [1, null], \"c\": "
           "true}}}, {\"name\": \"g\"}]}]",
           "<|startoftext|><|im_start|>assistant\n<|tool_call_start|>[f(a='it\\'s\\n', "
           "b=[1, null], c=True), g()]<|tool_call_end|><|im_end|>\n" ASSISTANT);
}

// A template without tools in it renders as it does without them, as in transformers.
static void tools_that_a_template_does_not_read(void **state) {
    (void)state;
    expect_with_tools(plain_template, USER_X, "[{\"name\": \"f\"}]",
                      "<|startoftext|><|im_start|>user\nx<|im_end|>\n" ASSISTANT);
    expect_with_tools("{{ tools }}", USER_X, "[]", "[]");
    expect_with_tools("{{ tools }}", USER_X, "null", "None");
    expect_with_tools("{{ tools }}", USER_X, NULL, "None");
    struct error err = {0};
    assert_null(render(plain_template, USER_X, "{}", &err));
    assert_string_equal(err.text, "tools is an object, expected a list of objects.");
    assert_null(render(plain_template, USER_X, "[{}, 1]", &err));
    assert_string_equal(err.text, "tools[1] is a number, expected an object.");
}

// What the recogniser of words that stood here before lost in silence.
static void templates_mean_what_they_say(void **state) {
    static const char past[] =
        "[{\"role\": \"assistant\", \"content\": \"<think>a</think>b\"}, {\"role\": \"assistant\", "
        "\"content\": \"c\", \"reasoning_content\": \"r\"}]";
    static const char lfm25[] =
        "{%- set keep_past_thinking = keep_past_thinking | default(true) -%}"
        "{%- for m in messages -%}{%- if m.thinking -%}{{- '(' + m.thinking + ')' -}}{%- endif -%}"
        "{%- if keep_past_thinking -%}{{- m.content -}}{%- else -%}"
        "{{- m.content.split('</think>')[-1] | trim -}}{%- endif -%}{%- endfor -%}";
    (void)state;
    expect("{{ '<|im_start|>assistant\\n' + '<think>' }}", USER_X, ASSISTANT "<think>");
    expect(lfm25, past, "<think>a</think>b(r)c");
    expect("{{- bos_token -}}{%- set preserve_thinking = preserve_thinking | default(false) -%}"
           "{%- for m in messages if m.role == 'user' -%}{{- m.content -}}{%- endfor -%}",
           USER_X, "<|startoftext|>x");
}

// Null members are left out, and reasoning has three names; both as in transformers 5.
static void members_of_messages(void **state) {
    (void)state;
    expect("{{ messages[0] }}", "[{\"role\": \"a\", \"content\": null, \"x\": {\"y\": null}}]",
           "{'role': 'a', 'x': {'y': None}}");
    expect("{{ messages[0] }}", "[{\"role\": \"a\", \"reasoning\": \"r\", \"content\": \"c\"}]",
           "{'thinking': 'r', 'role': 'a', 'reasoning': 'r', 'content': 'c', "
           "'reasoning_content': 'r'}");
    expect("{{ messages[0] }}",
           "[{\"reasoning_content\": \"r\", \"role\": \"a\", \"thinking\": \"t\"}]",
           "{'thinking': 't', 'reasoning_content': 'r', 'role': 'a'}");
    // Of equal members the last one counts, where the first one stands.
    expect("{{ messages[0] }}", "[{\"x\": 1, \"role\": \"a\", \"x\": 2}]", "{'x': 2, 'role': 'a'}");
    // Numbers as Python prints them.
    expect("{{ messages[0].n }}",
           "[{\"role\": \"a\", \"n\": [1e5, 1e16, 0.1, -0, -0.0, 123456789012345678901234, 1E-7]}]",
           "[100000.0, 1e+16, 0.1, 0, -0.0, 123456789012345678901234, 1e-07]");
    expect_refusal("{{ 1 }}", "[{\"role\": \"a\", \"n\": 1e400}]", "1e400 is too large");
}

static void refusals(void **state) {
    (void)state;
    expect_refusal(NULL, "[]", "at least one message");
    expect_refusal(NULL, "{}", "an object");
    expect_refusal(NULL, "[{\"role\": \"user\"}]", "a message has neither content nor tool_calls");
    expect_refusal(NULL, "[{\"role\": \"user\", \"content\": \"x\"}, 1]",
                   "messages[1] is a number");
    expect_refusal(NULL, "[{\"content\": \"x\"}]", "messages[0].role is nothing");
    expect_refusal("{{ raise_exception('no ' ~ 1) }}", USER_X, "the chat template, line 1: no 1");
    expect_refusal("\n{{ messages[0].nothing.more }}", USER_X,
                   "line 2: a dict has nothing called 'nothing'.");
    expect_refusal("{{ messages | nosuch }}", USER_X,
                   "the chat template, line 1: the filter 'nosuch' is not known; expected one of");
    expect_refusal("a\n\n{% if x %}", USER_X, "line 3: the 'if' is not closed, expected 'endif'.");
}

// A template that cannot be read is a warning when it is loaded, and refuses each conversation.
static void templates_that_cannot_be_read(void **state) {
    (void)state;
    struct chat *chat = chat_parse(slice_of("{% include 'x' %}"));
    assert_non_null(strstr(chat_warning(chat), "the chat template, line 1: the tag 'include'"));
    expect_refusal("{% include 'x' %}", USER_X, chat_warning(chat));
    chat_free(&chat);
    chat = chat_parse((struct slice){0});
    assert_null(chat_warning(chat));
    chat_free(&chat);
}

static void bounds(void **state) {
    (void)state;
    expect_refusal("{% for a in range(9999) %}{% for b in range(9999) %}{% endfor %}{% endfor %}",
                   USER_X, "more than 10000000 steps");
    expect_refusal("{% set n = namespace(s='abcdefgh') %}{% for a in range(40) %}"
                   "{% set n.s = n.s + n.s %}{% endfor %}",
                   USER_X, "more than 16 MiB");
    expect_refusal("{% set n = namespace(l=[1]) %}{% for a in range(40) %}"
                   "{% set n.l = n.l + n.l %}{% endfor %}",
                   USER_X, "more than 256 MiB of memory");
    expect_refusal("{% for a in range(9999) %}{{ 'abcdefgh' * 1000 }}{% endfor %}", USER_X,
                   "prints more than 16 MiB");
    expect_refusal("{% macro f() %}{{ f() }}{% endmacro %}{{ f() }}", USER_X,
                   "macros call each other deeper than 60 times");
    expect_refusal("{% set n = namespace(l=[]) %}{% for a in range(300) %}"
                   "{% set n.l = [n.l] %}{% endfor %}{{ n.l }}",
                   USER_X, "nested deeper than 200 levels");
    char deep[96] = "{{";
    memset(deep + 2, '(', 40);
    memset(deep + 42, ')', 40);
    memcpy(deep + 82, "}}", 3);
    expect_refusal(deep, USER_X, "nested deeper than 32 levels");
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
    assert_int_equal(
        chat_encode(chat, t, json_parse(slice_of(messages), &arena, &err), NULL, &ids, &err), 0);
    struct slice text = slice_of("<|startoftext|><|im_start|>user\n<|im_end|>Ux<|startoftext|>"
                                 "<|im_end|>\n<|im_start|>assistant\n");
    assert_int_equal(tokenizer_encode(t, text, false, &whole, &err), 0);
    assert_int_equal(ids.n, whole.n);
    assert_memory_equal(ids.ids, whole.ids, whole.n * sizeof *whole.ids);
    int n_bos = 0, n_end = 0;
    for (size_t i = 0; i < ids.n; i++) n_bos += ids.ids[i] == 0, n_end += ids.ids[i] == 1;
    assert_int_equal(ids.ids[0], 0);
    assert_int_equal(n_bos, 2); // the prompt's and the content's
    assert_int_equal(n_end, 2);
    assert_int_equal(chat_without_bos(chat, text).len, text.len - strlen("<|startoftext|>"));
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
        cmocka_unit_test(lfm2_lists_tools_and_writes_calls),
        cmocka_unit_test(tools_that_a_template_does_not_read),
        cmocka_unit_test(templates_mean_what_they_say),
        cmocka_unit_test(members_of_messages),
        cmocka_unit_test(refusals),
        cmocka_unit_test(templates_that_cannot_be_read),
        cmocka_unit_test(bounds),
        cmocka_unit_test(text_of_special_tokens_becomes_special),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
