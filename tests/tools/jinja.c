// Renders templates for tests/python/test_jinja.py.
//
//     jinja < requests > answers
//
// A request and an answer is one JSON object a line.
//     {"template": "...", "variables": {"messages": [...], ...}}    {"text": "..."}
//     {"variables": {...}}      the same template again              {"text": "..."}
// What is refused is answered with {"error": "...", "at": "load"} or "render". A template that was
// refused is refused again.
#include <stdio.h>
#include <stdlib.h>

#include "worker/load/jinja/jinja.h"

struct tool {
    struct jinja *jinja;
    struct error refusal, err;
    struct buffer out;
};

static void load(struct tool *t, struct slice text) {
    jinja_free(&t->jinja);
    t->refusal = (struct error){0};
    t->jinja = jinja_parse(text, "template", &t->refusal);
}

static int render(struct tool *t, const struct json *variables, struct buffer *text) {
    struct run run;
    jinja_open(&run, t->jinja, &t->err);
    int n = variables ? variables->n_children : 0, i = 0, failed = 0;
    struct jinja_variable *list = memory_new((size_t)n, sizeof *list);
    for (const struct json *v = variables ? variables->first : NULL; v && !failed; v = v->next) {
        list[i].name = arena_copy(&run.arena, v->key.ptr, v->key.len);
        failed = value_from_json(&run, v, &list[i++].value);
    }
    if (!failed) failed = jinja_render(&run, t->jinja, list, n, text);
    free(list);
    jinja_close(&run);
    return failed;
}

static void refuse(struct tool *t, const struct error *err, const char *at) {
    buffer_add_text(&t->out, "{\"error\": ");
    json_add_string(&t->out, slice_of(err->text));
    buffer_printf(&t->out, ", \"at\": \"%s\"}", at);
}

static void answer(struct tool *t, struct slice line) {
    struct arena arena = {0};
    struct buffer text = {0};
    const struct json *request = json_parse(line, &arena, &t->err);
    const struct json *template = json_get(request, "template");
    buffer_clear(&t->out);
    if (template) load(t, json_string(template, &arena));
    if (!request) {
        refuse(t, &t->err, "request");
    } else if (!t->jinja) {
        refuse(t, &t->refusal, "load");
    } else if (render(t, json_get(request, "variables"), &text)) {
        refuse(t, &t->err, "render");
    } else {
        buffer_add_text(&t->out, "{\"text\": ");
        json_add_string(&t->out, buffer_slice(&text));
        buffer_add_text(&t->out, "}");
    }
    buffer_free(&text);
    arena_clear(&arena);
}

int main(void) {
    struct tool tool = {0};
    char *line = NULL;
    size_t capacity = 0;
    for (ssize_t len; (len = getline(&line, &capacity, stdin)) >= 0;) {
        answer(&tool, (struct slice){line, (size_t)len});
        printf("%.*s\n", (int)tool.out.len, tool.out.ptr);
        fflush(stdout);
    }
    free(line);
    buffer_free(&tool.out);
    jinja_free(&tool.jinja);
    return 0;
}
