#include "worker/load/jinja/jinja.h"

#include <stdlib.h>
#include <time.h>

#include "protocol/base/utf8.h"
#include "worker/load/jinja/eval.h"
#include "worker/load/jinja/function.h"
#include "worker/load/jinja/parser.h"
#include "worker/load/jinja/resolve.h"

struct jinja {
    struct arena arena;
    const char *name;
    struct node *body;
    struct resolved resolved;
};

static int parse(struct jinja *j, struct slice text, struct error *err) {
    struct tokens tokens;
    if (utf8_valid_prefix(text) < text.len)
        return error_set(err, ERROR_CONFIG, "%s: byte %zu is not UTF-8.", j->name,
                         utf8_valid_prefix(text));
    if (lexer_read(text, j->name, &j->arena, &tokens, err)) return -1;
    struct parser p = {.at = tokens.list, .arena = &j->arena, .name = j->name, .err = err};
    j->body = parser_read(&p);
    free(tokens.list);
    if (!j->body) return -1;
    return resolve_template(j->body, j->name, &j->arena, &j->resolved, err);
}

struct jinja *jinja_parse(struct slice text, const char *name, struct error *err) {
    struct jinja *j = memory_new(1, sizeof *j);
    j->name = arena_copy(&j->arena, name, strlen(name));
    if (parse(j, text, err)) jinja_free(&j);
    return j;
}

void jinja_free(struct jinja **jinja) {
    if (!*jinja) return;
    arena_clear(&(*jinja)->arena);
    free(*jinja);
    *jinja = NULL;
}

void jinja_open(struct run *r, const struct jinja *jinja, struct error *err) {
    *r = (struct run){.name = jinja->name, .err = err, .line = 1, .now = (int64_t)time(NULL)};
    buffer_extend(&r->out, 0); // so that its ptr is one
}

void jinja_close(struct run *r) {
    buffer_free(&r->out);
    arena_clear(&r->arena);
}

// Variables win over functions of the same name.
static struct value outside_value(struct slice name, const struct jinja_variable *variables,
                                  int n) {
    for (int i = 0; i < n; i++)
        if (slice_is(name, variables[i].name)) return variables[i].value;
    const struct callable *row = callable_find(function_rows, name);
    if (!row) return (struct value){.type = VALUE_MISSING};
    return (struct value){.type = VALUE_FUNCTION, .function = row};
}

int jinja_render(struct run *r, const struct jinja *jinja, const struct jinja_variable *variables,
                 int n_variables, struct buffer *out) {
    const struct resolved *resolved = &jinja->resolved;
    struct value *names = run_take(r, (size_t)resolved->n_names, sizeof *names);
    enum flow flow = FLOW_ON;
    if (!names) return -1;
    for (int i = 0; i < resolved->n_names; i++)
        names[i] = outside_value(resolved->names[i], variables, n_variables);
    r->names = names;
    r->activation = eval_activation(r, NULL, (size_t)resolved->n_slots);
    if (!r->activation) return -1;
    eval_enter(r, &resolved->scope);
    if (eval_body(r, jinja->body, &flow)) return -1;
    buffer_add(out, r->out.ptr, r->out.len);
    return 0;
}
