#include "worker/load/chat_template.h"

#include <string.h>

#include "protocol/base/buffer.h"

// Every string that templates of the family use. What only their tool lists and tool calls use is
// here too: neither is rendered, but they stand in the text.
static const char *const literals[] = {
    "",
    "\n",
    "\n\n",
    ", ",
    "]",
    "[",
    "=",
    "(",
    ")",
    "\"",
    "null",
    "True",
    "False",
    "true",
    "false",
    "<|im_start|>",
    "<|im_start|>system\n",
    "<|im_start|>assistant\n",
    "<|im_end|>",
    "<|im_end|>\n",
    "role",
    "content",
    "system",
    "user",
    "assistant",
    "tool",
    "List of tools: [",
    "List of tools: <|tool_list_start|>[",
    "]<|tool_list_end|>",
    "\n\nList of tools: ",
    "<|tool_response_start|>",
    "<|tool_response_end|>",
    "<think>",
    "</think>",
    "thinking",
    "type",
    "text",
    "image",
    "<image>",
    "tool_calls",
    "function",
    "name",
    "arguments",
    "<|tool_call_start|>[",
    "]<|tool_call_end|>",
    "Today's date: ",
    "%Y-%m-%d",
};

static const char *const names[] = {
    // Jinja's
    "and",
    "boolean",
    "default",
    "defined",
    "elif",
    "else",
    "endfor",
    "endgeneration",
    "endif",
    "endmacro",
    "false",
    "False",
    "for",
    "generation",
    "get",
    "if",
    "in",
    "index0",
    "is",
    "items",
    "iterable",
    "join",
    "last",
    "loop",
    "macro",
    "mapping",
    "namespace",
    "none",
    "None",
    "not",
    "or",
    "set",
    "split",
    "strftime_now",
    "string",
    "tojson",
    "trim",
    "true",
    "True",
    // the templates' own
    "_ns",
    "add_generation_prompt",
    "arg_name",
    "arg_strings",
    "arg_value",
    "args_ns",
    "arguments",
    "bos_token",
    "content",
    "continue_final_message",
    "format_arg_value",
    "formatted_arg_value",
    "func_args",
    "func_name",
    "function",
    "item",
    "keep_past_thinking",
    "last_assistant_index",
    "m",
    "message",
    "messages",
    "msg",
    "name",
    "ns",
    "parse_content",
    "render_tool_calls",
    "result",
    "role",
    "sys_content",
    "system_prompt",
    "text",
    "thinking",
    "tool",
    "tool_call",
    "tool_calls",
    "tool_calls_ns",
    "tools",
    "type",
};

enum { N_LITERALS = sizeof literals / sizeof *literals, N_NAMES = sizeof names / sizeof *names };

struct scanner {
    struct slice text;
    size_t at;
    struct slice before[2]; // the last two tokens in the tag: [0] is the later one
    bool has_literal[N_LITERALS], has_name[N_NAMES];
    bool dumps_content;
    struct error *err;
};

static int refuse(struct scanner *s, const char *what, struct slice quoted) {
    return error_set(s->err, ERROR_INPUT,
                     "The chat template %s \"%.*s\", which no known template of the LFM2 family "
                     "does; give the prompt as text or ids.",
                     what, SLICE_ARG(quoted));
}

static int mark(const char *const *list, int n, bool *has, struct slice text) {
    for (int i = 0; i < n; i++)
        if (slice_is(text, list[i])) {
            has[i] = true;
            return 0;
        }
    return -1;
}

static bool has(const char *const *list, int n, const bool *marks, const char *text) {
    for (int i = 0; i < n; i++)
        if (marks[i] && strcmp(list[i], text) == 0) return true;
    return false;
}

static bool starts(const struct scanner *s, size_t at, const char *text) {
    size_t n = strlen(text);
    return s->text.len - at >= n && memcmp(s->text.ptr + at, text, n) == 0;
}

static int scan_literal(struct scanner *s) {
    static const char written[] = "nt\\'\"", meant[] = "\n\t\\'\"";
    char quote = s->text.ptr[s->at++];
    struct buffer value = {0};
    size_t start = s->at;
    bool closed = false, odd = false;
    for (; s->at < s->text.len && !closed; s->at++) {
        char c = s->text.ptr[s->at];
        const char *escape = NULL;
        if (c == quote) {
            closed = true;
            continue;
        }
        if (c == '\\' && s->at + 1 < s->text.len) {
            char next = s->text.ptr[++s->at];
            escape = next ? strchr(written, next) : NULL;
            if (!escape) odd = true;
        }
        buffer_add(&value, escape ? &meant[escape - written] : &c, 1);
    }
    struct slice raw = {s->text.ptr + start, s->at - start - (closed ? 1 : 0)};
    int failed = 0;
    if (!closed)
        failed = refuse(s, "does not close the string", raw);
    else if (odd || mark(literals, N_LITERALS, s->has_literal, buffer_slice(&value)))
        failed = refuse(s, "uses the string", raw);
    buffer_free(&value);
    return failed;
}

static bool is_word(char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_';
}

// A name, a number (only 0 and 1 occur in the family), or a character of punctuation.
static int scan_word(struct scanner *s) {
    size_t start = s->at++;
    if (is_word(s->text.ptr[start]))
        while (s->at < s->text.len && is_word(s->text.ptr[s->at])) s->at++;
    struct slice word = {s->text.ptr + start, s->at - start};
    bool digit = word.ptr[0] >= '0' && word.ptr[0] <= '9';
    if (digit && !slice_is(word, "0") && !slice_is(word, "1"))
        return refuse(s, "uses the number", word);
    if (is_word(word.ptr[0]) && !digit && mark(names, N_NAMES, s->has_name, word))
        return refuse(s, "uses the name", word);
    if (slice_is(word, "tojson") && slice_is(s->before[0], "|") &&
        slice_is(s->before[1], "content"))
        s->dumps_content = true;
    s->before[1] = s->before[0];
    s->before[0] = word;
    return 0;
}

static bool is_blank(char c) {
    return c == ' ' || c == '\t' || c == '\n' || c == '\r';
}

// At "{{", "{%" or "{#": reads to behind the end of the tag.
static int scan_tag(struct scanner *s) {
    char kind = s->text.ptr[s->at + 1];
    char close[3] = {kind == '{' ? '}' : kind, '}', 0};
    size_t start = s->at;
    s->at += 2;
    s->before[0] = s->before[1] = (struct slice){0};
    while (s->at < s->text.len) {
        char c = s->text.ptr[s->at];
        if (starts(s, s->at, close)) {
            s->at += 2;
            return 0;
        }
        if (kind == '#' || is_blank(c))
            s->at++;
        else if (c == '"' || c == '\'' ? scan_literal(s) : scan_word(s))
            return -1;
    }
    return refuse(s, "does not close the tag",
                  (struct slice){s->text.ptr + start, s->text.len - start});
}

// Text between two tags must print nothing. A '-' at a tag's edge strips all white space there;
// else transformers sets trim_blocks (a line break behind a block goes) and lstrip_blocks (blanks
// in front of a block go).
static int check_text(struct scanner *s, size_t from, size_t to) {
    const char *p = s->text.ptr;
    size_t start = from, end = to;
    bool first = from == 0, last = to == s->text.len;
    for (size_t i = from; i < to; i++)
        if (!is_blank(p[i])) return refuse(s, "prints the text", (struct slice){p + i, to - i});
    bool strips_left = !first && p[from - 3] == '-';
    bool strips_right = !last && to + 2 < s->text.len && p[to + 2] == '-';
    if (strips_left || strips_right) return 0;
    if (!first && p[from - 2] != '}' && start < end && p[start] == '\n') start++;
    if (last && start < end && p[end - 1] == '\n') end--;
    if (!last && p[to + 1] != '{')
        while (end > start && (p[end - 1] == ' ' || p[end - 1] == '\t')) end--;
    return start < end ? refuse(s, "prints the white space", (struct slice){p + start, end - start})
                       : 0;
}

static int scan(struct scanner *s) {
    size_t behind = 0;
    while (s->at < s->text.len) {
        if (starts(s, s->at, "{{") || starts(s, s->at, "{%") || starts(s, s->at, "{#")) {
            if (check_text(s, behind, s->at) || scan_tag(s)) return -1;
            behind = s->at;
        } else {
            s->at++;
        }
    }
    return check_text(s, behind, s->text.len);
}

int chat_template_read(struct slice text, struct chat_shape *out, struct error *err) {
    static const char *const needed[] = {"<|im_start|>", "<|im_start|>system\n",
                                         "<|im_start|>assistant\n", "<|im_end|>\n"};
    static const char *const needed_names[] = {"bos_token", "messages", "add_generation_prompt"};
    struct scanner s = {.text = text, .err = err};
    if (scan(&s)) return -1;
    for (size_t i = 0; i < sizeof needed / sizeof *needed; i++)
        if (!has(literals, N_LITERALS, s.has_literal, needed[i]))
            return refuse(&s, "does not print", slice_of(needed[i]));
    for (size_t i = 0; i < sizeof needed_names / sizeof *needed_names; i++)
        if (!has(names, N_NAMES, s.has_name, needed_names[i]))
            return refuse(&s, "does not use", slice_of(needed_names[i]));
    bool thinking = has(literals, N_LITERALS, s.has_literal, "</think>");
    static const char *const dropping[] = {"keep_past_thinking", "last_assistant_index", "split",
                                           "trim"};
    for (int i = 0; i < 4; i++)
        if (has(names, N_NAMES, s.has_name, dropping[i]) != thinking)
            return refuse(&s, thinking ? "has </think> without" : "without </think> has",
                          slice_of(dropping[i]));
    *out = (struct chat_shape){
        .drops_thinking = thinking,
        .wraps_tool_responses = has(literals, N_LITERALS, s.has_literal, "<|tool_response_start|>"),
        .dumps_content = s.dumps_content,
    };
    return 0;
}
